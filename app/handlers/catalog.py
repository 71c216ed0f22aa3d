"""``/catalog``: what a configuration can name, complete enough to build forms from."""

import hashlib

from app.handlers.base import Handler


class Catalog(Handler):
    """Indicators, strategies, sizing, slippage and validation, with their parameters."""

    async def get(self) -> None:
        """Send it, or that the client has it."""
        text = await self.services.engine.ask(lambda backtests: backtests.catalog())
        self.send_unless_known(text, f'"{hashlib.sha256(text).hexdigest()}"')
