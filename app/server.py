"""The server: what it is made of, how it starts and how it stops.

Nothing heavy is imported before it listens; the engine comes in on a thread of its own right after,
or with the first request that needs it.
"""

import asyncio
import contextlib
import errno
import functools
import importlib
import ipaddress
import logging
import os
import re
import secrets
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import tornado.web

from app.candle_files import CandleFiles
from app.connections import Listener
from app.data_dir import DataDir, StartError, held
from app.database import open_database, open_for_reading
from app.engine_calls import EngineCalls
from app.events import EventLog
from app.executor import Executor, Job, Surroundings
from app.fault_points import FaultPoints
from app.frozen import keep_font_cache
from app.handlers.base import NotFound, Services
from app.logs import Cleaner, start_logging
from app.memory import FreedMemory
from app.operations import by_path
from app.presets import PresetService
from app.process import all_is_imported
from app.recovery import Reader, Recovered, recover
from app.removal import Remover
from app.runs import RunService
from app.runtime_file import remove_runtime, write_runtime
from app.security import WILDCARDS, Gate, allowed_hosts
from app.settings import Settings
from app.threads import RestingThreads
from app.token_file import TokenSource, Verifier, obtain_token
from app.transitions import Claimed
from app.writer import Writer
from engine import __version__
from engine.code import code_version
from engine.kernels import kernel_guise

if TYPE_CHECKING:
    from app.backtests import Backtests

T = TypeVar("T")
WARM_UP_AFTER_S = 0.2
BACKLOG = 128
IDLE_S = 60.0  # for a connection that says nothing, or sends no more of a body
JOBS_STOP_S, REQUESTS_STOP_S = 1.5, 0.2
# Windows numbers the errors of sockets by itself, and strerror does not know those.
WINSOCK = {
    10013: "permission denied",
    10048: "address already in use",
}
NOT_OURS = {errno.EADDRNOTAVAIL, 10049}
log = logging.getLogger("studio.server")


class PortError(StartError):
    """The address cannot be listened on."""

    code = "PORT_TAKEN"


