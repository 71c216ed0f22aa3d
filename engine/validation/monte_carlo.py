"""Slippage noise: how much a result depends on what its fills cost."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import MonteCarloConfig
from engine.execution import BarLoop, Markets, Shock
from engine.metrics import Measured, null
from engine.records import CancelCheck, Candles, ValidationReport
from engine.streams import Streams
from engine.validation.replicates import in_components
from engine.validation.scoring import Score, as_float, histogram, spread
from engine.validation.test import Engine, Replicates, Subject, validation_tests

if TYPE_CHECKING:
    from engine.records import Floats

NAME = "monte_carlo"
NULL = "none: how sensitive the result is to slippage, not a test against luck"
MULTIPLES = (0, 1, 2, 3, 5)
DEAREST_BPS = 1000.0
BPS_TOLERANCE = 0.001


@dataclass(frozen=True, eq=False)
class Slipped:
    """The run's weights traded with other slippage.

    ``shock`` is without noise; a replicate multiplies fill k's slippage by exp(σ Z_k - σ² / 2).
    The Z_k belong to the replicate's number: they are the same whatever costs are tried.
    """

    candles: Candles
    weights: "Floats"
    engine: Engine
    score: Score
    shock: Shock
    seed: int

    def run(self, numbers: range, check_cancelled: CancelCheck) -> "Floats":
        """Return final return and Sharpe ratio, NaN where undefined, (len(numbers), 2)."""
        n, shock, loop = len(self.candles), self.shock, self.engine.bar_loop()
        streams = Streams(self.seed, NAME)
        # A bar has one fill, the last one perhaps a second at its close.
        noise, figures = np.empty(n + 2), np.empty((len(numbers), 2))
        for row, number in enumerate(numbers):
            with in_components(n):
                streams.replicate(number).standard_normal(out=noise)
            noisy = Shock(shock.flat, shock.multiple, shock.sigma, noise)
            figures[row] = [as_float(m) for m in self.measure(loop, noisy, check_cancelled)]
        return figures

    def measure(
        self, loop: BarLoop, shock: Shock, check_cancelled: CancelCheck
    ) -> tuple[Measured, Measured]:
        """Return total return and Sharpe ratio with another slippage."""
        equity, initial = np.empty((1, len(self.candles))), self.engine.execution.initial_cash
        market = Markets.of(self.candles)
        loop.replay(market, self.weights[None, :], equity, check_cancelled, shock)
        total = Measured(float(equity[0, -1]) / initial - 1.0).finite()
        return total, self.score.of_equity(equity[0], initial)


@validation_tests.register(NAME, MonteCarloConfig)
class MonteCarlo:
    """The result under noisy, multiplied and break-even slippage."""

    def __init__(self, params: MonteCarloConfig) -> None:
        self.params = params

    def run(self, subject: Subject, replicates: Replicates) -> ValidationReport:
        """Return the spread of results, the cost grid and the break-even slippage."""
        shock = self._shock(subject)
        reason = "no_slippage" if shock is None else None
        task = Slipped(
            candles=subject.candles,
            weights=subject.weights,
            engine=subject.engine,
            score=Score("sharpe", subject.rf, subject.periods),
            shock=shock or Shock(),
            seed=subject.seed,
        )
        figures = np.empty((0, 2)) if shock is None else replicates(task, self.params.n)
        returns = figures[:, 0][~np.isnan(figures[:, 0])]
        ratios = figures[:, 1][~np.isnan(figures[:, 1])]
        breakeven = self._breakeven(subject, task, replicates.check_cancelled)
        undefined = subject.metrics.reasons
        document = {
            "method": "log-normal noise of mean 1 on the slippage of every fill",
            "null": NULL,
            "n": self.params.n,
            "sigma": self.params.sigma,
            "statistic": "total_return",
            "observed": subject.metrics.values["total_return"],
            "base_slippage_bps": self._base_bps(subject, shock),
            "reason": reason,
            "undefined": int(np.count_nonzero(np.isnan(figures[:, 1]))),
            "total_return": spread(returns, reason or undefined.get("total_return")),
            "sharpe": spread(ratios, reason or undefined.get("sharpe")),
            "probability_of_loss": float((returns < 0).mean()) if len(returns) else None,
            "cost_grid": None
            if shock is None
            else [self._at(multiple, task, shock, replicates) for multiple in MULTIPLES],
            "breakeven_slippage_bps": breakeven.value,
            "breakeven_reason": breakeven.reason,
            "histogram": histogram(returns),
        }
        return ValidationReport(document, {"breakeven_slippage_bps": breakeven.value})

    def _shock(self, subject: Subject) -> Shock | None:
        """Return s_base with the noise's width: the configured slippage, else ``noise_bps``."""
        execution = subject.engine.execution
        if execution.slippage_bps > 0 or execution.slippage_model is not None:
            return Shock(multiple=1.0, sigma=self.params.sigma)
        if self.params.noise_bps is None:
            return None
        return Shock(flat=self.params.noise_bps / 1e4, sigma=self.params.sigma)

    def _base_bps(self, subject: Subject, shock: Shock | None) -> float | None:
        """Return the mean of s_base over the run's fills, as configured where it is the same."""
        if shock is None:
            return None
        if shock.multiple == 0:
            return self.params.noise_bps
        if subject.engine.execution.slippage_model is None:
            return subject.engine.execution.slippage_bps
        fills = subject.execution.fills
        moved = np.abs(fills.price / fills.base_price - 1.0)
        moved = moved[~fills.at_close | (moved > 0)]  # the fill that closes a ruin never slips
        return float(moved.mean()) * 1e4 if len(moved) else 0.0

    def _at(
        self, multiple: int, task: Slipped, shock: Shock, replicates: Replicates
    ) -> dict[str, Any]:
        other = Shock(shock.flat * multiple, shock.multiple * multiple)
        loop = task.engine.bar_loop()
        total, ratio = task.measure(loop, other, replicates.check_cancelled)
        return {
            "multiple": multiple,
            "total_return": total.value,
            "sharpe": ratio.value,
            "reason": total.reason or ratio.reason,
        }

    def _breakeven(self, subject: Subject, task: Slipped, check_cancelled: CancelCheck) -> Measured:
        if not len(subject.execution.fills):
            return null("no_trades")

        loop = task.engine.bar_loop()

        def total_return(bps: float) -> float:
            return as_float(task.measure(loop, Shock(flat=bps / 1e4), check_cancelled)[0])

        return breakeven(total_return)


def breakeven(total_return: Callable[[float], float]) -> Measured:
    """Return the slippage in basis points at which ``total_return`` is 0, to 0.001.

    Null ``loses_without_costs`` where it is below 0 without any slippage, ``above_range`` where it
    is above 0 at 1,000 basis points still.
    """
    free, dearest = total_return(0.0), total_return(DEAREST_BPS)
    if math.isnan(free) or math.isnan(dearest):
        return null("statistic_undefined")
    if free < 0:
        return null("loses_without_costs")
    if dearest > 0:
        return null("above_range")
    low, high = 0.0, DEAREST_BPS
    while high - low > BPS_TOLERANCE:
        middle = (low + high) / 2.0
        if total_return(middle) >= 0:
            low = middle
        else:
            high = middle
    return Measured((low + high) / 2.0)
