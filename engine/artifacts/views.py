"""Tables of a run in other forms than the one they are kept in."""

from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from engine.errors import VerificationError

CHUNK_ROWS = 65_536
# A spreadsheet takes a cell that begins like this for a formula.
FORMULA = r"^([=+\-@\t\r])"


def write_csv(table: Path, file: IO[bytes]) -> None:
    """Write a Parquet table as CSV: times as epoch ms, shortest round-trip numbers, "" for null.

    Raises
        VerificationError where the table cannot be read.
    """
    try:
        with pq.ParquetFile(table) as source:
            options = pa_csv.WriteOptions(quoting_header="none")
            with pa_csv.CSVWriter(file, source.schema_arrow, write_options=options) as writer:
                for batch in source.iter_batches(batch_size=CHUNK_ROWS):
                    writer.write_batch(_guarded(batch))
    except pa.ArrowException:
        message = f"{table.name} cannot be read: it is damaged"
        raise VerificationError(message) from None


def _guarded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with text that a spreadsheet would execute led by an apostrophe."""
    columns: list[Any] = [
        pc.replace_substring_regex(values, FORMULA, r"'\1") if kind == pa.string() else values
        for values, kind in zip(batch.columns, batch.schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
