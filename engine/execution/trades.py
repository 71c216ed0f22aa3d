"""Round trips: what fills amount to, from flat to flat or through a reversal."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.execution import trade_kernel as imported_kernel
from engine.kernels import in_guise, view_for
from engine.records import Candles, Fills, Trades

if TYPE_CHECKING:
    from engine.records import Floats

WHOLE = frozenset({"entry_bar", "exit_bar", "side", "bars_held"})
MAY_BE_UNDEFINED = frozenset({"exit_price", "return_"})
OF_THE_TIME = {"entry_ts": "entry_bar", "exit_ts": "exit_bar"}


def round_trips(fills: Fills, candles: Candles, borrow: "Floats", choice: str) -> Trades:
    """Return the round trips of ``fills``, in order of entry.

    A fill that crosses zero closes one trade and opens the next; the closing part takes the share
    |position| / |q| of its commission and slippage. ``borrow`` (n_bars,) is the fee charged at
    each bar before its fill, so it belongs to the trade that was held until then; empty for none.
    MAE ≤ 0 and MFE ≥ 0 are side (price / average entry - 1) at the extremes of the bars held and at
    the exit. ``choice`` is the guise of the kernel, ``auto`` or ``interpreted``.
    """
    kernel = in_guise(imported_kernel, choice)
    view = view_for(kernel)
    filled, trips = kernel.Filled(), kernel.Trips()
    for name in FILLED:
        setattr(filled, name, view(getattr(fills, name)))
    filled.at_close = view(fills.at_close.view(np.uint8))
    for name in ("low", "high", "close"):
        setattr(filled, name, view(getattr(candles, name)))
    filled.borrow = view(borrow)
    columns = {name: _room(name, len(fills)) for name in WRITTEN}
    for name, column in columns.items():
        setattr(trips, name, view(column))
    trips.n = 0
    kernel.round_trips(filled, trips)
    written = {name: column[: trips.n].copy() for name, column in columns.items()}
    written["open"] = written["open"].view(np.bool_)
    times = {name: candles.ts[written[bar]] for name, bar in OF_THE_TIME.items()}
    return Trades(**written, **times)


FILLED = (
    *("bar", "qty", "price", "commission", "slippage"),
    *("realized_pnl", "position_after", "entry_after"),
)
WRITTEN = tuple(entry.name for entry in fields(Trades) if entry.name not in OF_THE_TIME)


def _room(name: str, n: int) -> Any:
    if name in MAY_BE_UNDEFINED:
        return np.full(n, np.nan)
    kind = np.uint8 if name == "open" else np.int64 if name in WHOLE else np.float64
    return np.empty(n, dtype=kind)