class Once(Generic[T]):
    """A value that is made when it is first asked for, by one thread for all."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._value: T | None = None

    def __call__(self) -> T:
        """Return it; an error that its making raises is raised each time anew."""
        with self._lock:
            if self._value is None:
                self._value = self._make()
            return self._value

    @property
    def made(self) -> T | None:
        """Return it if it is there."""
        return self._value


@dataclass(frozen=True)
class Started:
    """What a person should know about a server that has started."""

    url: str
    token: TokenSource
    notes: tuple[str, ...]
    local: bool  # whether only this machine can reach it


class Server:
    """One server on one data directory; ``start`` and ``stop`` belong to the loop's thread."""

    def __init__(
        self,
        settings: Settings,
        token: str | None = None,
        faults: FaultPoints | None = None,
        show_panel: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings
        self.instance_id = secrets.token_hex(8)
        self._given_token = token
        self._show_panel = show_panel
        self._faults = faults or FaultPoints()
        self._data_dir = DataDir(settings.data_dir)
        self._exit = contextlib.ExitStack()
        self._backtests = Once(functools.partial(_load_backtests, settings))
        self._workers = RestingThreads(settings.workers, "worker")
        self._threads = RestingThreads(2, "request")
        self._imports = RestingThreads(1, "import")  # one file is read at a time
        self._housekeeping = ThreadPoolExecutor(1, thread_name_prefix="housekeeping")
        resting = (self._workers, self._threads, self._imports)
        self._freed = FreedMemory(self._housekeeping, resting)
        self._engine = EngineCalls(self._backtests, self._threads, self._freed)

    async def start(self) -> Started:
        """Hold the data directory, go on with what was left, and listen.

        Raises
            StartError where it cannot start here; ConfigError for a plugin; StorageError.
        """
        try:
            return self._start(asyncio.get_running_loop())
        except BaseException:
            self._exit.close()
            raise

    def _start(self, loop: asyncio.AbstractEventLoop) -> Started:
        settings, data_dir = self.settings, self._data_dir
        self._loop = loop
        notes = self._exit.enter_context(held(settings.data_dir)) + data_dir.prepare()
        keep_font_cache(settings.data_dir)
        data_dir.empty_tmp()
        token = obtain_token(self._given_token, settings.token_file, data_dir)
        notes += token.warnings
        self._exit.callback(start_logging(data_dir, settings.log_level, token.token))
        if settings.plugins:  # one that cannot be read should be known now
            self._backtests()
        database = open_database(data_dir.db)
        notes += database.notes
        reader = open_for_reading(data_dir.db)
        self._events = EventLog(reader, loop)
        self._writer = Writer(database.connection, self._events.announce, self._faults)
        # Last the writer, which gives up what cannot be stored; then who may be waiting for that.
        self._exit.callback(self._housekeeping.shutdown, cancel_futures=True)
        self._exit.callback(self._writer.close)
        self._exit.callback(reader.close)  # before the writer, which then folds its log in
        remover = Remover(self._writer, data_dir, settings.retention, self._faults)
        recovered = recover(self._writer, data_dir, remover, _load_reader)
        notes += _found(recovered)
        self._executor = Executor(self._workers, self._writer, self._job, self._ended)
        imports = EngineCalls(self._backtests, self._imports, self._freed)
        self._candle_files = CandleFiles(data_dir.tmp, imports)
        self._presets = PresetService(reader, self._writer, self._engine)
        self._runs = RunService(
            reader=reader,
            writer=self._writer,
            executor=self._executor,
            remover=remover,
            data_dir=data_dir,
            engine=self._engine,
            presets=self._presets,
            housekeeping=self._housekeeping,
            queue_limit=settings.queue_limit,
            faults=self._faults,
        )
        bound = self._listen(token)
        url = _url(*bound)
        write_runtime(data_dir.path, url, __version__, self.instance_id)
        self._exit.callback(remove_runtime, data_dir.path, self.instance_id)
        for note in notes:
            log.warning(note)
        log.info("listening on port %d", self.port)
        sys.setswitchinterval(0.001)  # so that two busy workers do not keep the loop waiting
        self._executor.notify(recovered.n_queued)
        self._warm_up = loop.call_later(WARM_UP_AFTER_S, self._threads.submit, self._backtests)
        return Started(url, token, tuple(notes), ipaddress.ip_address(bound[0]).is_loopback)

    def _listen(self, token: TokenSource) -> tuple[str, int]:
        """Bind the port and serve on it; return address and port."""
        host = self.settings.host
        bound = _bind(host, self.settings.port)
        address, self.port = bound.getsockname()[:2]
        self._services = Services(
            gate=Gate(
                allowed_hosts(host, self.port, self.settings.allowed_hosts),
                frozenset(self.settings.origins),
                Verifier(token.token),
            ),
            runs=self._runs,
            presets=self._presets,
            engine=self._engine,
            events=self._events,
            health={
                "status": "ok",
                "version": __version__,
                "code_version": code_version(),
                "instance_id": self.instance_id,
                "kernel": kernel_guise(self.settings.kernel),
            },
            max_body=self.settings.max_body,
            max_import_bytes=self.settings.max_import_bytes,
            candle_files=self._candle_files,
            max_streams=self.settings.max_streams,
            heartbeat_ms=self.settings.heartbeat_ms,
            shorten=Cleaner(self._data_dir.path, token.token),
            show_panel=self._show_panel,
        )
        self._http = Listener(
            application(self._services),
            max_body_size=self.settings.max_body,
            max_buffer_size=1 << 20,
            idle_connection_timeout=IDLE_S,
            body_timeout=IDLE_S,
        )
        self._http.add_socket(bound)
        self._exit.callback(self._http.stop)
        return address, self.port

    def _job(self, claimed: Claimed, surroundings: Surroundings) -> Job:
        return self._backtests().job(
            claimed,
            surroundings,
            data_dir=self._data_dir,
            writer=self._writer,
            faults=self._faults,
            shorten=self._services.shorten,
        )

    def _ended(self) -> None:
        with contextlib.suppress(RuntimeError):  # the housekeeping has closed, or the loop
            self._runs.tidy_up()
            self._loop.call_soon_threadsafe(self._freed.give_back_soon)

    async def stop(self) -> bool:
        """Interrupt what runs, close what is open; tell whether nothing was left behind."""
        self._warm_up.cancel()
        self._services.closing = self._runs.closing = True
        self._events.wake_all()
        all_ended = await asyncio.to_thread(self._executor.stop, JOBS_STOP_S)
        self._http.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._http.close_all_connections(), 0.2)
        all_ended &= await asyncio.to_thread(self._end_requests)
        if all_ended and (backtests := self._backtests.made) is not None:
            backtests.close()
        log.info("stopped" if all_ended else "stopped; something was left at work")
        self._exit.close()
        return all_ended

    def _end_requests(self) -> bool:
        """Wait a moment for requests that read candles; tell whether they are done."""

        def close() -> None:
            for threads in (self._threads, self._imports):
                threads.shutdown(cancel_futures=True)

        waiting = threading.Thread(target=close, daemon=True)
        waiting.start()
        waiting.join(REQUESTS_STOP_S)
        return not waiting.is_alive()


