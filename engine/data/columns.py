"""Arrow columns as numpy arrays, without importing pandas (0.3 s).

pyarrow imports pandas for ``to_numpy`` and for every Python value that it makes a scalar of, so
neither is used where a file is read.
"""

from typing import Any

import numpy as np
import pyarrow as pa


def as_numpy(column: pa.Array) -> Any:
    """Return numbers or booleans (n,) as an array of its own; null is NaN, 0 or false."""
    valid = None
    if column.null_count:
        valid = _values(column.is_valid().cast(pa.uint8())).astype(np.bool_)
    if pa.types.is_boolean(column.type):
        values = _values(column.cast(pa.uint8())).astype(np.bool_)
    else:
        values = _values(column).copy()
    if valid is not None:
        values[~valid] = np.nan if values.dtype.kind == "f" else 0
    return values


def _values(column: pa.Array) -> Any:
    dtype = np.dtype(str(column.type).replace("double", "float64"))
    return np.frombuffer(column.buffers()[1], dtype=dtype)[column.offset :][: len(column)]
