"""What is done in another way on Windows or on a Mac, tried on this system."""

import ast
import asyncio
import errno
import io
import os
import resource
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app import cli, server
from app.commands import serve
from app.connections import OWN_FILES, SELECTABLE, room_for
from app.database import _set_aside, open_database
from app.report_tables import moment
from app.run_files import open_file
from app.runtime_file import is_own
from app.settings import Settings
from app.utc_time import day, from_ms
from gui.server_thread import ServerThread

ROOT = Path(__file__).resolve().parents[2]
BREAK = signal.SIGUSR1  # stands for the signal that only Windows has


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Say that this is Windows, as far as its name and its signals go."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, BREAK)}
    monkeypatch.delattr(signal, "SIGHUP")
    monkeypatch.setattr(signal, "SIGBREAK", BREAK, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")],
)
def test_the_port_is_ours_alone(
    monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily, host: str
) -> None:
    """On Windows nobody else may listen where we do, and a second server is refused."""
    # Any option that is off unless somebody asks for it.
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with closing(server._listening(family, (host, 0))) as bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        if family == socket.AF_INET6:
            only = bound.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            assert bool(only) == (host == "::1")
        with pytest.raises(OSError, match="in use"):
            server._listening(family, (host, bound.getsockname()[1]))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (10013, "permission denied"),
        (10048, "address already in use"),
        (errno.EADDRINUSE, "address already in use"),
        (None, "the address cannot be used"),
    ],
)
def test_why_a_port_cannot_be_used(code: int | None, words: str) -> None:
    """The reason is said in the same words, by whichever number a system has for it."""
    fault = server._port_error("127.0.0.1", 80, OSError(code, "something in French"))
    assert str(fault) == f"Port 80 cannot be used: {words}. Choose another with --port, or 0."


@pytest.mark.parametrize("code", [10049, errno.EADDRNOTAVAIL])
def test_an_address_of_another_machine(code: int) -> None:
    """It is the host that cannot be used, whatever the port."""
    fault = server._port_error("203.0.113.7", 0, OSError(code, "something in French"))
    assert str(fault) == "The host 203.0.113.7 is no address of this machine."


@pytest.mark.usefixtures("windows")
def test_connections_of_windows() -> None:
    """There are never more of them than the event loop can wait for there."""
    assert room_for(100) == 100
    assert room_for(5_000) == SELECTABLE - OWN_FILES == 448


@pytest.mark.parametrize("fault", [OSError, ValueError])
def test_a_bound_that_a_mac_refuses(
    monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    """A system that will not raise the number of open files is served with what it gives."""
    asked: list[tuple[int, int]] = []

    def refuse(_: int, bounds: tuple[int, int]) -> None:
        asked.append(bounds)
        raise fault

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    serve.allow_many_files()
    assert asked == [(serve.MANY_FILES, resource.RLIM_INFINITY)]


def test_the_loop_waits_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both programs take the kind of loop that Tornado needs, whichever is the system's own."""
    monkeypatch.setattr(asyncio, "new_event_loop", None)
    thread = ServerThread(server.Server(Settings(data_dir=tmp_path, port=0)), lambda: None)
    thread.start()
    assert isinstance(thread._loop, asyncio.SelectorEventLoop)
    assert thread.stop()
    kinds: list[type] = []

    async def note(_: object) -> bool:
        kinds.append(type(asyncio.get_running_loop()))
        return True

    monkeypatch.setattr(serve, "_serve", note)
    monkeypatch.setattr(serve, "allow_many_files", lambda: None)
    monkeypatch.setattr(os, "umask", lambda _: 0)
    serve.serve_command({"data_dir": tmp_path})
    assert kinds == [asyncio.SelectorEventLoop]


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("number", [signal.SIGTERM, BREAK])
def test_signals_of_windows(number: int) -> None:
    """Ctrl-Break ends the server as the others do; that there is no hang-up disturbs nobody."""

    async def work() -> None:
        told = asyncio.Event()
        with serve._signals(told):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(told.wait(), 60)

    before = signal.getsignal(number)
    asyncio.run(work())
    assert signal.getsignal(number) is before


def test_a_signal_wakes_the_loop() -> None:
    """A signal that does not interrupt the waiting for sockets, as on Windows none does, ends it."""
    waits = threading.Event()
    late: list[str] = []

    def end() -> None:
        waits.wait()
        os.kill(os.getpid(), signal.SIGTERM)  # which this thread takes, since the other does not

    async def work() -> None:
        told = asyncio.Event()
        with serve._signals(told):
            loop = asyncio.get_running_loop()
            loop.call_later(60, late.append, "nothing else had woken it")
            loop.call_soon(waits.set)
            await told.wait()

    thread = threading.Thread(target=end)
    thread.start()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        asyncio.run(work())
    finally:
        waits.set()
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert not late


@pytest.mark.usefixtures("windows")
def test_a_command_is_interrupted(studio: Callable[..., Any]) -> None:
    """Ctrl-Break interrupts a command of Windows as Ctrl-C does."""
    assert studio("--version").code == 0
    assert signal.getsignal(BREAK) is cli._interrupt
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(BREAK)


class _Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("platform", "raw", "written"),
    [
        ("win32", io.BytesIO, "Σ–\n".encode()),
        ("win32", _Terminal, b"?\x96\r\n"),
        ("linux", io.BytesIO, b"?\x96\r\n"),
    ],
)
def test_what_others_read(
    monkeypatch: pytest.MonkeyPatch, platform: str, raw: type[io.BytesIO], written: bytes
) -> None:
    """What goes to a file or a program on Windows are the bytes that it has elsewhere."""
    stream = io.TextIOWrapper(raw(), encoding="cp1252", newline="\r\n")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "stdout", stream)
    cli._replace_unprintable()
    stream.write("Σ–\n")
    stream.flush()
    assert stream.detach().getvalue() == written


