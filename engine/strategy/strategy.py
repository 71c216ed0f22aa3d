"""Strategies: from what is known before a bar to a signal for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.features import FeatureSpec, ShiftedCandles
from engine.registry import Registry

if TYPE_CHECKING:
    from engine.records import Floats, Integers


@dataclass(frozen=True, eq=False)
class StrategyView:
    """What a strategy may see: features and candles, both shifted by one bar; null is NaN."""

    features: "Mapping[str, Floats]"
    candles: ShiftedCandles


class Strategy(Protocol):
    """Turns features into signals."""

    def features(self) -> Sequence[FeatureSpec]:
        """Return the features that ``signals`` reads."""

    def signals(self, view: StrategyView) -> "Integers":
        """Return (n_bars,) of -1, 0 and +1; 0 wherever a feature is null."""


strategies: Registry[Strategy] = Registry("strategy")
