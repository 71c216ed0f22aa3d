"""Bounded memory for what several runs read: candles by their source's content, features by theirs.

A cache may be used from any thread. It never changes a result: a key, with its version, names
everything that the value depends on.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
MEGABYTE = 1 << 20


class BoundedCache:
    """Values by key, the least recently used given up first, at most ``max_bytes`` in all."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._held: OrderedDict[Hashable, tuple[Any, int, Hashable]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of values held."""
        return len(self._held)

    @property
    def bytes_held(self) -> int:
        """Return the size of all values held."""
        return self._bytes

    def get_or_make(
        self,
        key: Hashable,
        make: Callable[[], T],
        size: Callable[[T], int],
        version: Hashable = None,
    ) -> T:
        """Return the value of ``key`` in this version, made where it is not held.

        Of each key one version is held, the last that was made: an older one would never be asked
        for again. Two threads may make the same value at once; both get a right one. A value larger
        than the cache is returned and not kept.
        """
        with self._lock:
            if key in self._held and self._held[key][2] == version:
                self._held.move_to_end(key)
                value: T = self._held[key][0]
                return value
        value = make()
        n_bytes = size(value)
        with self._lock:
            if key in self._held:
                self._bytes -= self._held.pop(key)[1]
            if n_bytes <= self.max_bytes:
                self._held[key] = (value, n_bytes, version)
                self._bytes += n_bytes
            while self._bytes > self.max_bytes:
                self._bytes -= self._held.popitem(last=False)[1][1]
        return value


@dataclass(frozen=True)
class Caches:
    """What runs of one process share."""

    candles: BoundedCache = field(default_factory=lambda: BoundedCache(512 * MEGABYTE))
    features: BoundedCache = field(default_factory=lambda: BoundedCache(512 * MEGABYTE))
