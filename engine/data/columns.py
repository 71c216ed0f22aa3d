"""Arrow columns as numpy arrays, without importing pandas (0.3 s).

pyarrow imports pandas for ``to_numpy`` and for every Python value that it makes a scalar of, so
neither is used where a file is read.
"""

from typing import Any

import numpy as np
import pyarrow as pa

DTYPES = {"halffloat": "float16", "float": "float32", "double": "float64"}


def as_numpy(column: pa.Array) -> Any:
    """Return numbers or booleans (n,) as an array of its own; null is NaN, 0 or false."""
    if pa.types.is_boolean(column.type):
        values = _values(column.cast(pa.uint8())).astype(np.bool_)
    else:
        values = _values(column).copy()
    if column.null_count:
        values[is_null(column)] = np.nan if values.dtype.kind == "f" else 0
    return values


def is_null(column: pa.Array) -> Any:
    """Return where (n,) a column of any type has no value."""
    if not column.null_count:
        return np.zeros(len(column), dtype=np.bool_)
    return _values(column.is_null().cast(pa.uint8())).astype(np.bool_)


def is_number(kind: pa.DataType) -> bool:
    """Tell whether ``as_floats`` reads columns of that type."""
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def as_floats(column: pa.Array) -> Any:
    """Return numbers of any type (n,) as float64, each the nearest one; null is NaN."""
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.string())  # the way of text rounds once; the direct one may twice
    return as_numpy(column.cast(pa.float64(), safe=False))


def joined(pieces: list[pa.Array]) -> pa.Array:
    """Return arrays of one type, at least one, one after the other."""
    return pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)


def _values(column: pa.Array) -> Any:
    kind = str(column.type)
    dtype = np.dtype(DTYPES.get(kind, kind))
    if not len(column):
        return np.zeros(0, dtype=dtype)
    return np.frombuffer(column.buffers()[1], dtype=dtype)[column.offset :][: len(column)]
