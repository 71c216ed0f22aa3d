"""``/datasets``: what there is to run on."""

from app.handlers.base import Handler


class Datasets(Handler):
    """All of them."""

    async def get(self) -> None:
        """Send every data set, with the problem of each that cannot be used."""
        self.set_header("Cache-Control", "no-store")
        self.answer(await self.services.engine.ask(lambda backtests: backtests.datasets()))


class Dataset(Handler):
    """One of the user's own."""

    async def delete(self, symbol: str, timeframe: str) -> None:
        """Remove it."""
        live = self.services.runs.live_configs(symbol)
        await self.services.engine.ask(
            lambda backtests: backtests.delete_dataset(symbol, timeframe, live)
        )
        self.set_status(204)
