"""The engine's own replicates: the same rows however they are split, and often asked to stop."""

import hashlib
import json
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from engine.errors import RunCancelled
from engine.pipeline import RunContext, Silent
from engine.records import CancelCheck, Candles
from engine.streams import Streams
from engine.validation import (
    ThreadMapper,
    permutation,
    replicates as replicates_module,
)
from engine.validation.replicates import Report, batch_rows
from engine.validation.test import Task

N_BARS = 130
METHODS: dict[str, dict[str, Any]] = {
    "permuted": {"permutation": {"n": 40}},
    "shifted": {"permutation": {"n": 40, "method": "shift"}},
    "resampled": {"block_bootstrap": {"n": 40, "block_length": 6.5}},
    "slipped": {"monte_carlo": {"n": 40}},
}
EVERY_TEST = {
    "permutation": {"n": 60},
    "block_bootstrap": {"n": 70},
    "monte_carlo": {"n": 50},
    "walk_forward": {"folds": 3},
}


def never() -> None:
    pass


def silent(_done: int) -> None:
    pass


@dataclass
class Alone:
    """A mapper that works by itself, in one go, and keeps every task."""

    tasks: list[Task] = field(default_factory=list)

    def map(self, task: Task, n: int, check_cancelled: CancelCheck, _report: Report) -> Any:
        self.tasks.append(task)
        return task.run(range(n), check_cancelled)

    def close(self) -> None:
        pass


