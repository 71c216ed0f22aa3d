"""``/candles`` and ``/features``: what a chart draws, and what a strategy would see of it."""

import hashlib
from typing import Any

from app.api_errors import ApiError, as_api_error
from app.handlers.base import Handler
from app.strict_json import parse_json
from engine.errors import ConfigError, LimitError

FIELDS = ("symbol", "timeframe", "start", "end", "provider")


class Candles(Handler):
    """Bars."""

    async def get(self) -> None:
        """Send the newest of the range."""
        limit = self.whole_number("limit")
        given = self.given()
        await self.send(lambda backtests: backtests.candles(given, limit))

    def given(self) -> dict[str, str]:
        """Return what the query says about the bars."""
        values = {name: self.query(name) for name in FIELDS}
        return {name: value for name, value in values.items() if value is not None}

    async def send(self, work: Any) -> None:
        """Send what the engine says, or that the client has it.

        Raises
            ApiError for a query that names no bars.
        """
        try:
            text = await self.services.engine.ask(work)
        except LimitError:
            raise
        except ConfigError as fault:  # a part of the address, not of a body
            details = as_api_error(fault).details
            raise ApiError("INVALID_QUERY", str(as_api_error(fault)), details=details) from None
        self.send_unless_known(text, f'"{hashlib.sha256(text).hexdigest()}"')


class Features(Candles):
    """Bars with indicators."""

    async def get(self) -> None:
        """Send the newest of the range, with a column for each series."""
        limit = self.whole_number("limit")
        given, indicators = self.given(), self._indicators()
        await self.send(lambda backtests: backtests.features(given, indicators, limit))

    def _indicators(self) -> Any:
        text = self.query("indicators")
        try:
            return parse_json(text or "[]")
        except (ValueError, RecursionError):
            raise ApiError("INVALID_QUERY", "indicators should be a JSON list") from None
