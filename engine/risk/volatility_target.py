"""Larger when the market is calm, smaller when it is not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from engine.features import FeatureSpec
from engine.registry import Params
from engine.risk.fixed_fraction import MAX_LEVERAGE
from engine.risk.sizing import SizingView, sizing_models

if TYPE_CHECKING:
    from engine.records import Floats


class VolatilityTargetParams(Params):
    """Parameters of the volatility target; volatilities are annual fractions."""

    target_vol: float = Field(0.15, gt=0, le=100, description="annual volatility to aim at")
    lookback: int = Field(20, ge=2, le=100_000, description="window of the estimate, in bars")
    base_fraction: float = Field(1.0, gt=0, le=100, description="scales every size")
    min_vol: float = Field(0.01, gt=0, le=100, description="lowest volatility to divide by")
    max_leverage: float = Field(1.0, gt=0, le=MAX_LEVERAGE, description="largest |weight|")


@sizing_models.register("volatility_target", VolatilityTargetParams)
class VolatilityTarget:
    """Scales the position so that its volatility meets a target."""

    def __init__(self, params: VolatilityTargetParams) -> None:
        self.params = params

    def features(self) -> Sequence[FeatureSpec]:
        """Return the realised volatility over the lookback."""
        return [FeatureSpec("realized_vol", {"length": self.params.lookback})]

    def sizes(self, view: SizingView) -> "Floats":
        """Return min(max_leverage, base_fraction target_vol / max(vol, min_vol)); null is 0."""
        p = self.params
        vol = view.features[f"realized_vol_{p.lookback}"]
        with np.errstate(over="ignore"):  # infinite is capped like any other
            sizes = p.base_fraction * p.target_vol / np.maximum(vol, p.min_vol)
        sizes = np.minimum(p.max_leverage, sizes)
        return np.where(np.isnan(vol), 0.0, sizes)
