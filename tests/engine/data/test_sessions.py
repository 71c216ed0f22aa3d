"""Exchange calendars: sessions, holidays, half days, breaks; gaps and years found by hand."""

from datetime import UTC, datetime

import numpy as np
import pytest

from engine.data.calendars import bars_outside_sessions, gap_flags, periods_per_year
from engine.data.sessions import sessions, sessions_per_year
from engine.errors import ConfigError, DataError
from engine.pipeline import prepare
from engine.records import Candles

MINUTE = 60_000


def at(*moments: str) -> list[int]:
    """Return UTC epoch ms of ISO times."""
    return [int(datetime.fromisoformat(m).replace(tzinfo=UTC).timestamp()) * 1000 for m in moments]


def bars(ts: list[int], timeframe: str, timezone: str = "UTC") -> Candles:
    one = np.ones(len(ts))
    return Candles("X", timeframe, np.asarray(ts), one, one, one, one, timezone=timezone)


def half_hours(day: str, first: str, last: str) -> list[int]:
    start, end = at(f"{day}T{first}", f"{day}T{last}")
    return list(range(start, end + 1, 30 * MINUTE))


@pytest.mark.parametrize(
    ("name", "count"), [("XNYS", 252), ("24/7", 365), ("XLON", 253), ("XTKS", 245)]
)
def test_sessions_per_year(name: str, count: int) -> None:
    """The mean number of sessions from 2010 to 2019, rounded."""
    assert sessions_per_year(name) == count


def test_a_year_of_new_york() -> None:
    """2018 had 251 sessions: 261 weekdays, nine holidays, and the mourning of 5 December."""
    year = sessions("XNYS", "2018-01-01", "2018-12-31")
    assert len(year.days) == 251
    days = [str(np.datetime64(int(day), "D")) for day in year.days]
    for closed in ("2018-07-04", "2018-11-22", "2018-12-05", "2018-12-25", "2018-12-29"):
        assert closed not in days
    # The day after Thanksgiving ends at 13:00 in New York, 18:00 UTC; others at 21:00 in winter.
    half, full = days.index("2018-11-23"), days.index("2018-11-26")
    assert (year.closes[[half, full]] % 86_400_000 // 3_600_000).tolist() == [18, 21]


def test_daily_gaps_are_missing_sessions() -> None:
    """A holiday weekend is no gap; a session without a bar is one, on the bar that follows."""
    ts = at("2018-07-03", "2018-07-05", "2018-07-06", "2018-07-09", "2018-07-11")
    assert gap_flags(bars(ts, "1d"), "XNYS").tolist() == [False] * 4 + [True]
    # Without a calendar only a step of more than four days is a gap.
    assert not gap_flags(bars(ts, "1d")).any()


def test_intraday_gaps() -> None:
    """A half day and the night are no gaps; a missing half hour and a missing session are."""
    wednesday = half_hours("2018-11-21", "14:30", "20:30")
    friday = half_hours("2018-11-23", "14:30", "17:30")  # Thanksgiving between, then a half day
    monday = half_hours("2018-11-26", "14:30", "20:30")
    del monday[3]
    wednesday_after = half_hours("2018-11-28", "14:30", "15:00")
    ts = wednesday + friday + monday + wednesday_after
    flags = gap_flags(bars(ts, "30m"), "XNYS")
    expected = [monday[3], wednesday_after[0]]
    assert [ts[bar] for bar in np.flatnonzero(flags)] == expected


def test_a_midday_break_is_no_gap() -> None:
    """Hong Kong closes from 12:00 to 13:00; a bar missing beside the break is a gap all the same."""
    morning = half_hours("2019-03-04", "01:30", "03:30")
    afternoon = half_hours("2019-03-04", "05:00", "07:30")
    assert not gap_flags(bars(morning + afternoon, "30m"), "XHKG").any()
    flags = gap_flags(bars(morning[:-1] + afternoon, "30m"), "XHKG")
    assert np.flatnonzero(flags).tolist() == [len(morning) - 1]


def test_bars_outside_sessions_are_told_and_no_gap() -> None:
    """A bar on a holiday or before the open is outside; the sessions around it still follow."""
    ts = at("2018-07-03", "2018-07-04", "2018-07-05", "2018-07-07", "2018-07-10")
    candles = bars(ts, "1d")
    assert bars_outside_sessions(candles, "XNYS").tolist() == [False, True, False, True, False]
    assert gap_flags(candles, "XNYS").tolist() == [False, False, False, False, True]
    early = bars(at("2018-07-03T13:00", "2018-07-03T13:30"), "30m")
    assert bars_outside_sessions(early, "XNYS").tolist() == [True, False]
    assert not bars_outside_sessions(bars(at("2018-07-07"), "1w"), "XNYS").any()


def test_daily_bars_at_local_midnight() -> None:
    """Daily bars belong to the day of their own time zone."""
    ts = at("2018-07-03T04:00", "2018-07-05T04:00")  # midnight in New York
    assert not bars_outside_sessions(bars(ts, "1d", "America/New_York"), "XNYS").any()


def test_periods_per_year_with_a_calendar() -> None:
    """Sessions of a year times the bars of a median session; weeks are 52 anyway."""
    day = half_hours("2018-11-20", "14:30", "20:30")
    two = bars(day + half_hours("2018-11-21", "14:30", "20:30"), "30m")
    found = periods_per_year(two, None, "XNYS")
    assert (found.value, found.origin) == (252 * 13, "sessions of XNYS of 13 bars")
    assert periods_per_year(bars(at("2018-11-20"), "1d"), None, "24/7").value == 365
    assert periods_per_year(bars(at("2018-11-19"), "1w"), None, "XNYS").value == 52
    assert periods_per_year(two, 100.0, "XNYS").value == 100


def test_the_sample_has_every_session() -> None:
    """The S&P 500 sample has a bar for each session of New York from 1999 to 2018, and no other."""
    loaded = prepare({"symbol": "SPX", "provider": "sample", "calendar": "XNYS"}).loaded
    assert loaded.quality.gaps == 0
    assert not bars_outside_sessions(loaded.candles, "XNYS").any()
    assert len(loaded.candles) == len(sessions("XNYS", "1999-01-01", "2018-12-31").days)


def test_the_calendar_is_part_of_the_run() -> None:
    """A calendar changes the run's hash and stands in its configuration."""
    raw = {"symbol": "SPX", "provider": "sample"}
    named = prepare(raw | {"calendar": "XNYS"})
    assert named.config.calendar == "XNYS"
    assert named.identity.run_hash != prepare(raw).identity.run_hash


def test_calendars_that_cannot_be_had() -> None:
    """An unknown calendar has a close match named; years it does not cover are said."""
    with pytest.raises(ConfigError, match="unknown calendar 'XNY'; did you mean 'XNYS'"):
        sessions("XNY", "2018-01-01", "2018-12-31")
    with pytest.raises(DataError, match="XKRX does not cover 1940-01-01 to 1940-12-31"):
        sessions("XKRX", "1940-01-01", "1940-12-31")


def test_a_calendar_that_does_not_say_how_far_it_reaches() -> None:
    """Years that a calendar's own rules refuse to tell are data that it does not cover."""
    with pytest.raises(DataError, match="XCYS does not cover 1901-01-01"):
        sessions("XCYS", "1901-01-01", "1901-12-31")
