"""The same fraction of equity for every signal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from engine.features import FeatureSpec
from engine.registry import Params
from engine.risk.sizing import SizingView, sizing_models

if TYPE_CHECKING:
    from engine.records import Floats

MAX_LEVERAGE = 100.0


class FixedFractionParams(Params):
    """Parameters of the fixed fraction."""

    max_leverage: float = Field(1.0, gt=0, le=MAX_LEVERAGE, description="largest |weight|")
    fraction: float = Field(
        0.95, gt=0, le=MAX_LEVERAGE, description="fraction of equity, at most max_leverage"
    )

    @field_validator("fraction")
    @classmethod
    def _within_leverage(cls, fraction: float, info: ValidationInfo) -> float:
        cap = info.data.get("max_leverage")
        if cap is not None and fraction > cap:
            message = f"must be at most max_leverage ({cap:g})"
            raise ValueError(message)
        return fraction


@sizing_models.register("fixed_fraction", FixedFractionParams)
class FixedFraction:
    """A fixed fraction of equity."""

    def __init__(self, params: FixedFractionParams) -> None:
        self.params = params

    def features(self) -> Sequence[FeatureSpec]:
        """Return nothing: the size does not depend on the market."""
        return []

    def sizes(self, view: SizingView) -> "Floats":
        """Return ``fraction`` for every bar."""
        return np.broadcast_to(np.float64(self.params.fraction), view.signals.shape)
