"""Threads that end when nobody has work for them."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

import pytest

from app.threads import RestingThreads


@pytest.fixture
def threads() -> Iterator[RestingThreads]:
    pool = RestingThreads(2, "resting")
    yield pool
    pool.shutdown()


def alive() -> int:
    return sum(thread.name.startswith("resting") for thread in threading.enumerate())


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def rested(threads: RestingThreads) -> bool:
    """Tell whether none is left; what has ended counts as work for a moment more."""
    threads.rest()
    return alive() == 0


def test_they_end_at_rest(threads: RestingThreads) -> None:
    """Without work there are none; new work begins new ones, as many as there may be."""
    threads.rest()
    assert alive() == 0
    for _ in range(3):
        both = threading.Barrier(2)
        for place in [threads.submit(both.wait) for _ in range(2)]:
            place.result(timeout=10)
        assert alive() == 2
        until(lambda: rested(threads))


@pytest.mark.parametrize("n_waiting", [0, 3])
def test_work_is_not_disturbed(n_waiting: int) -> None:
    """While one thing is at work, nothing ends, and what waits for the one thread comes later."""
    threads, go_on, done = RestingThreads(1, "resting"), threading.Event(), list[int]()
    threads.submit(go_on.wait, 10)
    for n in range(n_waiting):
        threads.submit(done.append, n)
    threads.rest()
    last = threads.submit(done.append, n_waiting)
    assert (alive(), done) == (1, [])
    assert not threads.finished(0.01)
    go_on.set()
    last.result(timeout=10)
    assert done == list(range(n_waiting + 1))
    threads.shutdown()
    assert alive() == 0


def test_an_error_is_whose_work_it_was(threads: RestingThreads) -> None:
    """An error, an exit too, reaches whoever waits; the threads work on."""
    for error in (ValueError, SystemExit):
        with pytest.raises(error):
            threads.submit(_raise, error).result(timeout=10)
    assert threads.submit(len, "abc").result(timeout=10) == 3
    until(lambda: threads.finished(0.0))


def _raise(error: type[BaseException]) -> None:
    raise error


def test_the_end() -> None:
    """After a shutdown nothing is taken, what had not begun is dropped, what had ends."""
    threads, go_on = RestingThreads(1, "resting"), threading.Event()
    first, second = threads.submit(go_on.wait, 10), threads.submit(len, "abc")
    threads.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(RuntimeError, match="have ended"):
        threads.submit(len, "abc")
    with pytest.raises(CancelledError):
        second.result(timeout=10)
    assert not threads.finished(0.01)
    go_on.set()
    assert threads.finished(10)
    assert first.result()
    threads.rest()
    threads.shutdown()
    until(lambda: alive() == 0)
