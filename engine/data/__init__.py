"""Candles: providers, normalisation, and the slice that a run sees."""

from engine.data import sample as _sample, synthetic as _synthetic  # they register
from engine.data.calendars import is_all_week, local_days
from engine.data.load import LoadedSlice, data_warnings, load
from engine.data.local import LocalProvider, import_dataset
from engine.data.normalize import Dataset, QualityReport, ReadOptions
from engine.data.providers import (
    DatasetInfo,
    FileProvider,
    NoParams,
    Provider,
    guess_name,
    providers,
)
from engine.data.sessions import sessions_for

__all__ = [
    "Dataset",
    "DatasetInfo",
    "FileProvider",
    "LoadedSlice",
    "LocalProvider",
    "NoParams",
    "Provider",
    "QualityReport",
    "ReadOptions",
    "data_warnings",
    "guess_name",
    "import_dataset",
    "is_all_week",
    "load",
    "local_days",
    "providers",
    "sessions_for",
]
del _sample, _synthetic
