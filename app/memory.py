"""Memory that is freed goes back to the system: a server may stay open for weeks.

Large blocks and small ones share the heap of glibc. What lives long, as in a cache, settles between
blocks that are soon freed, and left to itself the heap stays as large as it was at any time.
"""

import ctypes
import sys
import threading
import time
from collections.abc import Callable

LEAST_S = 0.25  # between two times: each takes a millisecond or two


def _found() -> Callable[[int], int] | None:
    """Return glibc's ``malloc_trim``; None for other C libraries."""
    try:
        return ctypes.CDLL(None).malloc_trim if sys.platform == "linux" else None
    except (AttributeError, OSError):
        return None


class _Freed:
    """The memory of this process that is free, but still its own."""

    def __init__(self) -> None:
        self._trim = _found()
        self._lock = threading.Lock()
        self._last = float("-inf")

    def give_back(self) -> None:
        if self._trim is None or not self._lock.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._last >= LEAST_S:
                self._trim(0)
                self._last = time.monotonic()
        finally:
            self._lock.release()


_freed = _Freed()


def give_back_memory() -> None:
    """Give back what is free, unless that was just done; from any thread but the loop's."""
    _freed.give_back()
