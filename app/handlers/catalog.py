"""``/catalog``: what a configuration can name, complete enough to build forms from."""

from app.handlers.base import Handler, etag_of


class Catalog(Handler):
    """Indicators, strategies, sizing, slippage and validation, with their parameters."""

    async def get(self) -> None:
        """Send it, or that the client has it."""
        text = await self.services.engine.ask(lambda backtests: backtests.catalog())
        self.send_unless_known(text, etag_of(text))
