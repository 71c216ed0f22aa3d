"""Cells to numbers: which of point and comma is the decimal mark, told by the column or asked for.

A mark is certain to be the decimal one where a number has it once, but not before a group of three
digits (``12,5``, ``0,125``, ``1234,567``). It is certain to group thousands where a number has it
twice, or before the other one (``1,234,567``, ``1,234.5``). All else, like ``1,234``, is either.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.columns import as_floats, is_null
from engine.errors import ConfigError, DataError
from engine.wording import one_of

if TYPE_CHECKING:
    from engine.records import Floats

MARKS = (".", ",")
BLANKS = " \u00a0\u2009\u202f'’"
KEPT_CELLS = 5  # of a column that are no number, for messages
EXPONENT = r"(?:[eE][+-]?\d+)?"


def check_decimal(mark: str) -> None:
    """Raise a ConfigError naming ``decimal`` where it is no decimal mark."""
    if mark not in MARKS:
        raise ConfigError.of("decimal", one_of(MARKS))


class Numbers:
    """A file's numeric columns, given block by block as text.

    Parameters
        decimal: the mark where it is known, else None
        comma_separated: cells stand between commas, so that a lone point is the decimal mark
    """

    def __init__(self, name: str, *, decimal: str | None, comma_separated: bool) -> None:
        if decimal is not None:
            check_decimal(decimal)
        self._name = name
        self._mark = decimal
        self._given = decimal is not None
        self._comma_separated = comma_separated
        self._parts: dict[str, list[Floats | pa.Array]] = {}
        self._doubtful: dict[str, str] = {}
        self.unread: dict[str, dict[int, str]] = {}

    def add(self, cells: dict[str, pa.Array]) -> None:
        """Take a block of each column.

        Raises
            DataError where one number shows a decimal point and another a decimal comma.
        """
        read = {title: _plain(column, self._mark or ".") for title, column in cells.items()}
        before = self._mark
        unread = [cells[title] for title in cells if read[title] is None]
        if not self._given and (self._mark is None or unread):
            self._look_at(unread if self._mark else list(cells.values()))
        for title, column in cells.items():
            part = read[title]
            if self._mark is None:
                part = column  # until a later block tells
            elif part is None or self._mark != (before or "."):
                part = _numbers(column, self._mark)
            parts = self._parts.setdefault(title, [])
            if isinstance(part, np.ndarray):
                self._keep_unread(title, sum(len(each) for each in parts), column, part)
            parts.append(part)

    def columns(self) -> "dict[str, Floats]":
        """Return the columns (n,), NaN where a cell is no number; their parts are given up.

        Raises
            DataError where nothing tells which mark is the decimal one.
        """
        mark = self._mark or self._settled()
        found = {}
        for title in list(self._parts):
            read: list[Floats] = []
            for part in self._parts.pop(title):
                values = part if isinstance(part, np.ndarray) else _numbers(part, mark)
                if values is not part:
                    self._keep_unread(title, sum(len(each) for each in read), part, values)
                read.append(values)
            found[title] = np.concatenate(read)
        return found

    def _keep_unread(self, title: str, start: int, cells: pa.Array, values: "Floats") -> None:
        """Keep the text of the first cells that are there and no number."""
        kept = self.unread.setdefault(title, {})
        if len(kept) >= KEPT_CELLS or not np.isnan(values).any():
            return
        unread = np.flatnonzero(np.isnan(values) & ~is_null(cells))
        for index in unread[: KEPT_CELLS - len(kept)].tolist():
            kept[start + index] = cells[index].as_py()

    def _look_at(self, columns: list[pa.Array]) -> None:
        for column in columns:
            if not any(_has(column, mark) for mark in MARKS):
                continue
            found = _found(column)
            for mark in MARKS:
                if found["sure" + mark] is not None and self._mark not in {None, mark}:
                    raise DataError(
                        f"{self._name}: its numbers have decimal points and decimal commas, such "
                        f"as in {found['sure' + mark]}; give decimal ('.' or ',')"
                    )
                if found["sure" + mark] is not None:
                    self._mark = mark
                if found["either" + mark] is not None:
                    self._doubtful.setdefault(mark, str(found["either" + mark]))

    def _settled(self) -> str:
        """Return the mark of a file in which no number is certain."""
        if self._comma_separated and "," not in self._doubtful:
            return "."
        if self._doubtful:
            shown = self._doubtful.get(",") or self._doubtful["."]
            raise DataError(
                f"{self._name}: its numbers, such as {shown}, do not tell a decimal mark from one "
                "of thousands; give decimal ('.' or ',')"
            )
        return "."


def _plain(cells: pa.Array, mark: str = ".") -> "Floats | None":
    """Return the numbers of a column without any oddity, the usual case, else None."""
    if mark == ",":
        if _has(cells, "."):
            return None
        cells = pc.replace_substring(cells, ",", ".")
    try:
        values: Floats = as_floats(cells)
    except pa.ArrowInvalid:
        return None
    values[np.isinf(values)] = np.nan
    return values


def _has(cells: pa.Array, mark: str) -> bool:
    return mark.encode() in bytes(cells.buffers()[2] or b"")


def _found(cells: pa.Array) -> dict[str, str | None]:
    """Return, for each mark, a cell in which it is surely decimal and one where it may be."""
    found: dict[str, str | None] = {}
    for mark, other in (".,", ",."):
        number = f"^[+-]?(?:\\d+[{mark}]\\d*|[{mark}]\\d+){EXPONENT}$"
        either = f"^[+-]?[1-9]\\d{{0,2}}[{mark}]\\d{{3}}$"
        start = r"^[+-]?[1-9]\d{0,2}"
        sure = f"{start}(?:(?:[{other}]\\d{{3}}){{2,}}|(?:[{BLANKS}{other}]\\d{{3}})+[{mark}]\\d*)$"
        is_number = pc.match_substring_regex(cells, number)
        is_either = pc.match_substring_regex(cells, either)
        is_sure = pc.or_(pc.match_substring_regex(cells, sure), pc.and_not(is_number, is_either))
        found["sure" + mark] = _first(cells, is_sure)
        found["either" + mark] = _first(cells, is_either)
    return found


def _first(cells: pa.Array, where: pa.Array) -> str | None:
    hits = cells.filter(where)
    return str(hits[0].as_py()) if len(hits) else None


def _numbers(cells: pa.Array, mark: str) -> "Floats":
    """Return the numbers (n,) under that decimal mark, NaN where a cell is none."""
    other = "," if mark == "." else "."
    number = f"^[+-]?(?:\\d+[{mark}]?\\d*|[{mark}]\\d+){EXPONENT}$"
    groups = "|".join(f"(?:[{blank}]\\d{{3}})+" for blank in (other, *BLANKS))
    grouped = f"^[+-]?\\d{{1,3}}(?:{groups})(?:[{mark}]\\d*)?$"
    cells = pc.utf8_trim_whitespace(cells)
    readable = pc.match_substring_regex(cells, f"{number}|{grouped}")
    known = pc.if_else(readable, cells, pa.nulls(len(cells), pa.string()))
    known = pc.replace_substring_regex(known, f"[{BLANKS}{other}]", "")
    known = pc.replace_substring(known, ",", ".")
    values = _plain(known)
    assert values is not None  # the patterns let nothing else through
    return values
