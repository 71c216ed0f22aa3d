"""Memory that is freed goes back to the system: a server may stay open for weeks.

What lives long, as in a cache, settles in the heap of glibc between blocks that are soon freed, and
left to itself the heap stays as large as it was at any time.
"""

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor as Threads

from app.process import look_for_garbage
from app.threads import RestingThreads

# Of malloc.h: how many heaps there are; how large a block lies outside of them, in pages of its
# own; how much may lie free at the end before it is given back.
M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -8, -3, -1
LARGE, FREE_AT_THE_END = 128 << 10, 16 << 20
AFTER_S = 0.5  # so at most twice a second; it takes a millisecond or two
AT_REST_S = 1.0  # without work; to look for garbage takes 10 to 30 ms


def use_one_heap() -> None:
    """Have all threads and Arrow take their memory from one heap; to be called before either is.

    With a heap for each thread, what one of them leaves free is of no use to another, and Arrow's
    own allocator keeps what it has had. Next to nobody waits for the one heap: small objects are
    Python's own affair, and the compiled loops ask for no memory. Large blocks, which come and go,
    lie outside of it: glibc would learn to put them among those that stay, and leave holes.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, FREE_AT_THE_END)


def _of_glibc(name: str) -> Callable[..., int] | None:
    """Return a function that glibc has; None for other C libraries."""
    try:
        return getattr(ctypes.CDLL(None), name) if sys.platform == "linux" else None
    except (AttributeError, OSError):
        return None


class FreedMemory:
    """Gives back what work has freed, on one of ``threads``; used on the loop.

    Threads that are ``resting`` end meanwhile, and what was kept for them is free as well.
    """

    def __init__(self, threads: Threads, resting: Sequence[RestingThreads] = ()) -> None:
        self._threads = threads
        self._resting = resting
        self._trim = _of_glibc("malloc_trim")
        self._planned: asyncio.TimerHandle | None = None
        self._at_rest: asyncio.TimerHandle | None = None

    def give_back_soon(self) -> None:
        """Give back what is free in half a second, and garbage too after a second without work."""
        loop = asyncio.get_running_loop()
        if self._planned is None:
            self._planned = loop.call_later(AFTER_S, self._when_due)
        if self._at_rest is not None:
            self._at_rest.cancel()
        self._at_rest = loop.call_later(AT_REST_S, self._when_at_rest)

    def _when_due(self) -> None:
        self._planned = None
        self._submit(self._give_back)

    def _when_at_rest(self) -> None:
        for threads in self._resting:
            threads.rest()
        self._submit(self._give_back_all)

    def _submit(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the server has stopped
            self._threads.submit(work)

    def _give_back(self) -> None:
        if self._trim is not None:
            self._trim(0)

    def _give_back_all(self) -> None:
        look_for_garbage()
        self._give_back()
