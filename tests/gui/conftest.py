"""A screen nobody sees, a window on it, and a real server beside it."""

import gc
import sys
import time
import tkinter as tk
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.server import Server, Started
from app.settings import read_settings
from gui.client import Client
from gui.inbox import Inbox
from gui.panel import Panel
from gui.server_thread import ServerThread
from gui.state import State
from gui.theme import apply_theme
from gui.watcher import Watcher
from gui.window import Window
from scripts.screen import screen

WAIT_S = 60.0
# A root that is collected on another thread ends the process: none is, before the tests' end.
# Variables must not be either; so cycles are looked for after each test, on this thread alone.
ROOTS: list[tk.Tk] = []
Until = Callable[[Callable[[], object]], None]


def pytest_runtest_logfinish() -> None:
    """Collect what a test has left, now that pytest holds none of it any more."""
    gc.collect()
    gc.enable()


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """Start a screen in memory; return what DISPLAY says, empty where windows need none."""
    if not sys.platform.startswith("linux"):
        yield ""
        return
    with screen() as name:
        yield name


@pytest.fixture
def root(display: str) -> Iterator[tk.Tk]:
    """Return a window of the least size; an error in a callback fails the test."""
    assert display or not sys.platform.startswith("linux")
    faults: list[BaseException] = []
    gc.disable()
    made = tk.Tk()
    ROOTS.append(made)
    made.report_callback_exception = lambda _, fault, __: faults.append(fault)
    made.geometry("1024x640+0+0")
    apply_theme(made, "light")
    made.update()
    yield made
    made.destroy()
    if faults:
        raise faults[0]


@pytest.fixture
def until(root: tk.Tk) -> Until:
    """Return a function that lets Tk work until something is so."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, "it never came to that"
            root.update()
            time.sleep(0.005)
        root.update()

    return wait


@pytest.fixture
def press(until: Until) -> Callable[[tk.Misc, str], None]:
    """Return a function that gives the keyboard to a widget and presses a key, as ``Control-o``."""

    def work(widget: tk.Misc, key: str) -> None:
        widget.focus_force()
        until(lambda: widget.focus_get() is widget)
        held, _, letter = key.rpartition("-")
        for event in ("KeyPress", "KeyRelease"):
            if widget.winfo_exists():
                widget.event_generate(f"<{held}{'-' * bool(held)}{event}-{letter}>")
        until(lambda: True)

    return work


@dataclass(frozen=True)
class Running:
    """A server in a thread of this process."""

    thread: ServerThread
    started: Started
    data_dir: Path

    @property
    def client(self) -> Client:
        """Return a way to it."""
        return Client(self.started.url, self.started.token.token)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """Start a server with the defaults on a free port, in an empty data directory."""
    data_dir = tmp_path / "data"
    deaths: list[str] = []
    made = Server(read_settings({"data_dir": data_dir, "port": 0}, {}))
    thread = ServerThread(made, lambda: deaths.append("the server's thread has died"))
    started = thread.start()
    yield Running(thread, started, data_dir)
    thread.stop()
    assert not deaths


@pytest.fixture
def panel(root: tk.Tk, server: Running, until: Until) -> Iterator[Panel]:
    """Return what parts of the window work with, its threads at work and the topics known."""
    client, inbox, state = server.client, Inbox(root), State()
    watcher = Watcher(client, inbox, state)
    made = Panel(root, client, inbox, state, watcher, apply_theme(root, "light"), server.data_dir)
    inbox.start()
    watcher.start()
    made.load_catalog()
    made.load("datasets", "/datasets", "datasets")
    made.load("presets", "/presets", "presets")
    until(lambda: state["catalog"] and state["datasets"])
    yield made
    watcher.close()
    inbox.close()


@pytest.fixture
def quits() -> list[str]:
    """Return what is said to who would end the program."""
    return []


@pytest.fixture
def window(root: tk.Tk, server: Running, until: Until, quits: list[str]) -> Iterator[Window]:
    """Return the whole window at work, its errors made the test's."""
    fail = root.report_callback_exception
    settings = read_settings({"data_dir": server.data_dir, "port": 0}, {})
    made = Window(root, server.client, settings=settings, quit_program=lambda: quits.append("quit"))
    root.report_callback_exception = fail
    root.geometry("1024x640+0+0")
    made.start()
    until(lambda: made.panel.state["catalog"] and made.panel.state["datasets"])
    until(lambda: made.new_run.start_button.instate(["!disabled"]))
    yield made
    made.close()
