"""Candles: providers, normalisation, and the slice that a run sees."""

from engine.data import sample as _sample  # registers the provider
from engine.data.load import LoadedSlice, load
from engine.data.local import LocalProvider
from engine.data.normalize import Dataset, QualityReport, ReadOptions
from engine.data.providers import FileProvider, NoParams, Provider, guess_name, providers

__all__ = [
    "Dataset",
    "FileProvider",
    "LoadedSlice",
    "LocalProvider",
    "NoParams",
    "Provider",
    "QualityReport",
    "ReadOptions",
    "guess_name",
    "load",
    "providers",
]
del _sample
