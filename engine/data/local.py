"""Candles in the user's data directory: imported sets, files dropped in by hand, coarser bars."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.code import canonical_hash, sources_digest
from engine.config import TIMEFRAME_MS, RunConfig
from engine.data.adjust import adjusted
from engine.data.normalize import Dataset, ReadOptions
from engine.data.providers import (
    DatasetInfo,
    FileProvider,
    NoParams,
    content_sha256,
    describe,
    providers,
)
from engine.data.resample import resample
from engine.data.store import read_dataset, read_metadata, write_dataset
from engine.durable import sync_folder
from engine.errors import DataError, DatasetNotFound, StorageError
from engine.limits import FileLimits
from engine.wording import NAME_RULE, is_portable_name

IMPORTED, DROPPED = ".parquet", ".csv"
LIKE_CANDLES = (IMPORTED, DROPPED, ".csv.gz")
MAX_CACHED_FILES = 64


@dataclass(frozen=True)
class Stored:
    """A file of the data directory that holds a data set."""

    path: Path
    symbol: str
    timeframe: str


@providers.register("local", NoParams)
class LocalProvider:
    """Imported data sets and CSV files in ``candles/`` of the data directory.

    An imported set (``SPX_1d.parquet``) wins over a file of the same name (``SPX_1d.csv``). A
    timeframe that is not there is built from the coarsest finer one that is.
    """

    def __init__(
        self, params: NoParams, data_dir: Path | None = None, limits: FileLimits | None = None
    ) -> None:
        self.params = params
        self.data_dir = data_dir
        self.options = ReadOptions(limits=limits or FileLimits())

    def fingerprint(self, config: RunConfig) -> str:
        """Return the hash of the file that would be used, and of how."""
        with self._found(config) as stored:
            _refuse_other(stored.path)
            how = f"{stored.path.name}/{config.on_bad_rows}/{config.calendar}"
            return f"{content_sha256(stored.path)}/{how}"

    def datasets(self) -> list[DatasetInfo]:
        """Return every data set, and what else lies there like one, each with its problem."""
        found = [self._describe(stored) for stored in self._stored()]
        return found + list(self._passed_over({(info.symbol, info.timeframe) for info in found}))

    def n_bars_known(self, config: RunConfig) -> None:
        """Return None: a file has to be read."""

    def load(self, config: RunConfig) -> Dataset:
        """Return the data set of that symbol and timeframe.

        Raises
            DatasetNotFound where there is none, nor a finer one; DataError where it cannot be used.
        """
        with self._found(config) as stored:
            dataset = self._read(stored, config.on_bad_rows)
        if stored.timeframe == config.timeframe:
            return dataset
        if config.adjust != "none":  # before bars are put together: a split may lie between two
            dataset = adjusted(dataset)
        return resample(dataset, config.timeframe, config.calendar or dataset.calendar)

    def place(self, symbol: str, timeframe: str) -> Path:
        """Return the file of a data set of exactly that name.

        Raises
            DatasetNotFound where there is none.
        """
        for stored in self._stored():
            if (stored.symbol, stored.timeframe) == (symbol, timeframe):
                return stored.path
        message = f"there is no data set {symbol} {timeframe} of your own"
        raise DatasetNotFound(message)

    def place_used(self, config: Mapping[str, Any]) -> Path | None:
        """Return the file that a configuration would be run on, None where there is none."""
        with contextlib.suppress(DatasetNotFound):
            return self._find(config["symbol"], config["timeframe"]).path
        return None

    def stored(self, symbol: str, timeframe: str) -> Dataset | None:
        """Return the data set of exactly that name, None where there is none that can be used."""
        for stored in self._stored():
            if (stored.symbol, stored.timeframe) == (symbol, timeframe):
                with contextlib.suppress(DataError):
                    return self._read(stored, "refuse")
        return None

    def would_change(self, config: Mapping[str, Any], symbol: str, timeframe: str) -> bool:
        """Tell whether a set of that name would be used for a configuration from then on."""
        if (config["provider"], config["symbol"]) != ("local", symbol):
            return False
        if not _divides(timeframe, config["timeframe"]):
            return False
        with contextlib.suppress(DatasetNotFound):
            used = self._find(symbol, config["timeframe"]).timeframe
            return TIMEFRAME_MS[timeframe] >= TIMEFRAME_MS[used]
        return True

    def remove(self, place: Path) -> None:
        """Remove the file of a data set.

        Raises
            StorageError where it cannot be removed.
        """
        try:
            place.unlink(missing_ok=True)
            sync_folder(place.parent)
        except OSError as fault:
            raise StorageError.from_os_error("the data directory", fault) from None

    @contextlib.contextmanager
    def _found(self, config: RunConfig) -> Iterator[Stored]:
        """Yield the data set to read; one that is removed meanwhile is one that is not there."""
        stored = self._find(config.symbol, config.timeframe)
        try:
            yield stored
        except DataError:
            if not os.path.lexists(stored.path):
                raise _none_of(config.symbol, config.timeframe) from None
            raise

    def _find(self, symbol: str, timeframe: str) -> Stored:
        finer = [
            stored
            for stored in self._stored()
            if stored.symbol == symbol and _divides(stored.timeframe, timeframe)
        ]
        if not finer:
            raise _none_of(symbol, timeframe)
        return max(finer, key=lambda stored: TIMEFRAME_MS[stored.timeframe])

    def _stored(self) -> Iterator[Stored]:
        """Yield every data set once, imported ones before files of the same name."""
        if self.data_dir is None:
            return
        seen: set[tuple[str, str]] = set()
        folder = self.data_dir / "candles"
        for suffix in (IMPORTED, DROPPED):
            for path in sorted(folder.glob(f"*{suffix}")):
                stored = _named(path)
                if stored is None or not path.is_file():
                    continue
                if (stored.symbol, stored.timeframe) not in seen:
                    seen.add((stored.symbol, stored.timeframe))
                    yield stored

    def _passed_over(self, found: set[tuple[str, str | None]]) -> Iterator[DatasetInfo]:
        """Yield what a user may take for a data set, beside those that were found."""
        if self.data_dir is None:
            return
        for path in sorted((self.data_dir / "candles").glob("*")):
            if path.name.startswith(".") or not path.name.lower().endswith(LIKE_CANDLES):
                continue
            stored = _named(path)
            if stored is None:
                shown = repr(path.name)[1:-1]
                yield DatasetInfo("local", shown, None, problem=f"{shown} {_misnamed(path)}")
            elif (stored.symbol, stored.timeframe) not in found:
                found.add((stored.symbol, stored.timeframe))
                yield self._describe(stored)

    def _read(self, stored: Stored, on_bad_rows: str) -> Dataset:
        _refuse_other(stored.path)
        if stored.path.suffix == IMPORTED:
            return read_dataset(stored.path)
        for _ in range(3):
            before = content_sha256(stored.path)
            dataset = self._normalized(stored, before, on_bad_rows)
            if content_sha256(stored.path) == before:
                return dataset
        message = f"{stored.path.name} is being written while it is read"
        raise DataError(message)

    def _normalized(self, stored: Stored, content: str, on_bad_rows: str) -> Dataset:
        """Return a dropped file's candles, from the cache where this very content is in it."""
        assert self.data_dir is not None
        limits = asdict(self.options.limits)  # what is beyond them is refused, cached or not
        names = [content, stored.symbol, stored.timeframe, on_bad_rows, limits, sources_digest()]
        cached = self.data_dir / "cache" / f"{canonical_hash(names)}{IMPORTED}"
        if cached.is_file() and not cached.is_symlink():
            with contextlib.suppress(DataError):  # a damaged one is made anew
                return read_dataset(cached)
        provider = FileProvider(stored.path, self.options)
        dataset = provider.read(stored.symbol, stored.timeframe, on_bad_rows)
        with contextlib.suppress(StorageError, OSError):  # a cache that cannot grow is no fault
            cached.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_dataset(cached, dataset, stored.path.name)
            _trim(cached.parent)
        return dataset

    def _describe(self, stored: Stored) -> DatasetInfo:
        try:
            if stored.path.suffix != IMPORTED:
                return describe("local", self._read(stored, "refuse"))
            _refuse_other(stored.path)
            known = read_metadata(stored.path)
        except DataError as fault:
            return DatasetInfo("local", stored.symbol, stored.timeframe, problem=str(fault))
        return DatasetInfo(
            provider="local",
            symbol=stored.symbol,
            timeframe=stored.timeframe,
            first_ts=known["first_ts"],
            last_ts=known["last_ts"],
            bars=known["bars"],
            volume_known=known["volume_known"],
            calendar=known["calendar"],
            quality=known["quality"],
        )


