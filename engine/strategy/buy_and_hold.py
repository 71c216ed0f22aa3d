"""Long from the first bar on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.features import FeatureSpec
from engine.registry import Params
from engine.strategy.strategy import StrategyView, strategies

if TYPE_CHECKING:
    from engine.records import Integers


class BuyAndHoldParams(Params):
    """No parameters."""


@strategies.register("buy_and_hold", BuyAndHoldParams)
class BuyAndHold:
    """Long from bar 0 to the end."""

    def __init__(self, params: BuyAndHoldParams) -> None:
        self.params = params

    def features(self) -> Sequence[FeatureSpec]:
        """Return nothing: it looks at nothing."""
        return []

    def signals(self, view: StrategyView) -> "Integers":
        """Return +1 for every bar."""
        return np.ones(len(view.candles), dtype=np.int64)
