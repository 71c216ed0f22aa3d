"""Permuted markets: the same price moves in another order.

Source: Masters (2018), Testing and Tuning Market Trading Systems, permutation of bars.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import TIMEFRAME_MS
from engine.data import sessions_for
from engine.execution import Markets
from engine.kernels import in_guise, is_compiled, kernel_choice, view_for
from engine.records import SERIES, CancelCheck, Candles, never_cancelled
from engine.validation import kernel as imported_kernel
from engine.validation.replicates import portions

if TYPE_CHECKING:
    from engine.records import Floats, Integers

KERNEL_STEP = 131_072


def load_kernel(choice: str | None = None) -> ModuleType:
    """Return the replicates' kernel, compiled where it is unless ``interpreted`` is asked for."""
    return in_guise(imported_kernel, choice or kernel_choice())


class Market:
    """The moves after bar ``first_bar`` (w), to be put in another order.

    Of each bar t = w + 1 … N - 1: the gap O_t / C_{t-1}, and what happens within the bar,
    (H, L, C, vwap) / O_t with V_t. Bars 0 … w stay, and so do all timestamps.
    """

    def __init__(self, candles: Candles, first_bar: int) -> None:
        self.candles = candles
        self.n_kept = first_bar + 1
        moved = slice(self.n_kept, None)
        opened = candles.open[moved]
        self._gap = opened / candles.close[first_bar:-1]
        self._within = {}
        for name in SERIES:
            series = getattr(candles, name)
            if name == "open" or series is None:  # what is not there has no column
                self._within[name] = np.empty((1, 0))
            else:
                by = 1.0 if name == "volume" else opened
                self._within[name] = (series[moved] / by)[None, :]

    @property
    def n_moves(self) -> int:
        """Return how many bars are permuted, N - 1 - w."""
        return len(self._gap)

    def rebuild(self, gap_orders: "Integers", bar_orders: "Integers") -> list[Candles]:
        """Return a market for each row of ``gap_orders`` and ``bar_orders`` (rows, n_moves).

        Entry j says which original move comes at bar w + 1 + j. Prices are multiplied up from left
        to right; high and low are clamped to contain open and close, whose last bits are rounded.
        """
        room = PermutedMarkets(self, len(gap_orders), kernel_choice())
        room.rebuild((gap_orders, bar_orders), len(gap_orders), never_cancelled)
        return list(room.markets.rows)

    def prices(self, rows: int) -> "dict[str, Floats]":
        """Return room for the series of ``rows`` markets, the first bars already there."""
        prices = {}
        for name in SERIES:
            series = getattr(self.candles, name)
            prices[name] = np.empty((rows, 0 if series is None else len(self.candles)))
            if series is not None:
                prices[name][:, : self.n_kept] = series[: self.n_kept]
        return prices

    def moves(self, kernel: ModuleType) -> tuple[Any, Any]:
        """Return what happens within bars, and the gaps, as a kernel reads them."""
        view = view_for(kernel)
        return kernel.Series(*map(view, self._within.values())), view(self._gap)


class PermutedMarkets:
    """Room for some permuted markets at a time, used again and again by one thread.

    ``markets`` are always the last ones made; new memory for each would cost more than to fill it.
    """

    def __init__(self, market: Market, rows: int, choice: str) -> None:
        self._kernel = load_kernel(choice)
        self._view = view_for(self._kernel)
        self._moves, self._gap = market.moves(self._kernel)
        prices = market.prices(rows)
        self._prices = self._kernel.Series(*map(self._view, prices.values()))
        known = {name: series for name, series in prices.items() if series.size}
        candles = market.candles
        self.markets = Markets(
            joined=candles.having({name: series.reshape(-1) for name, series in known.items()}),
            rows=tuple(
                candles.having({name: series[row] for name, series in known.items()})
                for row in range(rows)
            ),
        )

    def rebuild(
        self, orders: "tuple[Integers, Integers]", rows: int, check_cancelled: CancelCheck
    ) -> None:
        """Make the first ``rows`` markets anew, in the orders of gaps and bars (…, n_moves)."""
        views = (*map(self._view, orders), self._prices)
        for part in steps(orders[0].shape[1], rows, self._kernel):
            check_cancelled()
            self._kernel.rebuild(self._moves, self._gap, *views, rows, part.start, part.stop)


@dataclass(frozen=True, eq=False)
class Shuffle:
    """Draws orders of the moves, each within its slot.

    ``by_slot`` (n_moves,) lists the moves slot by slot, ``edges`` where each slot begins, and the
    end of the last one.
    """

    by_slot: "Integers"
    edges: "Integers"

    @classmethod
    def within(cls, slots: "Integers") -> "Shuffle":
        """Return the shuffle of moves that lie in ``slots`` (n_moves,)."""
        by_slot = np.argsort(slots, kind="stable")
        starts = np.flatnonzero(np.diff(slots[by_slot])) + 1
        return cls(by_slot, np.concatenate([[0], starts, [len(slots)]]))

    def draw(
        self,
        uniforms: "Floats",
        orders: "tuple[Integers, Integers]",
        rows: int,
        choice: str,
        check_cancelled: CancelCheck,
    ) -> None:
        """Write an order of gaps, and one of bars, for each of the first ``rows``.

        ``uniforms`` (…, 2 n_moves) in [0, 1), the first half of a row for its gaps; each of
        ``orders`` (…, n_moves). Every order is equally likely (Fisher–Yates in each slot).
        """
        kernel, m = load_kernel(choice), len(self.by_slot)
        view = view_for(kernel)
        fixed = tuple(map(view, (self.by_slot, self.edges, uniforms)))
        for which, order in enumerate(orders):
            for part in reversed(list(steps(m, rows, kernel))):
                check_cancelled()
                kernel.shuffle(*fixed, which * m, view(order), rows, part.start, part.stop)


def steps(n_moves: int, rows: int, kernel: ModuleType) -> Iterator[range]:
    """Yield the moves in parts that take a kernel some milliseconds for all ``rows``."""
    step = KERNEL_STEP if is_compiled(kernel) else KERNEL_STEP // 16
    yield from portions(n_moves, max(1, step // rows))


def is_intraday(candles: Candles) -> bool:
    """Tell whether a day has several bars."""
    return TIMEFRAME_MS[candles.timeframe] < TIMEFRAME_MS["1d"]


def slots_of(candles: Candles, calendar: str | None) -> "Integers":
    """Return the slot (n_bars,) of each bar: its time since its session's open, intraday only.

    Without a calendar, and for days and weeks, all bars share one slot: nothing tells where a
    session begins.
    """
    if calendar is None or not is_intraday(candles):
        return np.zeros(len(candles), dtype=np.int64)
    known = sessions_for(calendar, candles.ts)
    before, inside = known.of_instants(candles.ts)
    after = np.minimum(before + 1, len(known.opens) - 1)
    before = np.maximum(before, 0)
    # A bar outside belongs to the session that is nearer: one that begins before the open and
    # holds it to the one that opens, one after the close to the one that closed.
    until = np.abs(known.opens[after] - candles.ts)
    since = np.abs(candles.ts - known.closes[before])
    session = np.where(inside | (since < until), before, after)
    since_open: Integers = candles.ts - known.opens[session]
    return since_open
