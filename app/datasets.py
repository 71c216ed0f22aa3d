"""The data sets there are, and how one goes; off the loop, since it reads and writes files."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from app.api_errors import ApiError, as_api_error
from app.settings import Settings
from engine.config import TIMEFRAME_MS, RunConfig
from engine.data import (
    Dataset,
    DatasetInfo,
    FileProvider,
    LocalProvider,
    NoParams,
    Provider,
    ReadOptions,
    import_dataset,
    providers,
)
from engine.data.adjust import adjustment_jumps
from engine.data.calendars import bars_outside_sessions, gap_flags
from engine.data.decimals import check_decimal
from engine.data.providers import describe
from engine.data.sessions import check_calendar
from engine.data.timestamps import check_date_format
from engine.data.zones import zone
from engine.errors import ConfigError, Fault, faults_from
from engine.identity import candle_digest
from engine.registry import faults_of
from engine.wording import NAME_RULE, is_portable_name


def local_provider(settings: Settings) -> LocalProvider:
    """Return the provider of the user's own candles."""
    return LocalProvider(NoParams(), settings.data_dir, settings.file_limits)


def list_datasets(settings: Settings) -> list[DatasetInfo]:
    """Return the data sets of every provider, the user's own first."""
    local = local_provider(settings).datasets()
    others = [name for name in providers if name != "local"]
    listed = (providers.build(name, providers.check(name, {}, name)).datasets() for name in others)
    return [*sorted(local, key=lambda info: (info.symbol, info.timeframe or "")), *chain(*listed)]


def datasets_document(settings: Settings) -> dict[str, Any]:
    """Return ``{datasets: […]}`` as the API and the command show it."""
    return {"datasets": [dataclasses.asdict(info) for info in list_datasets(settings)]}


def own_provider(raw: Mapping[str, Any], settings: Settings) -> Provider | None:
    """Return the provider of the user's own candles where ``raw`` asks for it, None elsewhere."""
    if raw.get("provider", RunConfig.model_fields["provider"].default) == "local":
        return local_provider(settings)
    return None


@dataclass(frozen=True)
class ImportFile:
    """A file of candles and what is said about it; a ``timeframe`` of None is the bars' own.

    ``source`` is what it is called where it came from, if not as ``path`` says.
    """

    path: Path
    symbol: str
    timeframe: str | None
    options: ReadOptions
    calendar: str | None
    source: str = ""


def read_candles(file: ImportFile) -> Dataset:
    """Return the file's candles, with gaps, splits and bars outside the sessions counted.

    Raises
        ConfigError for what no configuration could name; DataError for what cannot be used.
    """
    check_import(file)
    provider = FileProvider(file.path, file.options)
    dataset = provider.read(file.symbol, file.timeframe, file.options.on_bad_rows)
    if file.calendar is not None:
        outside = int(bars_outside_sessions(dataset.candles, file.calendar).sum())
        dataset.report.note_count("outside_sessions", outside)
        dataset = dataclasses.replace(dataset, calendar=file.calendar)
    dataset.report.note_count("gap", int(gap_flags(dataset.candles, file.calendar).sum()))
    dataset.report.note_count("adjustment_jump", len(adjustment_jumps(dataset)))
    return dataset


def check_import(file: ImportFile) -> None:
    """Check what is said about a file, before it is read.

    Raises
        ConfigError with every fault.
    """
    options = file.options
    faults = [] if is_portable_name(file.symbol) else [Fault("symbol", NAME_RULE)]
    raw: dict[str, Any] = {"symbol": "X", "on_bad_rows": options.on_bad_rows}
    if file.timeframe is not None:
        raw["timeframe"] = file.timeframe
    try:
        RunConfig.model_validate(raw)
    except ValidationError as error:
        faults += faults_of(error, RunConfig)
    # Weekly bars never ask a calendar for a session, nor times in numbers for their format.
    for check, said in (
        (check_calendar, file.calendar),
        (zone, options.timezone),
        (check_decimal, options.decimal),
        (check_date_format, options.date_format),
    ):
        if said is not None:
            faults += faults_from(check, said)
    if faults:
        raise ConfigError(faults)


def check_dataset_name(symbol: str, timeframe: str) -> None:
    """Refuse a path that no data set can have.

    Raises
        ApiError that says of both parts what is allowed.
    """
    faults = []
    if not is_portable_name(symbol):
        faults.append(Fault("symbol", NAME_RULE))
    if timeframe not in TIMEFRAME_MS:
        faults.append(Fault("timeframe", f"should be one of {', '.join(TIMEFRAME_MS)}"))
    if faults:
        error = as_api_error(ConfigError(faults))
        message = f"no data set can be called so: {'; '.join(map(str, faults))}"
        raise ApiError("DATASET_NOT_FOUND", message, details=error.details)


def import_file(
    settings: Settings, file: ImportFile, live: Callable[[], Iterable[Mapping[str, Any]]]
) -> tuple[dict[str, Any], bool]:
    """Store a file's candles; return how the set is listed, and whether there was none before.

    ``live`` gives the configurations of the symbol's runs that have not finished. Raises as
    ``read_candles``; ApiError where other content would replace what one of them uses;
    StorageError.
    """
    dataset = read_candles(file)
    candles = dataset.candles
    local = local_provider(settings)
    before = local.stored(candles.symbol, candles.timeframe)
    if before is None or not _same(before, dataset):
        for config in live():
            if local.would_change(config, candles.symbol, candles.timeframe):
                message = f"{candles.symbol} {candles.timeframe} is needed by a run as it is"
                raise ApiError("DATASET_IN_USE", message)
    import_dataset(settings.data_dir, dataset, file.source or file.path.name)
    return dataclasses.asdict(describe("local", dataset)), before is None


def _same(one: Dataset, other: Dataset) -> bool:
    """Tell whether two sets would give a run the same bars, adjusted ones too."""
    if one.adj_close is None or other.adj_close is None:
        same_closes = one.adj_close is other.adj_close
    else:
        same_closes = np.array_equal(one.adj_close, other.adj_close)
    digests = (candle_digest(one.candles), candle_digest(other.candles))
    return one.calendar == other.calendar and digests[0] == digests[1] and same_closes


def delete_dataset(
    settings: Settings, symbol: str, timeframe: str, live: Iterable[Mapping[str, Any]]
) -> None:
    """Remove a data set of the user's own; ``live`` configurations keep the one that they use.

    Raises
        DatasetNotFound where there is none of that name; ApiError while a run uses it; StorageError
        where it cannot be removed.
    """
    local = local_provider(settings)
    place = local.place(symbol, timeframe)
    for config in live:
        if config["provider"] == "local" and place == local.place_used(config):
            message = f"{symbol} {timeframe} is used by a run that has not finished"
            raise ApiError("DATASET_IN_USE", message)
    local.remove(place)
