"""Resampling in blocks: which bars a bootstrap replicate is made of."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from engine.records import Booleans, Integers


def stationary_indices(new_block: "Booleans", starts: "Integers") -> "Integers":
    """Return bars (n,): block after block, each from its own of ``starts`` on, in a circle.

    ``new_block`` (n,) is true where a block begins, at 0 for certain; ``starts`` has one bar for
    each block.
    Source: Politis & Romano (1994), The Stationary Bootstrap.
    """
    n = len(new_block)
    begins = np.flatnonzero(new_block)
    lengths = np.diff(begins, append=n)
    bars: Integers = np.arange(n) + np.repeat(starts - begins, lengths)
    bars[bars >= n] -= n
    return bars


def block_indices(starts: "Integers", length: int, n: int) -> "Integers":
    """Return bars (n,) of blocks of equal length, in a circle, the last one cut at n.

    Source: Politis & Romano (1992) for circular blocks; Künsch (1989) for moving ones, whose
    ``starts`` lie so that no block goes round.
    """
    bars: Integers = (starts[:, None] + np.arange(length)).reshape(-1)[:n]
    bars[bars >= n] -= n
    return bars


@dataclass(frozen=True)
class Scheme:
    """A way to draw n bars in blocks; ``length`` is the mean length where stationary."""

    name: str
    length: float
    n: int

    def draw(self, rng: np.random.Generator) -> "Integers":
        """Return the bars (n,) of one replicate."""
        if self.name == "stationary":
            new_block = rng.random(self.n) < 1.0 / self.length
            new_block[0] = True
            starts = rng.integers(0, self.n, np.count_nonzero(new_block))
            return stationary_indices(new_block, starts)
        length = int(self.length)
        last = self.n if self.name == "circular" else self.n - length + 1
        return block_indices(rng.integers(0, last, math.ceil(self.n / length)), length, self.n)
