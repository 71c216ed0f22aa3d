"""Seeded random walks, for demonstrations and tests."""

import re

import numpy as np

from engine.config import DAY_MS, MONDAY_MS, TIMEFRAME_MS, RunConfig, epoch_ms
from engine.data.normalize import Dataset, QualityReport
from engine.data.providers import DatasetInfo, NoParams, providers
from engine.errors import DataError, DatasetNotFound
from engine.records import Candles
from engine.streams import generator

SYMBOL = re.compile(r"SEED-(\d{1,15})")
FIRST = "2010-01-01"
DEFAULT_BARS = 2_500
DAILY_MOVE = 0.01


@providers.register("synthetic", NoParams)
class SyntheticProvider:
    """``SEED-<n>``: a random walk of 1 % a day, for any timeframe and range, every day of the week.

    The walk starts at 100 with the first bar of the range; without ``start`` that is 2010-01-01,
    without ``end`` there are 2,500 bars.
    """

    def __init__(self, params: NoParams) -> None:
        self.params = params

    def fingerprint(self, config: RunConfig) -> str:
        """Return what the walk depends on beside the configuration: nothing."""
        return f"synthetic/{config.symbol}"

    def datasets(self) -> list[DatasetInfo]:
        """Return nothing: there is a walk for every number."""
        return []

    def n_bars_known(self, config: RunConfig) -> int:
        """Return how many bars the walk has; raises as ``load``."""
        _seed(config)
        return max(_span(config)[1], 0)

    def load(self, config: RunConfig) -> Dataset:
        """Return the walk over the configured range.

        Raises
            DatasetNotFound for another symbol than ``SEED-<n>``; DataError for an empty range.
        """
        seed, (first, n) = _seed(config), _span(config)
        if n < 1:
            message = f"the range holds no bar of {config.timeframe}"
            raise DataError(message)
        rng = generator(seed, f"synthetic/{config.timeframe}")
        move = DAILY_MOVE * np.sqrt(TIMEFRAME_MS[config.timeframe] / DAY_MS)
        steps = 1.0 + np.clip(move * rng.standard_normal(n), -0.5, 0.5)
        steps[0] = 1.0
        close = 100.0 * np.cumprod(steps)
        opening = np.concatenate([close[:1], close[:-1]])
        reach = 1.0 + 0.5 * move * rng.random((2, n))
        candles = Candles(
            symbol=config.symbol,
            timeframe=config.timeframe,
            ts=first + TIMEFRAME_MS[config.timeframe] * np.arange(n, dtype=np.int64),
            open=opening,
            high=np.maximum(opening, close) * reach[0],
            low=np.minimum(opening, close) / reach[1],
            close=close,
            volume=rng.integers(10_000, 1_000_000, n).astype(np.float64),
        )
        return Dataset(candles, None, QualityReport(rows_in=n, rows_out=n))


def _seed(config: RunConfig) -> int:
    told = SYMBOL.fullmatch(config.symbol)
    if told is None:
        message = f"the synthetic provider has SEED-<number>, such as SEED-7, not {config.symbol}"
        raise DatasetNotFound(message)
    return int(told[1])


def _span(config: RunConfig) -> tuple[int, int]:
    """Return the time of the first bar of the range, and how many there are from it to its end."""
    length = TIMEFRAME_MS[config.timeframe]
    origin = MONDAY_MS if config.timeframe == "1w" else 0
    start = config.start if config.start is not None else epoch_ms(FIRST, end_of_day=False)
    assert isinstance(start, int)  # it is a date
    first = origin - (origin - start) // length * length
    end = config.end if config.end is not None else first + (DEFAULT_BARS - 1) * length
    return first, (end - first) // length + 1