def application(services: Services) -> tornado.web.Application:
    """Return the Tornado application, its routes made from the table of operations."""
    routes: list[Any] = []
    for path, methods in by_path().items():
        module, _, name = next(iter(methods.values())).handler.partition(".")
        handler = getattr(importlib.import_module(f"app.handlers.{module}"), name)
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))
        arguments = {"services": services, "operations": methods, "route": path}
        routes.append((f"{pattern}$", handler, arguments))
    return tornado.web.Application(
        routes,
        default_handler_class=NotFound,
        default_handler_args={"services": services, "operations": {}, "route": "none"},
        log_function=lambda handler: handler.log_access(),
        services=services,
    )


def _load_backtests(settings: Settings) -> "Backtests":
    from app.backtests import Backtests  # noqa: PLC0415  # half a second, and not before listening

    backtests = Backtests(settings)
    all_is_imported()
    return backtests


def _load_reader() -> Reader:
    from app.backtests import read_finished  # noqa: PLC0415  # as above, and hardly ever needed

    return read_finished


def _found(recovered: Recovered) -> list[str]:
    notes = []
    if recovered.taken_in:
        notes.append(f"Completed runs taken in from their directories: {len(recovered.taken_in)}.")
    if recovered.set_aside:
        named = ", ".join(recovered.set_aside[:3])
        notes.append(f"Moved to orphans, as no runs: {len(recovered.set_aside)} ({named}).")
    return notes


def _url(address: str, port: int) -> str:
    """Return the address to give out for a bound one."""
    if address in WILDCARDS:
        address = "127.0.0.1"
    return f"http://{f'[{address}]' if ':' in address else address}:{port}"


def _bind(host: str, port: int) -> socket.socket:
    """Return the one socket that the server listens on, for as long as it lives."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = _listening(family, (str(address[0]), port))
    except (OSError, UnicodeError) as fault:
        raise _port_error(host, port, fault) from None
    bound.settimeout(0.0)
    return bound


def _listening(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens on an address which nobody else can then take as well."""
    both = address[0] == "::" and socket.has_dualstack_ipv6()
    if sys.platform != "win32":
        return socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=both)
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # There a second program could listen beside us, unless that is ruled out before the bind.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        bound.bind(address)
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def _port_error(host: str, port: int, fault: Exception) -> PortError:
    if isinstance(fault, socket.gaierror | UnicodeError):
        return PortError(f"The host {host} is not known on this machine.")
    code = getattr(fault, "errno", None)
    if code in NOT_OURS:
        return PortError(f"The host {host} is no address of this machine.")
    words = WINSOCK.get(code) or os.strerror(code).lower() if code else None
    reason = words or "the address cannot be used"
    return PortError(f"Port {port} cannot be used: {reason}. Choose another with --port, or 0.")
