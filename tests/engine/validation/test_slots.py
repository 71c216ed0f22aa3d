"""Which bars of a day stand for one another when intraday moves are put in another order."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from engine.records import Candles
from engine.validation.market import Shuffle, slots_of

HOUR = 3_600_000


def hourly(first: str, last: str, hours: range, timeframe: str = "1h") -> Candles:
    """Return hourly bars of the weekdays between two dates, at whole hours in UTC."""
    days = np.arange(np.datetime64(first), np.datetime64(last) + np.timedelta64(1, "D"))
    weekdays = days[np.is_busday(days)].astype("M8[ms]").astype(np.int64)
    ts = (weekdays[:, None] + np.array([hour * HOUR for hour in hours])).reshape(-1)
    ones = np.ones(len(ts))
    return Candles("X", timeframe, ts, ones, ones, ones, ones)


def test_a_bar_that_holds_the_open_belongs_to_its_own_day() -> None:
    """Whole hours begin half an hour before the open: each hour of the day is one slot."""
    candles = hourly("2024-01-16", "2024-02-16", range(14, 21))
    slots = Counter((slots_of(candles, "XNYS") / HOUR).tolist())
    each = len(candles) // 7
    assert slots == dict.fromkeys((-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5), each)


def test_clock_changes_move_no_slot() -> None:
    """In summer the exchange opens an hour earlier in UTC; its slots stay what they are."""
    winter = hourly("2024-03-04", "2024-03-08", range(15, 21))
    summer = hourly("2024-03-11", "2024-03-15", range(14, 20))
    assert slots_of(winter, "XNYS").tolist() == slots_of(summer, "XNYS").tolist()


def test_after_hours_belong_to_the_day_that_closed() -> None:
    """Bars after the close count from the open before, bars before the open to the one to come."""
    candles = hourly("2024-01-08", "2024-01-12", range(10, 24))
    hours = (slots_of(candles, "XNYS") / HOUR).reshape(5, 14)
    assert (hours == np.arange(-4.5, 9.5)).all()


@pytest.mark.parametrize(("timeframe", "calendar"), [("1d", "XNYS"), ("1w", "XNYS"), ("1h", None)])
def test_one_slot_where_nothing_tells_sessions(timeframe: str, calendar: Any) -> None:
    """Days and weeks, and hours without a calendar, are all alike."""
    candles = hourly("2024-01-02", "2024-01-31", range(14, 21), timeframe)
    assert set(slots_of(candles, calendar)) == {0}


def test_moves_stay_within_their_slot() -> None:
    """Whatever the random numbers, a move is only ever put where one of its own slot was."""
    slots = np.array([0, 5, 0, 5, 5, 0, 7, 0])
    shuffle, rng = Shuffle.within(slots), np.random.default_rng(1)
    orders = (np.empty((50, 8), dtype=np.int64), np.empty((50, 8), dtype=np.int64))
    shuffle.draw(rng.random((50, 16)), orders, 50, "auto", lambda: None)
    for order in (*orders[0], *orders[1]):
        assert sorted(order.tolist()) == list(range(8))
        assert (slots[order] == slots).all()
    assert len({tuple(order) for order in orders[0].tolist()}) > 30