def test_a_program_without_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A windowed program, which has no streams, runs a command all the same."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(["--version"]) == 0
    assert cli.main(["verify", "nothing"]) == 3
    streams: list[Any] = [sys.stdout, sys.stderr]
    for stream in streams:
        stream.close()


@pytest.mark.parametrize(
    ("ts_ms", "date"),
    [(-1, "1969-12-31"), (0, "1970-01-01"), (-631_152_000_000, "1950-01-01"), (-6_000_000_000_000, "1779-11-13")],
)  # fmt: skip
def test_days_before_1970(ts_ms: int, date: str) -> None:
    """Bars older than Unix have their days; C's own functions know none of them on Windows."""
    assert f"{from_ms(ts_ms):%Y-%m-%d}" == date
    assert moment(ts_ms).startswith(date)
    assert day(ts_ms) == date


def test_files_without_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a directory cannot be opened, a file is read byte by byte, and never through a link."""
    monkeypatch.setattr(os, "supports_dir_fd", set())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").write_bytes(b"one\r\ntwo\n")
    (tmp_path / "run" / "link").symlink_to(tmp_path / "run" / "file")
    (tmp_path / "linked").symlink_to(tmp_path / "run")
    with closing(open_file(tmp_path / "run", "file")) as file:
        assert file.read_all() == b"one\r\ntwo\n"
    for folder, name in (("run", "link"), ("linked", "file"), ("run", ".")):
        with pytest.raises(OSError, match=r"link|name"):
            open_file(tmp_path / folder, name)


def test_files_of_windows_belong_to_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where users have no numbers, no file is taken for another's."""
    monkeypatch.delattr(os, "geteuid")
    assert is_own(tmp_path.stat())


def test_names_that_every_system_takes(tmp_path: Path) -> None:
    """The name of a damaged database, which holds a time, has no character that Windows refuses."""
    (tmp_path / "studio.db").touch()
    name = _set_aside(tmp_path / "studio.db")
    assert not set(name) & set('<>:"/\\|?*')
    assert not name.endswith((".", " "))


def test_a_mac_writes_through_its_drive(tmp_path: Path) -> None:
    """The database asks for what a Mac needs to keep it through a power cut."""
    with closing(open_database(tmp_path / "studio.db").connection) as connection:
        connection.row_factory = sqlite3.Row
        assert [*connection.execute("PRAGMA fullfsync").fetchone()] == [1]


def _texts_written() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call in our sources that opens a file for writing text."""
    for folder in ("app", "engine", "gui"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _writes_text(node):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _writes_text(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "write_text":
        return True
    modes = [each.value for each in call.args if isinstance(each, ast.Constant)]
    return name in {"open", "fdopen"} and any(
        mode in {"w", "a", "x", "w+", "a+", "x+", "r+"} for mode in modes
    )


def test_texts_have_the_same_bytes_everywhere() -> None:
    """Every text is written in UTF-8, with line ends that no system turns into others."""
    found = dict(_texts_written())
    assert found, "the search finds nothing any more"
    for place, call in found.items():
        said = {each.arg for each in call.keywords}
        if "devnull" not in ast.unparse(call):
            assert {"encoding", "newline"} <= said, place
