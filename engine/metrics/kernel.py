# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The passes over whole curves: drawdowns, moments of returns, exposure.

Plain Python that Cython also compiles, under the same rules as the bar loop. Sums are made of parts
of ``PART`` values: what one addition after the other loses in a million of them stays below 1e-13.
"""

import cython
from cython.cimports.libc.math import fabs  # type: ignore[import-not-found]  # Cython's own

PART = cython.declare(cython.Py_ssize_t, 256)


@cython.final
@cython.cclass
class Falls:
    """Of all drawdowns: how many, the deepest and the sum of depths, the longest and all bars."""

    n = cython.declare(cython.longlong, visibility="public")
    deepest = cython.declare(cython.double, visibility="public")
    depths = cython.declare(cython.double, visibility="public")
    longest = cython.declare(cython.longlong, visibility="public")
    bars = cython.declare(cython.longlong, visibility="public")


@cython.final
@cython.cclass
class Moments:
    """Of returns: mean, least and most, sums of powers of what is above the mean.

    ``below`` is the sum of min(r - rf, 0)².
    """

    mean = cython.declare(cython.double, visibility="public")
    least = cython.declare(cython.double, visibility="public")
    most = cython.declare(cython.double, visibility="public")
    sum2 = cython.declare(cython.double, visibility="public")
    sum3 = cython.declare(cython.double, visibility="public")
    sum4 = cython.declare(cython.double, visibility="public")
    below = cython.declare(cython.double, visibility="public")


@cython.final
@cython.cclass
class Exposure:
    """Of |position C| / E: the sum over all bars and the most; and how many bars held anything."""

    total = cython.declare(cython.double, visibility="public")
    most = cython.declare(cython.double, visibility="public")
    n_held = cython.declare(cython.longlong, visibility="public")


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _note(falls: Falls, depth: cython.double, bars: cython.longlong) -> cython.void:
    falls.n += 1
    falls.deepest = min(falls.deepest, depth)
    falls.depths = falls.depths + depth
    falls.longest = max(falls.longest, bars)
    falls.bars += bars


def drawdowns(
    equity: cython.const[cython.double][::1],
    initial: cython.double,
    noise: cython.double,
    drawdown: cython.double[::1],
    falls: Falls,
) -> None:
    """Write E_t / max(E_s, s ≤ t) - 1, unless ``drawdown`` is empty, and what the falls were.

    A fall is a run of bars below the peak by more than ``noise``; it lasts from its peak bar (-1
    for the initial cash) to the bar of recovery, or to the last one.
    """
    t: cython.Py_ssize_t
    n: cython.Py_ssize_t = equity.shape[0]
    start: cython.Py_ssize_t = -1
    peak: cython.double = initial
    depth: cython.double = 0.0
    below: cython.double
    falls.n = falls.longest = falls.bars = 0
    falls.deepest = falls.depths = 0.0
    with cython.nogil:
        for t in range(n):
            if equity[t] >= peak:
                peak, below = equity[t], 0.0
            else:
                below = equity[t] / peak - 1.0
            if drawdown.shape[0] > 0:
                drawdown[t] = below
            if below < -noise:
                if start < 0:
                    start, depth = t, below
                depth = min(depth, below)
            elif start >= 0:
                _note(falls, depth, t - start + 1)
                start = -1
        if start >= 0:
            _note(falls, depth, n - start)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _find_mean(returns: cython.const[cython.double][::1], found: Moments) -> cython.void:
    k: cython.Py_ssize_t
    t: cython.Py_ssize_t
    stop: cython.Py_ssize_t
    n: cython.Py_ssize_t = returns.shape[0]
    part: cython.double
    low: cython.double
    high: cython.double
    least: cython.double = returns[0]
    most: cython.double = returns[0]
    total: cython.double = 0.0
    for k in range((n + PART - 1) // PART):
        t, stop, part = k * PART, min((k + 1) * PART, n), 0.0
        while t + 4 <= stop:  # by fours, so that not every value waits for the one before
            part = part + ((returns[t] + returns[t + 1]) + (returns[t + 2] + returns[t + 3]))
            low = min(returns[t], returns[t + 1], returns[t + 2], returns[t + 3])
            high = max(returns[t], returns[t + 1], returns[t + 2], returns[t + 3])
            least, most = min(least, low), max(most, high)
            t += 4
        while t < stop:
            part = part + returns[t]
            least, most = min(least, returns[t]), max(most, returns[t])
            t += 1
        total = total + part
    found.mean, found.least, found.most = total / n, least, most


def moments(returns: cython.const[cython.double][::1], rf: cython.double, found: Moments) -> None:
    """Find the moments of ``returns`` (n,), n ≥ 1, in two passes."""
    k: cython.Py_ssize_t
    t: cython.Py_ssize_t
    n: cython.Py_ssize_t = returns.shape[0]
    mean: cython.double
    part2: cython.double
    part3: cython.double
    part4: cython.double
    beneath: cython.double
    above: cython.double
    below: cython.double
    square: cython.double
    found.sum2 = found.sum3 = found.sum4 = found.below = 0.0
    with cython.nogil:
        _find_mean(returns, found)
        mean = found.mean
        for k in range((n + PART - 1) // PART):
            part2 = part3 = part4 = beneath = 0.0
            for t in range(k * PART, min((k + 1) * PART, n)):
                above = returns[t] - mean
                square = above * above
                part2 = part2 + square
                part3 = part3 + above * square
                part4 = part4 + square * square
                below = returns[t] - rf
                below = below - fabs(below)  # 2 min(below, 0), and no branch to guess wrong
                beneath = beneath + below * below
            found.sum2 = found.sum2 + part2
            found.sum3 = found.sum3 + part3
            found.sum4 = found.sum4 + part4
            found.below = found.below + beneath / 4.0


def exposure(
    position: cython.const[cython.double][::1],
    close: cython.const[cython.double][::1],
    equity: cython.const[cython.double][::1],
    found: Exposure,
) -> None:
    """Find how much of the equity was in the market, 0 at bars without equity."""
    k: cython.Py_ssize_t
    t: cython.Py_ssize_t
    n: cython.Py_ssize_t = equity.shape[0]
    n_held: cython.longlong = 0
    total: cython.double = 0.0
    most: cython.double = 0.0
    part: cython.double
    share: cython.double
    with cython.nogil:
        for k in range((n + PART - 1) // PART):
            part = 0.0
            for t in range(k * PART, min((k + 1) * PART, n)):
                if position[t] != 0.0:
                    n_held += 1
                    if equity[t] > 0.0:
                        share = fabs(position[t] * close[t]) / equity[t]
                        part = part + share
                        most = max(most, share)
            total = total + part
    found.total, found.most, found.n_held = total, most, n_held
