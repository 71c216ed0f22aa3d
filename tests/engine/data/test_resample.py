"""Coarser bars from finer ones, worked out by hand."""

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pytest

from engine.data.calendars import gap_flags
from engine.data.normalize import Dataset, QualityReport
from engine.data.resample import resample
from engine.errors import DataError
from engine.records import Candles

HOUR = 3_600_000


def at(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1000


def dataset(ts: list[int], timeframe: str, *, volume: bool = True) -> Dataset:
    """Return bars whose open is 100 + i, high 110 + i, low 90 - i, close 101 + i, volume i + 1."""
    i = np.arange(len(ts), dtype=np.float64)
    candles = Candles(
        "X", timeframe, np.asarray(ts), 100 + i, 110 + i, 90 - i, 101 + i,
        volume=i + 1 if volume else None, vwap=100 + i if volume else None,
    )  # fmt: skip
    return Dataset(candles, 50 + i, QualityReport(len(ts)))


def test_hours_to_days() -> None:
    """A day has its first open, highest high, lowest low, last close, summed volume."""
    start = at("2024-01-01T00:00")
    fine = dataset([start + i * HOUR for i in range(50)], "1h")
    days = resample(fine, "1d", None)
    c = days.candles
    assert c.ts.tolist() == [start, start + 24 * HOUR]  # the third day has two hours: left out
    assert (c.open.tolist(), c.close.tolist()) == ([100, 124], [124, 148])
    assert (c.high.tolist(), c.low.tolist()) == ([133, 157], [67, 43])
    assert c.volume is not None
    assert c.volume.tolist() == [sum(range(1, 25)), sum(range(25, 49))]
    assert c.vwap is not None
    weighted = sum((100 + i) * (i + 1) for i in range(24)) / sum(range(1, 25))
    assert c.vwap[0] == pytest.approx(weighted, rel=1e-14)
    assert days.adj_close is not None
    assert days.adj_close.tolist() == [73, 97]
    assert c.timeframe == "1d"


def test_days_belong_to_weeks_by_their_dates() -> None:
    """A Monday of Tokyo, which opens on Sunday in UTC, begins a week; New York's opens later."""
    for zone, hours in (("Asia/Tokyo", -9), ("America/New_York", 5), ("UTC", 0)):
        start = at("2024-01-01") + hours * HOUR  # a Monday
        days = dataset([start + i * 24 * HOUR for i in range(14)], "1d")
        local = dataclasses.replace(days.candles, timezone=zone)
        weeks = resample(dataclasses.replace(days, candles=local), "1w", None).candles
        assert weeks.ts.tolist() == [at("2024-01-01"), at("2024-01-08")]
        assert weeks.open.tolist() == [100, 107]
        assert weeks.close.tolist() == [107, 114]


def test_days_to_weeks_start_on_monday() -> None:
    """2024-01-01 was a Monday; a week that has not ended is left out."""
    start = at("2023-12-30")  # a Saturday
    weeks = resample(dataset([start + i * 24 * HOUR for i in range(10)], "1d"), "1w", None).candles
    assert weeks.ts.tolist() == [at("2023-12-25"), at("2024-01-01")]
    assert weeks.open.tolist() == [100, 102]
    assert weeks.close.tolist() == [102, 109]
    assert weeks.volume is not None
    assert weeks.volume.tolist() == [3, sum(range(3, 10))]


def test_sessions_of_an_exchange() -> None:
    """With a calendar four-hour bars start at the open, the last of a day ends at the close."""
    opens = at("2018-11-20T14:30"), at("2018-11-21T14:30")
    ts = [o + k * HOUR // 2 for o in opens for k in range(13)]
    bars = resample(dataset([at("2018-11-20T14:00"), *ts], "30m"), "4h", "XNYS").candles
    assert bars.ts.tolist() == [opens[0], opens[0] + 4 * HOUR, opens[1], opens[1] + 4 * HOUR]
    assert bars.volume is not None
    assert bars.volume[:2].tolist() == [sum(range(2, 10)), sum(range(10, 15))]
    days = resample(dataset(ts, "30m"), "1d", "XNYS").candles
    assert days.ts.tolist() == [at("2018-11-20"), at("2018-11-21")]
    short = resample(dataset(ts[:-1], "30m"), "1d", "XNYS").candles
    assert short.ts.tolist() == [at("2018-11-20")]


def test_without_volume() -> None:
    """An unknown volume stays unknown, and so does the vwap."""
    start = at("2024-01-01")
    fine = dataset([start + i * HOUR for i in range(24)], "1h", volume=False)
    coarse = resample(fine, "1d", None).candles
    assert coarse.volume is None
    assert coarse.vwap is None


def test_nothing_complete() -> None:
    """Where not one coarse bar is complete, that is said."""
    with pytest.raises(DataError, match="X 1h does not hold one complete bar of 1d"):
        resample(dataset([at("2024-01-01")], "1h"), "1d", None)
    with pytest.raises(DataError, match="does not hold one complete bar"):
        resample(dataset([at("2018-11-22T15:00")], "1h"), "4h", "XNYS")  # Thanksgiving


def test_days_from_hours_of_another_zone() -> None:
    """Days are labelled by UTC dates, so they are no longer the zone's: no gap, no weekend."""
    opens = [at(f"2018-11-{day}T14:30") for day in (19, 20, 21, 23, 26, 27)]
    ends = [13, 13, 13, 7, 13, 13]
    ts = [o + k * HOUR // 2 for o, n in zip(opens, ends, strict=True) for k in range(n)]
    fine = dataset(ts, "30m")
    zoned = dataclasses.replace(
        fine, candles=dataclasses.replace(fine.candles, timezone="America/New_York")
    )
    days = resample(zoned, "1d", "XNYS").candles
    assert len(days) == 6
    assert days.timezone == "UTC"
    assert not gap_flags(days, "XNYS").any()
    assert resample(zoned, "1h", "XNYS").candles.timezone == "America/New_York"


@pytest.mark.parametrize(("volume", "price"), [(1e308, 1.0), (1e300, 1e10)])
def test_volume_beyond_all_numbers(volume: float, price: float) -> None:
    """Volumes whose sum, or whose sum with the price, is no number are refused by name."""
    fine = dataset([at("2024-01-01") + i * HOUR for i in range(24)], "1h")
    candles = dataclasses.replace(fine.candles, volume=np.full(24, volume), vwap=np.full(24, price))
    said = "X 1h: the (volume|vwap) of a bar of 1d overflows"
    with pytest.raises(DataError, match=said):
        resample(dataclasses.replace(fine, candles=candles), "1d", None)
