"""Strategies: from what is known before a bar to a signal for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from engine.errors import PluginError
from engine.features import FeatureSpec, ShiftedCandles
from engine.records import as_series, freeze
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


def compute_signals(strategy: Strategy, name: str, view: StrategyView) -> "Integers":
    """Return the signals of a strategy (n_bars,) int64, read-only.

    Raises
        PluginError where they are not one of -1, 0 and +1 for each bar.
    """
    signals = as_series(strategy.signals(view), len(view.candles))
    if signals is None or not _are_signs(signals):
        message = f"the strategy {name} must return -1, 0 or +1 for each bar"
        raise PluginError(message)
    whole: Integers = signals.astype(np.int64, copy=False)
    freeze(whole)
    return whole


def _are_signs(values: Any) -> bool:
    within = values.min() >= -1 and values.max() <= 1  # false for NaN too
    return bool(within and (values.dtype.kind != "f" or (np.trunc(values) == values).all()))
