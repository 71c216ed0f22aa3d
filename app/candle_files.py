"""Candle files on their way in: streamed to the disk, read one at a time, gone afterwards."""

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from app.engine_calls import EngineCalls
from engine.errors import StorageError

Live = Callable[[], Iterable[Mapping[str, Any]]]


class Upload:
    """A file that is being sent; it lies in a directory of its own, under the name of its set."""

    def __init__(self, tmp: Path, name: str) -> None:
        self._folder = tmp / f"import-{secrets.token_hex(8)}"
        self.path = self._folder / name
        self._file: IO[bytes] | None = None

    def write(self, chunk: bytes) -> None:
        """Append a part of the file.

        Raises
            StorageError where the disk does not take it.
        """
        try:
            if self._file is None:
                self._folder.mkdir(mode=0o700)
                self._file = self.path.open("xb")
            self._file.write(chunk)
        except OSError as fault:
            raise StorageError.from_os_error("the import", fault) from None

    def finish(self) -> None:
        """Say that the file is whole; raises as ``write``."""
        self.write(b"")
        assert self._file is not None
        try:
            self._file.close()
        except OSError as fault:
            raise StorageError.from_os_error("the import", fault) from None

    def discard(self) -> None:
        """Remove the file, whatever has become of it."""
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class CandleFiles:
    """Imports for the handlers, on the loop; with an engine that reads one file at a time."""

    def __init__(self, tmp: Path, engine: EngineCalls) -> None:
        self._tmp = tmp
        self._engine = engine

    def upload(self, name: str) -> Upload:
        """Return a place for a file that is going to be sent."""
        return Upload(self._tmp, name)

    async def take(
        self, upload: Upload, symbol: str, timeframe: str, said: Mapping[str, str], live: Live
    ) -> tuple[dict[str, Any], bool]:
        """Store what was sent; return how the set is listed, and whether it is new.

        ``said`` is what the query says of the file. Raises as ``datasets.import_file``.
        """
        upload.finish()
        return await self._engine.ask(
            lambda backtests: backtests.import_file(upload.path, symbol, timeframe, said, live)
        )
