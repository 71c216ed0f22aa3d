"""Seeded random walks, for demonstrations and tests."""

import re

import numpy as np

from engine.config import DAY_MS, MONDAY_MS, TIMEFRAME_MS, RunConfig, epoch_ms
from engine.data.normalize import Dataset, QualityReport
from engine.data.providers import DatasetInfo, NoParams, providers
from engine.errors import DataError, DatasetNotFound
from engine.records import Candles
from engine.streams import generator
from engine.wording import counted

SYMBOL = re.compile(r"SEED-(\d{1,15})")
FIRST = "2010-01-01"
DEFAULT_BARS = 2_500
MAX_BARS = 10_000_000
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

    def load(self, config: RunConfig) -> Dataset:
        """Return the walk over the configured range.

        Raises
            DatasetNotFound for another symbol than ``SEED-<n>``; DataError for too long a range.
        """
        told = SYMBOL.fullmatch(config.symbol)
        if told is None:
            message = (
                f"the synthetic provider has SEED-<number>, such as SEED-7, not {config.symbol}"
            )
            raise DatasetNotFound(message)
        ts = _times(config)
        rng = generator(int(told[1]), f"synthetic/{config.timeframe}")
        n = len(ts)
        move = DAILY_MOVE * np.sqrt(TIMEFRAME_MS[config.timeframe] / DAY_MS)
        steps = 1.0 + np.clip(move * rng.standard_normal(n), -0.5, 0.5)
        steps[0] = 1.0
        close = 100.0 * np.cumprod(steps)
        opening = np.concatenate([close[:1], close[:-1]])
        reach = 1.0 + 0.5 * move * rng.random((2, n))
        candles = Candles(
            symbol=config.symbol,
            timeframe=config.timeframe,
            ts=ts,
            open=opening,
            high=np.maximum(opening, close) * reach[0],
            low=np.minimum(opening, close) / reach[1],
            close=close,
            volume=rng.integers(10_000, 1_000_000, n).astype(np.float64),
        )
        return Dataset(candles, None, QualityReport(rows_in=n, rows_out=n))


def _times(config: RunConfig) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    length = TIMEFRAME_MS[config.timeframe]
    origin = MONDAY_MS if config.timeframe == "1w" else 0
    start = config.start if config.start is not None else epoch_ms(FIRST, end_of_day=False)
    assert isinstance(start, int)  # it is a date
    first = origin - (origin - start) // length * length
    end = config.end if config.end is not None else first + (DEFAULT_BARS - 1) * length
    n = (end - first) // length + 1
    if not 1 <= n <= MAX_BARS:
        held = f"the range holds {counted(max(n, 0), 'bar')} of {config.timeframe}"
        message = f"{held}; a walk has 1 to {MAX_BARS:,}"
        raise DataError(message)
    return first + length * np.arange(n, dtype=np.int64)
