"""The standard error of a Sharpe ratio, robust to autocorrelation and fat tails."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from engine.records import Floats


def lag_window(n: int) -> int:
    """Return L = ⌊4 (n / 100)^(2/9)⌋, the number of lags (Newey & West 1994), below n."""
    return min(math.floor(4.0 * math.pow(n / 100.0, 2.0 / 9.0)), n - 1)


def sharpe_and_error(x: "Floats") -> "tuple[Floats, Floats]":
    """Return S = m / s and its standard error for each row of excess returns ``x`` (rows, n).

    m and s are population moments, z = (x - m) / s, ψ = z - S / 2 (z² - 1) demeaned, and
    SE = √(LRV / n) with Bartlett weights, LRV = γ_0 + 2 Σ_{k ≤ L} (1 - k / (L + 1)) γ_k. Both per
    bar, not annualised; NaN for a constant row, and an error of 0 is NaN too.
    Source: Ledoit & Wolf (2008), Robust Performance Hypothesis Testing, sections 3.1 and 3.2.
    """
    n = x.shape[1]
    mean = x.mean(axis=1, keepdims=True)
    z = x - mean
    varies = x.max(axis=1) > x.min(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        s = np.sqrt((z * z).mean(axis=1, keepdims=True))
        sharpe = mean / s
        z /= s
        psi = z * z
        psi -= 1.0
        psi *= -0.5 * sharpe
        psi += z
        del z
        psi -= psi.mean(axis=1, keepdims=True)
        error = np.sqrt(bartlett_variance(psi, lag_window(n)) / n)
    defined = varies & np.isfinite(sharpe[:, 0]) & np.isfinite(error) & (error > 0)
    nan = np.full(len(x), math.nan)
    return np.where(defined, sharpe[:, 0], nan), np.where(defined, error, nan)


def bartlett_variance(psi: "Floats", lags: int) -> "Floats":
    """Return γ_0 + 2 Σ_{k ≤ lags} (1 - k / (lags + 1)) γ_k of each row of ``psi`` (rows, n).

    Each γ_k is (1/n) Σ ψ_t ψ_{t-k}. The weighted sum equals that of the squared sums of all windows
    of lags + 1 neighbours, zeros beyond both ends, over n (lags + 1): one pass however many lags.
    """
    rows, n = psi.shape
    width = lags + 1
    sums = np.zeros((rows, n + 1 + 2 * lags))
    np.cumsum(psi, axis=1, out=sums[:, width : width + n])
    sums[:, width + n :] = sums[:, width + n - 1, None]
    windows = sums[:, width:] - sums[:, :-width]
    del sums
    windows *= windows
    total: Floats = windows.sum(axis=1)
    return total / (n * width)