@pytest.fixture(name="task_of")
def task_of_fixture(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> Callable[[str], Task]:
    """Return the real task of a method, as a run has it."""

    def task_of(method: str) -> Task:
        alone = Alone()
        backtest(
            candles(N_BARS, 61),
            context=RunContext(mapper=alone),
            validation=METHODS[method],
            execution={"slippage_bps": 4},
        )
        (task,) = alone.tasks
        return task

    return task_of


@pytest.mark.parametrize("method", METHODS)
def test_rows_do_not_depend_on_the_split(method: str, task_of: Callable[[str], Task]) -> None:
    """On 1, 2 and 8 threads, in portions of any size, the rows are the same to the byte."""
    task = task_of(method)
    expected = task.run(range(40), never)
    assert len({row.tobytes() for row in expected}) > 20
    for threads in (1, 2, 8):
        for portion in (1, 3, 7, 1000, None):
            with ThreadMapper(threads, portion) as mapper:
                rows = mapper.map(task, 40, never, silent)
            assert rows.tobytes() == expected.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_rows_do_not_depend_on_the_batch(
    method: str, task_of: Callable[[str], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One replicate at a time, two, five or a thousand give the same bytes, in any portions."""
    expected = task_of(method).run(range(40), never)
    for values in (1, 2 * N_BARS, 5 * N_BARS + 1, 1000 * N_BARS):
        monkeypatch.setattr(replicates_module, "BATCH_VALUES", values)
        assert batch_rows(N_BARS) == max(1, values // N_BARS)
        task = task_of(method)
        for portion in (1, 7, 1000):
            with ThreadMapper(4, portion) as mapper:
                rows = mapper.map(task, 40, never, silent)
            assert rows.tobytes() == expected.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_a_replicate_is_the_same_by_itself(method: str, task_of: Callable[[str], Task]) -> None:
    """A replicate that is worked on alone, or out of turn, has the row it has among all."""
    task = task_of(method)
    expected = task.run(range(40), never)
    for each in (task, task_of(method)):
        for numbers in (range(39, 40), range(5, 12), range(1), range(38, 0, -5), range(40)):
            assert each.run(numbers, never).tobytes() == expected[numbers].tobytes()


def test_a_stream_does_not_know_what_was_drawn_before() -> None:
    """Each replicate's numbers are those of a generator made for its key alone."""
    streams = Streams(5, "permutation")
    for number in (0, 7, 7, 1, 123_456_789_012):
        key = hashlib.sha256(f"5/permutation/{number}".encode()).digest()[:16]
        alone = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
        rng = streams.replicate(number)
        assert rng.integers(1, 100, 3).tolist() == alone.integers(1, 100, 3).tolist()
        assert rng.random(5).tobytes() == alone.random(5).tobytes()
        assert rng.standard_normal(7).tobytes() == alone.standard_normal(7).tobytes()
        rng.integers(0, 9, dtype=np.uint32)  # half a number is left over


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_task_can_go_elsewhere(method: str, used: bool, task_of: Callable[[str], Task]) -> None:  # noqa: FBT001  # a table of cases
    """Pickled, before its first replicates and after them, a task gives the same rows."""
    task = task_of(method)
    expected = task.run(range(40), never)
    if not used and isinstance(task, permutation.PermutedBars):
        task = replace(task, rooms=[])
    moved: Task = pickle.loads(pickle.dumps(task))  # noqa: S301  # our own
    assert moved.run(range(40), never).tobytes() == expected.tobytes()


def documents(result: Any) -> str:
    return json.dumps({name: test.document for name, test in result.validation.items()})


@pytest.mark.parametrize(("threads", "portion"), [(1, 1000), (2, 7), (8, 3), (8, None)])
def test_whole_runs_do_not_depend_on_the_split(
    threads: int,
    portion: int | None,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
) -> None:
    """The documents of a run are the same on any threads as without any."""
    of = candles(N_BARS, 62)
    config: dict[str, Any] = {"validation": EVERY_TEST, "execution": {"slippage_bps": 4}, "seed": 8}
    alone = backtest(of, context=RunContext(mapper=Alone()), **config)
    with ThreadMapper(threads, portion) as mapper:
        shared = backtest(of, context=RunContext(mapper=mapper), **config)
    assert documents(shared) == documents(alone)
    assert documents(backtest(of, **config)) == documents(alone)


class Watching(Silent):
    """An observer that keeps what it is told of progress."""

    def __init__(self) -> None:
        self.fractions: list[float] = []
        self.completed: dict[str, list[tuple[int, int]]] = {}

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def validation(self, test: str, completed: int, total: int) -> None:
        self.completed.setdefault(test, []).append((completed, total))


def test_the_progress_of_a_run(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """A run's progress never falls and ends at 1, each test's at its own number of replicates."""
    watching = Watching()
    execution = {"slippage_bps": 4}
    backtest(
        candles(N_BARS, 63),
        context=RunContext(watching),
        validation=EVERY_TEST,
        execution=execution,
    )
    assert watching.fractions == sorted(watching.fractions)
    assert watching.fractions[-1] == 1.0
    for name, n in (("permutation", 60), ("block_bootstrap", 70), ("monte_carlo", 50)):
        assert watching.completed[name] == sorted(watching.completed[name])
        assert watching.completed[name][-1] == (n, n)


class Looks:
    """A cancel check that notes how much was done since it was last asked."""

    def __init__(self) -> None:
        self.since = self.most = self.asked = 0

    def work(self) -> None:
        self.since += 1
        self.most = max(self.most, self.since)

    def __call__(self) -> None:
        self.since, self.asked = 0, self.asked + 1


@dataclass
class CountedEngine:
    """An engine that tells how often it computes weights."""

    engine: Any
    looks: Looks

    def weights(self, of: Candles, check_cancelled: Any) -> Any:
        self.looks.work()
        return self.engine.weights(of, check_cancelled)

    def bar_loop(self) -> Any:
        return self.engine.bar_loop()


@pytest.mark.parametrize(
    ("method", "at_most"),
    [("permuted", 307), ("shifted", 1), ("resampled", 307), ("slipped", 1)],  # 40,000 values
)
def test_tasks_look_often_whether_they_are_cancelled(
    method: str, at_most: int, task_of: Callable[[str], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two looks no task draws more replicates than one batch holds."""
    task, looks, replicate = task_of(method), Looks(), Streams.replicate

    def counted(streams: Streams, number: int) -> Any:
        looks.work()
        return replicate(streams, number)

    monkeypatch.setattr(Streams, "replicate", counted)
    task.run(range(1000), looks)
    assert looks.asked > 0
    assert 0 < looks.most <= at_most


def test_permutations_look_before_each_market(task_of: Callable[[str], Task]) -> None:
    """No second market goes through the components before a task has looked again."""
    task, looks = task_of("permuted"), Looks()
    assert isinstance(task, permutation.PermutedBars)
    counted: Any = CountedEngine(task.engine, looks)
    replace(task, engine=counted, rooms=[]).run(range(400), looks)
    assert looks.most == 1


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "replicates" in thread.name]


@pytest.mark.parametrize("test", METHODS.values(), ids=METHODS)
def test_a_cancelled_run_leaves_no_thread(
    test: dict[str, Any], backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """A run that is cancelled in the middle of its replicates ends, and its threads with it."""
    watching = Watching()
    ((name, given),) = test.items()
    context = RunContext(watching, cancelled=lambda: name in watching.completed)
    with pytest.raises(RunCancelled):
        backtest(
            candles(N_BARS, 64),
            context=context,
            validation={name: given | {"n": 50_000}},
            execution={"slippage_bps": 4},
        )
    assert watching.completed[name][-1][0] < 50_000
    assert workers() == []


def test_runs_share_a_pool(backtest: Callable[..., Any], candles: Callable[..., Candles]) -> None:
    """Four runs at once on one pool have the documents that each has by itself."""
    execution = {"slippage_bps": 4}
    walks = [candles(N_BARS, seed) for seed in range(65, 69)]
    expected = [documents(backtest(of, validation=EVERY_TEST, execution=execution)) for of in walks]
    found: dict[int, str] = {}

    def one(i: int, context: RunContext) -> None:
        result = backtest(walks[i], context=context, validation=EVERY_TEST, execution=execution)
        found[i] = documents(result)

    with ThreadMapper(2, portion=3) as mapper:
        context = RunContext(mapper=mapper)
        runs = [threading.Thread(target=one, args=(i, context)) for i in range(4)]
        for thread in runs:
            thread.start()
        for thread in runs:
            thread.join()
    assert [found[i] for i in range(4)] == expected
