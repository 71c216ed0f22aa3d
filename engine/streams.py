"""Randomness: one counter-based stream for each (root seed, name, replicate); nothing else draws.

What a replicate draws depends on its own number alone, so neither the number of threads nor the
order of work can change a result.
"""

import hashlib

import numpy as np


def generator(root_seed: int, name: str, replicate: int = 0) -> np.random.Generator:
    """Return the generator of a stream, always in its first state.

    A Philox generator (Salmon et al. 2011) whose 128-bit key is the beginning of the SHA-256 of
    ``root_seed/name/replicate``.
    """
    digest = hashlib.sha256(f"{root_seed}/{name}/{replicate}".encode()).digest()
    key = int.from_bytes(digest[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))
