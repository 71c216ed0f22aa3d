"""Realised volatility, and the rolling moments that it and the sizing models share."""

import math
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from engine.features.indicator import IndicatorInput, indicators
from engine.records import CancelCheck, never_cancelled
from engine.registry import Params

if TYPE_CHECKING:
    from engine.records import Floats

CHUNK_VALUES = 1 << 18


def rolling_mean_std(
    series: "Floats", length: int, check_cancelled: CancelCheck = never_cancelled
) -> "tuple[Floats, Floats]":
    """Return mean and sample standard deviation (ddof 1) of each window of ``length`` values.

    Both (n,), NaN before the first full window. Each window is summed afresh, so no rounding is
    carried from one to the next; exactly 0 deviation where a window holds one value only.
    """
    n = len(series)
    mean = np.full(n, np.nan)
    std = np.full(n, np.nan)
    if n < length:
        return mean, std
    windows = np.lib.stride_tricks.sliding_window_view(series, length)
    step = max(1, CHUNK_VALUES // length)
    for start in range(0, len(windows), step):
        check_cancelled()
        # A contiguous copy: on overlapping windows numpy may sum in another order.
        chunk = np.ascontiguousarray(windows[start : start + step])
        out = slice(start + length - 1, start + length - 1 + len(chunk))
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is null
            mean[out] = chunk.mean(axis=1)
            spread = chunk.std(axis=1, ddof=1)
        spread[chunk.max(axis=1) == chunk.min(axis=1)] = 0.0
        std[out] = spread
    return mean, std


class RealizedVolParams(Params):
    """Parameters of the realised volatility."""

    length: int = Field(20, ge=2, le=100_000, description="window in bars")


@indicators.register("realized_vol", RealizedVolParams)
class RealizedVol:
    """Annualised standard deviation of simple close returns over the last bars."""

    needs_volume = False

    def __init__(self, params: RealizedVolParams) -> None:
        self.params = params

    def compute(self, inputs: IndicatorInput) -> "dict[str, Floats]":
        """Return std(r, ddof 1) over ``length`` bars times the square root of bars per year."""
        close = inputs.candles.close
        volatility = np.full(len(close), np.nan)
        with np.errstate(over="ignore"):  # what is infinite makes the window null
            returns = close[1:] / close[:-1] - 1.0
        _, std = rolling_mean_std(returns, self.params.length, inputs.check_cancelled)
        volatility[1:] = std * math.sqrt(inputs.periods_per_year)
        return {"": volatility}
