"""The way from the event loop to the engine: on a thread, and with the engine once it is loaded."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor as Threads
from typing import TYPE_CHECKING, TypeVar

from app.memory import FreedMemory

if TYPE_CHECKING:
    from app.backtests import Backtests

T = TypeVar("T")


class EngineCalls:
    """Runs work that takes longer than a request may keep the loop; called on the loop."""

    def __init__(
        self, backtests: "Callable[[], Backtests]", threads: Threads, freed: FreedMemory
    ) -> None:
        self._backtests = backtests
        self._threads = threads
        self._freed = freed

    async def ask(self, work: "Callable[[Backtests], T]") -> T:
        """Return what ``work`` makes of the engine."""
        return await self.off_loop(lambda: work(self._backtests()))

    async def off_loop(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, done on a thread."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._freed.give_back_soon()
