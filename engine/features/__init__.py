"""Features: indicators over candles, each shifted by one bar on its way to a strategy."""

from engine.features import talib_adapter as _talib_adapter  # registers what it adapts
from engine.features.indicator import (
    Feature,
    FeatureSpec,
    IndicatorInput,
    ShiftedCandles,
    build_feature,
    compute_features,
    first_defined_bar,
    indicators,
    shift,
)
from engine.features.volatility import rolling_mean_std

__all__ = [
    "Feature",
    "FeatureSpec",
    "IndicatorInput",
    "ShiftedCandles",
    "build_feature",
    "compute_features",
    "first_defined_bar",
    "indicators",
    "rolling_mean_std",
    "shift",
]
del _talib_adapter
