"""Gaps, all-week data, and how many bars make a year."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.data.calendars import gap_flags, is_all_week, local_days, periods_per_year
from engine.records import Candles, PeriodsPerYear

MONDAY = datetime(2020, 1, 6, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def _candles(times: list[datetime], timeframe: str, timezone: str = "UTC") -> Candles:
    ts = np.array([(time - EPOCH) // timedelta(milliseconds=1) for time in times], dtype=np.int64)
    price = np.ones(len(ts))
    return Candles("X", timeframe, ts, price, price, price, price, timezone=timezone)


def _flagged(times: list[datetime], timeframe: str, timezone: str = "UTC") -> list[int]:
    return np.flatnonzero(gap_flags(_candles(times, timeframe, timezone))).tolist()


def _days(*offsets: int) -> list[datetime]:
    return [MONDAY + i * DAY for i in offsets]


WEEKDAYS = [i for i in range(40) if i % 7 < 5]


@pytest.mark.parametrize(
    ("offsets", "gaps"),
    [
        ((0, 1, 2, 3, 4, 7, 8), []),
        ((0, 1, 4, 8, 9), []),
        ((0, 1, 3, 8, 9), [3]),
        ((0, 1, 2, 3, 9, 10, 18), [4, 6]),
    ],
    ids=["weekend", "four_days", "five_days", "two"],
)
def test_gaps_of_weekdays(offsets: tuple[int, ...], gaps: list[int]) -> None:
    """Daily data with free weekends has a gap where a step is longer than four days."""
    assert _flagged(_days(*offsets), "1d") == gaps


def test_gaps_of_all_week() -> None:
    """Daily data with weekends has a gap at each missing day."""
    assert _flagged(_days(*(i for i in range(21) if i not in {3, 10, 11})), "1d") == [3, 9]


def test_gaps_of_weeks() -> None:
    """Weekly data has a gap at a missing week."""
    assert _flagged(_days(0, 7, 14, 28, 35), "1w") == [3]


@pytest.mark.parametrize(
    ("hours", "gaps"),
    [
        ((10, 11, 12), []),
        ((10, 11.5, 12.5), []),
        ((10, 11.75, 12.75), [1]),
        ((10, 12, 13), [1]),
        ((10, 11, 24 + 10, 24 + 11), []),
        ((15, 4 * 24 + 15, 7 * 24 + 10), [1]),
        ((4 * 24 + 15, 7 * 24 + 10), []),
        ((4 * 24 + 15, 8 * 24 + 10), [1]),
        ((10, 2 * 24 + 10), [1]),
    ],
    ids=[
        "none",
        "one_and_a_half",
        "more_than_one_and_a_half",
        "within_a_day",
        "overnight",
        "midweek_missing",
        "weekend",
        "monday_missing",
        "tuesday_missing",
    ],
)
def test_gaps_within_days(hours: tuple[float, ...], gaps: list[int]) -> None:
    """Hourly data has a gap at a missing hour of a day, and at a weekday without bars."""
    assert _flagged([MONDAY + hour * HOUR for hour in hours], "1h") == gaps


def test_gaps_of_all_week_hours() -> None:
    """Hourly data of the whole week has a gap at every missing hour, overnight too."""
    hours = [hour for hour in range(24 * 14) if hour not in {5, 100}]
    assert _flagged([MONDAY + hour * HOUR for hour in hours], "1h") == [5, 99]


def test_gaps_by_local_days() -> None:
    """What is within a day is told by the days of the data set's time zone."""
    # 23:00 to 02:00 in UTC is 18:00 to 21:00 in New York.
    times = [MONDAY + 23 * HOUR, MONDAY + 26 * HOUR]
    assert _flagged(times, "1h") == []
    assert _flagged(times, "1h", "America/New_York") == [1]


@pytest.mark.parametrize(
    ("offsets", "all_week"),
    [
        ((0, 1, 2, 3, 4), False),
        ((0, 5), True),
        ((0, 1, 2, 3, 4, 7, 8), False),
        ((5, 6, 7, 8, 9, 10, 11, 12, 13), True),
        ((0, 5, 7, 14), True),
        ((0, 5, 7, 14, 20), False),
        ((0, 6, 13, 20), False),
        ((5,), True),
        ((6,), False),
    ],
)
def test_all_week(offsets: tuple[int, ...], *, all_week: bool) -> None:
    """All-week data has a bar on at least half of the Saturdays between its ends."""
    candles = _candles(_days(*offsets), "1d")
    assert is_all_week(local_days(candles.ts, "UTC")) == all_week


