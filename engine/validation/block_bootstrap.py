"""Block bootstrap: how wide the honest interval around a result is."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import BlockBootstrapConfig
from engine.kernels import is_compiled
from engine.metrics import Measured, null, per_bar_returns
from engine.records import CancelCheck, ValidationReport
from engine.streams import Streams
from engine.validation.block_length import optimal_block_lengths
from engine.validation.market import load_kernel
from engine.validation.replicates import batch_rows, in_components, portions
from engine.validation.resampling import Resampler, Scheme, sharpe_and_error
from engine.validation.scoring import histogram, quantiles, spread
from engine.validation.test import Replicates, Subject, validation_tests

if TYPE_CHECKING:
    from engine.records import Floats

NAME = "block_bootstrap"
NULL = "none: an interval for what was earned, not a test against luck"
MAX_UNDEFINED = 0.05
BAND = (0.05, 0.5, 0.95)
BAND_LABEL = "resampling band, not a confidence interval"


@dataclass(frozen=True, eq=False)
class ResampledReturns:
    """Replicates: the run's own per-bar returns in blocks, in another order, with repetitions.

    ``log_returns`` is None where a bar lost everything.
    """

    scheme: Scheme
    returns: "Floats"
    log_returns: "Floats | None"
    rf: float
    seed: int
    choice: str

    def run(self, numbers: range, check_cancelled: CancelCheck) -> "Floats":
        """Return S*, SE*, mean log return and maximum drawdown, (len(numbers), 4)."""
        n, figures = len(self.returns), np.empty((len(numbers), 4))
        kernel = load_kernel(self.choice)
        size = min(len(numbers), batch_rows(n)) if is_compiled(kernel) else 1
        room = Resampler(self.scheme, size, kernel)
        streams = Streams(self.seed, NAME)
        logs = np.empty(0) if self.log_returns is None else self.log_returns
        for part in portions(len(numbers), size):
            check_cancelled()
            with in_components(n):
                for row, i in enumerate(part):
                    streams.replicate(numbers[i]).random(out=room.uniforms[row])
            room.measure(self.returns, logs, self.rf, figures[part.start : part.stop])
        return figures


def log_returns(returns: "Floats", check_cancelled: CancelCheck) -> "Floats":
    """Return log(1 + r) of ``returns`` (n,) > -1, by the scalar function, as everywhere."""
    logs = np.empty(len(returns))
    for part in portions(len(returns), 1 << 16):
        check_cancelled()
        inside = slice(part.start, part.stop)
        logs[inside] = [math.log1p(r) for r in returns[inside].tolist()]
    return logs


@validation_tests.register(NAME, BlockBootstrapConfig)
class BlockBootstrap:
    """Intervals for Sharpe ratio, return and drawdown, from the returns resampled in blocks."""

    def __init__(self, params: BlockBootstrapConfig) -> None:
        self.params = params

    def run(self, subject: Subject, replicates: Replicates) -> ValidationReport:
        """Return the intervals; each is null with a reason where it is not defined."""
        returns = per_bar_returns(subject.execution.curve.equity, subject.initial_cash)
        length = self._length(returns, replicates.check_cancelled)
        figures, reason = np.empty((0, 4)), None
        choice = subject.engine.choice
        if len(returns) < 2:
            reason = "too_few_bars"
        elif length > len(returns):
            reason = "block_longer_than_sample"
        else:
            logs = None
            if returns.min() > -1.0:
                logs = log_returns(returns, replicates.check_cancelled)
            scheme = Scheme(self.params.scheme, length, len(returns))
            task = ResampledReturns(scheme, returns, logs, subject.rf, subject.seed, choice)
            figures = replicates(task, self.params.n)
        annual = math.sqrt(subject.periods) * math.sqrt((len(returns) - 1) / len(returns))
        ratios = figures[:, 0][~np.isnan(figures[:, 0])] * annual
        sharpe = self._sharpe(subject, returns, figures, annual, reason)
        document = {
            "method": f"{self.params.scheme} block bootstrap of all per-bar returns",
            "null": NULL,
            "scheme": self.params.scheme,
            "block_length": length,
            "n": self.params.n,
            "confidence": self.params.confidence,
            "statistic": "sharpe",
            "observed": sharpe["estimate"],
            "reason": sharpe["reason"],
            "sharpe": sharpe,
            "total_return": self._total_return(subject, returns, figures[:, 2], reason),
            "max_drawdown": _max_drawdown(subject, figures[:, 3], reason),
            "replicates": spread(ratios, sharpe["reason"]),
            "histogram": histogram(ratios),
        }
        return ValidationReport(document, {"sharpe_interval": sharpe["studentized"]})

    def _length(self, returns: "Floats", check_cancelled: CancelCheck) -> float:
        length = self.params.block_length
        if length is None:
            lengths = optimal_block_lengths(returns, check_cancelled)
            length = lengths.circular
            if self.params.scheme == "stationary":
                length = lengths.stationary
        if self.params.scheme != "stationary":
            length = max(1.0, math.floor(length + 0.5))
        return float(length)

    def _levels(self) -> tuple[float, float]:
        alpha = 1.0 - self.params.confidence
        return alpha / 2.0, 1.0 - alpha / 2.0

    def _sharpe(
        self,
        subject: Subject,
        returns: "Floats",
        figures: "Floats",
        annual: float,
        reason: str | None,
    ) -> dict[str, Any]:
        estimate = subject.metrics.values["sharpe"]
        undefined = int(np.count_nonzero(np.isnan(figures[:, 0])))
        said = {"estimate": estimate, "studentized": None, "percentile": None}
        said |= {"undefined": undefined, "reason": reason}
        if reason:
            return said
        if estimate is None:
            return said | {"reason": subject.metrics.reasons["sharpe"]}
        kernel = load_kernel(subject.engine.choice)
        ratio, error = sharpe_and_error(returns - subject.rf, kernel)
        if math.isnan(error):
            return said | {"reason": "statistic_undefined"}
        if undefined > MAX_UNDEFINED * self.params.n:
            return said | {"reason": "replicates_undefined"}
        defined = figures[~np.isnan(figures[:, 0])]
        low, high = quantiles((defined[:, 0] - ratio) / defined[:, 1], self._levels())
        percentile = [q * annual for q in quantiles(defined[:, 0], self._levels())]
        studentized = [(ratio - q * error) * annual for q in (high, low)]
        return said | {"studentized": studentized, "percentile": percentile}

    def _total_return(
        self, subject: Subject, returns: "Floats", mean_logs: "Floats", reason: str | None
    ) -> dict[str, Any]:
        said: dict[str, Any] = {"estimate": subject.metrics.values["total_return"]}
        if reason is None and returns.min() <= -1.0:
            reason = "return_of_minus_one"
        if reason:
            return said | {"interval": None, "reason": reason}
        ends = [_grown(len(returns) * q) for q in quantiles(mean_logs, self._levels())]
        reason = next((end.reason for end in ends if end.reason), None)
        interval = None if reason else [end.value for end in ends]
        return said | {"interval": interval, "reason": reason}


def _grown(log_return: float) -> Measured:
    try:
        return Measured(math.exp(log_return) - 1.0)
    except OverflowError:
        return null("overflow")


def _max_drawdown(subject: Subject, values: "Floats", reason: str | None) -> dict[str, Any]:
    said = {"estimate": subject.metrics.values["max_drawdown"], "label": BAND_LABEL}
    if reason is None and np.isnan(values).any():
        reason = "overflow"
    band = None if reason else quantiles(values, BAND)
    return said | {"band": band, "reason": reason}
