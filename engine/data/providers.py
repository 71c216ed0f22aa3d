"""Where candles come from: the protocol, the registry, and a file given by hand."""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from engine.config import TIMEFRAME_MS, RunConfig
from engine.data.normalize import Dataset, ReadOptions, normalize
from engine.data.open_file import open_regular
from engine.data.read_file import read_file
from engine.errors import DataError
from engine.registry import Params, Registry
from engine.wording import SYMBOL_PATTERN


@dataclass(frozen=True)
class DatasetInfo:
    """A data set that can be run on, or the ``problem`` that keeps it from being.

    A file whose name tells no ``timeframe`` has its name as the ``symbol``.
    """

    provider: str
    symbol: str
    timeframe: str | None
    first_ts: int | None = None
    last_ts: int | None = None
    bars: int | None = None
    volume_known: bool | None = None
    calendar: str | None = None
    quality: Mapping[str, Any] | None = None
    problem: str | None = None


class Provider(Protocol):
    """Gives the normalised candles of a symbol and timeframe."""

    def fingerprint(self, config: RunConfig) -> str:
        """Return what changes whenever ``load`` would return something else; raises as it does."""

    def datasets(self) -> list[DatasetInfo]:
        """Return what there is, as far as it can be listed."""

    def n_bars_known(self, config: RunConfig) -> int | None:
        """Return how many bars the range holds, None where only ``load`` tells; raises as that."""

    def load(self, config: RunConfig) -> Dataset:
        """Return the whole data set that ``config`` names.

        Raises
            DatasetNotFound where there is none; DataError where it cannot be used.
        """


class NoParams(Params):
    """A component without parameters."""


providers: Registry[Provider] = Registry("provider")


@dataclass(frozen=True)
class FileProvider:
    """The candles of one file, whatever the configuration's provider."""

    path: Path
    options: ReadOptions = field(default_factory=ReadOptions)

    def fingerprint(self, config: RunConfig) -> str:
        """Return the hash of the file's content and of how it is read."""
        options = dataclasses.replace(self.options, on_bad_rows=config.on_bad_rows)
        return f"{content_sha256(self.path)}/{options}"

    def datasets(self) -> list[DatasetInfo]:
        """Return nothing: the file is given by hand, run by run."""
        return []

    def n_bars_known(self, config: RunConfig) -> None:
        """Return None: the file has to be read."""

    def load(self, config: RunConfig) -> Dataset:
        """Return the file's candles under the configuration's symbol and timeframe."""
        return self.read(config.symbol, config.timeframe, config.on_bad_rows)

    def read(self, symbol: str, timeframe: str | None, on_bad_rows: str) -> Dataset:
        """Return the file's candles; ``timeframe`` None takes the one that its bars tell."""
        options = dataclasses.replace(self.options, on_bad_rows=on_bad_rows)
        raw = read_file(self.path, options)
        return normalize(raw, symbol=symbol, timeframe=timeframe, options=options)


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, read in pieces.

    Raises
        DataError where it cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(provider: str, dataset: Dataset) -> DatasetInfo:
    """Return the listing of a data set that was loaded."""
    candles = dataset.candles
    return DatasetInfo(
        provider=provider,
        symbol=candles.symbol,
        timeframe=candles.timeframe,
        first_ts=int(candles.ts[0]),
        last_ts=int(candles.ts[-1]),
        bars=len(candles),
        volume_known=candles.volume is not None,
        calendar=dataset.calendar,
        quality=dataclasses.asdict(dataset.report),
    )


def guess_name(path: Path) -> tuple[str, str | None]:
    """Return symbol and timeframe as a file's name tells them: ``SPX_1d.csv``, ``SPX.csv.gz``.

    Raises
        DataError where the name holds no valid symbol.
    """
    stem = re.sub(r"(\.(csv|tsv|txt|parquet|pq))?(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    symbol, _, tail = stem.rpartition("_")
    if symbol and tail.lower() in TIMEFRAME_MS:
        timeframe: str | None = tail.lower()
    else:
        symbol, timeframe = stem, None
    if not re.fullmatch(SYMBOL_PATTERN, symbol):
        message = f"the name {path.name} tells no symbol; give --symbol"
        raise DataError(message)
    return symbol, timeframe
