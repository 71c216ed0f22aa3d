"""Walk-forward: whether what was earned was earned throughout.

Nothing is fitted, so an in-sample stretch is only what came before; it is a check of stability.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import WalkForwardConfig
from engine.metrics import Measured, null, per_bar_returns
from engine.records import Candles, ValidationReport
from engine.validation.scoring import Score, compounded, histogram
from engine.validation.test import Replicates, Subject, validation_tests

if TYPE_CHECKING:
    from engine.records import Floats

NAME = "walk_forward"
NULL = "none: whether the result held in time, not a test against luck"
NOTE = "nothing is fitted in sample; the check is of stability in time"


@dataclass(frozen=True)
class Fold:
    """Bars [start, end) of a stretch before, and of the one that follows it."""

    in_sample: tuple[int, int]
    out_of_sample: tuple[int, int]


def folds_of(
    n_bars: int, first_bar: int, folds: int, in_sample_folds: int, *, anchored: bool
) -> list[Fold]:
    """Return the folds over bars ``first_bar`` + 1 … ``n_bars`` - 1, oldest first.

    e_j = w + 1 + ⌊j M / (folds + k)⌋, M = N - (w + 1); fold i is out of sample on
    [e_{k+i-1}, e_{k+i}), in sample on [e_{i-1}, e_{k+i-1}), or from e_0 on where ``anchored``.
    """
    begin, k = first_bar + 1, in_sample_folds
    scored = n_bars - begin
    edges = [begin + j * scored // (folds + k) for j in range(folds + k + 1)]
    return [
        Fold((edges[0 if anchored else i], edges[k + i]), (edges[k + i], edges[k + i + 1]))
        for i in range(folds)
    ]


@dataclass(frozen=True, eq=False)
class Segment:
    """A fresh run over bars [start, end), flattened at the end; what is kept of it."""

    start: int
    end: int
    mean_return: float
    total_return: float
    sharpe: Measured
    trade_count: int

    def document(self, candles: Candles) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "start": self.start,
            "end": self.end,
            "first_ts": int(candles.ts[self.start]),
            "last_ts": int(candles.ts[self.end - 1]),
            "total_return": self.total_return,
            "sharpe": self.sharpe.value,
            "reason": self.sharpe.reason,
            "trade_count": self.trade_count,
        }


@validation_tests.register(NAME, WalkForwardConfig)
class WalkForward:
    """Consecutive stretches, each traded afresh: whether the result held through time."""

    def __init__(self, params: WalkForwardConfig) -> None:
        self.params = params

    def run(self, subject: Subject, replicates: Replicates) -> ValidationReport:
        """Return every fold's figures, the stitched curve and how the folds compare."""
        params = self.params
        folds = folds_of(
            len(subject.candles),
            subject.first_bar,
            params.folds,
            params.in_sample_folds,
            anchored=params.anchored,
        )
        document: dict[str, Any] = {
            "method": f"{'anchored' if params.anchored else 'rolling'} walk-forward",
            "null": NULL,
            "note": NOTE,
            "n": params.folds,
            "statistic": "sharpe",
            "in_sample_folds": params.in_sample_folds,
            "anchored": params.anchored,
        }
        if any(end - start < 2 for fold in folds for start, end in _stretches(fold)):
            nothing = dict.fromkeys(("observed", "stitched", "positive_folds", "sharpe_decay"))
            document |= nothing | {"folds": [], "efficiency": None, "reason": "too_few_bars"}
            document["histogram"] = histogram(np.empty(0))
            return ValidationReport(document, {"walk_forward_sharpe": None})
        pairs, stretches = [], []
        for done, fold in enumerate(folds, 1):
            before, _ = self._segment(subject, *fold.in_sample, replicates)
            after, returns = self._segment(subject, *fold.out_of_sample, replicates)
            pairs.append((before, after))
            stretches.append(returns)
            replicates.report(done, params.folds)
        document["folds"] = [
            {"in_sample": b.document(subject.candles), "out_of_sample": a.document(subject.candles)}
            for b, a in pairs
        ]
        stitched = np.concatenate(stretches)
        score = _score(subject)
        ratio = score.of_returns(stitched)
        with np.errstate(over="ignore"):  # what overflows is null, and says so
            equity = compounded(stitched) * subject.initial_cash
        total = Measured(float(equity[-1]) / subject.initial_cash - 1.0).finite()
        outcomes = np.array([after.total_return for _, after in pairs])
        efficiency = _efficiency(pairs, subject.periods)
        document |= {
            "observed": ratio.value,
            "reason": ratio.reason,
            "stitched": {"total_return": total.value, "sharpe": ratio.value},
            "positive_folds": float((outcomes > 0).mean()),
            "sharpe_decay": _decay(pairs),
            "efficiency": efficiency.value,
            "efficiency_reason": efficiency.reason,
            "histogram": histogram(outcomes),
        }
        headline = {"walk_forward_sharpe": ratio.value}
        if total.reason is not None:
            document["stitched"]["total_return_reason"] = total.reason
            return ValidationReport(document, headline)
        bars = np.arange(pairs[0][1].start, pairs[-1][1].end, dtype=np.int64)
        return ValidationReport(document, headline, curve=(bars, equity))

    def _segment(
        self, subject: Subject, start: int, end: int, replicates: Replicates
    ) -> "tuple[Segment, Floats]":
        replicates.check_cancelled()
        part = subject.candles.part(slice(start, end))
        execution = subject.engine.simulate(part, subject.weights[start:end], flatten=True)
        equity, initial = execution.curve.equity, subject.initial_cash
        returns = per_bar_returns(equity, initial)
        segment = Segment(
            start=start,
            end=end,
            mean_return=float(returns.mean()),
            total_return=float(equity[-1]) / initial - 1.0,
            sharpe=_score(subject).of_returns(returns),
            trade_count=int(np.count_nonzero(~execution.trades.open)),
        )
        return segment, returns


def _stretches(fold: Fold) -> tuple[tuple[int, int], tuple[int, int]]:
    return fold.in_sample, fold.out_of_sample


def _score(subject: Subject) -> Score:
    return Score("sharpe", subject.rf, subject.periods)


def _decay(pairs: list[tuple[Segment, Segment]]) -> dict[str, Any]:
    """Return the mean change of the Sharpe ratio out of sample, over folds that have both."""
    changes = [
        after.sharpe.value - before.sharpe.value
        for before, after in pairs
        if after.sharpe.value is not None and before.sharpe.value is not None
    ]
    said: dict[str, Any] = {"value": None, "standard_error": None, "label": "indicative"}
    said |= {"folds": len(changes), "reason": None if len(changes) > 1 else "statistic_undefined"}
    if changes:
        said["value"] = _total(changes) / len(changes)
    if len(changes) >= 2:
        spread = float(np.std(changes, ddof=1))
        said["standard_error"] = spread / math.sqrt(len(changes))
    return said


def _efficiency(pairs: list[tuple[Segment, Segment]], periods: float) -> Measured:
    """Return Σ out-of-sample mean(r) P / Σ in-sample mean(r) P."""
    before = _total(segment.mean_return * periods for segment, _ in pairs)
    after = _total(segment.mean_return * periods for _, segment in pairs)
    return null("in_sample_not_positive") if before <= 0 else Measured(after / before).finite()


def _total(values: Iterable[float]) -> float:
    """Return a sum, rounded after each addition as ever: Python's own rounds less from 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total
