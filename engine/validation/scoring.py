"""The statistic of a replicate, p-values, and how replicates are summed up."""

import math
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.kernels import view_for
from engine.metrics import (
    REASONS as METRIC_REASONS,
    Measured,
    null,
    per_bar_returns,
    sharpe_of_returns,
)

if TYPE_CHECKING:
    from engine.records import Floats

TIE = 1e-12
MAX_BINS = 64

# Why a test gives no number, as a person reads it; also where a metric of its own is undefined.
REASONS = METRIC_REASONS | {
    "statistic_invariant": "every replicate gives the same figure",
    "no_timing": "the target weight never changes, so there is no timing to test",
    "no_trades": "nothing was traded",
    "statistic_undefined": "the statistic is not defined for this run",
    "too_few_bars": "too few bars",
    "block_longer_than_sample": "the blocks are longer than the sample",
    "replicates_undefined": "more than 5 % of the replicates are undefined",
    "return_of_minus_one": "a bar lost everything",
    "no_slippage": "no slippage is configured, and no noise_bps",
    "loses_without_costs": "it loses even without slippage",
    "above_range": "above 1,000 basis points",
    "in_sample_not_positive": "it earned nothing in sample",
}


@dataclass(frozen=True)
class Score:
    """The statistic T of per-bar returns: ``sharpe`` a year, or ``total_return``."""

    statistic: str
    rf: float
    periods: float

    def of_returns(self, returns: "Floats") -> Measured:
        """Return T of ``returns`` (m,)."""
        if not len(returns):
            return null("too_few_bars")
        if self.statistic == "total_return":
            return Measured(float(compounded(returns)[-1]) - 1.0).finite()
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is null, and says so
            return sharpe_of_returns(returns, self.rf, self.periods).finite()

    def of_equity(self, equity: "Floats", initial: float) -> Measured:
        """Return T of all per-bar returns of an equity curve (n_bars,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.of_returns(per_bar_returns(equity, initial))

    def of_curve(self, equity: "Floats", first_bar: int, kernel: ModuleType) -> Measured:
        """Return T of the returns r_t of an equity curve (n_bars,) over t > ``first_bar``."""
        if first_bar >= len(equity) - 1:
            return null("too_few_bars")
        score = float(self.of_curves(equity[None, :], first_bar, kernel)[0])
        return null("statistic_undefined") if math.isnan(score) else Measured(score)

    def of_curves(self, equity: "Floats", first_bar: int, kernel: ModuleType) -> "Floats":
        """Return T of each equity curve (rows, n_bars) over t > ``first_bar``, NaN if undefined."""
        view, rows = view_for(kernel), equity.shape[0]
        scores = np.empty(rows)
        if self.statistic == "total_return":
            kernel.total_returns(view(equity), first_bar, view(scores))
        else:
            room, root = np.empty(equity.shape[1]), math.sqrt(self.periods)
            arrays = (view(room), view(scores))
            kernel.sharpes(view(equity), first_bar, self.rf, root, math.nan, *arrays)
        scores[~np.isfinite(scores)] = math.nan
        return scores


def compounded(returns: "Floats") -> "Floats":
    """Return Π (1 + r) up to each of ``returns`` (m,); what is 0 or debt stays as it is.

    Infinite where that is beyond all numbers.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        grown: Floats = np.cumprod(1.0 + returns, dtype=np.float64)
    lost = np.flatnonzero(grown <= 0)
    if len(lost):
        grown[lost[0] :] = grown[lost[0]]
    return grown


def as_float(measured: Measured) -> float:
    """Return the value, NaN where there is none; for columns of figures only."""
    return math.nan if measured.value is None else measured.value


def p_value(observed: float, replicates: "Floats") -> Measured:
    """Return (1 + #{T_i ≥ T_obs - 1e-12 max(1, |T_obs|)}) / (n + 1), one-sided, never 0.

    ``replicates`` (n,), n ≥ 1; an undefined one (NaN) counts as 0, a tie against the strategy. Null
    ``statistic_invariant`` where all of them agree with ``observed``.
    Source: Phipson & Smyth (2010), Permutation p-values should never be zero, equation 2.
    """
    tolerance = TIE * max(1.0, abs(observed))
    counted = np.nan_to_num(replicates, nan=0.0)
    if (np.abs(counted - observed) <= tolerance).all():
        return null("statistic_invariant")
    as_good = int(np.count_nonzero(counted >= observed - tolerance))
    return Measured((1 + as_good) / (len(counted) + 1))


def chance_in_words(p: float, n: int, method: str = "bars") -> str:
    """Return how many of a permutation's ``n`` replicates were as good, which gave ``p``."""
    many = "random markets" if method == "bars" else "shifts of the position"
    as_good = round(p * (n + 1)) - 1
    share = as_good / n
    if not as_good:
        return f"none of {n:,} {many} did as well"
    if share <= 0.25:
        return f"1 in {1.0 / share:.0f} {many} did as well"
    if share < 0.95:
        return f"{10.0 * share:.0f} in 10 {many} did as well"
    return f"nearly all {many} did as well"


def p_value_error(p: float, n: int) -> float:
    """Return the Monte Carlo standard error √(p (1 - p) / n) of a p-value from n replicates."""
    return math.sqrt(p * (1.0 - p) / n)


def quantiles(values: "Floats", levels: tuple[float, ...]) -> list[float]:
    """Return quantiles of ``values`` (n,), n ≥ 1, by linear interpolation (type 7)."""
    return [float(q) for q in np.quantile(values, levels)]


def spread(values: "Floats", reason: str | None = None) -> dict[str, Any]:
    """Return mean and the 5, 50 and 95 % quantiles; null with a reason where there is no value."""
    if not len(values):
        nothing: dict[str, Any] = dict.fromkeys(("mean", "p5", "p50", "p95"))
        return nothing | {"reason": reason or "statistic_undefined"}
    p5, p50, p95 = quantiles(values, (0.05, 0.5, 0.95))
    return {"mean": float(values.mean()), "p5": p5, "p50": p50, "p95": p95}


def histogram(values: "Floats") -> dict[str, list[Any]]:
    """Return equal bins over the range of ``values``, about √n and at most 64, for drawing."""
    if not len(values):
        return {"edges": [], "counts": []}
    bins = min(MAX_BINS, math.ceil(math.sqrt(len(values))))
    low, high = float(values.min()), float(values.max())
    if not high - low > TIE * max(1.0, abs(low), abs(high)):  # too close together for bins
        return {"edges": [low - 0.5, high + 0.5], "counts": [len(values)]}
    counts, edges = np.histogram(values, bins, (low, high))
    return {"edges": edges.tolist(), "counts": counts.tolist()}
