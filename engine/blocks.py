"""Long series are worked through in parts that stay in a processor's cache.

A pass over a whole series of a million bars waits for memory, and each array that it makes on the
way costs as much again.
"""

from collections.abc import Iterator

BLOCK = 1 << 15


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Yield the parts of n values, ``size`` at a time."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
