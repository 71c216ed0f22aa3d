# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The bar loop: the only place where a position meets a price.

Plain Python that Cython also compiles to C; both give the same bits, because every expression uses
+ - * / and comparisons only (and the scalar ``exp`` of the C library where slippage is noisy),
evaluated left to right as written, and never as fused multiply-add (``setup.py``). Interpreted, it
is fed with memoryviews of the same arrays, which hand out Python floats, not numpy scalars.
"""

import cython
from cython.cimports.libc.math import exp, fabs, trunc  # type: ignore[import-not-found]  # Cython's own

YEAR_MS = cython.declare(cython.double, 31557600000.0)  # 365.25 days
EXACT_UNITS = cython.declare(cython.double, 9007199254740992.0)  # 2**53: whole beyond it anyway
MIN_WEIGHT_CHANGE = cython.declare(cython.double, 1e-12)


@cython.final
@cython.cclass
class Shock:
    """Another slippage in place of the configured one, for what-if runs.

    Where ``active``, fill k moves by s = (flat + multiple |X / B - 1|) exp(sigma z_k - sigma² / 2),
    X / B of the configured slippage; without the exponential where ``noise`` is empty.
    """

    active = cython.declare(cython.bint, visibility="public")
    flat = cython.declare(cython.double, visibility="public")
    multiple = cython.declare(cython.double, visibility="public")
    sigma = cython.declare(cython.double, visibility="public")
    noise = cython.declare(cython.const[cython.double][::1], visibility="public")


@cython.final
@cython.cclass
class Terms:
    """What a trade costs and which orders are placed; rates in basis points as configured."""

    commission_per_share = cython.declare(cython.double, visibility="public")
    commission_bps = cython.declare(cython.double, visibility="public")
    commission_min = cython.declare(cython.double, visibility="public")
    slippage_bps = cython.declare(cython.double, visibility="public")
    borrow_bps = cython.declare(cython.double, visibility="public")
    lot_size = cython.declare(cython.double, visibility="public")
    rebalance_band = cython.declare(cython.double, visibility="public")
    carry_zero_volume = cython.declare(cython.bint, visibility="public")
    skip_zero_volume = cython.declare(cython.bint, visibility="public")
    auto_flatten_end = cython.declare(cython.bint, visibility="public")
    shock = cython.declare(Shock, visibility="public")


@cython.final
@cython.cclass
class Bars:
    """What the loop reads, one value a bar; ``volume`` is empty where it is not known.

    Several runs may follow one another: ``n`` bars each, ``first`` the first bar of the one that
    the loop is in (-n before it begins), every one with the times ``ts`` (n,).

    ``base`` is the price a fill starts from; a fill of quantity ``q`` then moves it by the fraction
    ``spread + impact * min(|q| / volume, 1)``.
    """

    ts = cython.declare(cython.const[cython.longlong][::1], visibility="public")
    base = cython.declare(cython.const[cython.double][::1], visibility="public")
    close = cython.declare(cython.const[cython.double][::1], visibility="public")
    volume = cython.declare(cython.const[cython.double][::1], visibility="public")
    weight = cython.declare(cython.const[cython.double][::1], visibility="public")
    spread = cython.declare(cython.const[cython.double][:], visibility="public")
    impact = cython.declare(cython.const[cython.double][:], visibility="public")
    n = cython.declare(cython.Py_ssize_t, visibility="public")
    first = cython.declare(cython.Py_ssize_t, visibility="public")
    has_volume = cython.declare(cython.bint, visibility="public")


@cython.final
@cython.cclass
class Curve:
    """What the loop writes for every bar: state after the bar, and the borrow fee it charged.

    ``borrow`` holds zeros when it comes, only a fee is written. All but ``equity`` may be empty and
    are then not written; ``borrow`` only where the rate is 0.
    """

    position = cython.declare(cython.double[::1], visibility="public")
    cash = cython.declare(cython.double[::1], visibility="public")
    equity = cython.declare(cython.double[::1], visibility="public")
    borrow = cython.declare(cython.double[::1], visibility="public")


@cython.final
@cython.cclass
class Tape:
    """Where fills are written, one row each: room for two more than the bars of a call, or none."""

    bar = cython.declare(cython.longlong[::1], visibility="public")
    at_close = cython.declare(cython.longlong[::1], visibility="public")
    quantity = cython.declare(cython.double[::1], visibility="public")
    base_price = cython.declare(cython.double[::1], visibility="public")
    price = cython.declare(cython.double[::1], visibility="public")
    commission = cython.declare(cython.double[::1], visibility="public")
    slippage = cython.declare(cython.double[::1], visibility="public")
    realized_pnl = cython.declare(cython.double[::1], visibility="public")
    position_after = cython.declare(cython.double[::1], visibility="public")
    entry_after = cython.declare(cython.double[::1], visibility="public")
    n = cython.declare(cython.Py_ssize_t, visibility="public")


@cython.final
@cython.cclass
class Account:
    """The state that one bar hands to the next, and the counts behind the run's warnings."""

    initial_cash = cython.declare(cython.double, visibility="public")
    cash = cython.declare(cython.double, visibility="public")
    position = cython.declare(cython.double, visibility="public")
    pending = cython.declare(cython.double, visibility="public")
    has_pending = cython.declare(cython.bint, visibility="public")
    last_weight = cython.declare(cython.double, visibility="public")
    entry_price = cython.declare(cython.double, visibility="public")
    ruin_bar = cython.declare(cython.Py_ssize_t, visibility="public")
    unfilled = cython.declare(cython.bint, visibility="public")
    n_fills = cython.declare(cython.Py_ssize_t, visibility="public")
    n_skipped = cython.declare(cython.Py_ssize_t, visibility="public")
    n_exceeding_volume = cython.declare(cython.Py_ssize_t, visibility="public")
    n_negative_cash = cython.declare(cython.Py_ssize_t, visibility="public")


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _open(account: Account) -> cython.void:
    account.cash = account.initial_cash
    account.position = 0.0
    account.pending = 0.0
    account.has_pending = False
    account.last_weight = 0.0
    account.entry_price = 0.0
    account.ruin_bar = -1
    account.unfilled = False
    account.n_fills = 0
    account.n_skipped = 0
    account.n_exceeding_volume = 0
    account.n_negative_cash = 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _sign(x: cython.double) -> cython.int:
    return (x > 0.0) - (x < 0.0)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _book(
    account: Account,
    tape: Tape,
    t: cython.Py_ssize_t,
    at_close: cython.int,
    quantity: cython.double,
    base: cython.double,
    price: cython.double,
    commission: cython.double,
    after: cython.double,
) -> cython.void:
    """Move cash and position by one fill and write its row, at average cost."""
    before: cython.double = account.position
    realized: cython.double = 0.0
    row: cython.Py_ssize_t = tape.n
    if _sign(after) != _sign(before):  # from flat, to flat, or through zero
        if before != 0.0:
            realized = (price - account.entry_price) * before
        account.entry_price = price if after != 0.0 else 0.0
    elif fabs(after) > fabs(before):
        account.entry_price = (account.entry_price * fabs(before) + price * fabs(quantity)) / fabs(
            after
        )
    else:
        realized = (account.entry_price - price) * quantity
    account.cash = account.cash - (quantity * price + commission)
    account.position = after
    if tape.bar.shape[0] == 0:
        return
    tape.bar[row] = t
    tape.at_close[row] = at_close
    tape.quantity[row] = quantity
    tape.base_price[row] = base
    tape.price[row] = price
    tape.commission[row] = commission
    tape.slippage[row] = fabs(quantity) * fabs(price - base)
    tape.realized_pnl[row] = realized + 0.0  # never -0
    tape.position_after[row] = after
    tape.entry_after[row] = account.entry_price
    tape.n = row + 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _trade(
    account: Account,
    tape: Tape,
    terms: Terms,
    bars: Bars,
    t: cython.Py_ssize_t,
    at_close: cython.int,
    base: cython.double,
    target: cython.double,
) -> cython.void:
    """Fill an order for ``target`` units: X = B (1 + side a)(1 + side slippage), floored at 0."""
    quantity: cython.double = target - account.position
    side: cython.double = _sign(quantity)
    moved: cython.double = bars.spread[t]
    ratio: cython.double = 1.0
    sigma: cython.double = terms.shock.sigma
    price: cython.double
    commission: cython.double
    if bars.has_volume and bars.volume[t] > 0.0:
        account.n_exceeding_volume += fabs(quantity) > bars.volume[t]
        ratio = min(fabs(quantity) / bars.volume[t], 1.0)
    moved = moved + bars.impact[t] * ratio
    price = max(0.0, base * (1.0 + side * moved) * (1.0 + side * terms.slippage_bps / 1e4))
    if terms.shock.active:
        moved = terms.shock.flat + terms.shock.multiple * fabs(price / base - 1.0)
        if terms.shock.noise.shape[0] > 0:
            moved = moved * exp(sigma * terms.shock.noise[account.n_fills] - sigma * sigma / 2.0)
        price = base * (1.0 + side * moved)
    price = max(0.0, price)
    account.n_fills += 1
    commission = (
        terms.commission_per_share * fabs(quantity)
        + terms.commission_bps / 1e4 * fabs(quantity) * price
    )
    commission = max(commission, terms.commission_min)
    _book(account, tape, t, at_close, quantity, base, price, commission, target)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _decide(
    account: Account, terms: Terms, bars: Bars, t: cython.Py_ssize_t, equity: cython.double
) -> cython.void:
    """Order the position that the target weight asks for, where the target itself has moved."""
    weight: cython.double = bars.weight[t]
    band: cython.double = max(terms.rebalance_band, MIN_WEIGHT_CHANGE)
    units: cython.double
    if _sign(weight) == _sign(account.last_weight) and fabs(weight - account.last_weight) <= band:
        return
    units = weight * equity / bars.close[t]
    if terms.lot_size > 0.0:
        units = units / terms.lot_size
        if fabs(units) < EXACT_UNITS:
            units = trunc(units)
        units = units * terms.lot_size
    account.pending = units + 0.0  # C truncates -0.5 to -0.0, Python to 0
    account.has_pending = True
    account.last_weight = weight


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _fill_pending(
    account: Account, tape: Tape, terms: Terms, bars: Bars, t: cython.Py_ssize_t
) -> cython.void:
    """Fill the waiting order on a tradable bar; carry or drop it on one without volume."""
    changes: cython.bint = account.pending != account.position
    untraded: cython.bint = bars.has_volume and bars.volume[t] == 0.0
    if untraded and terms.carry_zero_volume:
        return
    if untraded and terms.skip_zero_volume:
        account.n_skipped += changes
    elif changes:
        _trade(account, tape, terms, bars, t, 0, bars.base[t], account.pending)
    account.has_pending = False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _ruin(
    account: Account, tape: Tape, bars: Bars, t: cython.Py_ssize_t, equity: cython.double
) -> cython.void:
    """Close the position at the close, without costs, and place no order again."""
    close: cython.double = bars.close[t]
    account.ruin_bar = t
    account.has_pending = False
    if account.position != 0.0:
        _book(account, tape, t, 1, -account.position, close, close, 0.0, 0.0)
        account.cash = equity  # to the bit, so that equity stays constant


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _closed_at_end(
    account: Account, tape: Tape, terms: Terms, bars: Bars, t: cython.Py_ssize_t
) -> cython.bint:
    """Note an order that no bar is left to fill, and flatten where that is asked for."""
    account.unfilled = account.has_pending and account.pending != account.position
    if not terms.auto_flatten_end or account.position == 0.0:
        return False
    _trade(account, tape, terms, bars, t, 1, bars.close[t], 0.0)
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _rest(
    account: Account,
    terms: Terms,
    bars: Bars,
    curve: Curve,
    t: cython.Py_ssize_t,
    stop: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Mark bars from ``t`` on while none fills, charges or decides anything; return the next one.

    Most bars are of this kind, and take nothing but their equity.
    """
    begin: cython.Py_ssize_t = t
    cash: cython.double = account.cash
    position: cython.double = account.position
    weight: cython.double = account.last_weight
    is_kept: cython.bint = curve.position.shape[0] > 0
    equity: cython.double
    if account.has_pending or account.ruin_bar >= 0 or (terms.borrow_bps > 0.0 and position < 0.0):
        return t
    while t < stop and bars.weight[t] == weight:
        equity = cash + position * bars.close[t]
        if equity <= 0.0:
            break
        curve.equity[t] = equity
        if is_kept:
            curve.position[t] = position
            curve.cash[t] = cash
        t += 1
    if cash < 0.0 and fabs(weight) <= 1.0:
        account.n_negative_cash += t - begin
    return t


def simulate(  # noqa: C901  # the order of a bar's steps is best read in one place
    account: Account,
    tape: Tape,
    terms: Terms,
    bars: Bars,
    curve: Curve,
    start: cython.Py_ssize_t,
    stop: cython.Py_ssize_t,
) -> None:
    """Run bars ``start`` to ``stop - 1``: borrow, fill, mark, ruin, decide, end, in this order.

    Bar ``t`` fills what bar ``t - 1`` decided and decides from its own close; it sees no later bar.
    Calls for consecutive ranges give the same bits as one call for all of them. After ``bars.n``
    bars a new account opens.
    """
    t: cython.Py_ssize_t = start
    last: cython.Py_ssize_t
    years: cython.double
    fee: cython.double
    equity: cython.double
    with cython.nogil:
        while t < stop:
            if t - bars.first == bars.n:
                bars.first = t
                _open(account)
            last = bars.first + bars.n - 1
            t = _rest(account, terms, bars, curve, t, min(stop, last))
            if t == stop:
                break
            fee = 0.0
            if terms.borrow_bps > 0.0 and account.position < 0.0 and t > bars.first:
                years = (bars.ts[t - bars.first] - bars.ts[t - bars.first - 1]) / YEAR_MS
                fee = terms.borrow_bps / 1e4 * years * fabs(account.position) * bars.close[t - 1]
                account.cash = account.cash - fee
            if account.has_pending:
                _fill_pending(account, tape, terms, bars, t)
            equity = account.cash + account.position * bars.close[t]
            if account.ruin_bar < 0:
                if account.cash < 0.0 and fabs(account.last_weight) <= 1.0:
                    account.n_negative_cash += 1
                if equity <= 0.0:
                    _ruin(account, tape, bars, t, equity)
                elif t < last:
                    _decide(account, terms, bars, t, equity)
            if t == last and _closed_at_end(account, tape, terms, bars, t):
                equity = account.cash
            curve.equity[t] = equity
            if curve.position.shape[0] > 0:
                curve.position[t] = account.position
                curve.cash[t] = account.cash
            if fee != 0.0 and curve.borrow.shape[0] > 0:
                curve.borrow[t] = fee
            t += 1
