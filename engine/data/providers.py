"""Where candles come from: the protocol, the registry, and a file given by hand."""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.config import SYMBOL_PATTERN, TIMEFRAME_MS, RunConfig
from engine.data.normalize import Dataset, ReadOptions, normalize
from engine.data.read_csv import read_csv
from engine.errors import DataError
from engine.registry import Params, Registry


class Provider(Protocol):
    """Gives the normalised candles of a symbol and timeframe."""

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
    """The candles of one CSV file, whatever the configuration's provider."""

    path: Path
    options: ReadOptions = field(default_factory=ReadOptions)

    def load(self, config: RunConfig) -> Dataset:
        """Return the file's candles under the configuration's symbol and timeframe."""
        return self.read(config.symbol, config.timeframe, config.on_bad_rows)

    def read(self, symbol: str, timeframe: str | None, on_bad_rows: str) -> Dataset:
        """Return the file's candles; ``timeframe`` None takes the one that its bars tell."""
        options = dataclasses.replace(self.options, on_bad_rows=on_bad_rows)
        return normalize(read_csv(self.path), symbol=symbol, timeframe=timeframe, options=options)


def guess_name(path: Path) -> tuple[str, str | None]:
    """Return symbol and timeframe as a file's name tells them: ``SPX_1d.csv``, ``SPX.csv``.

    Raises
        DataError where the name holds no valid symbol.
    """
    stem = re.sub(r"\.(csv|parquet)(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    symbol, _, tail = stem.rpartition("_")
    if symbol and tail.lower() in TIMEFRAME_MS:
        timeframe: str | None = tail.lower()
    else:
        symbol, timeframe = stem, None
    if not re.fullmatch(SYMBOL_PATTERN, symbol):
        message = f"the name {path.name} tells no symbol; give --symbol"
        raise DataError(message)
    return symbol, timeframe
