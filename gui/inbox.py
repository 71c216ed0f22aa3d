"""The way into Tk's thread: what other threads have found is put here, and called there.

``put`` and ``fail`` may be called from any thread; everything that is put in is called on Tk's, in
order, a bounded number at a time. The rest belongs to Tk's thread.
"""

import queue
import tkinter as tk
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from gui.client import GoneError, RefusedError

T = TypeVar("T")
TICK_MS = 100
MOST_A_TICK = 200
THREADS = 4
END_S = 1.0


class Inbox:
    """Calls from other threads, made on Tk's."""

    def __init__(self, root: tk.Misc) -> None:
        self._root = root
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="panel")
        self._asked: set[Future[Any]] = set()
        self._ticking: str | None = None
        self._closed = False

    def start(self) -> None:
        """Look for calls from now on; this also lets Python see signals."""
        self._ticking = self._root.after(TICK_MS, self._tick)

    def close(self) -> bool:
        """Make no more calls, and wait a moment for those who would ask for one.

        Tells whether they have ended; what does not know the server's end may take longer.
        """
        self._closed = True
        if self._ticking is not None:
            self._root.after_cancel(self._ticking)
            self._ticking = None
        self._threads.shutdown(wait=False, cancel_futures=True)
        all_ended = not wait(self._asked, END_S).not_done
        if all_ended:
            self._threads.shutdown()
        while not self._calls.empty():  # what they hold is Tk's, and to be let go of here
            self._calls.get_nowait()
        return all_ended

    def put(self, call: Callable[[], None]) -> None:
        """Have something called on Tk's thread."""
        self._calls.put(call)

    def fail(self, fault: BaseException) -> None:
        """Have an error raised on Tk's thread, where errors of callbacks are shown."""

        def throw() -> None:
            raise fault

        self.put(throw)

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
        if self._closed:
            return
        asked = self._threads.submit(work)
        self._asked = {each for each in self._asked if not each.done()} | {asked}
        asked.add_done_callback(lambda done: self.put(lambda: _deliver(done, then, failed)))

    def _tick(self) -> None:
        self._ticking = self._root.after(TICK_MS, self._tick)
        for _ in range(MOST_A_TICK):
            if self._closed:  # by the call before
                return
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
