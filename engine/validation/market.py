"""Permuted markets: the same price moves in another order.

Source: Masters (2018), Testing and Tuning Market Trading Systems, permutation of bars.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.config import TIMEFRAME_MS
from engine.data import sessions_for
from engine.records import Candles

if TYPE_CHECKING:
    from engine.records import Floats, Integers


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
        self._close = candles.close[moved] / opened
        self._high = candles.high[moved] / opened
        self._low = candles.low[moved] / opened
        self._vwap = None if candles.vwap is None else candles.vwap[moved] / opened

    @property
    def n_moves(self) -> int:
        """Return how many bars are permuted, N - 1 - w."""
        return len(self._gap)

    def rebuild(self, gap_orders: "Integers", bar_orders: "Integers") -> list[Candles]:
        """Return a market for each row of ``gap_orders`` and ``bar_orders`` (rows, n_moves).

        Entry j says which original move comes at bar w + 1 + j. Prices are multiplied up from left
        to right; high and low are clamped to contain open and close, whose last bits are rounded.
        """
        rows, m = gap_orders.shape
        # Open and close take turns in one running product: O_t = C_{t-1} gap, C_t = O_t close.
        path = np.empty((rows, 2 * m))
        path[:, 0::2] = self._gap[gap_orders]
        path[:, 1::2] = self._close[bar_orders]
        path[:, 0] *= self.candles.close[self.n_kept - 1]
        np.cumprod(path, axis=1, out=path)
        opened = self._joined(self.candles.open, path[:, 0::2])
        closed = self._joined(self.candles.close, path[:, 1::2])
        del path
        high = self._scaled(self.candles.high, self._high, bar_orders, opened)
        np.maximum(high, np.maximum(opened, closed), out=high)
        low = self._scaled(self.candles.low, self._low, bar_orders, opened)
        np.minimum(low, np.minimum(opened, closed), out=low)
        volume, vwap = self.candles.volume, None
        if volume is not None:
            volume = self._joined(volume, volume[self.n_kept :][bar_orders])
        if self._vwap is not None and self.candles.vwap is not None:
            vwap = self._scaled(self.candles.vwap, self._vwap, bar_orders, opened)
        return [
            dataclasses.replace(
                self.candles,
                open=opened[row],
                high=high[row],
                low=low[row],
                close=closed[row],
                volume=None if volume is None else volume[row],
                vwap=None if vwap is None else vwap[row],
            )
            for row in range(rows)
        ]

    def _joined(self, kept: "Floats", moved: "Floats") -> "Floats":
        """Return (rows, n_bars): the first bars as they are, then ``moved`` (rows, n_moves)."""
        whole = np.empty((len(moved), len(kept)))
        whole[:, : self.n_kept] = kept[: self.n_kept]
        whole[:, self.n_kept :] = moved
        return whole

    def _scaled(
        self, kept: "Floats", ratio: "Floats", orders: "Integers", opened: "Floats"
    ) -> "Floats":
        whole = self._joined(kept, ratio[orders])
        whole[:, self.n_kept :] *= opened[:, self.n_kept :]
        return whole


@dataclass(frozen=True, eq=False)
class Shuffle:
    """Draws orders of the moves, each within its slot.

    ``by_slot`` (n_moves,) lists the moves slot by slot, ``edges`` where each slot begins and ends.
    """

    by_slot: "Integers"
    edges: tuple[int, ...]

    def draw(self, rng: np.random.Generator) -> "Integers":
        """Return an order (n_moves,), every one equally likely (Fisher–Yates within each slot)."""
        if len(self.edges) <= 2:
            return rng.permutation(len(self.by_slot))
        drawn = self.by_slot.copy()
        for start, stop in zip(self.edges[:-1], self.edges[1:], strict=True):
            rng.shuffle(drawn[start:stop])
        order = np.empty_like(drawn)
        order[self.by_slot] = drawn
        return order


def shuffle_of(slots: "Integers") -> Shuffle:
    """Return the shuffle of moves that lie in ``slots`` (n_moves,)."""
    by_slot = np.argsort(slots, kind="stable")
    starts = np.flatnonzero(np.diff(slots[by_slot])) + 1
    return Shuffle(by_slot, (0, *(int(start) for start in starts), len(slots)))


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
    calendar_sessions = sessions_for(calendar, candles.ts)
    session, _ = calendar_sessions.of_instants(candles.ts)
    since_open: Integers = candles.ts - calendar_sessions.opens[np.maximum(session, 0)]
    return since_open
