"""The dual moving average against a loop written from its definition."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from engine.errors import ConfigError
from engine.features import IndicatorInput, ShiftedCandles, build_feature, compute_features
from engine.records import Candles
from engine.strategy import Strategy, StrategyView, strategies

Walk = Callable[..., Candles]
# Few levels, so that averages are often equal or just a threshold apart.
LEVEL = st.sampled_from([math.nan, 99.0, 99.5, 100.0, 100.0 + 5e-8, 100.0 + 2e-7, 100.5, 101.0])


def _strategy(**params: object) -> Strategy:
    return strategies.build("dual_sma", strategies.check("dual_sma", params, "strategy"))


def _candles(close: Sequence[float]) -> Candles:
    price = np.array(close, dtype=np.float64)
    ts = np.arange(len(price), dtype=np.int64) * 86_400_000
    return Candles("X", "1d", ts, price, price, price, price)


def _signals(strategy: Strategy, candles: Candles) -> list[int]:
    features = [build_feature(spec, "strategy") for spec in strategy.features()]
    columns = compute_features(features, IndicatorInput(candles, 252.0), lambda: None)
    return [int(s) for s in strategy.signals(StrategyView(columns, ShiftedCandles(candles)))]


def _signals_of(strategy: Strategy, fast: Sequence[float], slow: Sequence[float]) -> list[int]:
    names = ("sma_3", "sma_8")
    columns = {
        name: np.array(values, dtype=np.float64)
        for name, values in zip(names, (fast, slow), strict=True)
    }
    view = StrategyView(columns, ShiftedCandles(_candles([1.0] * len(fast))))
    return [int(s) for s in strategy.signals(view)]


def _loop(fast: Sequence[float], slow: Sequence[float], *, k: float, long_only: bool) -> list[int]:
    signals: list[int] = []
    for x, y in zip(fast, slow, strict=True):
        if math.isnan(x) or math.isnan(y):
            signals.append(0)
        elif x > y * (1 + k) * (1 + 1e-9):
            signals.append(1)
        elif x < y * (1 - k) * (1 - 1e-9):
            signals.append(0 if long_only else -1)
        else:
            signals.append(signals[-1] if signals else 0)
    return signals


@settings(deadline=None)
@given(
    averages=st.lists(st.tuples(LEVEL, LEVEL), min_size=1, max_size=40),
    threshold_bp=st.sampled_from([0.0, 25.0, 50.0, 100.0]),
    long_only=st.booleans(),
)
def test_signals_of_averages(
    averages: list[tuple[float, float]], threshold_bp: float, *, long_only: bool
) -> None:
    """Signals are those of the definition, bar by bar, for any averages."""
    fast, slow = [x for x, _ in averages], [y for _, y in averages]
    strategy = _strategy(fast=3, slow=8, threshold_bp=threshold_bp, long_only=long_only)
    assert _signals_of(strategy, fast, slow) == _loop(
        fast, slow, k=threshold_bp / 1e4, long_only=long_only
    )


@settings(deadline=None)
@given(
    close=st.lists(st.integers(50, 150).map(float), min_size=1, max_size=60),
    fast=st.integers(1, 6),
    longer=st.integers(1, 8),
    threshold_bp=st.sampled_from([0.0, 100.0]),
    long_only=st.booleans(),
)
def test_signals_of_closes(
    close: list[float], fast: int, longer: int, threshold_bp: float, *, long_only: bool
) -> None:
    """From closes to signals, the averages at a bar are those of the closes before it."""
    slow = max(2, fast + longer)
    strategy = _strategy(fast=fast, slow=slow, threshold_bp=threshold_bp, long_only=long_only)
    averages = [
        [sum(close[t - n : t]) / n if t >= n else math.nan for t in range(len(close))]
        for n in (fast, slow)
    ]
    want = _loop(*averages, k=threshold_bp / 1e4, long_only=long_only)
    assert _signals(strategy, _candles(close)) == want


@pytest.mark.parametrize(
    ("params", "signals"),
    [
        ({}, [0, 1, 1, 1, -1, -1, 1]),
        ({"long_only": True}, [0, 1, 1, 1, 0, 0, 1]),
        ({"threshold_bp": 100.0}, [0, 0, 1, 1, 1, -1, -1]),
        ({"threshold_bp": 100.0, "long_only": True}, [0, 0, 1, 1, 1, 0, 0]),
    ],
)
def test_by_hand(params: Mapping[str, object], signals: list[int]) -> None:
    """Between the thresholds the signal before stays; long only is flat instead of short."""
    fast = [math.nan, 100.5, 102.0, 100.0, 99.5, 98.0, 100.5]
    slow = [math.nan, *[100.0] * 6]
    assert _signals_of(_strategy(fast=3, slow=8, **params), fast, slow) == signals


@pytest.mark.parametrize(("bars_null", "after"), [(1, 0), (3, 0)])
def test_null_is_flat(bars_null: int, after: int) -> None:
    """A null feature is flat, and what it was before is not remembered."""
    fast = [101.0, *[math.nan] * bars_null, 100.0]
    slow = [100.0] * len(fast)
    strategy = _strategy(fast=3, slow=8)
    assert _signals_of(strategy, fast, slow) == [1, *[0] * bars_null, after]
    assert _signals_of(strategy, slow, fast) == [-1, *[0] * bars_null, after]


@pytest.mark.parametrize("price", [0.1, 1 / 3, 1234.567, 1e-7, 9.87e11])
def test_flat_market(price: float, walk: Walk) -> None:
    """In a flat market nothing is traded, whatever the running sums have gathered in rounding."""
    strategy = _strategy()
    assert set(_signals(strategy, _candles([price] * 400))) == {0}
    moved = walk(300).close * 1e3 * price
    signals = _signals(strategy, _candles([*moved, *[price] * 700]))
    assert -1 in signals[50:300]
    assert 1 in signals[50:300]
    assert len(set(signals[300 + 51 :])) == 1


def test_first_signal(walk: Walk) -> None:
    """The first signal comes where the slow average is first known, at the bar of its length."""
    signals = _signals(_strategy(fast=5, slow=30), walk(80))
    assert set(signals[:30]) == {0}
    assert signals[30] != 0


def test_defaults() -> None:
    """The averages are those of 20 and 50 bars unless others are asked for."""
    specs = _strategy().features()
    assert [(spec.name, dict(spec.params)) for spec in specs] == [
        ("sma", {"timeperiod": 20}),
        ("sma", {"timeperiod": 50}),
    ]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"fast": 50, "slow": 50}, "slow"),
        ({"fast": 60, "slow": 50}, "slow"),
        ({"fast": 50}, "slow"),
        ({"slow": 20}, "slow"),
        ({"fast": 0}, "fast"),
        ({"fast": -1}, "fast"),
        ({"fast": 5.0}, "fast"),
        ({"slow": 100_001}, "slow"),
        ({"threshold_bp": -1.0}, "threshold_bp"),
        ({"threshold_bp": 10_000.0}, "threshold_bp"),
        ({"threshold_bp": math.nan}, "threshold_bp"),
        ({"long_only": 1}, "long_only"),
        ({"medium": 30}, "medium"),
    ],
)
def test_refused_parameters(params: dict[str, object], field: str) -> None:
    """Averages in the wrong order, and values out of range, are refused under their field."""
    with pytest.raises(ConfigError) as caught:
        strategies.check("dual_sma", params, "strategy")
    assert [fault.field for fault in caught.value.faults] == [f"strategy.params.{field}"]


@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (49, 50), (1, 100_000)])
def test_accepted_lengths(fast: int, slow: int) -> None:
    """Any fast average shorter than the slow one is accepted."""
    assert [spec.params["timeperiod"] for spec in _strategy(fast=fast, slow=slow).features()] == [
        fast,
        slow,
    ]
