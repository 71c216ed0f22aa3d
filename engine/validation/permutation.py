"""Permutation: whether a market without order in its moves would have done as well."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from engine.config import PermutationConfig
from engine.data import is_all_week, local_days
from engine.execution import Markets
from engine.metrics import Measured, null
from engine.records import CancelCheck, RunWarning, ValidationReport
from engine.streams import Streams, generator
from engine.validation.market import (
    Market,
    PermutedMarkets,
    Shuffle,
    is_intraday,
    load_kernel,
    slots_of,
)
from engine.validation.replicates import batch_rows, in_components, portions
from engine.validation.scoring import (
    Score,
    as_float,
    histogram,
    p_value,
    p_value_error,
    spread,
)
from engine.validation.test import Engine, Replicates, Subject, validation_tests

if TYPE_CHECKING:
    from engine.records import Booleans, Floats

NAME = "permutation"
NULLS = {
    "bars": "the order of price moves carries no information",
    "shift": "the position's timing is unrelated to the price moves it meets",
}
SHIFT_NOTE = (
    "approximate: not valid for signals computed from the same prices, "
    "and it hardly ever rejects for slow rules"
)


@dataclass(frozen=True, eq=False)
class PermutedBars:
    """Replicates: the moves in another order, and the whole engine over the market they make."""

    market: Market
    shuffle: Shuffle
    engine: Engine
    score: Score
    first_bar: int
    seed: int
    rooms: "list[_Room]" = field(default_factory=list)

    @classmethod
    def of(cls, subject: Subject, score: Score) -> Self:
        """Return the task for a run."""
        slots = slots_of(subject.candles, subject.calendar)[subject.first_bar + 1 :]
        return cls(
            market=Market(subject.candles, subject.first_bar),
            shuffle=Shuffle.within(slots),
            engine=subject.engine,
            score=score,
            first_bar=subject.first_bar,
            seed=subject.seed,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return the task without its rooms, which are made where it runs."""
        return {**self.__dict__, "rooms": []}

    def run(self, numbers: range, check_cancelled: CancelCheck) -> "Floats":
        """Return T_i of each replicate, NaN where it is undefined, (len(numbers), 1)."""
        try:
            room = self.rooms.pop()
        except IndexError:
            room = _Room(self, len(numbers))
        scores = np.empty(len(numbers))
        for part in portions(len(numbers), room.rows):
            batch = numbers[part.start : part.stop]
            scores[part.start : part.stop] = self._scores(batch, room, check_cancelled)
        self.rooms.append(room)
        return scores[:, None]

    def _scores(self, numbers: range, room: "_Room", check_cancelled: CancelCheck) -> "Floats":
        """Return T_i of a few replicates; Python works in turns, the kernels all at once."""
        rows, turn = len(numbers), in_components(len(self.market.candles))
        uniforms, weights, equity = (x[:rows] for x in (room.uniforms, room.weights, room.equity))
        with turn:
            for row, number in enumerate(numbers):
                room.streams.replicate(number).random(out=uniforms[row])
        choice = room.loop.choice
        self.shuffle.draw(room.uniforms, room.orders, rows, choice, check_cancelled)
        room.permuted.rebuild(room.orders, rows, check_cancelled)
        markets = room.permuted.markets.first(rows)
        usable = _usable(markets)
        with turn:
            for row, candles in enumerate(markets.rows):
                check_cancelled()
                weights[row] = self.engine.weights(candles, check_cancelled) if usable[row] else 0.0
        room.loop.replay(markets, weights, equity, check_cancelled)
        scores = self.score.of_curves(equity, self.first_bar, room.kernel)
        scores[~usable] = math.nan
        return scores


class _Room:
    """What one thread works in, again and again: new memory would cost more than to fill it."""

    def __init__(self, task: PermutedBars, n: int) -> None:
        market = task.market
        n_bars, n_moves = len(market.candles), market.n_moves
        self.rows = rows = min(n, batch_rows(n_bars))
        self.streams = Streams(task.seed, NAME)
        self.loop = task.engine.bar_loop()
        self.kernel = load_kernel(self.loop.choice)
        self.permuted = PermutedMarkets(market, rows, self.loop.choice)
        # Weights and equity take the place of the random numbers once those are used up.
        shared = np.zeros(2 * rows * n_bars)
        self.uniforms = shared[: 2 * rows * n_moves].reshape(rows, 2 * n_moves)
        self.weights, self.equity = shared.reshape(2, rows, n_bars)
        gaps, bars = (np.empty((rows, n_moves), dtype=np.int64) for _ in range(2))
        self.orders = (gaps, bars)


