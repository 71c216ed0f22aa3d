"""Replicates: how a task is mapped over their numbers, on threads; ``cluster`` has its own way.

The rows come out in the order of their numbers and depend on nothing else, so neither the number
of threads nor the size of the portions can change a result.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from engine.errors import PluginError, RunCancelled
from engine.records import CancelCheck
from engine.validation.test import Task

if TYPE_CHECKING:
    from engine.records import Floats

POLL_S = 0.05
# Portions are small enough to be cancelled and reported often, large enough to cost nothing.
PORTIONS = 16
MAX_PORTION = 128
# Values in one array of a batch: what stays in a processor's cache while rows are worked on.
BATCH_VALUES = 40_000

# Components are Python: two threads in them at once take turns for the interpreter at every small
# step, and both are slower than one. On long markets their arrays give it up for long enough.
_in_components = threading.Lock()

Report = Callable[[int], None]
"""Is told how many replicates are done."""


def batch_rows(n_bars: int) -> int:
    """Return how many replicates of ``n_bars`` are worked on together."""
    return max(1, BATCH_VALUES // max(1, n_bars))


def in_components(n_bars: int) -> AbstractContextManager[Any]:
    """Return what to hold while components compute on markets of ``n_bars``."""
    return _in_components if n_bars < BATCH_VALUES else nullcontext()


def portions(n: int, size: int) -> Iterator[range]:
    """Yield 0 … n - 1 in consecutive parts of at most ``size``."""
    for start in range(0, n, size):
        yield range(start, min(start + size, n))


def assembled(rows: Iterable[Any], parts: Iterable[range]) -> "Floats":
    """Return the rows of all portions, one after another.

    Raises
        PluginError where a portion is not one row of numbers for each of its replicates: a result
        without some of them would be a wrong one.
    """
    whole: list[Floats] = []
    for found, part in zip(rows, parts, strict=True):
        good = isinstance(found, np.ndarray) and found.ndim == 2 and found.dtype.kind in "fiu"
        if not good or found.shape != (len(part), (whole or [found])[0].shape[1]):
            message = "the task of a validation test must give a row of numbers for each replicate"
            raise PluginError(message)
        whole.append(found)
    if not whole:
        message = "a validation test must ask for at least one replicate"
        raise PluginError(message)
    return np.concatenate(whole)


class Mapper(Protocol):
    """Something that maps a task over replicate numbers."""

    def map(self, task: Task, n: int, check_cancelled: CancelCheck, report: Report) -> "Floats":
        """Return the rows of replicates 0 … n - 1, (n, n_columns)."""

    def close(self) -> None:
        """Give back what the mapper holds."""


@dataclass(frozen=True)
class MappedReplicates:
    """The replicates of one test of one run; an ``engine.validation.test.Replicates``."""

    mapper: Mapper
    check_cancelled: CancelCheck
    report: Callable[[int, int], None]

    def __call__(self, task: Task, n: int) -> "Floats":
        """Return the rows of all replicates in the order of their numbers, (n, n_columns)."""
        return self.mapper.map(task, n, self.check_cancelled, lambda done: self.report(done, n))


class ThreadMapper:
    """Maps on a pool of threads, shared by the runs that are given the same mapper."""

    def __init__(self, threads: int | None = None, portion: int | None = None) -> None:
        self.threads = threads or os.cpu_count() or 1
        self._portion = portion
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="replicates")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; what they work on is finished first."""
        self._pool.shutdown()

    def map(self, task: Task, n: int, check_cancelled: CancelCheck, report: Report) -> "Floats":
        """Return the rows of replicates 0 … n - 1, (n, n_columns).

        Raises
            what ``check_cancelled`` or the task raises, once no thread works on it any more.
        """
        work = _Work(task)
        size = self._portion or max(1, min(MAX_PORTION, n // PORTIONS))
        waiting = portions(n, size)
        running: dict[Future[Floats], range] = {}
        rows: dict[int, Floats] = {}
        done = 0
        try:
            while True:
                # Never more than the pool can take: other runs have their turn in between.
                while len(running) < 2 * self.threads and (part := next(waiting, None)) is not None:
                    running[self._pool.submit(work.run, part)] = part
                if not running:
                    break
                finished, _ = wait(running, POLL_S, FIRST_COMPLETED)
                check_cancelled()
                for future in sorted(finished, key=lambda each: running[each].start):
                    part = running.pop(future)
                    rows[part.start] = future.result()
                    done += len(part)
                report(done)
        finally:
            work.stop()
        return assembled([rows[start] for start in sorted(rows)], portions(n, size))


class _Work:
    """The portions of one task on the pool, so that none is left when its map ends.

    It counts them itself: an interrupt may come between a portion's start and the note of it.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._stopped = False
        self._active = 0
        self._changed = threading.Condition()

    def run(self, numbers: range) -> "Floats":
        """Return the rows of a portion."""
        with self._changed:
            self._check_stopped()
            self._active += 1
        try:
            return self._task.run(numbers, self._check_stopped)
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def stop(self) -> None:
        """Let no portion begin any more, and wait for those that have to notice."""
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: not self._active)

    def _check_stopped(self) -> None:
        if self._stopped:
            raise RunCancelled
