"""Memory that is freed goes back to the system: a server may stay open for weeks.

Large blocks and small ones share the heaps of glibc. What lives long, as in a cache, settles
between blocks that are soon freed, and left to itself a heap stays as large as it was at any time.
"""

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor as Threads

AFTER_S = 0.5  # so at most twice a second; it takes a millisecond or two


def use_one_heap() -> None:
    """Have Arrow take its memory where all others do; to be called before Arrow is imported.

    Its own allocator keeps what it has had.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def _found() -> Callable[[int], int] | None:
    """Return glibc's ``malloc_trim``; None for other C libraries."""
    try:
        return ctypes.CDLL(None).malloc_trim if sys.platform == "linux" else None
    except (AttributeError, OSError):
        return None


class FreedMemory:
    """Gives back what work has freed, on one of ``threads``; used on the loop."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._trim = _found()
        self._is_planned = False

    def give_back_soon(self) -> None:
        """Give back what is free in half a second."""
        if self._trim is not None and not self._is_planned:
            self._is_planned = True
            asyncio.get_running_loop().call_later(AFTER_S, self._give_back, self._trim)

    def _give_back(self, trim: Callable[[int], int]) -> None:
        self._is_planned = False
        with contextlib.suppress(RuntimeError):  # the server has stopped
            self._threads.submit(trim, 0)
