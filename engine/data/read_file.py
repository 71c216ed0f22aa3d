"""Any candle file to its rows: what it is, is told by its content, never by its name."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from engine.data.open_file import BUFFER_BYTES, GZIP, Unpacked, open_regular
from engine.data.read_csv import read_csv
from engine.errors import DataError, StorageError

if TYPE_CHECKING:
    from engine.data.normalize import ReadOptions
    from engine.data.raw import RawTable

PARQUET = b"PAR1"
# What traders try, with what to do about it.
OTHERS = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet; unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet; save it as CSV",
    b"ARROW1": "an Arrow file; save it as Parquet or CSV",
    b"BZh": "packed with bzip2; unpack it",
    b"\xfd7zXZ": "packed with xz; unpack it",
    b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it",
    b"PARE": "an encrypted Parquet file",
}


def read_file(path: Path, options: "ReadOptions") -> "RawTable":
    """Return the rows of a file: CSV in any usual layout, Parquet, or either packed with gzip.

    Raises
        DataError where it is something else, damaged, or beyond ``options.limits``; StorageError
        where there is no room to unpack it.
    """
    with open_regular(path) as file:
        if not file.peek(2).startswith(GZIP):
            return _read(file, path.name, options)
        unpacked = Unpacked(file, path.name, options.limits.max_unpacked_bytes)
        return _read(io.BufferedReader(unpacked, BUFFER_BYTES), path.name, options)


def _read(file: io.BufferedReader, name: str, options: "ReadOptions") -> "RawTable":
    head = file.peek(8)
    if head.startswith(PARQUET):
        # Most files are CSV, and need not wait 16 ms for it.
        from engine.data.read_parquet import read_parquet  # noqa: PLC0415

        if file.seekable():
            return read_parquet(file, name, date_format=options.date_format, limits=options.limits)
        with _on_disk(file) as whole:
            return read_parquet(whole, name, date_format=options.date_format, limits=options.limits)
    if head.startswith(GZIP):
        raise DataError(f"{name} is packed with gzip twice; unpack it once")
    for start, what in OTHERS.items():
        if head.startswith(start):
            raise DataError(f"{name} is {what}")
    return read_csv(
        file,
        name,
        decimal=options.decimal,
        date_format=options.date_format,
        limits=options.limits,
    )


@contextmanager
def _on_disk(file: io.BufferedReader) -> Iterator[IO[bytes]]:
    """Yield what a packed file unfolds to, as a temporary file: there may be much of it."""
    try:
        with tempfile.TemporaryFile() as whole:
            shutil.copyfileobj(file, whole, BUFFER_BYTES)
            whole.flush()
            yield whole
    except OSError as fault:
        raise StorageError.from_os_error("the unpacked file", fault) from None
