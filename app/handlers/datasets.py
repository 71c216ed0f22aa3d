"""``/datasets``: what there is to run on, what comes in and what goes."""

from app.api_errors import ApiError, as_query_error
from app.candle_files import Upload
from app.handlers.base import Handler
from app.handlers.query import QueryHandler
from engine.errors import ConfigError, StorageError


class Datasets(Handler):
    """All of them."""

    async def get(self) -> None:
        """Send every data set, with the problem of each that cannot be used."""
        self.set_header("Cache-Control", "no-store")
        self.answer(await self.services.engine.ask(lambda backtests: backtests.datasets()))


class Dataset(QueryHandler):
    """One of the user's own."""

    _upload: Upload | None = None
    _is_whole = False

    def max_bytes(self) -> int:
        """Return how long a file of candles may be."""
        return self.services.max_import_bytes

    def keep(self, chunk: bytes) -> None:
        """Write a part of the file to the disk."""
        if self._upload is None:
            # The name in messages about the file; what it is, its content tells.
            self._upload = self.services.candle_files.upload("the file")
        try:
            self._upload.write(chunk)
        except StorageError:
            self._discard()  # what is left of the disk is needed
            raise

    async def put(self, symbol: str, timeframe: str) -> None:
        """Import the file that was sent."""
        if self.services.closing:
            raise ApiError("SHUTTING_DOWN", "Studio is stopping")
        self._is_whole = True
        self.keep(b"")  # one that is empty is a file as well
        assert self._upload is not None
        said = self.given(self.operations["PUT"].query)
        await self.check_query_with(
            lambda backtests: backtests.import_faults(symbol, timeframe, said)
        )
        runs = self.services.runs
        try:
            info, made = await self.services.candle_files.take(
                self._upload, symbol, timeframe, said, lambda: runs.live_configs_now(symbol)
            )
        except ConfigError as fault:
            raise as_query_error(fault) from None
        self.answer(info, 201 if made else 200)

    async def delete(self, symbol: str, timeframe: str) -> None:
        """Remove it."""
        runs = self.services.runs
        await self.services.engine.ask(
            lambda backtests: backtests.delete_dataset(
                symbol, timeframe, runs.live_configs_now(symbol)
            )
        )
        self.set_status(204)

    def on_finish(self) -> None:
        """Remove what was sent: by now it has been imported or refused."""
        self._discard()

    def on_connection_close(self) -> None:
        """Remove what a client has sent that left before the end."""
        super().on_connection_close()
        if not self._is_whole:
            self._discard()

    def _discard(self) -> None:
        if self._upload is not None:
            self._upload.discard()
            self._upload = None
