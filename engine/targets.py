"""From candles to target weights: features, signals and sizing in one pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.caches import BoundedCache
from engine.features import (
    IndicatorInput,
    ShiftedCandles,
    compute_features,
    first_defined_bar,
)
from engine.plan import RunPlan
from engine.risk import SizingView, target_weights
from engine.strategy import StrategyView, compute_signals

if TYPE_CHECKING:
    from engine.records import Floats, Integers


@dataclass(frozen=True, eq=False)
class Targets:
    """What the first stages make of candles.

    ``kept`` are the configured features by column, ``read`` those that strategy and sizing look at,
    each (n_bars,), shifted; ``signals`` −1, 0, 1 and ``weights`` in equity (n_bars,), both decided
    at the bar's close.
    """

    kept: "Mapping[str, Floats]"
    read: "Mapping[str, Floats]"
    signals: "Integers"
    weights: "Floats"

    @property
    def first_bar(self) -> int:
        """Return the first bar at which every feature that is read is defined."""
        return first_defined_bar(self.read.values(), len(self.weights))

    def too_late(self) -> list[str]:
        """Return the features that are read and undefined wherever an order could still fill."""
        return [name for name, column in self.read.items() if np.isnan(column[:-1]).all()]

    def series(self) -> "dict[str, Any]":
        """Return every series by a name that a person understands."""
        features = {f"the feature {name}": x for name, x in {**self.kept, **self.read}.items()}
        return features | {"the signal": self.signals, "the target weight": self.weights}


def compute_targets(
    plan: RunPlan,
    inputs: IndicatorInput,
    *,
    cache: BoundedCache | None = None,
    digest: str = "",
    begin: Callable[[str], None] = lambda _: None,
) -> Targets:
    """Return features, signals and weights of candles; ``begin`` is told of each stage."""
    candles = inputs.candles
    begin("feature_compute")
    kept, for_strategy, for_sizing = (
        compute_features(features, inputs, inputs.check_cancelled, cache, digest)
        for features in (plan.kept, plan.strategy_features, plan.sizing_features)
    )
    begin("strategy")
    shifted = ShiftedCandles(candles)
    view = StrategyView(for_strategy, shifted)
    signals = compute_signals(plan.strategy, plan.config.strategy.name, view)
    begin("risk_sizing")
    first_bar = first_defined_bar(for_strategy.values(), len(candles))
    sizing_view = SizingView(signals, for_sizing, shifted, first_bar, inputs.check_cancelled)
    weights = target_weights(plan.sizing, sizing_view, plan.config.risk.name)
    return Targets(kept, for_strategy | for_sizing, signals, weights)