def _none_of(symbol: str, timeframe: str) -> DatasetNotFound:
    return DatasetNotFound(f"there are no candles for {symbol} {timeframe}: import them first")


def _named(path: Path) -> Stored | None:
    """Return what a file holds by its name, None where that is no data set's."""
    symbol, _, timeframe = path.stem.rpartition("_")
    is_ours = path.suffix in {IMPORTED, DROPPED} and timeframe in TIMEFRAME_MS
    return Stored(path, symbol, timeframe) if is_ours and is_portable_name(symbol) else None


def _misnamed(path: Path) -> str:
    """Return what is to be said of a name that is no data set's."""
    symbol, _, timeframe = path.stem.rpartition("_")
    if timeframe in TIMEFRAME_MS and not is_portable_name(symbol):
        return f"cannot be used: the symbol {NAME_RULE}"
    known = ", ".join(TIMEFRAME_MS)
    wanted = "import it, or call it SYMBOL_TIMEFRAME.csv, such as SPX_1d.csv"
    return f"cannot be used: {wanted}; a timeframe is one of {known}"


def _refuse_other(path: Path) -> None:
    """Raise a DataError for what is no file of the folder: a link leads out, a pipe has no end."""
    if path.is_symlink():
        message = f"{path.name} is a link; put the file itself there"
        raise DataError(message)
    if not path.is_file():
        message = f"{path.name} is no regular file"
        raise DataError(message)


def import_dataset(data_dir: Path, dataset: Dataset, source: str) -> Path:
    """Store a data set under its symbol and timeframe, in the place of an earlier one.

    Raises
        DataError where another symbol differs only in case; StorageError where it cannot be kept.
    """
    folder = data_dir / "candles"
    symbol = dataset.candles.symbol
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        taken = {stored.symbol for path in folder.iterdir() if (stored := _named(path))}
    except OSError as fault:
        raise StorageError.from_os_error("the data directory", fault) from None
    for other in sorted(taken - {symbol}):
        if other.lower() == symbol.lower():
            message = f"{symbol} differs only in case from {other}, which is there already"
            raise DataError(message)
    path = folder / f"{symbol}_{dataset.candles.timeframe}{IMPORTED}"
    write_dataset(path, dataset, source)
    return path


def _divides(fine: str, coarse: str) -> bool:
    # Weeks are built from whole days, and so from whatever days are built from.
    return TIMEFRAME_MS[coarse] % TIMEFRAME_MS[fine] == 0


def _trim(folder: Path) -> None:
    files = sorted(folder.glob(f"*{IMPORTED}"), key=lambda path: path.stat().st_mtime_ns)
    for path in files[:-MAX_CACHED_FILES]:
        path.unlink(missing_ok=True)
