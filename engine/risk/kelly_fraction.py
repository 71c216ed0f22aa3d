"""A fraction of the growth-optimal bet."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from engine.features import FeatureSpec, rolling_mean_std
from engine.registry import Params
from engine.risk.fixed_fraction import MAX_LEVERAGE
from engine.risk.sizing import SizingView, sizing_models

if TYPE_CHECKING:
    from engine.records import Floats


class KellyFractionParams(Params):
    """Parameters of the Kelly fraction."""

    mode: Literal["fixed", "rolling"] = Field("fixed", description="assumed odds, or measured ones")
    base_fraction: float = Field(0.5, gt=0, le=100, description="share of the full Kelly bet")
    p_win: float = Field(0.55, ge=0, le=1, description="fixed: probability of a win")
    payoff_ratio: float = Field(1.0, gt=0, le=1e6, description="fixed: mean win over mean loss")
    lookback: int = Field(252, ge=2, le=100_000, description="rolling: window in bars")
    max_leverage: float = Field(1.0, gt=0, le=MAX_LEVERAGE, description="largest |weight|")


@sizing_models.register("kelly_fraction", KellyFractionParams)
class KellyFraction:
    """A fraction of the Kelly bet, from assumed odds or from the strategy's own past returns."""

    def __init__(self, params: KellyFractionParams) -> None:
        self.params = params

    def features(self) -> Sequence[FeatureSpec]:
        """Return nothing: the closes it reads reach it shifted."""
        return []

    def sizes(self, view: SizingView) -> "Floats":
        """Return clip(base_fraction f, 0, max_leverage); null is 0.

        fixed: f = p_win - (1 - p_win) / payoff_ratio (Kelly 1956).
        rolling: f = mean / variance (ddof 1) of the strategy's own unlevered returns over the
        last ``lookback`` bars known (Thorp 2006); null where they are all equal.
        """
        p = self.params
        if p.mode == "fixed":
            fraction = np.full(len(view.signals), p.p_win - (1 - p.p_win) / p.payoff_ratio)
        else:
            fraction = self._rolling(view)
        return np.where(
            np.isnan(fraction), 0.0, np.clip(p.base_fraction * fraction, 0.0, p.max_leverage)
        )

    def _rolling(self, view: SizingView) -> "Floats":
        n = len(view.signals)
        close = view.candles.close  # close[t] is that of bar t - 1
        fraction = np.full(n, np.nan)
        # known[t] is the return that the signal of bar t - 2 earned over bar t - 1.
        start = view.first_bar + 2
        if start >= n:
            return fraction
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is null
            known = view.signals[start - 2 : n - 2] * (close[start:] / close[start - 1 : -1] - 1.0)
            mean, std = rolling_mean_std(known, self.params.lookback, view.check_cancelled)
            varies = std > 0
            fraction[start:][varies] = mean[varies] / (std[varies] * std[varies])
        return fraction
