# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What a replicate does for every bar, apart from the engine itself, without the GIL.

Plain Python that Cython also compiles to C, like the bar loop: + - * / √ and comparisons only,
evaluated from left to right as written, so that both give the same bits. All arrays are
C-contiguous; interpreted, they come as memoryviews.
"""

import cython
from cython.cimports.libc.math import floor, sqrt  # type: ignore[import-not-found]  # Cython's own


@cython.final
@cython.cclass
class Series:
    """A market's series by name, a row for each replicate; volume and vwap may have no column."""

    opened: cython.double[:, ::1]
    high: cython.double[:, ::1]
    low: cython.double[:, ::1]
    close: cython.double[:, ::1]
    volume: cython.double[:, ::1]
    vwap: cython.double[:, ::1]

    def __init__(self, opened, high, low, close, volume, vwap) -> None:  # type: ignore[no-untyped-def]  # arrays, or memoryviews
        self.opened = opened
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume
        self.vwap = vwap


def shuffle(
    by_slot: cython.const[cython.longlong][::1],
    edges: cython.const[cython.longlong][::1],
    uniforms: cython.const[cython.double][:, ::1],
    offset: cython.Py_ssize_t,
    orders: cython.longlong[:, ::1],
    rows: cython.Py_ssize_t,
    start: cython.Py_ssize_t,
    stop: cython.Py_ssize_t,
) -> None:
    """Go on from positions ``stop`` - 1 down to ``start`` with the first rows of ``orders`` (…, m).

    Fisher–Yates within each slot, from the last position to the first. ``by_slot`` (m,) lists moves
    slot by slot, ``edges`` where each slot begins, and the end. ``uniforms`` (…, offset + m) lie in
    [0, 1), the one at offset + i decides the partner of ``by_slot[i]``.
    """
    row: cython.Py_ssize_t
    slot: cython.Py_ssize_t
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n_left: cython.double
    kept: cython.longlong
    m: cython.Py_ssize_t = orders.shape[1]
    with cython.nogil:
        for row in range(rows):
            if stop == m:
                for i in range(m):
                    orders[row, i] = i
            slot = edges.shape[0] - 2
            for i in range(stop - 1, start - 1, -1):
                while edges[slot] > i:
                    slot = slot - 1
                n_left = i - edges[slot] + 1
                j = edges[slot] + cython.cast(cython.Py_ssize_t, uniforms[row, offset + i] * n_left)
                kept = orders[row, by_slot[i]]
                orders[row, by_slot[i]] = orders[row, by_slot[j]]
                orders[row, by_slot[j]] = kept


def rebuild(
    moves: Series,
    gap: cython.const[cython.double][::1],
    gap_orders: cython.const[cython.longlong][:, ::1],
    bar_orders: cython.const[cython.longlong][:, ::1],
    prices: Series,
    rows: cython.Py_ssize_t,
    start: cython.Py_ssize_t,
    stop: cython.Py_ssize_t,
) -> None:
    """Multiply moves ``start`` … ``stop`` - 1 up to prices in the first rows, from left to right.

    ``moves`` has one row: high, low, close and vwap over the open, and the volume, of each of m
    bars; ``gap`` (m,) is the open over the close before. The rows of ``prices`` (…, n_bars) hold
    the bars that are kept; the last m are written.
    """
    row: cython.Py_ssize_t
    j: cython.Py_ssize_t
    t: cython.Py_ssize_t
    which: cython.Py_ssize_t
    opened: cython.double
    closed: cython.double
    kept: cython.Py_ssize_t = prices.close.shape[1] - gap_orders.shape[1]
    with cython.nogil:
        for row in range(rows):
            closed = prices.close[row, kept + start - 1]
            for j in range(start, stop):
                t = kept + j
                which = bar_orders[row, j]
                opened = closed * gap[gap_orders[row, j]]
                closed = opened * moves.close[0, which]
                prices.opened[row, t] = opened
                prices.close[row, t] = closed
                # Clamped to contain open and close: the last bits are rounded.
                prices.high[row, t] = max(opened * moves.high[0, which], opened, closed)
                prices.low[row, t] = min(opened * moves.low[0, which], opened, closed)
                if moves.volume.shape[1] > 0:
                    prices.volume[row, t] = moves.volume[0, which]
                if moves.vwap.shape[1] > 0:
                    prices.vwap[row, t] = opened * moves.vwap[0, which]


