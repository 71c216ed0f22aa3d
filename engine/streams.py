"""Randomness: one counter-based stream for each (root seed, name, replicate); nothing else draws.

What a replicate draws depends on its own number alone, so neither the number of threads nor the
order of work can change a result.
"""

import hashlib
from typing import Any

import numpy as np


def generator(root_seed: int, name: str, replicate: int = 0) -> np.random.Generator:
    """Return the generator of a stream, always in its first state.

    A Philox generator (Salmon et al. 2011) whose 128-bit key is the beginning of the SHA-256 of
    ``root_seed/name/replicate``.
    """
    return Streams(root_seed, name).replicate(replicate)


class Streams:
    """The streams of all replicates of one name, one at a time; for one thread."""

    def __init__(self, root_seed: int, name: str) -> None:
        self._prefix = f"{root_seed}/{name}/"
        self._bits = np.random.Philox(key=0)
        self._first_state: Any = self._bits.state
        self._generator = np.random.Generator(self._bits)

    def replicate(self, number: int) -> np.random.Generator:
        """Return the generator, now in the first state of that replicate's stream.

        A new key costs a tenth of what a new generator does.
        """
        digest = hashlib.sha256(f"{self._prefix}{number}".encode()).digest()
        self._first_state["state"]["key"] = np.frombuffer(digest, dtype="<u8", count=2)
        self._bits.state = self._first_state
        return self._generator
