"""The slice that a run sees: adjusted, cut, flagged, counted."""

import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from engine.caches import Caches
from engine.config import EPOCH, MILLISECOND, RunConfig
from engine.data.adjust import adjusted, adjustment_jumps
from engine.data.calendars import gap_flags, periods_per_year
from engine.data.normalize import Dataset, QualityReport
from engine.data.providers import Provider
from engine.errors import DataError, Fault, LimitError
from engine.identity import candle_digest
from engine.limits import Limits
from engine.records import Candles, DataQuality, PeriodsPerYear, RunWarning


@dataclass(frozen=True, eq=False)
class LoadedSlice:
    """A run's candles and what is to be known about them; ``calendar`` as asked or as stored.

    ``splits`` holds the times of bars at which the adjusted close tells of a split.
    """

    candles: Candles
    digest: str
    quality: DataQuality
    periods_per_year: PeriodsPerYear
    calendar: str | None
    report: QualityReport
    splits: tuple[int, ...] = ()


def load(
    config: RunConfig, provider: Provider, limits: Limits, caches: Caches | None = None
) -> LoadedSlice:
    """Return the candles between ``start`` and ``end`` inclusive, as a run sees them.

    With ``caches``, a slice that was loaded before is taken from memory as long as its source's
    content is the same.

    Raises
        DataError where there are none or they cannot be adjusted; LimitError where there are
        more than ``limits.max_bars``, before any are made where the provider knows how many.
    """
    _check_length(provider.n_bars_known(config) or 0, limits)
    loaded = _load(config, provider) if caches is None else _cached(config, provider, caches)
    _check_length(len(loaded.candles), limits)
    return loaded


def _check_length(n_bars: int, limits: Limits) -> None:
    if n_bars > limits.max_bars:
        message = f"{n_bars:,} bars are more than the limit of {limits.max_bars:,} (max_bars)"
        raise LimitError([Fault("start", message)])


class _ChangedError(Exception):
    """The source became another while it was read."""


def _cached(config: RunConfig, provider: Provider, caches: Caches) -> LoadedSlice:
    # What of a configuration decides its slice; the rest decides what is made of it.
    whose = (config.provider, config.symbol, config.timeframe)
    asked = (config.start, config.end, config.adjust)
    how = (config.calendar, config.on_bad_rows, config.execution.periods_per_year)

    def make() -> LoadedSlice:
        loaded = _load(config, provider)
        if provider.fingerprint(config) != fingerprint:
            raise _ChangedError
        return loaded

    for _ in range(3):
        fingerprint = provider.fingerprint(config)
        with suppress(_ChangedError):
            return caches.candles.get_or_make((whose, asked, how), make, _size, fingerprint)
    raise DataError(f"{config.symbol} {config.timeframe} is being written while it is read")


def data_warnings(config: RunConfig, loaded: LoadedSlice) -> Iterator[RunWarning]:
    """Yield what a user should know of the candles before the run's result."""
    quality = loaded.quality
    no_volume = quality.volume_known and quality.zero_volume_bars == quality.bars
    if no_volume and config.execution.zero_volume != "fill":
        message = "every bar has volume 0, so no order can fill; zero_volume 'fill' trades anyway"
        yield RunWarning("volume_all_zero", message)
    model = config.execution.slippage_model
    if config.adjust != "none" and model is not None and model.name == "participation_rate":
        message = "prices are adjusted but volumes are not, so shares of the volume are off"
        yield RunWarning("volume_not_adjusted", message)
    if config.adjust == "none" and loaded.splits:
        first, *others = loaded.splits
        more = f" (and {len(others):,} more)" if others else ""
        message = (
            "the adjusted close tells of a split or a large dividend at "
            f"{_day(first)}{more}, which this run trades as a move of the price; "
            "adjust 'split_dividend' takes it into account"
        )
        yield RunWarning("unadjusted_split", message)


def _size(loaded: LoadedSlice) -> int:
    columns = (getattr(loaded.candles, field.name) for field in dataclasses.fields(Candles))
    return sum(column.nbytes for column in columns if isinstance(column, np.ndarray))


def _load(config: RunConfig, provider: Provider) -> LoadedSlice:
    dataset = provider.load(config)
    candles = _cut(_adjusted(dataset, config), config)
    calendar = config.calendar or dataset.calendar
    flags = gap_flags(candles, calendar)
    candles = dataclasses.replace(candles, gap_flag=flags)
    volume = candles.volume
    return LoadedSlice(
        candles=candles,
        digest=candle_digest(candles),
        quality=DataQuality(
            bars=len(candles),
            gaps=int(np.count_nonzero(flags)),
            zero_volume_bars=int((volume == 0).sum()) if volume is not None else 0,
            volume_known=volume is not None,
        ),
        periods_per_year=periods_per_year(candles, config.execution.periods_per_year, calendar),
        calendar=calendar,
        report=dataset.report,
        splits=_splits(dataset, candles),
    )


def _splits(dataset: Dataset, candles: Candles) -> tuple[int, ...]:
    """Return when the adjusted close tells of a split between two bars of the slice."""
    ts = dataset.candles.ts[adjustment_jumps(dataset)]
    return tuple(ts[(ts > candles.ts[0]) & (ts <= candles.ts[-1])].tolist())


def _adjusted(dataset: Dataset, config: RunConfig) -> Candles:
    return dataset.candles if config.adjust == "none" else adjusted(dataset).candles


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
    if last - first == len(candles):
        return candles
    return candles.part(slice(first, last)).copied()  # a view would keep the whole set in memory


def _day(ts_ms: int) -> str:
    return (EPOCH + int(ts_ms) * MILLISECOND).strftime("%Y-%m-%d")
