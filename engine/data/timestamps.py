"""Time columns: text of any usual layout to UTC epoch milliseconds, never by a guess."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data.columns import as_numpy
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.records import Booleans, Integers

CLOCK = (
    r"(?:[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<part>\d{1,9}))?)?)?"
)
OFFSET = r" ?(?P<offset>Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
YEAR_FIRST = r"^(?P<a>\d{4})[-/](?P<b>\d{1,2})[-/](?P<c>\d{1,2})" + CLOCK + OFFSET + "$"
YEAR_LAST = r"^(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<c>\d{4})" + CLOCK + OFFSET + "$"
COMPACT = r"^(?P<a>\d{4})(?P<b>\d{2})(?P<c>\d{2})" + CLOCK + OFFSET + "$"
EPOCH = r"^(?P<epoch>-?\d{9,19})(?:\.0*)?$"
# An epoch's unit by its size: 1e11 s is the year 5138, 1e11 ms is 1973.
EPOCH_UNITS = ((10**11, 1000, 1), (10**14, 1, 1), (10**17, 1, 1000), (10**20, 1, 1_000_000))
DAY_MS = 86_400_000


@dataclass(frozen=True)
class ParsedTimes:
    """UTC epoch ms (n,) int64, and (n,) bool: true where the text could not be read."""

    ts: "Integers"
    unreadable: "Booleans"


def parse_times(text: pa.Array, *, timezone: str, date_format: str | None) -> ParsedTimes:
    """Return the column's times; the layout of most rows is the layout of the column.

    Parameters
        text: (n,) strings, null where empty
        timezone: IANA zone of times that carry no offset
        date_format: ``strptime`` format that settles what the column leaves open
    Raises
        DataError where the layout is unknown or day and month cannot be told apart.
    """
    text = pc.utf8_trim_whitespace(text)
    if date_format is not None:
        return _parse_with_format(text, timezone, date_format)
    layouts = (YEAR_FIRST, YEAR_LAST, COMPACT, EPOCH)
    matches = [as_numpy(pc.match_substring_regex(text, layout)) for layout in layouts]
    best = int(np.argmax([match.sum() for match in matches]))
    if not matches[best].any():
        shown = next((value.as_py() for value in text if value.is_valid), "")
        message = (
            f"the time column is in no known layout (such as {shown[:30]!r}); give date_format"
        )
        raise DataError(message)
    read = matches[best]
    parts = pc.extract_regex(text, layouts[best])
    if layouts[best] == EPOCH:
        return ParsedTimes(_from_epoch(_group(parts, "epoch"), read), ~read)
    return _from_parts(parts, read, timezone, year_last=layouts[best] == YEAR_LAST)


def _group(parts: pa.Array, name: str) -> "Integers":
    """Return a group of digits as integers, 0 where the group or the row is absent."""
    digits = pc.replace_substring_regex(pc.struct_field(parts, name), "^$", "0")
    values: Integers = as_numpy(digits.cast(pa.int64()))
    return values


def _from_epoch(values: "Integers", read: "Booleans") -> "Integers":
    largest = int(np.abs(values[read]).max())
    for bound, factor, divisor in EPOCH_UNITS:
        if largest < bound:
            return values * factor // divisor
    message = "the time column holds numbers too large for any epoch unit"
    raise DataError(message)


def _from_parts(
    parts: pa.Array, read: "Booleans", timezone: str, *, year_last: bool
) -> ParsedTimes:
    first, second, third = (_group(parts, name) for name in "abc")
    if not year_last:
        year, month, day = first, second, third
    else:
        year = third
        month, day = (first, second) if _month_first(first[read], second[read]) else (second, first)
    months = (year - 1970) * 12 + month - 1
    starts = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    ends = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    hour, minute, second_ = (_group(parts, name) for name in ("hour", "minute", "second"))
    good = read & (month >= 1) & (month <= 12) & (day >= 1) & (day <= ends - starts)
    good &= (hour < 24) & (minute < 60) & (second_ < 60)
    clock = ((hour * 60 + minute) * 60 + second_) * 1000 + _milliseconds(parts)
    local = (starts + day - 1) * DAY_MS + clock
    offset = pc.struct_field(parts, "offset")
    has_offset = as_numpy(pc.match_substring_regex(offset, "."))
    ts = local - _offset_ms(offset)
    naive = good & ~has_offset
    if naive.any() and timezone != "UTC":
        ts[naive] = local_to_utc(local[naive], timezone)
    return ParsedTimes(ts, ~good)


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


def _month_first(first: "Integers", second: "Integers") -> bool:
    day_second, day_first = bool((second > 12).any()), bool((first > 12).any())
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


def local_to_utc(local_ms: "Integers", timezone: str) -> "Integers":
    """Return UTC epoch ms (n,) of local wall times (n,), in the order of the rows.

    A repeated hour is resolved by that order where both passes are present.

    Raises
        DataError for a time that does not exist there, or one that stays ambiguous.
    """
    import pandas as pd  # noqa: PLC0415  # 0.4 s, and most data is UTC or has offsets

    wall = pd.DatetimeIndex(local_ms.astype("M8[ms]"))
    newest_first = len(wall) > 1 and wall[0] > wall[-1]
    ordered = wall[::-1] if newest_first else wall
    try:
        zoned = ordered.tz_localize(timezone, ambiguous="infer", nonexistent="raise")
    except ValueError as fault:  # pandas' own errors for both cases are ValueErrors
        reason = str(fault).partition(". ")[0].partition(" as there")[0]
        message = f"times do not fit the time zone {timezone}: {reason[:120]}"
        raise DataError(message) from None
    utc: Integers = zoned.tz_convert("UTC").tz_localize(None).to_numpy("M8[ms]").astype(np.int64)
    return utc[::-1] if newest_first else utc


def _parse_with_format(text: pa.Array, timezone: str, date_format: str) -> ParsedTimes:
    import pandas as pd  # noqa: PLC0415  # as above

    values = np.asarray(text.to_pylist(), dtype=object)
    zoned = "%z" in date_format
    try:
        parsed = pd.to_datetime(values, format=date_format, errors="coerce", utc=zoned)
    except ValueError as fault:
        message = f"date_format {date_format!r} cannot be used: {str(fault)[:120]}"
        raise DataError(message) from None
    unreadable = np.asarray(parsed.isna())
    naive = parsed.tz_localize(None) if zoned else parsed
    ts = naive.to_numpy("M8[ms]").astype(np.int64)
    if not zoned and timezone != "UTC" and not unreadable.all():
        ts[~unreadable] = local_to_utc(ts[~unreadable], timezone)
    return ParsedTimes(np.where(unreadable, 0, ts), unreadable)
