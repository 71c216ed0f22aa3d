"""Prices adjusted for splits and dividends."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from engine.data.normalize import Dataset
from engine.errors import DataError

if TYPE_CHECKING:
    from engine.records import Integers

JUMP = 1.1


def adjusted(dataset: Dataset) -> Dataset:
    """Return the data set with O, H, L, C and vwap of each bar times its adj_close / close.

    Volume stays as it is; the adjusted close is then the close.

    Raises
        DataError where the data set has no adjusted close.
    """
    candles = dataset.candles
    if dataset.adj_close is None:
        name = f"{candles.symbol} {candles.timeframe}"
        message = f"adjust split_dividend needs an adjusted close, which {name} does not have"
        raise DataError(message)
    factor = dataset.adj_close / candles.close
    whole = dataclasses.replace(
        candles,
        open=candles.open * factor,
        high=candles.high * factor,
        low=candles.low * factor,
        close=candles.close * factor,
        vwap=None if candles.vwap is None else candles.vwap * factor,
    )
    return dataclasses.replace(dataset, candles=whole, adj_close=whole.close)


def adjustment_jumps(dataset: Dataset) -> "Integers":
    """Return the bars before which adj_close / close jumps by over 10 %: a split, most likely.

    Empty where there is no adjusted close; a bar without a usable one is no jump.
    """
    if dataset.adj_close is None:
        return np.zeros(0, dtype=np.int64)
    with np.errstate(all="ignore"):
        ratio = dataset.adj_close / dataset.candles.close
        step = ratio[1:] / ratio[:-1]
        jumps = np.isfinite(step) & (step > 0) & ((step > JUMP) | (step < 1 / JUMP))
    found: Integers = np.flatnonzero(jumps) + 1
    return found
