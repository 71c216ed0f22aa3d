"""Prices adjusted for splits and dividends."""

import dataclasses

from engine.data.normalize import Dataset
from engine.errors import DataError


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
