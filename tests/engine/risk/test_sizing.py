"""Sizing models against loops written from their definitions."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from engine.errors import ConfigError
from engine.features import IndicatorInput, ShiftedCandles, build_feature, compute_features
from engine.records import Candles
from engine.risk import Sizing, SizingView, sizing_models, target_weights

Walk = Callable[..., Candles]
P = 252.0


def _sizing(name: str, **params: object) -> Sizing:
    return sizing_models.build(name, sizing_models.check(name, params, "risk"))


def _candles(close: Sequence[float]) -> Candles:
    price = np.array(close, dtype=np.float64)
    ts = np.arange(len(price), dtype=np.int64) * 86_400_000
    return Candles("X", "1d", ts, price, price, price, price)


def _weights(
    sizing: Sizing, close: Sequence[float], signals: Sequence[int], first_bar: int = 0
) -> list[float]:
    candles = _candles(close)
    features = [build_feature(spec, "risk") for spec in sizing.features()]
    columns = compute_features(features, IndicatorInput(candles, P), lambda: None)
    side = np.array(signals, dtype=np.int64)
    view = SizingView(side, columns, ShiftedCandles(candles), first_bar)
    return [float(weight) for weight in target_weights(sizing, view)]


@pytest.mark.parametrize(
    ("fraction", "max_leverage"), [(0.95, 1.0), (1.0, 1.0), (2.5, 3.0), (1e-9, 1.0)]
)
def test_fixed_fraction(fraction: float, max_leverage: float) -> None:
    """The weight is the signal times the fraction."""
    sizing = _sizing("fixed_fraction", fraction=fraction, max_leverage=max_leverage)
    assert _weights(sizing, [1.0] * 4, [1, 0, -1, 1]) == [fraction, 0.0, -fraction, fraction]


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("fixed_fraction", {"fraction": 0.0}, "fraction"),
        ("fixed_fraction", {"fraction": -0.5}, "fraction"),
        ("fixed_fraction", {"fraction": 1.01}, "fraction"),
        ("fixed_fraction", {"fraction": 2.01, "max_leverage": 2.0}, "fraction"),
        ("fixed_fraction", {"max_leverage": 0.5}, "fraction"),
        ("fixed_fraction", {"fraction": math.nan}, "fraction"),
        ("fixed_fraction", {"max_leverage": 0.0}, "max_leverage"),
        ("fixed_fraction", {"max_leverage": 101.0}, "max_leverage"),
        ("volatility_target", {"target_vol": 0.0}, "target_vol"),
        ("volatility_target", {"lookback": 1}, "lookback"),
        ("volatility_target", {"lookback": 20.0}, "lookback"),
        ("volatility_target", {"min_vol": 0.0}, "min_vol"),
        ("volatility_target", {"base_fraction": 0.0}, "base_fraction"),
        ("volatility_target", {"max_leverage": -1.0}, "max_leverage"),
        ("volatility_target", {"target": 0.1}, "target"),
        ("kelly_fraction", {"mode": "half"}, "mode"),
        ("kelly_fraction", {"p_win": 1.01}, "p_win"),
        ("kelly_fraction", {"p_win": -0.01}, "p_win"),
        ("kelly_fraction", {"payoff_ratio": 0.0}, "payoff_ratio"),
        ("kelly_fraction", {"lookback": 1}, "lookback"),
        ("kelly_fraction", {"base_fraction": 0.0}, "base_fraction"),
        ("kelly_fraction", {"max_leverage": 0.0}, "max_leverage"),
    ],
)
def test_refused_parameters(name: str, params: Mapping[str, object], field: str) -> None:
    """A size that is not above 0, beyond the leverage, or out of range is refused."""
    with pytest.raises(ConfigError) as caught:
        sizing_models.check(name, dict(params), "risk")
    assert [fault.field for fault in caught.value.faults] == [f"risk.params.{field}"]


PRICE = st.integers(40, 60).map(float)


@settings(deadline=None)
@given(
    close=st.lists(PRICE, min_size=1, max_size=30),
    lookback=st.integers(2, 6),
    target_vol=st.sampled_from([0.1, 0.5, 3.0]),
    base_fraction=st.sampled_from([0.5, 1.0, 2.0]),
    min_vol=st.sampled_from([0.01, 2.0]),
    max_leverage=st.sampled_from([0.3, 1.0, 4.0]),
)
def test_volatility_target(
    close: list[float],
    lookback: int,
    target_vol: float,
    base_fraction: float,
    min_vol: float,
    max_leverage: float,
) -> None:
    """The size is the target over the volatility before the bar, floored, scaled and capped."""
    sizing = _sizing(
        "volatility_target",
        target_vol=target_vol,
        lookback=lookback,
        base_fraction=base_fraction,
        min_vol=min_vol,
        max_leverage=max_leverage,
    )
    want = []
    for t in range(len(close)):
        if t < lookback + 1:
            want.append(0.0)
            continue
        returns = [close[s] / close[s - 1] - 1 for s in range(t - lookback, t)]
        mean = math.fsum(returns) / lookback
        deviation = math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (lookback - 1))
        vol = deviation * math.sqrt(P)
        want.append(min(max_leverage, base_fraction * target_vol / max(vol, min_vol)))
    assert _weights(sizing, close, [1] * len(close)) == pytest.approx(want, rel=1e-9)
    short = _weights(sizing, close, [-1] * len(close))
    assert short == pytest.approx([-size for size in want], rel=1e-9)


@pytest.mark.parametrize("lookback", [2, 20])
def test_first_volatility(lookback: int, walk: Walk) -> None:
    """The first bar with a volatility, and so with a weight, is the one after the lookback."""
    close = walk(60).close.tolist()
    weights = _weights(_sizing("volatility_target", lookback=lookback), close, [1] * 60)
    assert [t for t in range(60) if weights[t] == 0] == list(range(lookback + 1))


def test_calm_market() -> None:
    """A market that does not move has the lowest volatility there is to divide by."""
    sizing = _sizing("volatility_target", target_vol=0.02, lookback=3, min_vol=0.1)
    assert _weights(sizing, [5.0] * 6, [1] * 6)[4:] == pytest.approx([0.2, 0.2])


def test_smallest_volatility() -> None:
    """The smallest possible floor leads to the leverage, not to an overflow."""
    sizing = _sizing("volatility_target", lookback=2, min_vol=5e-324, max_leverage=2.0)
    assert _weights(sizing, [5.0] * 5, [1] * 5) == [0.0, 0.0, 0.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({"p_win": 0.6, "payoff_ratio": 1.0, "base_fraction": 1.0}, 0.2),
        ({"p_win": 0.6, "payoff_ratio": 2.0, "base_fraction": 0.5}, 0.2),
        ({"p_win": 0.5, "payoff_ratio": 1.0}, 0.0),
        ({"p_win": 0.3, "payoff_ratio": 1.0}, 0.0),
        ({"p_win": 0.0}, 0.0),
        ({"p_win": 1.0, "base_fraction": 1.0}, 1.0),
        ({"p_win": 1.0, "base_fraction": 3.0, "max_leverage": 2.0}, 2.0),
        ({"p_win": 0.9, "base_fraction": 1.0, "max_leverage": 0.25}, 0.25),
        ({}, 0.05),
    ],
)
def test_kelly_of_given_odds(params: Mapping[str, object], size: float) -> None:
    """The bet is p − (1 − p)/b, scaled, never below 0 and never beyond the leverage."""
    weights = _weights(_sizing("kelly_fraction", **params), [1.0] * 3, [1, 0, -1])
    assert weights == pytest.approx([size, 0.0, -size], rel=1e-12, abs=1e-15)


def _kelly_loop(
    close: Sequence[float], signals: Sequence[int], first_bar: int, params: Mapping[str, float]
) -> list[float]:
    lookback = int(params["lookback"])
    sizes = []
    for t in range(len(close)):
        if t < first_bar + lookback + 1:
            sizes.append(0.0)
            continue
        earned = [signals[s - 1] * (close[s] / close[s - 1] - 1) for s in range(t - lookback, t)]
        if max(earned) == min(earned):
            sizes.append(0.0)
            continue
        mean = math.fsum(earned) / lookback
        variance = math.fsum((g - mean) ** 2 for g in earned) / (lookback - 1)
        bet = params["base_fraction"] * mean / variance
        sizes.append(min(max(bet, 0.0), params["max_leverage"]))
    return sizes


@settings(deadline=None)
@given(
    bars=st.lists(st.tuples(PRICE, st.sampled_from([-1, 0, 1])), min_size=1, max_size=30),
    first_bar=st.integers(0, 8),
    lookback=st.integers(2, 6),
    base_fraction=st.sampled_from([0.01, 0.5]),
    max_leverage=st.sampled_from([1.0, 50.0]),
)
def test_rolling_kelly(
    bars: list[tuple[float, int]],
    first_bar: int,
    lookback: int,
    base_fraction: float,
    max_leverage: float,
) -> None:
    """The bet is mean over variance of what the signals earned, flat bars included as 0."""
    close = [price for price, _ in bars]
    signals = [signal if t >= first_bar else 0 for t, (_, signal) in enumerate(bars)]
    params = {"lookback": lookback, "base_fraction": base_fraction, "max_leverage": max_leverage}
    weights = _weights(
        _sizing("kelly_fraction", mode="rolling", **params), close, signals, first_bar
    )
    want = [
        signal * size
        for signal, size in zip(
            signals, _kelly_loop(close, signals, first_bar, params), strict=True
        )
    ]
    assert weights == pytest.approx(want, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("first_bar", [0, 7])
@pytest.mark.parametrize("lookback", [2, 10])
def test_first_rolling_bet(first_bar: int, lookback: int) -> None:
    """The first bet is placed once the window holds returns of defined signals only."""
    # Gains of one and two percent in turn, so that every full window asks for a bet.
    close = np.cumprod([1.01 if t % 2 else 1.02 for t in range(40)]).tolist()
    sizing = _sizing("kelly_fraction", mode="rolling", lookback=lookback)
    weights = _weights(sizing, close, [1] * 40, first_bar)
    assert [t for t in range(40) if weights[t] == 0] == list(range(first_bar + lookback + 1))


@pytest.mark.parametrize(
    ("close", "signals"),
    [
        ([2.0**t for t in range(12)], [1] * 12),
        ([2.0 ** (11 - t) for t in range(12)], [-1] * 12),
        ([5.0] * 12, [1] * 12),
        ([5.0, 6.0] * 6, [0] * 11 + [1]),
    ],
    ids=["doubling", "halving_short", "flat_market", "flat_signals"],
)
def test_constant_returns_are_no_bet(close: list[float], signals: list[int]) -> None:
    """Returns that are all equal say nothing about the odds, so nothing is bet."""
    sizing = _sizing("kelly_fraction", mode="rolling", lookback=4)
    assert _weights(sizing, close, signals) == [0.0] * 12


@pytest.mark.parametrize("n_bars", [1, 2, 3])
def test_few_bars(n_bars: int) -> None:
    """A history shorter than the window bets nothing."""
    for first_bar in (0, n_bars):
        sizing = _sizing("kelly_fraction", mode="rolling", lookback=2)
        assert _weights(sizing, [5.0] * n_bars, [1] * n_bars, first_bar) == [0.0] * n_bars
