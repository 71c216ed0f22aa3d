"""``studio serve``: the server alone, until it is told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from app.commands.holding import say
from app.fault_points import FaultPoints
from app.memory import use_one_heap
from app.server import Server, Started
from app.settings import read_settings, take_token

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]  # told by its value

MANY_FILES = 4096
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
NETWORK = "Others in the network can reach this server; it has one token."


def serve_command(flags: Mapping[str, Any]) -> None:
    """Serve until a signal; what runs goes on at the next start.

    Raises
        ConfigError, StartError, StorageError where it cannot start.
    """
    settings = read_settings(flags)
    token = take_token(os.environ)
    os.umask(0o077)  # nothing that is written is for others
    allow_many_files()
    use_one_heap()
    server = Server(settings, token, FaultPoints(os.environ))
    # Windows' own kind of loop cannot wait for sockets, as Tornado's do.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        all_ended = runner.run(_serve(server))
    if not all_ended:
        # A thread that is still at work would keep the process waiting for it.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def allow_many_files() -> None:
    """Raise the number of open files to what the system allows: each stream is one."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard == resource.RLIM_INFINITY or soft < hard:
            wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
            with contextlib.suppress(OSError, ValueError):  # a Mac has its own idea of no limit
                resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


async def _serve(server: Server) -> bool:
    told = asyncio.Event()
    with _signals(told):
        started = await server.start()
        try:
            _say(started)
            await told.wait()
        finally:
            ended = await server.stop()
        return ended


def _say(started: Started) -> None:
    say(started.notes if started.local else (*started.notes, NETWORK))
    sys.stderr.flush()
    kept = "STUDIO_TOKEN" if started.token.path is None else started.token.path
    sys.stdout.write(f"Studio serves at {started.url}\nThe token is in {kept}\n")
    sys.stdout.write("Ctrl-C stops it; what is running then goes on at the next start.\n")
    sys.stdout.flush()


def ending_signals() -> list[int]:
    """Return the numbers of the signals that end a program here."""
    numbers = [(name, getattr(signal, name, None)) for name in SIGNALS]
    # A hang-up that is ignored already is one that nohup wants ignored.
    return [
        number
        for name, number in numbers
        if number is not None
        and not (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN)
    ]


@contextlib.contextmanager
def _signals(told: asyncio.Event) -> Any:
    """Let each of the signals that end a program set ``told``."""
    loop = asyncio.get_running_loop()
    before = {}
    for number in ending_signals():
        # Through the loop's own wake-up, so that it looks up at once on every platform.
        before[number] = signal.signal(number, lambda *_: loop.call_soon_threadsafe(told.set))
    try:
        with _woken_by_signals(loop):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _woken_by_signals(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let each signal wake the loop: on Windows none ends its waiting for sockets."""
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)  # noqa: FBT003  # as the method has it
        writer.setblocking(False)  # noqa: FBT003  # as above
        loop.add_reader(reader, reader.recv, 256)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reader)
