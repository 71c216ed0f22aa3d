"""``/candles`` and ``/features``: what a chart draws, and what a strategy would see of it."""

from typing import Any

from app.api_errors import as_query_error
from app.handlers.base import etag_of
from app.handlers.query import QueryHandler
from app.operations import RANGE
from app.strict_json import parse_json
from engine.errors import ConfigError, Fault, LimitError

BARS = [name for name in RANGE if name != "limit"]


class Candles(QueryHandler):
    """Bars."""

    async def get(self) -> None:
        """Send the newest of the range."""
        query = self.given(BARS)
        await self.check_query_with(lambda backtests: backtests.query_faults(query))
        limit = self.whole_number("limit")
        await self.send(lambda backtests: backtests.candles(query, limit))

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
        query, faults = self.given(BARS), []
        indicators: Any = []
        try:
            text = self.query("indicators")
            indicators = [] if text is None else parse_json(text)
        except (ValueError, RecursionError):
            faults = [Fault("indicators", "should be a JSON list")]
        await self.check_query_with(
            lambda backtests: backtests.query_faults(query, indicators), *faults
        )
        limit = self.whole_number("limit")
        await self.send(lambda backtests: backtests.features(query, indicators, limit))
