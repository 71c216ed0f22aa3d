"""The slice that a run sees: adjusted, cut, flagged, counted."""

import dataclasses
from dataclasses import dataclass
from datetime import UTC

import numpy as np

from engine.config import EPOCH, MILLISECOND, Limits, RunConfig
from engine.data.calendars import gap_flags, periods_per_year
from engine.data.normalize import Dataset, QualityReport
from engine.data.providers import Provider
from engine.errors import DataError, Fault, LimitError
from engine.records import Candles, DataQuality, PeriodsPerYear, RunWarning


@dataclass(frozen=True, eq=False)
class LoadedSlice:
    """A run's candles and what is to be known about them; ``calendar`` as asked or as stored."""

    candles: Candles
    quality: DataQuality
    periods_per_year: PeriodsPerYear
    calendar: str | None
    report: QualityReport
    warnings: tuple[RunWarning, ...]


def load(config: RunConfig, provider: Provider, limits: Limits) -> LoadedSlice:
    """Return the candles between ``start`` and ``end`` inclusive, as a run sees them.

    Raises
        DataError where there are none or they cannot be adjusted; LimitError where there are
        more than ``limits.max_bars``.
    """
    dataset = provider.load(config)
    candles = _cut(_adjusted(dataset, config), config)
    if len(candles) > limits.max_bars:
        message = f"{len(candles):,} bars are more than the limit of {limits.max_bars:,}"
        raise LimitError([Fault("start", message)])
    calendar = config.calendar or dataset.calendar
    flags = gap_flags(candles, calendar)
    candles = dataclasses.replace(candles, gap_flag=flags)
    volume = candles.volume
    zero_volume = int((volume == 0).sum()) if volume is not None else 0
    warnings = []
    if (
        volume is not None
        and zero_volume == len(candles)
        and config.execution.zero_volume != "fill"
    ):
        message = "every bar has volume 0, so no order can fill; zero_volume 'fill' trades anyway"
        warnings.append(RunWarning("volume_all_zero", message))
    quality = DataQuality(
        bars=len(candles),
        gaps=int(np.count_nonzero(flags)),
        zero_volume_bars=zero_volume,
        volume_known=volume is not None,
    )
    periods = periods_per_year(candles, config.execution.periods_per_year, calendar)
    return LoadedSlice(candles, quality, periods, calendar, dataset.report, tuple(warnings))


def _adjusted(dataset: Dataset, config: RunConfig) -> Candles:
    candles = dataset.candles
    if config.adjust == "none":
        return candles
    if dataset.adj_close is None:
        message = (
            f"adjust split_dividend needs an adjusted close, which {candles.symbol} "
            f"{candles.timeframe} does not have"
        )
        raise DataError(message)
    factor = dataset.adj_close / candles.close
    return dataclasses.replace(
        candles,
        open=candles.open * factor,
        high=candles.high * factor,
        low=candles.low * factor,
        close=candles.close * factor,
        vwap=None if candles.vwap is None else candles.vwap * factor,
    )


def _cut(candles: Candles, config: RunConfig) -> Candles:
    first = 0 if config.start is None else int(np.searchsorted(candles.ts, config.start, "left"))
    last = (
        len(candles)
        if config.end is None
        else int(np.searchsorted(candles.ts, config.end, "right"))
    )
    if first >= last:
        span = f"{_day(candles.ts[0])} to {_day(candles.ts[-1])}"
        name = f"{candles.symbol} {candles.timeframe}"
        message = f"{name} has no bars in the range asked for; it has {span}"
        raise DataError(message)
    part = slice(first, last)
    return dataclasses.replace(
        candles,
        ts=candles.ts[part],
        open=candles.open[part],
        high=candles.high[part],
        low=candles.low[part],
        close=candles.close[part],
        volume=None if candles.volume is None else candles.volume[part],
        vwap=None if candles.vwap is None else candles.vwap[part],
    )


def _day(ts_ms: int) -> str:
    return (EPOCH + int(ts_ms) * MILLISECOND).astimezone(UTC).strftime("%Y-%m-%d")
