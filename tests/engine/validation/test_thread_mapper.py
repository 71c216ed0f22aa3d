"""The pool of threads that replicates are mapped on: progress, cancels, errors, interrupts."""

import _thread
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from engine.errors import RunCancelled
from engine.records import CancelCheck
from engine.validation import ThreadMapper

ITEM_S = 0.01
ITEMS_IN_200_MS = 20


def never() -> None:
    pass


def silent(_done: int) -> None:
    pass


@dataclass
class Noted:
    """Work that calls ``each`` for every replicate, and knows how much is going on."""

    each: Callable[[int], None] = silent
    done: list[int] = field(default_factory=list)
    active: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, numbers: range, check_cancelled: CancelCheck) -> Any:
        with self.lock:
            self.active += 1
        try:
            for number in numbers:
                check_cancelled()
                self.each(number)
                self.done.append(number)
        finally:
            with self.lock:
                self.active -= 1
        return np.array(numbers, dtype=np.float64)[:, None]


@pytest.fixture(params=[1, 2, 8])
def mapper(request: pytest.FixtureRequest) -> Iterator[ThreadMapper]:
    with ThreadMapper(request.param, portion=1) as made:
        yield made


@pytest.mark.parametrize("n", [1, 2, 31, 97])
@pytest.mark.parametrize("portion", [1, 4, 1000, None])
def test_progress_ends_at_the_end(n: int, portion: int | None) -> None:
    """What is reported as done never falls, and is all of it in the end."""
    reported: list[int] = []
    with ThreadMapper(3, portion) as mapper:
        rows = mapper.map(Noted(), n, never, reported.append)
    assert rows.tolist() == [[float(i)] for i in range(n)]
    assert reported == sorted(reported)
    assert reported[-1] == n


@pytest.mark.parametrize("portion", [1, 10_000])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_little_is_done_after_a_cancel(threads: int, portion: int) -> None:
    """Once cancelled no thread does more than 200 ms of work, and none is left working."""
    cancelled, done_before = threading.Event(), []

    def each(number: int) -> None:
        if number == 4:
            done_before.append(len(task.done))
            cancelled.set()
        time.sleep(ITEM_S)

    def check() -> None:
        if cancelled.is_set():
            raise RunCancelled

    task = Noted(each)
    with ThreadMapper(threads, portion) as mapper:
        with pytest.raises(RunCancelled):
            mapper.map(task, 10_000, check, silent)
        assert task.active == 0
        n_done = len(task.done)
        assert n_done - done_before[0] <= threads * ITEMS_IN_200_MS
        assert mapper.map(Noted(), 5, never, silent).shape == (5, 1)
    assert len(task.done) == n_done


def test_an_error_comes_out_once(mapper: ThreadMapper, caplog: pytest.LogCaptureFixture) -> None:
    """Where replicates fail the first failure is raised, nothing is logged, the pool goes on."""

    def each(number: int) -> None:
        if number >= 13:
            message = f"replicate {number}"
            raise ValueError(message)

    task = Noted(each)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ValueError, match="replicate") as raised:
        mapper.map(task, 10_000, never, silent)
    assert raised.value.__context__ is None
    assert task.active == 0
    assert max(task.done) < 13
    assert mapper.map(Noted(), 5, never, silent).tolist() == [[0.0], [1.0], [2.0], [3.0], [4.0]]
    assert not caplog.records


def test_the_first_of_several_errors_is_raised() -> None:
    """Of failures that are found together, the one of the lowest replicate comes out."""
    looking, four = threading.Event(), ThreadMapper(4, portion=1)

    def each(number: int) -> None:
        assert looking.wait(10)
        message = f"replicate {number}"
        raise ValueError(message)

    def check() -> None:
        if looking.is_set():
            return
        looking.set()
        # Every worker waits here for the others, so all have done with their replicate.
        meeting = threading.Barrier(4)
        for future in [four._pool.submit(meeting.wait, 10) for _ in range(4)]:
            future.result()

    with four, pytest.raises(ValueError, match=r"^replicate 0$"):
        four.map(Noted(each), 4, check, silent)


def test_a_second_run_need_not_wait_for_the_first() -> None:
    """While one run is under way another on the same pool goes through, in between its portions."""
    done_meanwhile: list[int] = []
    first, second = Noted(), Noted()
    with ThreadMapper(2, portion=1) as mapper:

        def report(done: int) -> None:
            if 5 <= done < 400 and not done_meanwhile:
                assert mapper.map(second, 20, never, silent).shape == (20, 1)
                done_meanwhile.append(len(first.done))

        rows = mapper.map(first, 400, never, report)
    assert rows.tolist() == [[float(i)] for i in range(400)]
    assert done_meanwhile[0] < 50
    assert len(second.done) == 20


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_an_interrupt_ends_the_work(threads: int) -> None:
    """Ctrl-C comes out as itself once no thread works any more, and the pool stays usable."""
    waiting = threading.Event()

    def each(number: int) -> None:
        assert waiting.wait(10)
        if number == 3:
            _thread.interrupt_main()
        time.sleep(ITEM_S)

    task = Noted(each)
    with ThreadMapper(threads, portion=1000) as mapper:  # all handed out before the interrupt
        with pytest.raises(KeyboardInterrupt):
            mapper.map(task, 2000 * threads, waiting.set, silent)
        assert task.active == 0
        assert len(task.done) < 2000
        assert mapper.map(Noted(), 5, never, silent).shape == (5, 1)
