"""Text files of candles to columns, block by block and row by row within bounds."""

import codecs
import io
import itertools
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from engine.data.columns import as_numpy, joined
from engine.data.decimals import Numbers
from engine.data.layouts import BINANCE_TIME, Layout, find_layout, one_header
from engine.data.raw import PRICES, NumericTimes, RawTable
from engine.data.timestamps import join_clock
from engine.errors import DataError
from engine.limits import FileLimits
from engine.wording import counted, size_in_words

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

EMPTY_CELLS = ["", "null", "NULL", "None", "NA", "N/A", "-"]
BLOCK_BYTES = 1 << 20
MAX_CELL = 64
PRICED = {*PRICES, "adj_close", "vwap"}
DOLLAR = r"^\s*\$\s*"  # Nasdaq's, before a price
CELL = r"(?s)^.{0,64}$"
MICROSECONDS = 10**14  # above it an epoch is in µs: 1e14 ms is the year 5138
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_csv(
    file: io.BufferedReader,
    name: str,
    *,
    decimal: str | None,
    date_format: str | None,
    limits: FileLimits,
) -> RawTable:
    """Return the columns of a text file with a header, or of Binance's without.

    Parameters
        name: the file's, for messages
        decimal: the decimal mark, where the numbers do not tell it
        date_format: where given, dates and times of two columns are joined as they are
    Raises
        DataError where the file is empty, not text, lacks a column, or goes beyond ``limits``.
    """
    blocks = _blocks(_as_utf8(file, name), limits.max_line_bytes)
    first = next(blocks, b"").removeprefix(codecs.BOM_UTF8)
    line, body = _first_line(name, first, limits)
    layout = find_layout(name, line)
    rows = _Rows(name, layout, decimal, limits)
    for block in itertools.chain([body if layout.has_header else line.encode() + body], blocks):
        rows.add(block)
    return rows.table(as_they_are=date_format is not None)


def _as_utf8(file: io.BufferedReader, name: str) -> io.BufferedReader:
    if file.peek(2)[:2] in UTF16_MARKS:
        return io.BufferedReader(_FromUtf16(file, name), BLOCK_BYTES)
    return file


class _FromUtf16(io.RawIOBase):
    """The UTF-8 of a text in UTF-16."""

    def __init__(self, file: io.BufferedReader, name: str) -> None:
        self._file = file
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        while not self._rest:
            data = self._file.read(BLOCK_BYTES)
            try:
                self._rest = self._decoder.decode(data, final=not data).encode()
            except UnicodeError:
                raise DataError(f"{self._name} is not a text file in UTF-16") from None
            if not data:
                break
        n_bytes = min(len(view), len(self._rest))
        view[:n_bytes] = self._rest[:n_bytes]
        self._rest = self._rest[n_bytes:]
        return n_bytes


def _blocks(file: io.BufferedReader, max_line_bytes: int) -> Iterator[bytes]:
    """Yield whole lines, about a megabyte at a time; a line that is too long may be in pieces."""
    rest, end = b"", b""
    while chunk := file.read(BLOCK_BYTES):
        # Old spreadsheets end lines with a bare CR.
        end = end or (b"\n" if b"\n" in chunk or b"\r" not in chunk else b"\r")
        block = rest + chunk
        cut = block.rfind(end) + 1
        rest = block[cut:]
        if len(rest) > max_line_bytes:
            cut, rest = len(block), b""
        if cut:
            yield block[:cut]
    if rest:
        yield rest


def _first_line(name: str, block: bytes, limits: FileLimits) -> tuple[str, bytes]:
    """Return the line that a header stands in, and what comes after it."""
    if not block.strip():
        raise DataError(f"{name} has no header" if block else f"{name} is empty")
    # A spreadsheet may put the separator before the header.
    block = re.sub(rb'^[\r\n]*"?sep=[,;|\t]"?(?=[\r\n])', b"", block).lstrip(b"\r\n")
    line = re.split(rb"[\r\n]", block[: limits.max_line_bytes + 1], maxsplit=1)[0]
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise DataError(f"{name} is not a text file in UTF-8") from None
    if "\0" in text or len(line) > limits.max_line_bytes:
        raise DataError(f"{name} is not a CSV file with a header line")
    return _of_three_lines(text, block[len(line) :])


def _of_three_lines(line: str, body: bytes) -> tuple[str, bytes]:
    """Return the header and what comes after it, where the header may be yfinance's."""
    if not line.startswith("Price,"):
        return line, body
    end = b"\n" if b"\n" in body else b"\r"
    _, *below = body.split(end, 3)
    header = one_header([line, *(each.decode(errors="replace").strip("\r") for each in below[:2])])
    return (line, body) if header is None else (header, end.join(below[2:]))


