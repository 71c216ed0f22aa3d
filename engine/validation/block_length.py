"""How long the blocks of a bootstrap should be, from the data's own autocorrelation."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.records import CancelCheck, never_cancelled

if TYPE_CHECKING:
    from engine.records import Floats

HUGE = 1e100


@dataclass(frozen=True)
class BlockLengths:
    """The optimal mean length for the stationary scheme, and the length for circular blocks."""

    stationary: float
    circular: float


def optimal_block_lengths(
    x: "Floats", check_cancelled: CancelCheck = never_cancelled
) -> BlockLengths:
    """Return the lengths that minimise the error of the variance of the mean of ``x`` (n,).

    Clamped to 1 … ⌈min(3√n, n/3)⌉; 1 for a constant series.
    Source: Politis & White (2004), section 3; Patton, Politis & White (2009), correction.
    """
    n = len(x)
    if n < 3 or x.max() == x.min():
        return BlockLengths(1.0, 1.0)
    if (largest := float(abs(x).max())) > HUGE:  # whose squares are no numbers
        x = np.ldexp(x, -math.frexp(largest)[1])  # the lengths are the same at any scale
    centred = x - x.mean()

    @functools.cache
    def covariance(lag: int) -> float:
        check_cancelled()
        return float((centred[lag:] * centred[: n - lag]).sum()) / n

    bandwidth = _bandwidth(centred, covariance)
    spectral_0, weighted = covariance(0), 0.0
    for lag in range(1, bandwidth + 1):
        # The flat-top window of Politis & Romano (1995).
        window = min(1.0, 2.0 * (1.0 - lag / bandwidth))
        spectral_0 += 2.0 * window * covariance(lag)
        weighted += 2.0 * window * lag * covariance(lag)
    return clamped(block_lengths(weighted, spectral_0, n), n)


def block_lengths(weighted: float, spectral_0: float, n: int) -> BlockLengths:
    """Return (2 G² / D)^(1/3) n^(1/3), D = 2 g² stationary and 4/3 g² circular.

    ``weighted`` is G = Σ |k| R(k), ``spectral_0`` g = Σ R(k), over all lags of both signs.
    """
    if spectral_0 == 0:
        return BlockLengths(math.inf, math.inf)
    ratio = weighted / spectral_0
    return BlockLengths(
        stationary=math.pow(ratio * ratio * n, 1 / 3),
        circular=math.pow(1.5 * ratio * ratio * n, 1 / 3),
    )


def clamped(lengths: BlockLengths, n: int) -> BlockLengths:
    """Return the lengths within 1 … ⌈min(3√n, n/3)⌉."""
    longest = float(math.ceil(min(3.0 * math.sqrt(n), n / 3.0)))
    return BlockLengths(
        min(max(lengths.stationary, 1.0), longest), min(max(lengths.circular, 1.0), longest)
    )


def _bandwidth(x: "Floats", covariance: Callable[[int], float]) -> int:
    """Return twice the lag at which a run of insignificant autocorrelations begins.

    K_n = max(5, ⌊log10 n⌋) in a row, the largest lag ⌈√n⌉ + K_n where there is none. The paper says
    "smallest m such that lags m + 1 … m + K_n are insignificant"; its authors' own program, and all
    that follow it, take the first of those lags, and so does this one.
    """
    n = len(x)
    run = max(5, int(math.log10(n)))
    max_lag = min(math.ceil(math.sqrt(n)) + run, n - 1)
    bound = 2.0 * math.sqrt(math.log10(n) / n)
    squares = np.cumsum(x * x)
    insignificant = 0
    for lag in range(1, max_lag):
        # Each of the two stretches by its own sum of squares, without their first and last value.
        tail = float(squares[-1] - squares[lag])
        head = float(squares[n - 2 - lag])
        norm = math.sqrt(tail * head) if tail > 0 and head > 0 else 0.0
        small = norm > 0 and abs(covariance(lag) * n) / norm < bound
        insignificant = insignificant + 1 if small else 0
        if insignificant == run:
            return min(2 * (lag - run + 1), max_lag)
    return max_lag
