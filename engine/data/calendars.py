"""Which bars are missing and how many make a year, read from the slice itself."""

from typing import TYPE_CHECKING

import numpy as np

from engine.config import DAY_MS, TIMEFRAME_MS
from engine.data.sessions import Sessions, sessions_for, sessions_per_year
from engine.data.zones import zone
from engine.records import PeriodsPerYear

if TYPE_CHECKING:
    from engine.records import Booleans, Candles, Integers

WEEK_MS = 7 * DAY_MS
SATURDAY = 5
SUNDAY = 6
# 1970-01-01 was a Thursday.
EPOCH_WEEKDAY = 3


def local_days(ts: "Integers", timezone: str) -> "Integers":
    """Return the day (n,) each bar opens on in ``timezone``, as days since 1970-01-01."""
    if timezone == "UTC":
        return ts // DAY_MS
    import pandas as pd  # noqa: PLC0415  # 0.4 s, and most data is UTC

    zoned = pd.DatetimeIndex(ts.astype("M8[ms]")).tz_localize("UTC").tz_convert(zone(timezone))
    days: Integers = zoned.tz_localize(None).to_numpy("M8[D]").astype(np.int64)
    return days


def weekdays(days: "Integers") -> "Integers":
    """Return the weekday (n,) of days since 1970-01-01, Monday 0."""
    return (days + EPOCH_WEEKDAY) % 7


def is_all_week(days: "Integers") -> bool:
    """Tell whether at least half of the Saturdays between first and last day have a bar."""
    offset = (SATURDAY - int(weekdays(days[:1])[0])) % 7
    saturdays = np.arange(int(days[0]) + offset, int(days[-1]) + 1, 7)
    if not len(saturdays):
        return False
    return bool(2 * np.isin(saturdays, days).sum() >= len(saturdays))


def gap_flags(candles: "Candles", calendar: str | None = None) -> "Booleans":
    """Return (n,) bool, true on each bar that follows a gap.

    With a calendar: a session without bars between two bars, or a step of more than 1.5 timeframes
    within one, its midday break left out. Without: all-week and weekly data a step of more than
    1.5 timeframes; other daily data more than 4 days; other intraday data more than 1.5 timeframes
    within a day, or a weekday (Monday to Friday) without bars between two days.
    """
    flags = np.zeros(len(candles), dtype=np.bool_)
    if len(candles) < 2:
        return flags
    step = np.diff(candles.ts)
    length = TIMEFRAME_MS[candles.timeframe]
    if calendar is not None and length < WEEK_MS:
        return _session_gaps(candles, sessions_for(calendar, candles.ts))
    days = local_days(candles.ts, candles.timezone)
    if length == WEEK_MS or is_all_week(days):
        flags[1:] = step > 1.5 * length
    elif length == DAY_MS:
        flags[1:] = step > 4 * DAY_MS
    else:
        before, after = days[:-1].astype("M8[D]"), days[1:].astype("M8[D]")
        weekday_between = np.busday_count(before + np.timedelta64(1, "D"), after) > 0
        flags[1:] = np.where(before == after, step > 1.5 * length, weekday_between)
    return flags


def _session_gaps(candles: "Candles", calendar: Sessions) -> "Booleans":
    """Return which bars follow a gap, bars outside all sessions left out of account."""
    length = TIMEFRAME_MS[candles.timeframe]
    session, inside = _sessions_of(candles, calendar)
    bars = np.flatnonzero(inside)
    at, ts = session[bars], candles.ts[bars]
    gap = np.diff(at) > 1
    if length < DAY_MS:
        same, now = np.diff(at) == 0, at[:-1]
        crosses = (ts[:-1] < calendar.break_starts[now]) & (ts[1:] > calendar.break_starts[now])
        open_step = np.diff(ts) - np.where(crosses, calendar.break_ms[now], 0)
        gap |= same & (open_step > 1.5 * length)
    flags = np.zeros(len(candles), dtype=np.bool_)
    flags[bars[1:][gap]] = True
    return flags


def _sessions_of(candles: "Candles", calendar: Sessions) -> "tuple[Integers, Booleans]":
    if TIMEFRAME_MS[candles.timeframe] >= DAY_MS:
        return calendar.of_days(local_days(candles.ts, candles.timezone))
    return calendar.of_instants(candles.ts)


def bars_outside_sessions(candles: "Candles", calendar: str) -> "Booleans":
    """Return (n,) bool, true where a bar opens while the exchange is closed; weeks never do."""
    if TIMEFRAME_MS[candles.timeframe] == WEEK_MS:
        return np.zeros(len(candles), dtype=np.bool_)
    _, inside = _sessions_of(candles, sessions_for(calendar, candles.ts))
    return ~inside


def periods_per_year(
    candles: "Candles", override: float | None, calendar: str | None = None
) -> PeriodsPerYear:
    """Return the bars in a year: sessions, 252 or 365 days, times the bars of a median day.

    Weeks are 52. With a calendar its sessions count, otherwise 365 days where the data is all-week
    and 252 where it is not, Sundays then left out of the median.
    """
    if override is not None:
        return PeriodsPerYear(override, "configured")
    length = TIMEFRAME_MS[candles.timeframe]
    if length == WEEK_MS:
        return PeriodsPerYear(52.0, "52 weeks")
    if calendar is not None:
        per_year, origin = sessions_per_year(calendar), f"sessions of {calendar}"
        session, inside = _sessions_of(candles, sessions_for(calendar, candles.ts))
        counted = session[inside]
    else:
        days = local_days(candles.ts, candles.timezone)
        all_week = is_all_week(days)
        per_year, origin = (365, "365 days, all week") if all_week else (252, "252 trading days")
        counted = days if all_week else days[weekdays(days) != SUNDAY]
    if length == DAY_MS:
        return PeriodsPerYear(float(per_year), origin)
    bars = float(np.median(np.unique(counted, return_counts=True)[1])) if len(counted) else 1.0
    return PeriodsPerYear(per_year * bars, f"{origin} of {bars:g} bars")
