"""A run's tables, as arrays; read on another thread than Tk's.

Parquet rather than the JSON of the same table: to parse JSON of a long run stops every thread for
as long as that takes.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gui.client import Client


def read_table(
    client: Client, run_id: str, name: str, columns: Sequence[str] | None = None
) -> Mapping[str, Any]:
    """Return the columns of a table by name, as arrays; raises as ``client.get``."""
    import pyarrow.parquet  # noqa: PLC0415  # 0.2 s, and the window opens without it

    raw = client.download(f"/runs/{quote(run_id)}/artifact/{name}.parquet")
    # One thread: the cores belong to the runs.
    table = pyarrow.parquet.read_table(
        io.BytesIO(raw), columns=None if columns is None else list(columns), use_threads=False
    )
    return {each: table.column(each).to_numpy() for each in table.column_names}
