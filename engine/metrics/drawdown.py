"""Drawdowns: how far below its peak an equity curve fell, and for how long."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.blocks import blocks

if TYPE_CHECKING:
    from engine.records import Floats

# Below the peak by less than this, relative, is rounding.
NOISE = 1e-12
PEAK_BLOCK = 1 << 12


def drawdown_series(equity: "Floats", initial: float) -> "Floats":
    """Return E_t / max(E_s, s ≤ t) - 1 (n,), ≤ 0; the initial cash is a peak too."""
    drawdown = np.empty(len(equity))
    peak = initial
    for part in blocks(len(equity), PEAK_BLOCK):
        values, out = equity[part], drawdown[part]
        if values.max() <= peak:  # no new peak here: one division serves, and is the usual case
            np.divide(values, peak, out=out)
        else:
            np.maximum.accumulate(values, out=out)
            np.maximum(out, peak, out=out)
            peak = float(out[-1])
            np.divide(values, out, out=out)
        out -= 1.0
    return drawdown


def max_drawdown(drawdown: "Floats") -> float:
    """Return the deepest drawdown, ≤ 0; a depth within 1e-12 is 0."""
    deepest = float(drawdown.min())
    return deepest if deepest < -NOISE else 0.0


@dataclass(frozen=True, slots=True)
class DrawdownStatistics:
    """Depths are ≤ 0; durations in bars, from the peak bar to recovery or the last bar."""

    max_drawdown: float
    avg_drawdown: float
    avg_duration_bars: float
    max_duration_bars: int
    n_episodes: int


def drawdown_statistics(drawdown: "Floats") -> DrawdownStatistics:
    """Return the statistics of all episodes, one still open at the end included.

    An episode is a maximal run of bars below the peak by more than 1e-12; its peak bar is the last
    one before the run (-1 for the initial cash).
    """
    below = np.zeros(len(drawdown) + 2, dtype=np.bool_)
    np.less(drawdown, -NOISE, out=below[1:-1])
    edges = np.flatnonzero(below[1:] != below[:-1])
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return DrawdownStatistics(0.0, 0.0, 0.0, 0, 0)
    inner = edges[:-1] if edges[-1] == len(drawdown) else edges  # reduceat takes no such index
    depths = np.minimum.reduceat(drawdown, inner)[::2]
    durations = np.minimum(ends, len(drawdown) - 1) - (starts - 1)
    return DrawdownStatistics(
        max_drawdown=float(depths.min()),
        avg_drawdown=float(depths.mean()),
        avg_duration_bars=float(durations.mean()),
        max_duration_bars=int(durations.max()),
        n_episodes=len(starts),
    )
