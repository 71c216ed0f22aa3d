"""Sizing: signals in, target weights (signed fractions of equity) out."""

from engine.risk import (  # they register
    fixed_fraction as _fixed_fraction,
    kelly_fraction as _kelly_fraction,
    volatility_target as _volatility_target,
)
from engine.risk.sizing import Sizing, SizingView, sizing_models, target_weights

__all__ = ["Sizing", "SizingView", "sizing_models", "target_weights"]
del _fixed_fraction, _kelly_fraction, _volatility_target
