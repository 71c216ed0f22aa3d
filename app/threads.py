"""Threads for work that end when there has been none for a while.

glibc keeps up to a quarter of a megabyte of small free blocks for each thread, for as long as that
lives, and the pools of the standard library never end theirs.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class RestingThreads(Executor):
    """A pool of up to ``n`` threads, which ``rest`` ends; the next work begins new ones."""

    def __init__(self, n: int, name: str) -> None:
        self._n = n
        self._name = name
        self._door = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._unfinished: set[Future[Any]] = set()
        self._closed = False

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let ``work`` be done.

        Raises
            RuntimeError after a shutdown.
        """
        with self._door:
            if self._closed:
                raise RuntimeError("the threads have ended")
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._n, self._name)
            future = self._pool.submit(work, *args, **kwargs)
            self._unfinished.add(future)
        future.add_done_callback(self._forget)
        return future

    def _forget(self, future: "Future[Any]") -> None:
        with self._door:
            self._unfinished.discard(future)

    def rest(self) -> None:
        """End the threads, unless there is work."""
        with self._door:
            if self._unfinished or self._pool is None:
                return
            pool, self._pool = self._pool, None
        pool.shutdown(wait=False)

    def shutdown(
        self,
        wait: bool = True,  # noqa: FBT001, FBT002  # as the standard library has it
        *,
        cancel_futures: bool = False,
    ) -> None:
        """Take no more work; ``cancel_futures`` drops what waits, ``wait`` awaits the rest."""
        with self._door:
            self._closed = True
            pool = self._pool
        if pool is not None:
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def finished(self, timeout_s: float) -> bool:
        """Wait a while for what was submitted; tell whether it has ended."""
        with self._door:
            unfinished = set(self._unfinished)
        return not wait(unfinished, timeout_s).not_done