def test_all_week_by_local_days() -> None:
    """Saturdays are those of the data set's time zone."""
    # Friday 23:00 in UTC is Saturday in Tokyo.
    times = [MONDAY + i * DAY + 23 * HOUR for i in WEEKDAYS]
    ts = _candles(times, "1d").ts
    assert not is_all_week(local_days(ts, "UTC"))
    assert is_all_week(local_days(ts, "Asia/Tokyo"))


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_local_days(timezone: str) -> None:
    """A local day begins at the local midnight."""
    times = [MONDAY + 5 * i * HOUR for i in range(3000)]
    days = local_days(_candles(times, "1h").ts, timezone)
    zone = ZoneInfo(timezone)
    assert days.tolist() == [time.astimezone(zone).date().toordinal() - 719_163 for time in times]


def _hours_on(days: list[int], hours: range) -> list[datetime]:
    return [MONDAY + day * DAY + hour * HOUR for day in days for hour in hours]


# A week of currency trading: from Sunday evening to Friday evening.
FOREX = [MONDAY + hour * HOUR for hour in range(-2, 24 * 40) if (hour + 2) % 168 < 122]


@pytest.mark.parametrize(
    ("times", "timeframe", "value"),
    [
        (_days(*WEEKDAYS), "1d", 252),
        (_days(*range(40)), "1d", 365),
        (_days(0, 7, 14, 21), "1w", 52),
        (_hours_on(WEEKDAYS, range(14, 21)), "1h", 252 * 7),
        (_hours_on(list(range(40)), range(24)), "1h", 365 * 24),
        (_hours_on(WEEKDAYS, range(24)), "1h", 252 * 24),
        (FOREX, "1h", 252 * 24),
        (FOREX[:26], "1h", 252 * 24),
        # Two short days leave the median of five where it is; of two days it is the mean.
        (_hours_on([0, 1, 2], range(10, 17)) + _hours_on([3, 4], range(10, 12)), "1h", 252 * 7),
        (_hours_on([0], range(10, 14)) + _hours_on([1], range(10, 13)), "1h", 252 * 3.5),
    ],
    ids=[
        "days",
        "all_days",
        "weeks",
        "session",
        "all_hours",
        "24/5",
        "forex",
        "sunday_and_monday",
        "median",
        "even",
    ],
)
def test_periods_per_year(times: list[datetime], timeframe: str, value: float) -> None:
    """A year has 252 or 365 days, or 52 weeks, times the bars of a median day."""
    assert periods_per_year(_candles(times, timeframe), None).value == value


@pytest.mark.parametrize(
    ("times", "timeframe", "words"),
    [
        (_days(*WEEKDAYS), "1d", ["252"]),
        (_days(*range(40)), "1d", ["365", "all week"]),
        (_days(0, 7, 14), "1w", ["52"]),
        (_hours_on(WEEKDAYS, range(14, 21)), "1h", ["252", "7 bars"]),
    ],
)
def test_origin(times: list[datetime], timeframe: str, words: list[str]) -> None:
    """The origin says where the number comes from."""
    origin = periods_per_year(_candles(times, timeframe), None).origin
    assert all(word in origin for word in words)


def test_configured_periods() -> None:
    """A configured number of periods comes before everything else."""
    candles = _candles(_days(0, 1, 2), "1d")
    assert periods_per_year(candles, 260.5) == PeriodsPerYear(260.5, "configured")


def test_periods_by_local_days() -> None:
    """The bars of a day are those of a day in the data set's time zone."""
    # Two bars a night, on either side of midnight in UTC.
    times = [MONDAY + day * 2 * DAY + hour * HOUR for day in (0, 1) for hour in (23, 24)]
    assert periods_per_year(_candles(times, "1h", "America/New_York"), None).value == 252 * 2
    assert periods_per_year(_candles(times, "1h"), None).value == 252
