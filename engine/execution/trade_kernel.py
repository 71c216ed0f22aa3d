# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Round trips from fills, in one pass over them and over the bars that they hold.

Plain Python that Cython also compiles, under the same rules as the bar loop (``kernel.py``).
"""

import cython
from cython.cimports.libc.math import fabs  # type: ignore[import-not-found]  # Cython's own


@cython.final
@cython.cclass
class Filled:
    """What the round trips are made of: fills (n_fills,), bars (n_bars,), fees or nothing."""

    bar = cython.declare(cython.const[cython.longlong][::1], visibility="public")
    at_close = cython.declare(cython.const[cython.uchar][::1], visibility="public")
    qty = cython.declare(cython.const[cython.double][::1], visibility="public")
    price = cython.declare(cython.const[cython.double][::1], visibility="public")
    commission = cython.declare(cython.const[cython.double][::1], visibility="public")
    slippage = cython.declare(cython.const[cython.double][::1], visibility="public")
    realized_pnl = cython.declare(cython.const[cython.double][::1], visibility="public")
    position_after = cython.declare(cython.const[cython.double][::1], visibility="public")
    entry_after = cython.declare(cython.const[cython.double][::1], visibility="public")
    low = cython.declare(cython.const[cython.double][::1], visibility="public")
    high = cython.declare(cython.const[cython.double][::1], visibility="public")
    close = cython.declare(cython.const[cython.double][::1], visibility="public")
    borrow = cython.declare(cython.const[cython.double][::1], visibility="public")


@cython.final
@cython.cclass
class Trips:
    """What is written, a row for each round trip; there is room for one a fill.

    ``exit_price`` and ``return_`` hold NaN when they come, and keep it where they are undefined.
    """

    entry_bar = cython.declare(cython.longlong[::1], visibility="public")
    exit_bar = cython.declare(cython.longlong[::1], visibility="public")
    side = cython.declare(cython.longlong[::1], visibility="public")
    bars_held = cython.declare(cython.longlong[::1], visibility="public")
    open = cython.declare(cython.uchar[::1], visibility="public")
    qty = cython.declare(cython.double[::1], visibility="public")
    entry_price = cython.declare(cython.double[::1], visibility="public")
    exit_price = cython.declare(cython.double[::1], visibility="public")
    pnl = cython.declare(cython.double[::1], visibility="public")
    return_ = cython.declare(cython.double[::1], visibility="public")
    commission = cython.declare(cython.double[::1], visibility="public")
    slippage = cython.declare(cython.double[::1], visibility="public")
    borrow = cython.declare(cython.double[::1], visibility="public")
    mae = cython.declare(cython.double[::1], visibility="public")
    mfe = cython.declare(cython.double[::1], visibility="public")
    n = cython.declare(cython.Py_ssize_t, visibility="public")


@cython.final
@cython.cclass
class _Trip:
    """The round trip that is on its way; since bar ``since`` it is held at ``average``."""

    side: cython.double
    entry_bar: cython.longlong
    since: cython.longlong
    average: cython.double
    qty: cython.double
    raised_qty: cython.double
    raised_value: cython.double
    lowered_qty: cython.double
    lowered_value: cython.double
    commission: cython.double
    slippage: cython.double
    realized: cython.double
    worst: cython.double
    best: cython.double


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _begin(trip: _Trip, bar: cython.longlong, position: cython.double) -> cython.void:
    trip.side = 1.0 if position > 0.0 else -1.0
    trip.entry_bar = bar
    trip.since = bar
    trip.average = trip.qty = 0.0
    trip.raised_qty = trip.raised_value = trip.lowered_qty = trip.lowered_value = 0.0
    trip.commission = trip.slippage = trip.realized = 0.0
    trip.worst = trip.best = 0.0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _add(
    trip: _Trip,
    filled: Filled,
    k: cython.Py_ssize_t,
    before: cython.double,
    after: cython.double,
    qty: cython.double,
    share: cython.double,
) -> cython.void:
    """Add fill ``k``, or the part of it that moves the position of this trip."""
    if fabs(after) > fabs(before):
        trip.raised_qty = trip.raised_qty + qty
        trip.raised_value = trip.raised_value + qty * filled.price[k]
    else:
        trip.lowered_qty = trip.lowered_qty + qty
        trip.lowered_value = trip.lowered_value + qty * filled.price[k]
        trip.realized = trip.realized + filled.realized_pnl[k]
    trip.commission = trip.commission + filled.commission[k] * share
    trip.slippage = trip.slippage + filled.slippage[k] * share
    trip.qty = max(trip.qty, fabs(after))
    trip.average = filled.entry_after[k]
    trip.since = filled.bar[k]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _saw(trip: _Trip, price: cython.double) -> cython.void:
    """Note a price against the average entry; a fill that was floored at 0 says nothing."""
    moved: cython.double
    if trip.average > 0.0:
        moved = trip.side * (price / trip.average - 1.0)
        trip.worst = min(trip.worst, moved)
        trip.best = max(trip.best, moved)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _hold(trip: _Trip, filled: Filled, stop: cython.longlong) -> cython.void:
    """Note the lowest low and the highest high of the bars since the last fill, its own included.

    Between two fills the average entry is constant, so these two are all that it takes.
    """
    t: cython.longlong
    least: cython.double = filled.low[trip.since]
    most: cython.double = filled.high[trip.since]
    for t in range(trip.since + 1, stop):
        least = min(least, filled.low[t])
        most = max(most, filled.high[t])
    _saw(trip, least)
    _saw(trip, most)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _write(
    trip: _Trip,
    filled: Filled,
    trips: Trips,
    exit_bar: cython.longlong,
    exit_at_close: cython.longlong,
    unrealized: cython.double,
) -> cython.void:
    row: cython.Py_ssize_t = trips.n
    t: cython.longlong
    fees: cython.double = 0.0
    pnl: cython.double
    if filled.borrow.shape[0] > 0:
        for t in range(trip.entry_bar + 1, exit_bar + 1):
            fees = fees + filled.borrow[t]
    pnl = trip.realized - trip.commission - fees + unrealized
    trips.entry_bar[row] = trip.entry_bar
    trips.exit_bar[row] = exit_bar
    trips.side[row] = 1 if trip.side > 0.0 else -1
    trips.bars_held[row] = exit_bar - trip.entry_bar + exit_at_close
    trips.qty[row] = trip.qty
    trips.entry_price[row] = trip.raised_value / trip.raised_qty
    if trip.lowered_qty > 0.0:
        trips.exit_price[row] = trip.lowered_value / trip.lowered_qty
    trips.pnl[row] = pnl
    if trip.raised_value != 0.0:
        trips.return_[row] = pnl / trip.raised_value
    trips.commission[row] = trip.commission
    trips.slippage[row] = trip.slippage
    trips.borrow[row] = fees
    trips.mae[row] = trip.worst
    trips.mfe[row] = trip.best
    trips.open[row] = 0
    trips.n = row + 1


def round_trips(filled: Filled, trips: Trips) -> None:
    """Write the round trips in order of entry.

    A fill through zero is two: the part that closes has the share |position| / |q| of its costs.
    """
    k: cython.Py_ssize_t
    n_bars: cython.longlong = filled.close.shape[0]
    before: cython.double = 0.0
    after: cython.double
    qty: cython.double
    closing: cython.double
    crosses: cython.bint
    trip: _Trip = _Trip()
    with cython.nogil:
        for k in range(filled.bar.shape[0]):
            after, qty, closing = filled.position_after[k], filled.qty[k], 0.0
            crosses = (before > 0.0 and after < 0.0) or (before < 0.0 and after > 0.0)
            if before != 0.0:
                _hold(trip, filled, filled.bar[k] + filled.at_close[k])
                if crosses or after == 0.0:
                    _saw(trip, filled.price[k])
                if crosses:
                    closing = fabs(before) / qty
                    _add(trip, filled, k, before, 0.0, fabs(before), closing)
                else:
                    _add(trip, filled, k, before, after, qty, 1.0)
                if crosses or after == 0.0:
                    _write(trip, filled, trips, filled.bar[k], filled.at_close[k], 0.0)
            if after != 0.0 and (crosses or before == 0.0):
                _begin(trip, filled.bar[k], after)
                qty = fabs(after) if crosses else qty
                _add(trip, filled, k, 0.0, after, qty, 1.0 - closing)
            before = after
        if before != 0.0:
            _hold(trip, filled, n_bars)
            k = filled.bar.shape[0] - 1
            _write(
                trip,
                filled,
                trips,
                n_bars - 1,
                1,
                (filled.close[n_bars - 1] - filled.entry_after[k]) * before,
            )
            trips.open[trips.n - 1] = 1
            trips.exit_price[trips.n - 1] = filled.close[n_bars - 1]
