"""What holds for every strategy, and buying and holding."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from engine.errors import ConfigError
from engine.features import IndicatorInput, ShiftedCandles, build_feature, compute_features
from engine.records import Candles
from engine.strategy import Strategy, StrategyView, strategies

Walk = Callable[..., Candles]


def _build(name: str) -> Strategy:
    return strategies.build(name, strategies.check(name, {}, "strategy"))


def _signals(name: str, candles: Candles) -> np.ndarray:
    strategy = _build(name)
    features = [build_feature(spec, "strategy") for spec in strategy.features()]
    columns = compute_features(features, IndicatorInput(candles, 252.0), lambda: None)
    return strategy.signals(StrategyView(columns, ShiftedCandles(candles)))


@pytest.mark.parametrize("n_bars", [1, 2, 30])
def test_buy_and_hold(n_bars: int, walk: Walk) -> None:
    """Buying and holding is long at every bar from the first on."""
    assert _signals("buy_and_hold", walk(n_bars)).tolist() == [1] * n_bars
    assert list(_build("buy_and_hold").features()) == []


def test_buy_and_hold_has_no_parameters() -> None:
    """Buying and holding takes no parameter."""
    with pytest.raises(ConfigError, match=r"strategy\.params\.fast: unknown field"):
        strategies.check("buy_and_hold", {"fast": 3}, "strategy")


@pytest.mark.parametrize("n_bars", [1, 2, 200])
@pytest.mark.parametrize("name", list(strategies))
def test_signals(name: str, n_bars: int, walk: Walk) -> None:
    """Every strategy gives each bar a whole number from −1 to 1."""
    signals = _signals(name, walk(n_bars))
    assert signals.dtype == np.int64
    assert len(signals) == n_bars
    assert set(signals.tolist()) <= {-1, 0, 1}
    assert signals.any() == (n_bars == 200 or name == "buy_and_hold")


@pytest.mark.parametrize("cut", range(60, 199, 6))
@pytest.mark.parametrize("name", list(strategies))
def test_future_is_unknown(name: str, cut: int, walk: Walk) -> None:
    """Bars after a cut change no signal up to the bar after it."""
    candles = walk(200)
    later = np.arange(200) > cut
    # Far below, then far above: what sees one of them too early takes another side.
    for factor in (0.01, 100.0):
        changed = {
            title: np.where(later, getattr(candles, title) * factor, getattr(candles, title))
            for title in ("open", "high", "low", "close")
        }
        found = _signals(name, dataclasses.replace(candles, **changed))
        assert found[: cut + 2].tolist() == _signals(name, candles)[: cut + 2].tolist()


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_change_is_seen_two_bars_later(factor: float, walk: Walk) -> None:
    """What happens at a bar reaches the signal of the next bar and no later one."""
    close = np.full(200, 0.5)
    close[120:] *= factor
    found = _signals("dual_sma", dataclasses.replace(walk(200), close=close))
    assert np.flatnonzero(found)[0] == 121
    assert found[121] == (1 if factor > 1 else -1)


def test_unknown_strategy() -> None:
    """An unknown strategy is refused with the closest name."""
    with pytest.raises(ConfigError, match="did you mean 'dual_sma'"):
        strategies.check("dual_smaa", {}, "strategy")
