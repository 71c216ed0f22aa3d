"""The baseline: long above, short or flat below, two moving averages of the close."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from engine.blocks import blocks
from engine.features import FeatureSpec
from engine.registry import Params
from engine.strategy.strategy import StrategyView, strategies

if TYPE_CHECKING:
    from engine.records import Integers

# Two running sums of the same prices differ in their last bits; that is not a crossing.
ROUNDING = 1e-9


class DualSmaParams(Params):
    """Parameters of the dual moving average."""

    fast: int = Field(20, ge=1, le=100_000, description="window of the fast average, in bars")
    slow: int = Field(50, ge=2, le=100_000, description="window of the slow average, in bars")
    threshold_bp: float = Field(
        0.0, ge=0, lt=10_000, description="how far apart the averages must be, in basis points"
    )
    long_only: bool = Field(default=False, description="flat instead of short")

    @field_validator("slow")
    @classmethod
    def _slower(cls, slow: int, info: ValidationInfo) -> int:
        fast = info.data.get("fast")
        if fast is not None and slow <= fast:
            message = f"must be greater than fast ({fast})"
            raise ValueError(message)
        return slow


@strategies.register("dual_sma", DualSmaParams)
class DualSma:
    """Long while the fast moving average is above the slow one, short (or flat) below."""

    def __init__(self, params: DualSmaParams) -> None:
        self.params = params

    def features(self) -> Sequence[FeatureSpec]:
        """Return the two moving averages."""
        return [FeatureSpec("sma", {"timeperiod": n}) for n in (self.params.fast, self.params.slow)]

    def signals(self, view: StrategyView) -> "Integers":
        """Return the last crossing's side at each bar, 0 before the first.

        +1 where fast > slow (1 + k)(1 + 1e-9), -1 (or 0) where fast < slow (1 - k)(1 - 1e-9),
        k = threshold_bp / 1e4; between the two the signal before it stays.
        """
        fast = view.features[f"sma_{self.params.fast}"]
        slow = view.features[f"sma_{self.params.slow}"]
        k = self.params.threshold_bp / 1e4
        signals = np.empty(len(fast), dtype=np.int64)
        held = np.empty(len(fast), dtype=np.bool_)
        for part in blocks(len(fast)):
            quick, slowly = fast[part], slow[part]
            upper = (slowly * (1 + k) if k else slowly) * (1 + ROUNDING)
            lower = (slowly * (1 - k) if k else slowly) * (1 - ROUNDING)
            above, below = quick > upper, quick < lower
            if self.params.long_only:
                signals[part] = above
            else:
                np.subtract(above.view(np.int8), below.view(np.int8), out=signals[part])
            np.logical_and(quick <= upper, quick >= lower, out=held[part])  # false for null
        if not held.any():  # the usual case
            return signals
        bars = np.arange(len(fast))
        last_decided = np.maximum.accumulate(np.where(held, 0, bars))
        carried: Integers = signals[last_decided]
        return carried