def _usable(markets: Markets) -> "Booleans":
    """Tell which permuted markets have stayed within the finite numbers."""
    low, high = (
        x.reshape(len(markets.rows), -1) for x in (markets.joined.low, markets.joined.high)
    )
    inside: Booleans = (low.min(axis=1) > 0) & (high.max(axis=1) < math.inf)
    return inside


@dataclass(frozen=True, eq=False)
class ShiftedExposure:
    """Replicates: the exposure v moved along the market in a circle, without costs."""

    exposure: "Floats"
    moves: "Floats"
    score: Score
    seed: int

    @classmethod
    def of(cls, subject: Subject, score: Score) -> Self:
        """Return the task for a run: v_t = pos_t C_t / E_t at t = w … N - 2, 0 where E_t ≤ 0."""
        held = slice(subject.first_bar, -1)
        close, curve = subject.candles.close, subject.execution.curve
        value, equity = curve.position[held] * close[held], curve.equity[held]
        exposure = np.divide(value, equity, out=np.zeros(len(value)), where=equity > 0)
        return cls(exposure, close[held.start + 1 :] / close[held] - 1.0, score, subject.seed)

    def observed(self) -> Measured:
        """Return T of the exposure where it was."""
        return self.score.of_returns(self.exposure * self.moves)

    def run(self, numbers: range, check_cancelled: CancelCheck) -> "Floats":
        """Return T_i of each replicate, NaN where it is undefined, (len(numbers), 1)."""
        scores = np.empty((len(numbers), 1))
        for row, number in enumerate(numbers):
            check_cancelled()
            offset = int(generator(self.seed, NAME, number).integers(1, len(self.moves)))
            returns = np.roll(self.exposure, offset) * self.moves
            scores[row] = as_float(self.score.of_returns(returns))
        return scores


@validation_tests.register(NAME, PermutationConfig)
class Permutation:
    """How often a market with the same moves in random order did as well."""

    def __init__(self, params: PermutationConfig) -> None:
        self.params = params

    def run(self, subject: Subject, replicates: Replicates) -> ValidationReport:
        """Return observed statistic, p-value and replicates; null where there is no timing."""
        score = Score(subject.statistic, subject.rf, subject.periods)
        task: PermutedBars | ShiftedExposure | None = None
        n_moves = len(subject.candles) - 1 - subject.first_bar
        if self.params.method == "bars":
            observed = score.of_curve(
                subject.execution.curve.equity,
                subject.first_bar,
                load_kernel(subject.engine.choice),
            )
            if n_moves >= 1:
                task = PermutedBars.of(subject, score)
        elif n_moves >= 2:
            task = ShiftedExposure.of(subject, score)
            observed = task.observed()
        else:
            observed = null("too_few_bars")
        reason = _untestable(subject, observed)
        values = np.empty(0)
        p = null(reason) if reason else null("too_few_bars")
        if reason is None and task is not None and observed.value is not None:
            values = replicates(task, self.params.n)[:, 0]
            p = p_value(observed.value, values)
        document = self._document(subject, observed, p, values)
        warnings = tuple(_warnings(subject)) if self.params.method == "bars" else ()
        return ValidationReport(document, {"permutation_p_value": p.value}, warnings)

    def _document(
        self, subject: Subject, observed: Measured, p: Measured, values: "Floats"
    ) -> dict[str, Any]:
        counted, first = np.nan_to_num(values, nan=0.0), subject.first_bar + 1
        document: dict[str, Any] = {
            "method": self.params.method,
            "null": NULLS[self.params.method],
            "statistic": subject.statistic,
            "n": self.params.n,
            "scored_from": first if first < len(subject.candles) else None,
            "observed": observed.value,
            "p_value": p.value,
            "p_value_error": None if p.value is None else p_value_error(p.value, self.params.n),
            "reason": p.reason,
            "undefined": int(np.count_nonzero(np.isnan(values))),
            "replicates": spread(counted, p.reason),
            "histogram": histogram(counted),
        }
        if self.params.method == "shift":
            document["note"] = SHIFT_NOTE
        return document


def _untestable(subject: Subject, observed: Measured) -> str | None:
    """Return why no permutation of the market could say anything about the run."""
    weights = subject.weights[subject.first_bar :]
    if not len(weights) or weights.min() == weights.max():
        return "no_timing"
    if not (subject.execution.fills.bar > subject.first_bar).any():
        return "no_trades"
    return observed.reason


def _warnings(subject: Subject) -> Iterator[RunWarning]:
    candles = subject.candles
    if subject.calendar is not None or not is_intraday(candles):
        return
    if not is_all_week(local_days(candles.ts, candles.timezone)):
        message = (
            "without a calendar the permutation mixes the moves over night with those of the day; "
            "name the exchange's calendar"
        )
        yield RunWarning("intraday_without_calendar", message)
