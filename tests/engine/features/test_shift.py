"""The shift by one bar, which nothing can pass by."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from engine.blocks import BLOCK
from engine.errors import DataError
from engine.features import (
    FeatureSpec,
    IndicatorInput,
    ShiftedCandles,
    build_feature,
    compute_features,
    first_defined_bar,
    indicators,
    shift,
)
from engine.records import Candles

Walk = Callable[..., Candles]
PRICES = ("open", "high", "low", "close")


def _nothing() -> None:
    pass


def _columns(name: str, candles: Candles) -> dict[str, np.ndarray]:
    feature = build_feature(FeatureSpec(name), "indicators.0")
    return compute_features([feature], IndicatorInput(candles, 252.0), _nothing)


def _with_other_future(candles: Candles, cut: int) -> Candles:
    """Return the candles with every value after bar ``cut`` replaced."""
    later = np.arange(len(candles)) > cut
    changed = {
        name: np.where(later, getattr(candles, name) * 0.7, getattr(candles, name))
        for name in PRICES
    }
    assert candles.volume is not None
    volume = np.where(later, candles.volume + 500, candles.volume)
    return dataclasses.replace(candles, **changed, volume=volume)


@settings(deadline=None)
@given(series=st.lists(st.floats(), max_size=20))
def test_shift(series: list[float]) -> None:
    """A bar sees the value of the bar before it; the first sees nothing, and infinity is null."""
    given_ = np.array(series, dtype=np.float64)
    before = given_.copy()
    shifted = shift(given_)
    assert len(shifted) == len(series)
    for t, value in enumerate(shifted.tolist()):
        if t == 0 or not math.isfinite(series[t - 1]):
            assert math.isnan(value)
        else:
            assert value == series[t - 1]
    assert np.array_equal(given_, before, equal_nan=True)
    assert not shifted.flags.writeable


@pytest.mark.parametrize("name", list(indicators))
def test_first_bar_is_null(name: str, walk: Walk) -> None:
    """No indicator knows anything at the first bar, and none has an infinite value anywhere."""
    columns = _columns(name, walk(150))
    assert columns
    for column in columns.values():
        assert len(column) == 150
        assert math.isnan(column[0])
        assert not np.isinf(column).any()
        assert not column.flags.writeable


@pytest.mark.parametrize("cut", [100, 148])
@pytest.mark.parametrize("name", list(indicators))
def test_future_is_unknown(name: str, cut: int, walk: Walk) -> None:
    """Bars after a cut change nothing up to the bar after it, in any bit of any indicator."""
    candles = walk(180)
    plain = _columns(name, candles)
    changed = _columns(name, _with_other_future(candles, cut))
    assert list(plain) == list(changed)
    for title, column in plain.items():
        known = slice(0, cut + 2)
        assert column[known].tobytes() == changed[title][known].tobytes()


@pytest.mark.parametrize("name", ["sma", "ema", "rsi", "bbands", "atr", "obv", "realized_vol"])
def test_past_is_known_at_once(name: str, walk: Walk) -> None:
    """What changes a bar shows two bars after the cut, so that the shift is one bar and no more."""
    candles = walk(180)
    plain = _columns(name, candles)
    changed = _columns(name, _with_other_future(candles, 100))
    assert any(column[102] != changed[title][102] for title, column in plain.items())


@pytest.mark.parametrize("name", list(indicators))
def test_candles_stay_untouched(name: str, walk: Walk) -> None:
    """No indicator changes the candles it reads."""
    candles, same = walk(150), walk(150)
    _columns(name, candles)
    for title in (*PRICES, "volume", "ts"):
        assert np.array_equal(getattr(candles, title), getattr(same, title))


@pytest.mark.parametrize("name", list(indicators))
@pytest.mark.parametrize("n_bars", [1, 2])
def test_too_few_bars(name: str, n_bars: int, walk: Walk) -> None:
    """An indicator over a bar or two gives columns of that length, null at the first bar."""
    for column in _columns(name, walk(n_bars)).values():
        assert len(column) == n_bars
        assert math.isnan(column[0])


@pytest.mark.parametrize("name", [*PRICES, "volume"])
def test_shifted_candles(name: str, walk: Walk) -> None:
    """A strategy sees the candles of the bar before, and none at the first."""
    candles = walk(10)
    seen = getattr(ShiftedCandles(candles), name)
    assert math.isnan(seen[0])
    assert seen[1:].tolist() == getattr(candles, name)[:-1].tolist()


def test_times_are_not_shifted(walk: Walk) -> None:
    """The time at which a bar opens is known when it opens."""
    candles = walk(10)
    shifted = ShiftedCandles(candles)
    assert shifted.ts.tolist() == candles.ts.tolist()
    assert len(shifted) == 10


@pytest.mark.parametrize("name", ["volume", "vwap"])
def test_missing_column(name: str, walk: Walk) -> None:
    """A column that the data does not have is refused by its name."""
    with pytest.raises(DataError, match=f"X 1d has no {name}"):
        getattr(ShiftedCandles(walk(10, with_volume=False)), name)


@pytest.mark.parametrize("name", ["gap_flag", "symbol", "_candles_", "candles"])
def test_no_other_attribute(name: str, walk: Walk) -> None:
    """Nothing but shifted columns can be had from the candles."""
    with pytest.raises(AttributeError):
        getattr(ShiftedCandles(walk(10)), name)


@pytest.mark.parametrize(
    ("columns", "bar"),
    [
        ([], 0),
        ([[math.nan, 1, 2, 3]], 1),
        ([[math.nan, 1, 2, 3], [math.nan, math.nan, math.nan, 3]], 3),
        ([[math.nan, 1, math.nan, 3], [math.nan, math.nan, 2, 3]], 3),
        ([[math.nan, 1, 2, math.nan], [math.nan, math.nan, math.nan, 3]], 4),
        ([[math.nan] * 4], 4),
    ],
)
def test_first_defined_bar(columns: list[list[float]], bar: int) -> None:
    """The first defined bar is the first at which every column has a value."""
    assert first_defined_bar([np.array(column) for column in columns], 4) == bar


def test_first_defined_bar_of_many() -> None:
    """Where columns begin late, and only in turns, it is the first bar with all of them."""
    n, begin = 3 * BLOCK, 2 * BLOCK + 5
    late, gaps = np.ones(n), np.ones(n)
    late[: BLOCK + 7] = gaps[BLOCK + 7 : begin] = np.nan
    assert first_defined_bar([late, gaps], n) == begin
    assert first_defined_bar([gaps, late], n) == begin
    assert first_defined_bar([gaps], n) == 0
