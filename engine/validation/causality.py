"""Causality: whether anything that a strategy saw or did depended on bars still to come."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import LookaheadError
from engine.records import CancelCheck, Candles, Causality
from engine.streams import generator

if TYPE_CHECKING:
    from engine.records import Booleans

N_CUTS = 4
BAR_MOVE = 0.1  # at most; 5 % on average

Recompute = Callable[[Candles], Mapping[str, Any]]
"""Computes features, signals and weights, (n_bars,) each, from candles, under their names."""


def check_causality(
    candles: Candles,
    computed: Mapping[str, Any],
    recompute: Recompute,
    *,
    first_bar: int,
    seed: int,
    check_cancelled: CancelCheck,
    bar_move: float = BAR_MOVE,
) -> Causality:
    """Return how many futures were tried, where none of them changed what came before it.

    At up to four cuts c from ``first_bar`` to N - 2 the bars after c become another random walk;
    every series of ``computed`` must then be the same, to the bit, at all bars up to c + 1.

    Raises
        LookaheadError naming the series and the first bar that knew its future.
    """
    cuts = choose_cuts(len(candles), first_bar, seed)
    for cut in cuts:
        check_cancelled()
        changed = recompute(another_future(candles, cut, seed, bar_move))
        if changed.keys() != computed.keys():
            named = ", ".join(sorted(changed.keys() ^ computed.keys()))
            raise LookaheadError(
                f"look-ahead: whether there is {named} changes when only bars after {cut} do"
            )
        for name, series in computed.items():
            differs = _differs(series[: cut + 2], changed[name][: cut + 2])
            if differs.any():
                bar = int(np.argmax(differs))
                raise LookaheadError(
                    f"look-ahead: {name} at bar {bar} changes when only bars after {cut} do; "
                    f"at bar {bar} nothing after bar {bar - 1} can be known"
                )
    return Causality(cuts=len(cuts), passed=True)


def choose_cuts(n_bars: int, first_bar: int, seed: int) -> list[int]:
    """Return up to four distinct bars from ``first_bar`` to ``n_bars - 2``, drawn from the seed.

    From bar 0 on where ``first_bar`` lies beyond them.
    """
    if first_bar > n_bars - 2:  # never defined, or too late: candles can be read from bar 0 on
        first_bar = 0
    n_possible = n_bars - 1 - first_bar
    if n_possible <= N_CUTS:
        return list(range(first_bar, n_bars - 1))
    drawn = generator(seed, "causality/cuts").choice(n_possible, size=N_CUTS, replace=False)
    return sorted(first_bar + int(offset) for offset in drawn)


def another_future(candles: Candles, cut: int, seed: int, bar_move: float = BAR_MOVE) -> Candles:
    """Return the candles with the bars after ``cut`` as another random walk from its close.

    A bar moves by half of ``bar_move`` on average, 5 % unless said otherwise. Times and gap flags
    stay, known volumes are drawn anew.
    """
    rng = generator(seed, "causality/future", cut)
    after = slice(cut + 1, None)
    n = len(candles) - cut - 1
    # Up and down by the same factor: without a drift a million bars stay within finite numbers.
    up = 1.0 + bar_move * rng.random(n)
    walk = np.cumprod(np.where(rng.random(n) < 0.5, up, 1.0 / up))
    close = candles.close.copy()
    close[after] = candles.close[cut] * walk
    opening = candles.open.copy()
    opening[after] = close[cut:-1] * (1.0 + 0.01 * (rng.random(n) - 0.5))
    body_high, body_low = np.maximum(opening, close), np.minimum(opening, close)
    high, low = candles.high.copy(), candles.low.copy()
    high[after] = (body_high * (1.0 + 0.01 * rng.random(len(close))))[after]
    low[after] = (body_low / (1.0 + 0.01 * rng.random(len(close))))[after]
    volume, vwap = candles.volume, candles.vwap
    if volume is not None:
        volume = volume.copy()
        volume[after] = rng.integers(1, 1_000_000, n)
    if vwap is not None:
        vwap = vwap.copy()
        vwap[after] = ((high + low) / 2)[after]
    return dataclasses.replace(
        candles, open=opening, high=high, low=low, close=close, volume=volume, vwap=vwap
    )


def _differs(one: Any, other: Any) -> "Booleans":
    if one.dtype.kind == "f":
        both_null = np.isnan(one) & np.isnan(other)
        differs: Booleans = (one.view(np.int64) != other.view(np.int64)) & ~both_null
    else:
        differs = one != other
    return differs
