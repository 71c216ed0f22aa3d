"""CSV files to columns: which column is what, and which cells are not numbers."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from engine.data.columns import as_numpy
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.records import Floats, Integers

TIME_TITLES = ("date", "datetime", "time", "timestamp")
COLUMN_TITLES = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "adjclose": "adj_close",
    "adjustedclose": "adj_close",
    "vwap": "vwap",
}
PRICES = ("open", "high", "low", "close")
EMPTY_CELLS = ["", "null", "NULL", "None", "NA", "N/A", "-"]
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
MAX_LINE_BYTES = 65_536


@dataclass(frozen=True, eq=False)
class RawTable:
    """A file's rows as they stand: times as text, the other columns as float64 (n,).

    A cell that is empty or no number is NaN. ``row`` (n,) counts from 1 under the header;
    ``ragged`` lists the rows that were left out for a wrong number of cells.
    """

    name: str
    time_text: pa.Array
    columns: dict[str, "Floats"]
    row: "Integers"
    ragged: tuple[int, ...]


def read_csv(path: Path) -> RawTable:
    """Return the columns of a CSV file with a header.

    Raises
        DataError where the file is missing, empty, not text, or lacks a column.
    """
    header = _header(path)
    places = _places(path.name, header)
    ragged: list[int] = []

    def leave_out(row: pa_csv.InvalidRow) -> str:
        ragged.append((row.number or 0) - 1)  # pyarrow counts the header as the first row
        return "skip"

    names = [str(index) for index in range(len(header))]
    try:
        table = pa_csv.read_csv(
            path,
            # One thread: only then does a row know its number.
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            parse_options=pa_csv.ParseOptions(invalid_row_handler=leave_out),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[names[index] for index in places.values()],
                strings_can_be_null=True,
                null_values=EMPTY_CELLS,
            ),
        ).combine_chunks()
    except pa.ArrowException as fault:
        raise DataError(f"{path.name} cannot be read as CSV: {_first_line(fault)}") from None
    if table.num_rows == 0 and not ragged:
        raise DataError(f"{path.name} has no rows under its header")
    text = {title: _flat(table.column(names[index])) for title, index in places.items()}
    row = np.arange(1, table.num_rows + len(ragged) + 1)
    return RawTable(
        name=path.name,
        time_text=text.pop("time"),
        columns={title: _numbers(cells) for title, cells in text.items()},
        row=np.delete(row, np.asarray(ragged, dtype=np.int64) - 1) if ragged else row,
        ragged=tuple(ragged),
    )


def _header(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            line = file.readline(MAX_LINE_BYTES)
    except FileNotFoundError:
        raise DataError(f"there is no file {path.name}") from None
    except OSError as fault:
        reason = (fault.strerror or "unreadable").lower()
        raise DataError(f"{path.name} cannot be read: {reason}") from None
    if not line.strip():
        raise DataError(f"{path.name} is empty" if not line else f"{path.name} has no header")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path.name} is not a text file in UTF-8") from None
    if "\0" in text or len(line) == MAX_LINE_BYTES:
        raise DataError(f"{path.name} is not a CSV file with a header line")
    return next(csv.reader([text.rstrip("\r\n")]))


def _places(name: str, header: list[str]) -> dict[str, int]:
    """Return which column each title stands in."""
    places: dict[str, int] = {}
    for index, title in enumerate(header):
        key = re.sub(r"[^a-z]", "", title.lower())
        known = "time" if key in TIME_TITLES else COLUMN_TITLES.get(key)
        if known is None:
            continue
        if known in places:
            raise DataError(f"{name} has two columns for {known}")
        places[known] = index
    if "time" not in places and not header[0].strip():
        places["time"] = 0
    missing = [title for title in ("time", *PRICES) if title not in places]
    if missing:
        raise DataError(f"{name} lacks the column {', '.join(missing)}; its header is: "
                        f"{', '.join(header)[:120]}")  # fmt: skip
    return places


def _flat(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks or [pa.nulls(0, column.type)])


def _numbers(cells: pa.Array) -> "Floats":
    cells = pc.utf8_trim_whitespace(cells)
    readable = pc.match_substring_regex(cells, NUMBER)
    known = pc.if_else(readable, cells, pa.nulls(len(cells), pa.string()))
    values: Floats = as_numpy(known.cast(pa.float64()))
    return values


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0][:160]
