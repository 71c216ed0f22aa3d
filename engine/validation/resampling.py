"""Resampling in blocks: which bars a bootstrap replicate is made of, and what it measures."""

import math
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from engine.kernels import view_for

if TYPE_CHECKING:
    from engine.records import Booleans, Floats


@dataclass(frozen=True)
class Scheme:
    """A way to draw n bars in blocks; ``length`` is the mean length where stationary.

    Source: Politis & Romano (1994) stationary, (1992) circular; Künsch (1989) moving.
    """

    name: str
    length: float
    n: int

    @property
    def n_uniforms(self) -> int:
        """Return how many numbers decide a replicate: one a bar, or one a block."""
        return self.n if self.name == "stationary" else math.ceil(self.n / int(self.length))

    @property
    def n_starts(self) -> int:
        """Return how many bars a block may begin at; moving blocks do not go round."""
        return self.n - int(self.length) + 1 if self.name == "moving" else self.n


class Resampler:
    """Measures replicates, a few rows at a time; room for one thread, used again and again."""

    def __init__(self, scheme: Scheme, rows: int, kernel: ModuleType) -> None:
        self._scheme = scheme
        self._kernel = kernel
        self._view = view_for(kernel)
        self.uniforms = np.empty((rows, scheme.n_uniforms))
        self.bars = np.empty((rows, scheme.n), dtype=np.int64)
        self._room = (np.empty(scheme.n), np.empty(scheme.n + 1))

    def measure(
        self, returns: "Floats", log_returns: "Floats", rf: float, figures: "Floats"
    ) -> None:
        """Write S*, SE*, mean log return and maximum drawdown of each row of ``figures`` (rows, 4).

        The first rows of ``uniforms`` decide; ``log_returns`` may be empty. Undefined is NaN.
        """
        view, scheme = self._view, self._scheme
        self._kernel.bootstrap(
            *map(view, (returns, log_returns, self.uniforms)),
            scheme.name == "stationary",
            scheme.length,
            scheme.n_starts,
            rf,
            lag_window(scheme.n),
            math.nan,
            *map(view, (self.bars, *self._room, figures)),
        )
        figures[_undefined(figures), :2] = math.nan


def lag_window(n: int) -> int:
    """Return L = ⌊4 (n / 100)^(2/9)⌋, the number of lags (Newey & West 1994), below n."""
    return min(math.floor(4.0 * math.pow(n / 100.0, 2.0 / 9.0)), n - 1)


def sharpe_and_error(x: "Floats", kernel: ModuleType) -> tuple[float, float]:
    """Return S = m / s of excess returns ``x`` (n,) and its standard error, per bar.

    m and s are population moments, z = (x - m) / s, ψ = z - S / 2 (z² - 1) demeaned, and
    SE = √(LRV / n) with Bartlett weights, LRV = γ_0 + 2 Σ_{k ≤ L} (1 - k / (L + 1)) γ_k. Both NaN
    for a constant series, and where the error is 0.
    Source: Ledoit & Wolf (2008), Robust Performance Hypothesis Testing, sections 3.1 and 3.2.
    """
    view, n, figures = view_for(kernel), len(x), np.empty((1, 2))
    room = (view(x.copy()), view(np.empty(n + 1)))
    kernel.sharpe_and_error(*room, lag_window(n), math.nan, view(figures))
    figures[_undefined(figures)] = math.nan
    return float(figures[0, 0]), float(figures[0, 1])


def _undefined(figures: "Floats") -> "Booleans":
    undefined: Booleans = ~(np.isfinite(figures[:, :2]).all(axis=1) & (figures[:, 1] > 0))
    return undefined
