"""Time columns: text of any usual layout to UTC epoch milliseconds, never by a guess."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config import DAY_MS, MAX_TIME_MS, MIN_TIME_MS, TIMEFRAME_MS
from engine.data.columns import as_numpy, is_null
from engine.data.raw import NumericTimes
from engine.data.zones import zone
from engine.errors import ConfigError, DataError

if TYPE_CHECKING:
    from engine.records import Booleans, Integers

CLOCK = (
    r"(?:[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<part>\d{1,9}))?)?)?"
)
OFFSET = r" ?(?P<offset>Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
YEAR_FIRST = r"^(?P<a>\d{4})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{1,2})" + CLOCK + OFFSET + "$"
YEAR_LAST = r"^(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{4})" + CLOCK + OFFSET + "$"
COMPACT_CLOCK = (
    r"(?:[T ]+(?P<hour>\d{1,2}):?(?P<minute>\d{2})"
    r"(?::?(?P<second>\d{2})(?:\.(?P<part>\d{1,9}))?)?)?"
)
COMPACT_DAY = r"^(?P<a>\d{4})(?P<b>0[1-9]|1[0-2])(?P<c>0[1-9]|[12]\d|3[01])"
COMPACT = COMPACT_DAY + COMPACT_CLOCK + OFFSET + "$"
MONTH, NO_MONTH = r"(?:0?\d|1[0-2])", r"(?:1[3-9]|[2-9]\d)"
DAY_FIRST, DAY_SECOND = rf"^{NO_MONTH}[-/.]{MONTH}[-/.]", rf"^{MONTH}[-/.]{NO_MONTH}[-/.]"
# Below 9e18, so that each fits int64. One of fewer than nine digits is near 1970, or no time.
WHOLE = r"^(?P<whole>-?(?:\d{1,18}|[1-8]\d{18}))(?:\.0*)?$"
EPOCH_NUMBER = WHOLE.replace("1,18", "9,18")
NINE_DIGITS = 10**8
# s, ms, µs and ns: the size that an epoch stays below, and what makes it ms. 1e11 s is the year
# 5138, 1e11 ms is 1973.
EPOCH_UNITS = ((10**11, 1000, 1), (10**14, 1, 1), (10**17, 1, 1000), (10**19, 1, 1_000_000))
DAILY_SECONDS = (86_400, 604_800)
LAYOUTS = (YEAR_FIRST, YEAR_LAST, COMPACT, EPOCH_NUMBER)
PIECE_ROWS = 65_536


@dataclass(frozen=True)
class ParsedTimes:
    """UTC epoch ms (n,) int64, and two (n,) bool of times that are not to be used.

    ``unreadable`` is no time at all; ``impossible`` a local time that the zone's clocks skipped, or
    passed twice without the rows telling which pass it was. No calendar shows a time beyond the
    years 1000 to 9000, which is unreadable too.
    """

    ts: "Integers"
    unreadable: "Booleans"
    impossible: "Booleans" = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __post_init__(self) -> None:
        if len(self.impossible) != len(self.ts):
            object.__setattr__(self, "impossible", np.zeros(len(self.ts), dtype=np.bool_))
        beyond = (self.ts < MIN_TIME_MS) | (self.ts > MAX_TIME_MS)
        if beyond.any():
            object.__setattr__(self, "unreadable", self.unreadable | beyond)


def parse_times(
    times: pa.Array | NumericTimes, *, timezone: str, date_format: str | None
) -> ParsedTimes:
    """Return the column's times; the layout of most rows is the layout of the column.

    Parameters
        times: (n,) strings, null where empty; or numbers, which need no layout
        timezone: IANA zone of times that carry no offset
        date_format: ``strptime`` format that settles what the column leaves open
    Raises
        DataError where the layout is unknown or day and month cannot be told apart; ConfigError
        for an unknown zone or a format that is none.
    """
    zone(timezone)
    if isinstance(times, NumericTimes):
        parsed = ParsedTimes(times.ms, times.missing)
        return parsed if times.zoned else _localized(parsed, ~parsed.unreadable, timezone)
    if date_format is not None:
        return _parse_with_format(pc.utf8_trim_whitespace(times), timezone, date_format)
    layout, read = _layout_of_most(times)
    if layout == EPOCH_NUMBER:
        return _from_epochs(times)
    month_first = layout == YEAR_LAST and _month_first(times, read)
    parts = [
        _from_parts(
            pc.extract_regex(piece, layout), year_last=layout == YEAR_LAST, month_first=month_first
        )
        for piece in _pieces(times)
    ]
    ts, good, has_offset = (np.concatenate(each) for each in zip(*parts, strict=True))
    good &= read
    return _localized(ParsedTimes(ts, ~good), good & ~has_offset, timezone)


def _pieces(times: pa.Array) -> Iterator[pa.Array]:
    """Yield the rows some at a time, without blanks around them.

    What a pattern takes out of a row needs many times the row's own space.
    """
    for start in range(0, max(len(times), 1), PIECE_ROWS):
        yield pc.utf8_trim_whitespace(times.slice(start, PIECE_ROWS))


def _matches(times: pa.Array, pattern: str) -> "Booleans":
    """Return which rows (n,) match a pattern; none that is null."""
    found = [as_numpy(pc.match_substring_regex(piece, pattern)) for piece in _pieces(times)]
    return np.concatenate(found)


def _layout_of_most(times: pa.Array) -> "tuple[str, Booleans]":
    """Return the layout of most rows, and which have it; the first of several of which it holds."""
    best, read = "", np.zeros(len(times), dtype=np.bool_)
    for layout in LAYOUTS:
        found = _matches(times, layout)
        if found.sum() > read.sum():
            best, read = layout, found
        if read.all():
            break
    if not read.all():
        values, numbers = _whole(times)
        if numbers.sum() > read.sum() and median_step(values[numbers]) in DAILY_SECONDS:
            best, read = EPOCH_NUMBER, numbers
    if not best:
        shown = next((value.as_py() for value in times if value.is_valid), "").strip()
        why = ""
        if re.match(WHOLE, shown):
            why = ": numbers below nine digits are epochs only as seconds a day or a week apart"
        message = (
            f"the time column is in no known layout (such as {shown[:30]!r}{why}); give date_format"
        )
        raise DataError(message)
    return best, read


def _group(parts: pa.Array, name: str) -> "Integers":
    """Return a group of digits as integers, 0 where the group or the row is absent."""
    digits = pc.replace_substring_regex(pc.struct_field(parts, name), "^$", "0")
    values: Integers = as_numpy(digits.cast(pa.int64()))
    return values


def _from_epochs(times: pa.Array) -> ParsedTimes:
    """Return the times of whole numbers.

    Beside long ones a short one is a time only within about a year of them: elsewhere 0 or -1
    stands for none.
    """
    values, read = _whole(times)
    factor, divisor = _epoch_unit(values[read])
    ts = values * factor // divisor
    long = np.abs(values) >= NINE_DIGITS
    near_ms = NINE_DIGITS * factor // divisor + 366 * DAY_MS
    if long.any() and np.abs(ts[long]).min() > near_ms:
        read = long
    return ParsedTimes(ts, ~read)


def _whole(times: pa.Array) -> "tuple[Integers, Booleans]":
    """Return whole numbers (n,), 0 where there is none, and where there is one."""
    found = [pc.struct_field(pc.extract_regex(piece, WHOLE), "whole") for piece in _pieces(times)]
    values: Integers = np.concatenate([as_numpy(piece.cast(pa.int64())) for piece in found])
    return values, np.concatenate([~is_null(piece) for piece in found])


def _epoch_unit(values: "Integers") -> tuple[int, int]:
    """Return by what epochs (n,) are multiplied and divided to be ms.

    The largest tells the unit, but near 1970 a finer one is as small: there it is the first in
    which most bars are a timeframe apart.
    """
    largest, step = max(int(values.max()), -int(values.min())), median_step(values)
    units = [(factor, divisor) for bound, factor, divisor in EPOCH_UNITS if largest < bound]
    told = (unit for unit in units if step * unit[0] / unit[1] in TIMEFRAME_MS.values())
    return next(told, units[0])


def median_step(times: "Integers") -> int:
    """Return the (lower) median step between different times (n,), 0 where there is none."""
    steps = np.diff(np.sort(times))
    steps = np.sort(steps[steps > 0])
    return int(steps[(len(steps) - 1) // 2]) if len(steps) else 0


def _from_parts(
    parts: pa.Array, *, year_last: bool, month_first: bool
) -> "tuple[Integers, Booleans, Booleans]":
    """Return epoch ms (n,), whether there is such a time, and whether it carries an offset."""
    first, second, third = (_group(parts, name) for name in "abc")
    if not year_last:
        year, month, day = first, second, third
    else:
        year = third
        month, day = (first, second) if month_first else (second, first)
    months = (year - 1970) * 12 + month - 1
    starts = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    ends = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    hour, minute, second_ = (_group(parts, name) for name in ("hour", "minute", "second"))
    good = (month >= 1) & (month <= 12) & (day >= 1) & (day <= ends - starts)
    good &= (hour < 24) & (minute < 60) & (second_ < 60)
    clock = ((hour * 60 + minute) * 60 + second_) * 1000 + _milliseconds(parts)
    local = (starts + day - 1) * DAY_MS + clock
    offset = pc.struct_field(parts, "offset")
    has_offset = as_numpy(pc.match_substring_regex(offset, "."))
    return local - _offset_ms(offset), good, has_offset


def _localized(times: ParsedTimes, naive: "Booleans", timezone: str) -> ParsedTimes:
    """Return the times with the ``naive`` ones taken as wall times of ``timezone``."""
    if timezone == "UTC" or not naive.any():
        return times
    beyond = (times.ts < MIN_TIME_MS + DAY_MS) | (times.ts > MAX_TIME_MS - DAY_MS)
    unreadable = times.unreadable | (naive & beyond)  # no zone is known at the calendar's ends
    naive = naive & ~beyond
    ts, impossible = times.ts.copy(), times.impossible.copy()
    ts[naive], impossible[naive] = local_to_utc(times.ts[naive], timezone)
    return ParsedTimes(ts, unreadable, impossible)


def _milliseconds(parts: pa.Array) -> "Integers":
    padded = pc.utf8_rpad(pc.struct_field(parts, "part"), 3, "0")
    padded = pc.utf8_slice_codeunits(padded, 0, 3)
    values: Integers = as_numpy(padded.cast(pa.int64()))
    return values


def _offset_ms(offset: pa.Array) -> "Integers":
    digits = pc.replace_substring_regex(offset, "[^0-9]", "")
    digits = pc.utf8_rpad(digits, 4, "0")
    hours = as_numpy(pc.utf8_slice_codeunits(digits, 0, 2).cast(pa.int64()))
    minutes = as_numpy(pc.utf8_slice_codeunits(digits, 2, 4).cast(pa.int64()))
    sign = np.where(as_numpy(pc.starts_with(offset, "-")), -1, 1)
    values: Integers = sign * (hours * 60 + minutes) * 60_000
    return values


def _month_first(times: pa.Array, read: "Booleans") -> bool:
    # A row that is no date either way says nothing about the others.
    day_first = bool((_matches(times, DAY_FIRST) & read).any())
    day_second = bool((_matches(times, DAY_SECOND) & read).any())
    if day_second and day_first:
        message = "the time column mixes month/day and day/month; give date_format"
        raise DataError(message)
    if not day_second and not day_first:
        message = (
            "the time column does not tell whether day or month comes first; "
            "give date_format, such as %m/%d/%Y or %d/%m/%Y"
        )
        raise DataError(message)
    return day_second


def join_clock(dates: pa.Array, clocks: pa.Array, *, as_they_are: bool) -> pa.Array:
    """Return dates and times of day (n,) as one text each, null where either is.

    A time of day without colons (``HHMMSS``, ``HHMM``) gets its leading zeros back, which numbers
    lose; ``as_they_are`` leaves both for a ``date_format`` to read.
    """
    blank = pc.replace_substring_regex(dates, "(?s)^.*$", " ")
    if as_they_are:
        return pc.binary_join_element_wise(dates, clocks, blank)
    clocks = pc.utf8_trim_whitespace(clocks)
    bare = clocks.filter(pc.match_substring_regex(clocks, r"^\d{1,6}$"))
    n_digits = int(as_numpy(pc.utf8_length(bare)).max(initial=0))
    width = 6 if n_digits > 4 or not _any(bare, "[1-9]") else 4
    padded = pc.utf8_lpad(clocks, width, "0")
    clocks = pc.if_else(pc.match_substring_regex(clocks, r"^\d{1,6}$"), padded, clocks)
    clocks = pc.replace_substring_regex(clocks, r"^(\d{2})(\d{2})(\d{2})?$", r"\1:\2:\3")
    clocks = pc.replace_substring_regex(clocks, ":$", "")
    return pc.binary_join_element_wise(pc.utf8_trim_whitespace(dates), clocks, blank)


def _any(text: pa.Array, pattern: str) -> bool:
    return bool(as_numpy(pc.match_substring_regex(text, pattern)).any())


def local_to_utc(local_ms: "Integers", timezone: str) -> "tuple[Integers, Booleans]":
    """Return UTC epoch ms (n,) of local wall times (n,), and which of them are impossible.

    A time that the clocks skip does not exist. One that they pass twice is resolved by the order
    of the rows where both passes are there: the wall time falls back once between them, or leaps
    ahead once where the rows run from new to old. Else nothing tells which pass it was.
    """
    import pandas as pd  # noqa: PLC0415  # 0.4 s, and most data is UTC or has offsets

    place = zone(timezone)
    wall = pd.DatetimeIndex(local_ms.astype("M8[ms]"))

    def utc(*, first_pass: bool) -> Any:
        passes = np.full(len(wall), first_pass)
        zoned = wall.tz_localize(place, ambiguous=passes, nonexistent="NaT")
        return zoned.tz_convert("UTC").tz_localize(None).to_numpy("M8[ms]")

    early, late = utc(first_pass=True), utc(first_pass=False)
    impossible = np.isnat(early)
    repeated = np.flatnonzero((early != late) & ~impossible)
    second = np.zeros(len(wall), dtype=np.bool_)
    for group in np.split(repeated, np.flatnonzero(np.diff(repeated) > 1) + 1):
        order = _order(local_ms, group)
        turns = np.flatnonzero(order * np.diff(local_ms[group]) <= 0)
        if order == 0 or len(turns) != 1:
            impossible[group] = True
        else:
            after = turns[0] + 1
            second[group[after:] if order > 0 else group[:after]] = True
    ts = np.where(impossible, 0, np.where(second, late, early).astype(np.int64))
    return ts, impossible


def _order(local_ms: "Integers", group: "Integers") -> int:
    """Return 1 where the rows around a group of them run from old to new, −1 from new to old.

    0 where the row before and the one after do not say the same, as where files were joined.
    """
    if not len(group):
        return 0
    first, last = group[0], group[-1]
    steps = {
        int(np.sign(local_ms[b] - local_ms[a]))
        for a, b in ((first - 1, first), (last, last + 1))
        if a >= 0 and b < len(local_ms)
    }
    if not steps:  # the whole file is of that hour
        return -1 if local_ms[0] > local_ms[-1] else 1
    return steps.pop() if len(steps) == 1 else 0


def check_date_format(date_format: str) -> None:
    """Raise a ConfigError naming ``date_format`` where it is no format of ``strptime``."""
    _read_with_format(np.zeros(0, dtype=object), date_format)


def _read_with_format(texts: Any, date_format: str) -> Any:
    """Return pandas' times (n,) of texts (n,); raises as ``check_date_format``."""
    import pandas as pd  # noqa: PLC0415  # as above

    field, shown = "date_format", repr(date_format[:30])
    if "%" not in date_format:
        raise ConfigError.of(field, f"{shown} has no %; write it such as %d/%m/%Y")
    try:
        return pd.to_datetime(texts, format=date_format, errors="coerce", utc="%z" in date_format)
    except (ValueError, re.error) as fault:
        reason = str(fault).partition(" in format ")[0][:120]
        raise ConfigError.of(field, f"{shown} cannot be used: {reason}") from None


def _parse_with_format(text: pa.Array, timezone: str, date_format: str) -> ParsedTimes:
    parsed = _read_with_format(np.asarray(text.to_pylist(), dtype=object), date_format)
    unreadable = np.asarray(parsed.isna())
    if unreadable.all() and text.null_count < len(text):
        first = text.drop_null()[0].as_py()
        message = f"no time fits the format {date_format[:30]!r}; the first is {first[:30]!r}"
        raise DataError(message)
    zoned = "%z" in date_format
    naive = parsed.tz_localize(None) if zoned else parsed
    ts = np.where(unreadable, 0, naive.to_numpy("M8[ms]").astype(np.int64))
    times = ParsedTimes(ts, unreadable)
    return times if zoned else _localized(times, ~unreadable, timezone)
