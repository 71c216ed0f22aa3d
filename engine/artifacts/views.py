"""Tables of a run in other forms than the one they are kept in, piece by piece.

A piece is small enough that making it keeps other threads waiting for a few milliseconds only.
"""

import json
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from engine.errors import VerificationError

CHUNK_ROWS = 8_192
# A spreadsheet takes a cell that begins like this for a formula.
FORMULA = r"^([=+\-@\t\r])"


def write_csv(table: Path, file: IO[bytes]) -> None:
    """Write a Parquet table as CSV; form and errors as ``csv_pieces``."""
    for piece in csv_pieces(table):
        file.write(piece)


def csv_pieces(table: Path | IO[bytes]) -> Generator[bytes]:
    """Yield a table as CSV: times as epoch ms, shortest round-trip numbers, "" for null.

    Raises
        VerificationError where the table cannot be read.
    """
    with _opened(table) as source:
        yield ",".join(map(_heading, source.schema_arrow.names)).encode() + b"\n"
        options = pa_csv.WriteOptions(include_header=False)
        for batch in source.iter_batches(batch_size=CHUNK_ROWS, use_threads=False):
            sink = pa.BufferOutputStream()
            pa_csv.write_csv(_guarded(batch), sink, options)
            yield sink.getvalue().to_pybytes()


def json_pieces(table: Path | IO[bytes]) -> Generator[bytes]:
    """Yield a table as one JSON object of columns: values in lists, null where undefined.

    Raises
        VerificationError where the table cannot be read.
    """
    with _opened(table) as source:
        for i, name in enumerate(source.schema_arrow.names):
            yield ("," if i else "{").encode() + json.dumps(name).encode() + b":["
            first = True
            for batch in source.iter_batches(
                batch_size=CHUNK_ROWS, columns=[name], use_threads=False
            ):
                values = batch.column(0).to_pylist()
                text = json.dumps(values, allow_nan=False, separators=(",", ":"))[1:-1]
                yield (text if first else "," + text).encode()
                first = False
            yield b"]"
        yield b"}"


@contextmanager
def _opened(table: Path | IO[bytes]) -> Iterator[Any]:
    # By itself it opens only paths that are UTF-8.
    opened = table.open("rb") if isinstance(table, Path) else nullcontext(table)
    try:
        with opened as file, pq.ParquetFile(file) as source:
            yield source
    except (pa.ArrowException, OSError, ValueError):  # what it says depends on where the damage is
        name = table.name if isinstance(table, Path) else "the table"
        message = f"{name} cannot be read: it is damaged"
        raise VerificationError(message) from None


def _heading(name: str) -> str:
    """Return a column's name as a cell: bare where nothing in it needs quotes or an apostrophe."""
    name = re.sub(FORMULA, r"'\1", name)
    return '"{}"'.format(name.replace('"', '""')) if re.search('[",\r\n]', name) else name


def _guarded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with text that a spreadsheet would execute led by an apostrophe."""
    columns = [_guarded_column(values) for values in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _guarded_column(values: Any) -> Any:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pc.replace_substring_regex(values.cast(pa.string()), FORMULA, r"'\1")
    return values