def total_returns(
    equity: cython.const[cython.double][:, ::1],
    first: cython.Py_ssize_t,
    scores: cython.double[::1],
) -> None:
    """Write Π (1 + r_t) - 1 over t > ``first`` for each row of ``equity`` (rows, n_bars)."""
    row: cython.Py_ssize_t
    n: cython.Py_ssize_t = equity.shape[1]
    with cython.nogil:
        for row in range(scores.shape[0]):
            scores[row] = 0.0
            if equity[row, first] > 0.0:
                scores[row] = equity[row, n - 1] / equity[row, first] - 1.0


def sharpes(
    equity: cython.const[cython.double][:, ::1],
    first: cython.Py_ssize_t,
    rf: cython.double,
    root_periods: cython.double,
    undefined: cython.double,
    returns: cython.double[::1],
    scores: cython.double[::1],
) -> None:
    """Write mean(r - rf) / std(r, ddof 1) √P over t > ``first`` for each row (rows, n_bars).

    r_t = E_t / E_{t-1} - 1, 0 where E_{t-1} ≤ 0; ``undefined`` where fewer than two or all equal.
    ``returns`` is room for the returns of one row.
    """
    row: cython.Py_ssize_t
    t: cython.Py_ssize_t
    total: cython.double
    squares: cython.double
    deviation: cython.double
    low: cython.double
    high: cython.double
    n: cython.Py_ssize_t = equity.shape[1] - first - 1
    with cython.nogil:
        for row in range(scores.shape[0]):
            scores[row] = undefined
            if n < 2:
                continue
            total = 0.0
            for t in range(n):
                deviation = 0.0
                if equity[row, first + t] > 0.0:
                    deviation = equity[row, first + t + 1] / equity[row, first + t] - 1.0
                returns[t] = deviation
                total = total + deviation
            total = total / n
            squares = 0.0
            low = returns[0]
            high = returns[0]
            for t in range(n):
                low = min(low, returns[t])
                high = max(high, returns[t])
                deviation = returns[t] - total
                squares = squares + deviation * deviation
            if high > low and squares > 0.0:
                scores[row] = (total - rf) / sqrt(squares / (n - 1)) * root_periods


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _bartlett_variance(
    psi: cython.double[::1], sums: cython.double[::1], n: cython.Py_ssize_t, lags: cython.Py_ssize_t
) -> cython.double:
    """Return γ_0 + 2 Σ_{k ≤ lags} (1 - k / (lags + 1)) γ_k, γ_k = (1/n) Σ ψ_t ψ_{t-k}.

    It equals the sum of the squared sums of all windows of lags + 1 neighbours, zeros beyond both
    ends, over n (lags + 1): two passes, however many lags. ``sums`` is room for n + 1 values.
    """
    t: cython.Py_ssize_t
    window: cython.double
    total: cython.double = 0.0
    sums[0] = 0.0
    for t in range(n):
        sums[t + 1] = sums[t] + psi[t]
    for t in range(n + lags):  # the window that ends with bar t
        window = sums[min(t + 1, n)] - sums[max(t - lags, 0)]
        total = total + window * window
    return total / n / (lags + 1)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _sharpe_error(
    x: cython.double[::1],
    sums: cython.double[::1],
    n: cython.Py_ssize_t,
    lags: cython.Py_ssize_t,
    mean: cython.double,
    s: cython.double,
) -> cython.double:
    """Return √(LRV / n) of ψ = z - S / 2 (z² - 1), z = (x - m) / s; ``x`` becomes ψ."""
    t: cython.Py_ssize_t
    z: cython.double
    half: cython.double = mean / s / 2.0
    total: cython.double = 0.0
    for t in range(n):
        z = (x[t] - mean) / s
        x[t] = z - half * (z * z - 1.0)
        total = total + x[t]
    total = total / n
    for t in range(n):
        x[t] = x[t] - total
    return sqrt(_bartlett_variance(x, sums, n, lags) / n)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _measure_sharpe(
    x: cython.double[::1],
    sums: cython.double[::1],
    lags: cython.Py_ssize_t,
    undefined: cython.double,
    figures: cython.double[:, ::1],
    row: cython.Py_ssize_t,
) -> cython.void:
    """Write S = m / s of ``x`` (n,), population moments, and its error; ``x`` becomes ψ."""
    t: cython.Py_ssize_t
    mean: cython.double = 0.0
    squares: cython.double = 0.0
    low: cython.double = x[0]
    high: cython.double = x[0]
    n: cython.Py_ssize_t = x.shape[0]
    figures[row, 0] = undefined
    figures[row, 1] = undefined
    for t in range(n):
        mean = mean + x[t]
    mean = mean / n
    for t in range(n):
        low = min(low, x[t])
        high = max(high, x[t])
        squares = squares + (x[t] - mean) * (x[t] - mean)
    squares = squares / n
    if high > low and squares > 0.0:
        figures[row, 0] = mean / sqrt(squares)
        figures[row, 1] = _sharpe_error(x, sums, n, lags, mean, sqrt(squares))


