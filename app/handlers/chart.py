"""``/candles`` and ``/features``: what a chart draws, and what a strategy would see of it."""

from typing import Any

from app.api_errors import ApiError, as_query_error
from app.handlers.base import Handler, etag_of
from app.operations import RANGE
from app.strict_json import parse_json
from engine.errors import ConfigError, LimitError

BARS = [name for name in RANGE if name != "limit"]


class Candles(Handler):
    """Bars."""

    async def get(self) -> None:
        """Send the newest of the range."""
        limit = self.whole_number("limit")
        given = self.given(BARS)
        await self.send(lambda backtests: backtests.candles(given, limit))

    async def send(self, work: Any) -> None:
        """Send what the engine says, or that the client has it.

        Raises
            ApiError for a query that names no bars.
        """
        try:
            text = await self.services.engine.ask(work)
        except LimitError:
            raise
        except ConfigError as fault:
            raise as_query_error(fault) from None
        self.send_unless_known(text, etag_of(text))


class Features(Candles):
    """Bars with indicators."""

    async def get(self) -> None:
        """Send the newest of the range, with a column for each series."""
        limit = self.whole_number("limit")
        given, indicators = self.given(BARS), self._indicators()
        await self.send(lambda backtests: backtests.features(given, indicators, limit))

    def _indicators(self) -> Any:
        text = self.query("indicators")
        try:
            return parse_json(text or "[]")
        except (ValueError, RecursionError):
            raise ApiError("INVALID_QUERY", "indicators should be a JSON list") from None
