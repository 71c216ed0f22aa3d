"""Nothing that a strategy sees or does may depend on bars still to come."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from engine.errors import LookaheadError
from engine.features import IndicatorInput, indicators
from engine.pipeline import prepare, run
from engine.records import Candles
from engine.registry import Params
from engine.risk import SizingView, sizing_models
from engine.strategy import StrategyView, strategies
from engine.validation.causality import another_future, choose_cuts

SAMPLE: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "end": "2002-12-31"}


class Peeking(Params):
    """No parameters."""


class PeekingIndicator:
    """Tomorrow's close."""

    needs_volume = False

    def __init__(self, params: Peeking) -> None:
        self.params = params

    def compute(self, inputs: IndicatorInput) -> dict[str, Any]:
        return {"": np.append(inputs.candles.close[1:], np.nan)}


class PeekingStrategy:
    """Long where the close is below the mean of the whole series."""

    def __init__(self, params: Peeking) -> None:
        self.params = params

    def features(self) -> list[Any]:
        return []

    def signals(self, view: StrategyView) -> Any:
        close = np.nan_to_num(view.candles.close)
        return (close < close.mean()).astype(int)


class PeekingSizing(PeekingStrategy):
    """Sized by the last close of all."""

    def sizes(self, view: SizingView) -> Any:
        close = np.nan_to_num(view.candles.close)
        return np.minimum(close / close[-1], 1.0)


@pytest.fixture
def peeking() -> Iterator[None]:
    """Enter the components that peek, and take them out again."""
    entered: list[tuple[Any, Callable[..., Any]]] = [
        (indicators, PeekingIndicator),
        (strategies, PeekingStrategy),
        (sizing_models, PeekingSizing),
    ]
    for registry, component in entered:
        registry.register("peeking", Peeking)(component)
    yield
    for registry, _ in entered:
        registry.remove("peeking")


@pytest.mark.usefixtures("peeking")
@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"indicators": [{"name": "peeking"}]}, "the feature peeking"),
        ({"strategy": {"name": "peeking"}}, "the signal"),
        ({"risk": {"name": "peeking"}}, "the target weight"),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_what_peeks_fails_the_run(raw: dict[str, Any], named: str, seed: int) -> None:
    """A feature, signal or size that knows the future ends the run, named with its bar."""
    with pytest.raises(LookaheadError, match=rf"look-ahead: {named} at bar \d+ changes when only"):
        run(SAMPLE | raw | {"seed": seed})


@pytest.mark.usefixtures("peeking")
def test_the_bar_is_the_first_that_knew() -> None:
    """Tomorrow's close, shifted, knows bar c + 1 at c + 1: one bar too early, and that is named."""
    with pytest.raises(LookaheadError, match="look-ahead: the feature peeking") as caught:
        run(SAMPLE | {"indicators": [{"name": "peeking"}]})
    words = str(caught.value).split()
    bar, cut = int(words[words.index("bar") + 1]), int(words[words.index("after") + 1])
    assert bar == cut + 1


@pytest.mark.parametrize("strategy", list(strategies))
@pytest.mark.parametrize("sizing", [*sizing_models, "rolling"])
def test_what_ships_passes(strategy: str, sizing: str) -> None:
    """Every shipped strategy with every shipped sizing model passes, with four cuts."""
    risk: dict[str, Any] = {"name": sizing}
    if sizing == "rolling":
        risk = {"name": "kelly_fraction", "params": {"mode": "rolling", "lookback": 20}}
    result = run(SAMPLE | {"strategy": {"name": strategy}, "risk": risk})
    assert (result.causality.cuts, result.causality.passed) == (4, True)


@pytest.mark.parametrize(
    ("n_bars", "first_bar", "cuts"),
    [
        (1, 0, []),
        (2, 0, [0]),
        (5, 5, [0, 1, 2, 3]),
        (4, 3, [0, 1, 2]),
        (10, 6, [6, 7, 8]),
        (10, 5, [5, 6, 7, 8]),
    ],
)
def test_as_many_cuts_as_fit(n_bars: int, first_bar: int, cuts: list[int]) -> None:
    """Few bars have few cuts, from the first bar with every feature, or all, to the last but one."""
    assert choose_cuts(n_bars, first_bar, 0) == cuts


def test_cuts_are_drawn_from_the_seed() -> None:
    """Cuts are distinct, within bounds, the same for a seed and others for another."""
    drawn = [choose_cuts(1000, 50, seed) for seed in range(50)]
    for cuts in drawn:
        assert len(set(cuts)) == 4
        assert min(cuts) >= 50
        assert max(cuts) <= 998
    assert drawn[0] == choose_cuts(1000, 50, 0)
    assert len({tuple(cuts) for cuts in drawn}) == 50


def sample() -> Candles:
    return prepare(SAMPLE).loaded.candles


def test_another_future_is_valid_and_another() -> None:
    """Bars up to the cut stay to the bit; those after it are valid bars that all differ."""
    candles = sample()
    cut = 300
    other = another_future(candles, cut, 7)
    for name in ("open", "high", "low", "close", "volume"):
        before, after = getattr(candles, name), getattr(other, name)
        assert before[: cut + 1].tobytes() == after[: cut + 1].tobytes()
        assert (before[cut + 1 :] != after[cut + 1 :]).all()
    assert (other.low <= np.minimum(other.open, other.close)).all()
    assert (other.high >= np.maximum(other.open, other.close)).all()
    assert (other.low > 0).all()
    moves = np.abs(np.diff(np.log(other.close[cut:])))
    assert 0.04 < moves.mean() < 0.06
    assert other.ts is candles.ts


def test_a_long_future_stays_finite() -> None:
    """A walk over two million bars neither overflows nor reaches zero."""
    n = 2_000_000
    one = np.ones(n)
    candles = Candles("X", "1m", np.arange(n) * 60_000, one, one, one, one, vwap=one)
    other = another_future(candles, 0, 1)
    assert np.isfinite(other.high).all()
    assert (other.low > 0).all()
    assert other.vwap is not None
    assert ((other.vwap >= other.low) & (other.vwap <= other.high)).all()
    assert other.volume is None


class Memoising(PeekingStrategy):
    """Looks ahead once, and gives the same answer ever after."""

    def __init__(self, params: Peeking) -> None:
        super().__init__(params)
        self.memo: Any = None

    def signals(self, view: StrategyView) -> Any:
        if self.memo is None:
            self.memo = super().signals(view)
        return self.memo


def test_a_memory_does_not_hide_a_peek() -> None:
    """Each other future is met by components that have not seen the run's own."""
    strategies.register("memoising", Peeking)(Memoising)
    try:
        with pytest.raises(LookaheadError, match="the signal"):
            run(SAMPLE | {"strategy": {"name": "memoising"}})
    finally:
        strategies.remove("memoising")