def sharpe_and_error(
    x: cython.double[::1],
    sums: cython.double[::1],
    lags: cython.Py_ssize_t,
    undefined: cython.double,
    figures: cython.double[:, ::1],
) -> None:
    """Write S and its standard error of excess returns ``x`` (n,) into row 0 of ``figures``.

    Both ``undefined`` for a constant series. ``x`` is used up; ``sums`` (n + 1,) is room.
    """
    with cython.nogil:
        _measure_sharpe(x, sums, lags, undefined, figures, 0)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _draw_bars(
    uniforms: cython.const[cython.double][:, ::1],
    row: cython.Py_ssize_t,
    stationary: cython.bint,
    length: cython.double,
    n_starts: cython.double,
    bars: cython.longlong[:, ::1],
) -> cython.void:
    """Write the bars (n,) of one replicate: block after block, in a circle.

    Stationary: where u < 1 / length a block begins, and u length says where; the first bar begins
    one in any case. Otherwise blocks of ``length``, the k-th from u_k, the last one cut at n.
    """
    t: cython.Py_ssize_t
    n: cython.Py_ssize_t = bars.shape[1]
    left: cython.Py_ssize_t = 0
    block: cython.Py_ssize_t = 0
    bar: cython.double = 0.0
    for t in range(n):
        if stationary and t > 0:
            if uniforms[row, t] * length < 1.0:
                bar = floor(uniforms[row, t] * length * n_starts)
            else:
                bar = bar + 1.0
        elif left == 0:
            bar = floor(uniforms[row, block] * n_starts)
            block = block + 1
            left = cython.cast(cython.Py_ssize_t, length) - 1
        else:
            bar = bar + 1.0
            left = left - 1
        if bar >= n:
            bar = bar - n
        bars[row, t] = cython.cast(cython.longlong, bar)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _resample(
    returns: cython.const[cython.double][::1],
    log_returns: cython.const[cython.double][::1],
    bars: cython.longlong[:, ::1],
    row: cython.Py_ssize_t,
    rf: cython.double,
    x: cython.double[::1],
    figures: cython.double[:, ::1],
) -> cython.void:
    """Write the excess returns of a row's bars, their mean log return and maximum drawdown."""
    t: cython.Py_ssize_t
    r: cython.double
    n: cython.Py_ssize_t = bars.shape[1]
    logs: cython.double = 0.0
    grown: cython.double = 1.0
    peak: cython.double = 1.0
    lowest: cython.double = 1.0
    for t in range(n):
        r = returns[bars[row, t]]
        x[t] = r - rf
        if grown > 0.0:  # what is lost, or debt, stays as it is
            grown = grown * (1.0 + r)
        peak = max(peak, grown)
        lowest = min(lowest, grown / peak)
        if log_returns.shape[0] > 0:
            logs = logs + log_returns[bars[row, t]]
    figures[row, 2] = logs / n
    figures[row, 3] = lowest - 1.0 if 1.0 - lowest > 1e-12 else 0.0


def bootstrap(
    returns: cython.const[cython.double][::1],
    log_returns: cython.const[cython.double][::1],
    uniforms: cython.const[cython.double][:, ::1],
    stationary: cython.bint,
    length: cython.double,
    n_starts: cython.double,
    rf: cython.double,
    lags: cython.Py_ssize_t,
    undefined: cython.double,
    bars: cython.longlong[:, ::1],
    x: cython.double[::1],
    sums: cython.double[::1],
    figures: cython.double[:, ::1],
) -> None:
    """Write S*, SE*, mean log return and maximum drawdown of each row of ``figures`` (rows, 4).

    ``returns`` (n,), ``log_returns`` (n,) or empty, ``uniforms`` (…, n or one a block) in [0, 1).
    ``bars`` (…, n) holds what each replicate was made of afterwards; ``x`` (n,) and ``sums``
    (n + 1,) are room.
    """
    row: cython.Py_ssize_t
    with cython.nogil:
        for row in range(figures.shape[0]):
            _draw_bars(uniforms, row, stationary, length, n_starts, bars)
            _resample(returns, log_returns, bars, row, rf, x, figures)
            _measure_sharpe(x, sums, lags, undefined, figures, row)
