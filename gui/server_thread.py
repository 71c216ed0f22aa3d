"""The server in a thread of its own, beside the window."""

import asyncio
import threading
from collections.abc import Callable

from app.server import Server, Started

START_S, STOP_S = 30.0, 4.0


class ServerThread:
    """Runs one server on a loop of its own; used from Tk's thread."""

    def __init__(self, server: Server, died: Callable[[], None]) -> None:
        self._server = server
        self._died = died
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._stopping = False

    def start(self) -> Started:
        """Return once the server listens; raises what its start raises."""
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop)
        try:
            return starting.result(START_S)
        except BaseException:
            self._end()
            raise

    def stop(self) -> bool:
        """Stop the server and its thread; tell whether nothing was left at work."""
        stopping = asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop)
        try:
            ended = stopping.result(STOP_S)
        except TimeoutError:
            return False
        self._end()
        return ended

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            if not self._stopping:
                self._died()

    def _end(self) -> None:
        self._stopping = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self._loop.close()
