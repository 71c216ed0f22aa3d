"""``studio serve``: the server alone, until it is told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from app.fault_points import FaultPoints
from app.server import Server, Started
from app.settings import read_settings, take_token

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}


def serve_command(flags: Mapping[str, Any]) -> None:
    """Serve until a signal; what runs goes on at the next start.

    Raises
        ConfigError, StartError, StorageError where it cannot start.
    """
    settings = read_settings(flags)
    token = take_token(os.environ)
    os.umask(0o077)  # nothing that is written is for others
    server = Server(settings, token, FaultPoints(os.environ))
    if not asyncio.run(_serve(server)):
        # A thread that is still at work would keep the process waiting for it.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


async def _serve(server: Server) -> bool:
    told = asyncio.Event()
    with _signals(told):
        _say(server, await server.start())
        await told.wait()
        return await server.stop()


def _say(server: Server, started: Started) -> None:
    for note in started.notes:
        sys.stderr.write(f"studio: {note}\n")
    if server.settings.host not in LOCAL_HOSTS:
        sys.stderr.write("studio: Others in the network can reach this server; it has one token.\n")
    sys.stderr.flush()
    kept = "STUDIO_TOKEN" if started.token.path is None else started.token.path
    sys.stdout.write(f"Studio serves at {started.url}\nThe token is in {kept}\n")
    sys.stdout.write("Ctrl-C stops it; what is running then goes on at the next start.\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _signals(told: asyncio.Event) -> Any:
    """Let each of the signals that end a program set ``told``."""
    loop = asyncio.get_running_loop()
    before = {}
    for name in SIGNALS:
        if (number := getattr(signal, name, None)) is not None:
            # Through the loop's own wake-up, so that it looks up at once on every platform.
            before[number] = signal.signal(number, lambda *_: loop.call_soon_threadsafe(told.set))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
