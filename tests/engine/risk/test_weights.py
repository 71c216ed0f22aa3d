"""What holds for the weights of every sizing model."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from engine.errors import ConfigError, PluginError
from engine.features import IndicatorInput, ShiftedCandles, build_feature, compute_features
from engine.records import Candles
from engine.risk import Sizing, SizingView, sizing_models, target_weights

Walk = Callable[..., Candles]
CASES: list[tuple[str, dict[str, object]]] = [
    *((name, {}) for name in sizing_models),
    ("fixed_fraction", {"fraction": 3.0, "max_leverage": 3.0}),
    ("volatility_target", {"target_vol": 50.0, "lookback": 5, "max_leverage": 0.7}),
    ("volatility_target", {"target_vol": 0.05, "lookback": 5}),
    ("kelly_fraction", {"mode": "rolling", "lookback": 5, "max_leverage": 0.4}),
    ("kelly_fraction", {"mode": "rolling", "lookback": 20, "base_fraction": 0.001}),
    ("kelly_fraction", {"p_win": 0.1}),
]


def _weights(name: str, params: dict[str, object], candles: Candles) -> np.ndarray:
    checked = sizing_models.check(name, params, "risk")
    sizing: Sizing = sizing_models.build(name, checked)
    features = [build_feature(spec, "risk") for spec in sizing.features()]
    columns = compute_features(features, IndicatorInput(candles, 252.0), lambda: None)
    signals = np.arange(len(candles), dtype=np.int64) // 3 % 3 - 1
    return target_weights(sizing, SizingView(signals, columns, ShiftedCandles(candles), 2))


@pytest.mark.parametrize("n_bars", [1, 2, 3, 300])
@pytest.mark.parametrize(("name", "params"), CASES)
def test_bounds(name: str, params: dict[str, object], n_bars: int, walk: Walk) -> None:
    """A weight has its signal's side and is never beyond the leverage; a flat bar is a plain 0."""
    weights = _weights(name, params, walk(n_bars))
    signals = np.arange(n_bars) // 3 % 3 - 1
    max_leverage = params.get("max_leverage", 1.0)
    assert len(weights) == n_bars
    assert not weights.flags.writeable
    assert np.isfinite(weights).all()
    assert (np.abs(weights) <= max_leverage).all()
    assert (weights * signals >= 0).all()
    assert (weights[signals == 0] == 0).all()
    assert not np.signbit(weights[weights == 0]).any()


@pytest.mark.parametrize(("name", "params"), CASES)
def test_leverage_is_reached(name: str, params: dict[str, object], walk: Walk) -> None:
    """What asks for more than the leverage gets exactly the leverage."""
    asks_for_more = params.get("target_vol") == 50.0 or params.get("max_leverage") in {0.4, 3.0}
    reached = np.abs(_weights(name, params, walk(300))).max() == params.get("max_leverage", 1.0)
    assert reached or not asks_for_more


@pytest.mark.parametrize("cut", [30, 100, 297])
@pytest.mark.parametrize(("name", "params"), CASES)
def test_future_is_unknown(name: str, params: dict[str, object], cut: int, walk: Walk) -> None:
    """Bars after a cut change no weight up to the bar after it."""
    candles = walk(300)
    close = np.where(np.arange(300) > cut, candles.close**2 * 3, candles.close)
    changed = dataclasses.replace(candles, close=close)
    known = slice(0, cut + 2)
    plain = _weights(name, params, candles)
    assert _weights(name, params, changed)[known].tobytes() == plain[known].tobytes()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("volatility_target", {"target_vol": 0.05, "lookback": 5}),
        ("kelly_fraction", {"mode": "rolling", "lookback": 20, "base_fraction": 0.001}),
    ],
)
def test_past_counts(name: str, params: dict[str, object], walk: Walk) -> None:
    """The last bar that may count does: a change of it changes the weights after it."""
    candles = walk(300)
    close = candles.close.copy()
    close[100:] *= 1.05
    changed = _weights(name, params, dataclasses.replace(candles, close=close))
    differs = changed != _weights(name, params, candles)
    assert np.flatnonzero(differs)[0] in range(101, 104)


@pytest.mark.parametrize("size", [-0.5, np.nan, np.inf])
@pytest.mark.parametrize("for_all", [True, False])
def test_bad_sizes(size: float, *, for_all: bool, walk: Walk) -> None:
    """A size that is none is refused, whether it is one bar's or one number for all."""
    sizes = np.broadcast_to(size, 5) if for_all else np.array([1.0, 1.0, size, 1.0, 1.0])
    sizing = SimpleNamespace(sizes=lambda _: sizes)
    view = SizingView(np.ones(5, dtype=np.int64), {}, ShiftedCandles(walk(5)), 0)
    with pytest.raises(PluginError, match="the sizing model odd must return a finite size"):
        target_weights(sizing, view, "odd")


def test_unknown_model() -> None:
    """An unknown sizing model is refused with the closest name."""
    with pytest.raises(ConfigError, match="did you mean 'kelly_fraction'"):
        sizing_models.check("kelly_fractions", {}, "risk")
