"""The way into Tk's thread: what other threads have found is put here, and called there.

``put`` and ``ask`` may be called from any thread; everything that is put in is called on Tk's, in
order, a bounded number at a time.
"""

import queue
import tkinter as tk
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from gui.client import GoneError, RefusedError

T = TypeVar("T")
TICK_MS = 100
MOST_A_TICK = 200
THREADS = 4


class Inbox:
    """Calls from other threads, made on Tk's; beginning and end belong to Tk's thread."""

    def __init__(self, root: tk.Misc) -> None:
        self._root = root
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="panel")
        self._ticking: str | None = None
        self._closed = False

    def start(self) -> None:
        """Look for calls from now on; this also lets Python see signals."""
        self._ticking = self._root.after(TICK_MS, self._tick)

    def close(self) -> None:
        """Make no more calls, and wait for those who would ask for one."""
        self._closed = True
        if self._ticking is not None:
            self._root.after_cancel(self._ticking)
            self._ticking = None
        self._threads.shutdown(cancel_futures=True)

    def put(self, call: Callable[[], None]) -> None:
        """Have something called on Tk's thread."""
        self._calls.put(call)

    def ask(
        self,
        work: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Do ``work`` on another thread, then call one of the others on Tk's.

        ``failed`` gets what a person should read: a refusal, or that the server does not answer;
        any other error is raised on Tk's thread, where errors of callbacks are shown.
        """
        if not self._closed:
            self._threads.submit(work).add_done_callback(
                lambda done: self.put(lambda: _deliver(done, then, failed))
            )

    def _tick(self) -> None:
        self._ticking = self._root.after(TICK_MS, self._tick)
        for _ in range(MOST_A_TICK):
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                return
            call()


def _deliver(
    done: "Future[Any]", then: Callable[[Any], None], failed: Callable[[Exception], None]
) -> None:
    if done.cancelled():
        return
    fault = done.exception()
    if fault is None:
        then(done.result())
    elif isinstance(fault, RefusedError | GoneError | OSError):
        failed(fault)
    else:
        raise fault
