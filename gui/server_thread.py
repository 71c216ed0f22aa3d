"""The server in a thread of its own, beside the window."""

import asyncio
import logging
import threading
from collections.abc import Callable

from app.server import Server, Started

STOP_S = 4.0
log = logging.getLogger("studio.panel")


class ServerThread:
    """Runs one server on a loop of its own; used from Tk's thread.

    ``died`` is called on the server's thread when that ends without having been stopped.
    """

    def __init__(self, server: Server, died: Callable[[], None]) -> None:
        self._server = server
        self._died = died
        # Windows' own kind of loop cannot wait for sockets, as Tornado's do.
        self._loop: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._stopping = self._is_dead = False
        self._all_ended = True

    def start(self) -> Started:
        """Return once the server listens; raises what its start raises."""
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(self._server.start(), self._loop)
        try:
            return starting.result()
        except BaseException:
            self._stopping = True
            self._end()
            raise

    def stop(self) -> bool:
        """Stop the server and its thread; tell whether nothing was left at work."""
        if self._stopping:
            return self._all_ended
        self._stopping = True
        if not self._is_dead:
            stopping = asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop)
            try:
                self._all_ended = stopping.result(STOP_S)
            except Exception:  # its end must not keep the program from ending
                log.exception("the server could not be stopped")
                self._all_ended = False
        ended = self._end()
        self._all_ended &= ended
        return self._all_ended

    def _end(self) -> bool:
        """End the thread and close its loop; tell whether that was possible."""
        if not self._is_dead:
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            return False
        self._loop.run_until_complete(_finish())
        self._loop.close()
        return True

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        except BaseException:  # an exit too: whatever it was, the log is where it can be read
            log.exception("the server's thread has ended")
        else:
            if not self._stopping:
                log.error("the server's thread has ended")
        if not self._stopping:
            self._is_dead = True
            self._stop_here()
            self._died()

    def _stop_here(self) -> None:
        """Stop a server that has lost its loop: what ran goes back to the queue all the same."""
        try:
            stopping = asyncio.wait_for(self._server.stop(), STOP_S)
            self._all_ended = self._loop.run_until_complete(stopping)
        except BaseException:
            log.exception("the server could not be stopped")
            self._all_ended = False


async def _finish() -> None:
    """End what is left on the loop, and the threads that it has made."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