class _Rows:
    """The rows of a text file, as its blocks come."""

    def __init__(self, name: str, layout: Layout, decimal: str | None, limits: FileLimits) -> None:
        self._name = name
        self._layout = layout
        self._limits = limits
        self._numbers = Numbers(
            name,
            decimal=layout.decimal if decimal is None else decimal,
            comma_separated=layout.separator == ",",
        )
        self._times: dict[str, list[pa.Array]] = {"time": [], "clock": []}
        self._ragged: list[int] = []
        self._n_rows = 0

    def add(self, block: bytes) -> None:
        """Take the rows of whole lines."""
        if not block.strip(b"\r\n"):
            return
        self._check_lines(block)
        ragged: list[int] = []

        def leave_out(row: pa_csv.InvalidRow) -> str:
            ragged.append(row.number)
            return "skip"

        columns = self._columns(block, leave_out)
        n_rows = len(columns["time"]) + len(ragged)
        if b'"' in block and n_rows != sum(1 for line in block.splitlines() if line):
            self._refuse_line(block, "opens a quote that its line does not close", _has_odd_quotes)
        self._ragged += [self._n_rows + number for number in ragged]
        self._n_rows += n_rows
        if self._n_rows > self._limits.max_rows:
            most = counted(self._limits.max_rows, "row")
            raise DataError(f"{self._name} has more than {most} (max_import_rows)")
        for title in columns.keys() & self._times:
            self._times[title].append(columns.pop(title))
        self._numbers.add(columns)

    def table(self, *, as_they_are: bool) -> RawTable:
        """Return all rows; to be called once, after the last block."""
        if not self._n_rows:
            raise DataError(f"{self._name} has no rows under its header")
        columns = self._numbers.columns()
        row = np.arange(1, self._n_rows + 1)
        if self._ragged:
            row = np.delete(row, np.asarray(self._ragged, dtype=np.int64) - 1)
        text = joined(self._times.pop("time"))
        if self._times["clock"]:
            clock = joined(self._times.pop("clock"))
            text = join_clock(text, clock, as_they_are=as_they_are)
        return RawTable(
            name=self._name,
            times=text if self._layout.has_header else _binance_times(text),
            columns=columns,
            row=row,
            ragged=tuple(self._ragged),
            unread=self._numbers.unread,
        )

    def _columns(self, block: bytes, leave_out: object) -> dict[str, pa.Array]:
        names = [str(index) for index in range(self._layout.n_columns)]
        places = self._layout.places
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(block),
                # One thread: only then does a row know its number.
                read_options=pa_csv.ReadOptions(
                    column_names=names, use_threads=False, block_size=len(block) + 1
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._layout.separator, invalid_row_handler=leave_out
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types={names[index]: pa.string() for index in places.values()},
                    include_columns=[names[index] for index in places.values()],
                    strings_can_be_null=True,
                    null_values=EMPTY_CELLS,
                ),
            )
        except pa.ArrowException as fault:
            reason = str(fault).partition("\n")[0][:160]
            raise DataError(f"{self._name} cannot be read as CSV: {reason}") from None
        columns = {title: _cells(table.column(names[index])) for title, index in places.items()}
        if b"$" in block:
            for title in columns.keys() & PRICED:
                columns[title] = pc.replace_substring_regex(columns[title], DOLLAR, "")
        return columns

    def _check_lines(self, block: bytes) -> None:
        limit = self._limits.max_line_bytes
        end = b"\n" if b"\n" in block else b"\r"
        start = 0
        while len(block) - start > limit:
            start = block.rfind(end, start, start + limit + 1) + 1
            if not start:
                what = f"is longer than {size_in_words(limit)}"
                self._refuse_line(block, what, lambda line: len(line) > limit)
        try:
            block.decode()
        except UnicodeDecodeError:
            self._refuse_line(block, "is not text in UTF-8", _is_no_text)

    def _refuse_line(self, block: bytes, what: str, is_bad: Callable[[bytes], bool]) -> NoReturn:
        lines = (line for line in block.splitlines() if line)
        bad = (number for number, line in enumerate(lines, start=1) if is_bad(line))
        row = self._n_rows + next(bad, 1)
        raise DataError(f"{self._name} cannot be read as CSV: row {row} {what}")


def _is_no_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return False


def _has_odd_quotes(line: bytes) -> bool:
    return line.count(b'"') % 2 == 1


def _cells(column: pa.ChunkedArray) -> pa.Array:
    """Return one array, null where a cell is too long to be a number or a time."""
    cells = joined(column.chunks or [pa.nulls(0, pa.string())])
    if as_numpy(pc.binary_length(cells)).max(initial=0) <= MAX_CELL:
        return cells
    fits = pc.match_substring_regex(cells, CELL)
    return pc.if_else(fits, cells, pa.nulls(len(cells), pa.string()))


def _binance_times(text: pa.Array) -> NumericTimes:
    """Return epochs of which each tells its own unit: a file may hold months of both."""
    text = pc.utf8_trim_whitespace(text)
    known = pc.match_substring_regex(text, BINANCE_TIME)
    epoch = as_numpy(pc.if_else(known, text, pa.nulls(len(text), pa.string())).cast(pa.int64()))
    ms = np.where(epoch >= MICROSECONDS, epoch // 1000, epoch)
    return NumericTimes(ms, ~as_numpy(known), zoned=True)
