"""Round trips: what fills amount to, from flat to flat or through a reversal."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from engine.records import Candles, Fills, Trades

if TYPE_CHECKING:
    from engine.records import Floats, Integers


class Extremes(Protocol):
    """Finds how low and how high prices went in stretches of bars, none of them empty."""

    def __call__(
        self, candles: Candles, start: "Integers", stop: "Integers"
    ) -> "tuple[Floats, Floats]":
        """Return the lowest low and the highest high of the bars from ``start`` to before ``stop``.

        All arrays (n_stretches,).
        """


def round_trips(fills: Fills, candles: Candles, borrow: "Floats", extremes: Extremes) -> Trades:
    """Return the round trips of ``fills``, in order of entry.

    A fill that crosses zero closes one trade and opens the next; the closing part takes the share
    |position| / |q| of its commission and slippage. ``borrow`` (n_bars,) is the fee charged at
    each bar before its fill, so it belongs to the trade that was held until then; empty for none.
    """
    legs = _legs(fills)
    n_bars = len(candles)
    opens = np.flatnonzero(legs["before"] == 0)
    if not len(opens):
        return _no_trades()
    last = np.append(opens[1:], len(legs["bar"])) - 1
    is_open = legs["after"][last] != 0
    exit_at_close = legs["at_close"][last] | is_open
    entry_bar = legs["bar"][opens]
    exit_bar = np.where(is_open, n_bars - 1, legs["bar"][last])
    side = np.sign(legs["after"][opens]).astype(np.int64)

    raises = np.abs(legs["after"]) > np.abs(legs["before"])
    qty, value = legs["qty"], legs["qty"] * legs["price"]
    raised_qty, raised_value = _sum(qty * raises, opens), _sum(value * raises, opens)
    lowered_qty, lowered_value = _sum(qty * ~raises, opens), _sum(value * ~raises, opens)
    final_close = candles.close[-1]
    exit_price = np.where(is_open, final_close, _ratio(lowered_value, lowered_qty))

    commission, slippage = _sum(legs["commission"], opens), _sum(legs["slippage"], opens)
    fees = _held_sum(borrow, entry_bar + 1, exit_bar + 1)
    unrealized = np.where(
        is_open, (final_close - legs["entry_after"][last]) * legs["after"][last], 0.0
    )
    pnl = _sum(legs["realized_pnl"], opens) - commission - fees + unrealized
    mae, mfe = _excursions(legs, opens, candles, extremes)
    return Trades(
        entry_bar=entry_bar,
        exit_bar=exit_bar,
        entry_ts=candles.ts[entry_bar],
        exit_ts=candles.ts[exit_bar],
        side=side,
        qty=np.maximum.reduceat(np.abs(legs["after"]), opens),
        entry_price=raised_value / raised_qty,
        exit_price=exit_price,
        pnl=pnl,
        return_=_ratio(pnl, raised_value),
        commission=commission,
        slippage=slippage,
        borrow=fees,
        bars_held=exit_bar - entry_bar + exit_at_close,
        mae=mae,
        mfe=mfe,
        open=is_open,
    )


def _legs(fills: Fills) -> dict[str, Any]:
    """Return the fills with each reversal split into the part that closes and the one that opens.

    ``before`` and ``after`` are the position around a leg.
    """
    after = fills.position_after
    before = np.concatenate([[0.0], after[:-1]])
    reversal = np.sign(before) * np.sign(after) < 0
    # A reversal appears twice; its second copy is the opening part.
    source = np.repeat(np.arange(len(fills)), 1 + reversal)
    second = np.concatenate([[False], source[1:] == source[:-1]]) if len(source) else reversal
    first = reversal[source] & ~second
    leg_before = np.where(second, 0.0, before[source])
    leg_after = np.where(first, 0.0, after[source])
    qty = np.where(first | second, np.abs(leg_after - leg_before), fills.qty[source])
    closing_share = np.abs(before[source]) / fills.qty[source]
    share = np.where(first, closing_share, np.where(second, 1.0 - closing_share, 1.0))
    return {
        "bar": fills.bar[source],
        "at_close": fills.at_close[source],
        "before": leg_before,
        "after": leg_after,
        "qty": qty,
        "price": fills.price[source],
        "commission": fills.commission[source] * share,
        "slippage": fills.slippage[source] * share,
        "realized_pnl": np.where(second, 0.0, fills.realized_pnl[source]),
        "entry_after": np.where(first, 0.0, fills.entry_after[source]),
    }


def _sum(values: "Floats", opens: "Integers") -> "Floats":
    sums: Floats = np.add.reduceat(values, opens)
    return sums


def _ratio(numerator: "Floats", denominator: "Floats") -> "Floats":
    """Return the quotient, NaN where it is undefined."""
    nothing = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=nothing, where=denominator != 0)
    return nothing


def _held_sum(per_bar: "Floats", start: "Integers", stop: "Integers") -> "Floats":
    """Return the sum of ``per_bar[start:stop]`` for each pair, 0 where it is empty."""
    sums = np.zeros(len(start))
    held = stop > start
    if held.any() and len(per_bar):
        bounds = np.column_stack([start[held], stop[held]]).ravel()
        if bounds[-1] == len(
            per_bar
        ):  # reduceat runs to the end by itself, and takes no such index
            bounds = bounds[:-1]
        sums[held] = np.add.reduceat(per_bar, bounds)[::2]
    return sums


def _excursions(
    legs: dict[str, Any], opens: "Integers", candles: Candles, extremes: Extremes
) -> "tuple[Floats, Floats]":
    """Return MAE ≤ 0 and MFE ≥ 0 of each trade: side (price / average entry - 1) at its extremes.

    Between two legs the average entry is constant, so each such stretch of bars needs only its
    lowest low and highest high. A stretch ends before the bar of the next leg, after it where that
    leg fills at the close. The exit price counts too, against the average before it.
    """
    holds = legs["after"] != 0
    start = legs["bar"]
    stop = np.append(start[1:] + legs["at_close"][1:], len(candles))
    is_last = np.append(opens[1:], len(start)) - 1
    stop[is_last] = len(candles)
    side, average = np.sign(legs["after"][holds]), legs["entry_after"][holds]
    low, high = extremes(candles, start[holds], stop[holds])
    at_low, at_high = _move(side, low, average), _move(side, high, average)
    worst, best = np.zeros(len(start)), np.zeros(len(start))
    worst[holds], best[holds] = np.minimum(at_low, at_high), np.maximum(at_low, at_high)

    exits = np.flatnonzero(~holds)
    exit_side = np.sign(legs["before"][exits])
    worst[exits] = _move(exit_side, legs["price"][exits], legs["entry_after"][exits - 1])
    best[exits] = worst[exits]
    mae = np.minimum(np.minimum.reduceat(worst, opens), 0.0)
    mfe = np.maximum(np.maximum.reduceat(best, opens), 0.0)
    return mae + 0.0, mfe


def _move(side: "Floats", price: "Floats", average: "Floats") -> "Floats":
    """Return side (price / average - 1), 0 where a fill was floored at a price of 0."""
    moved = np.zeros(len(price))
    np.divide(price, average, out=moved, where=average > 0)
    return np.where(average > 0, side * (moved - 1.0), 0.0)


def _no_trades() -> Trades:
    whole: Any = np.empty(0, dtype=np.int64)
    real: Any = np.empty(0)
    return Trades(
        *(whole, whole, whole, whole, whole, real, real, real),
        *(real, real, real, real, real, whole, real, real),
        open=np.empty(0, dtype=np.bool_),
    )
