"""Drawdowns: how far below its peak an equity curve fell, and for how long."""

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import DataError
from engine.kernels import view_for

if TYPE_CHECKING:
    from engine.records import Floats

# Below the peak by less than this, relative, is rounding.
NOISE = 1e-12


@dataclass(frozen=True, slots=True)
class DrawdownStatistics:
    """Depths are ≤ 0; durations in bars, from the peak bar to recovery or the last bar."""

    max_drawdown: float
    avg_drawdown: float
    avg_duration_bars: float
    max_duration_bars: int
    n_episodes: int


def drawdowns(
    equity: "Floats", initial: float, kernel: ModuleType
) -> "tuple[Floats, DrawdownStatistics]":
    """Return E_t / max(E_s, s ≤ t) - 1 (n,), ≤ 0, and the statistics of all episodes.

    The initial cash is a peak too. An episode is a maximal run of bars below the peak by more than
    1e-12; its peak bar is the last one before the run (-1 for the initial cash). One still open at
    the end is included.
    """
    drawdown = np.empty(len(equity))
    return drawdown, _episodes(equity, initial, kernel, drawdown)


def max_drawdown(equity: "Floats", initial: float, kernel: ModuleType) -> float:
    """Return the deepest drawdown, ≤ 0; a depth within 1e-12 is 0."""
    return _episodes(equity, initial, kernel, np.empty(0)).max_drawdown


def refuse_overflow(name: str, curve: "Floats") -> None:
    """Raise a DataError where the curve ``name`` (n,) is not finite."""
    finite = np.isfinite(curve)
    if not finite.all():
        bar = int(np.argmin(finite))
        message = f"the {name} is no longer a finite number at bar {bar}: the prices move too far"
        raise DataError(message)


def _episodes(
    equity: "Floats", initial: float, kernel: ModuleType, drawdown: "Floats"
) -> DrawdownStatistics:
    view, falls = view_for(kernel), kernel.Falls()
    kernel.drawdowns(view(equity), initial, NOISE, view(drawdown), falls)
    n = max(1, falls.n)
    return DrawdownStatistics(
        max_drawdown=falls.deepest,
        avg_drawdown=falls.depths / n,
        avg_duration_bars=falls.bars / n,
        max_duration_bars=falls.longest,
        n_episodes=falls.n,
    )
