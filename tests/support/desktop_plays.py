"""Plays with the whole program in this process: a window, its server, and a story told by Tk."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.commands.desktop import Desktop, make_root
from app.settings import read_settings

WAIT_S = 60.0
STEP_MS = 20
Story = Iterator[Callable[[], object]]


def make_desktop(data_dir: Path, told: list[int] | None = None, **settings: Any) -> Desktop:
    """Return the program on a data directory, not shown yet."""
    flags = {"data_dir": data_dir, "port": 0, **settings}
    return Desktop(make_root(), read_settings(flags, {}), None, told or [])


def play(desktop: Desktop, story: Story) -> bool:
    """Show the window and go through a story, which yields what it waits for.

    Returns what ``run`` does; an error of the story ends the program and is raised.
    """
    faults: list[BaseException] = []
    state = desktop.window.panel.state
    # What is still asked for at the end may, on a slow machine, be left behind.
    waits_for: Callable[[], object] = lambda: state["catalog"] and state["datasets"]  # noqa: E731  # the first of many
    deadline = time.monotonic() + WAIT_S

    def step() -> None:
        nonlocal waits_for
        try:
            assert time.monotonic() < deadline, "it never came to that"
            if waits_for():
                waits_for = next(story)
            desktop.root.after(STEP_MS, step)
        except StopIteration:
            pass
        except BaseException as fault:  # noqa: BLE001  # raised below
            faults.append(fault)
            desktop.stop()

    desktop.root.after(STEP_MS, step)
    ended = desktop.run()
    if faults:
        raise faults[0]
    return ended


def press_close(desktop: Desktop) -> None:
    """Do what the window's close button does."""
    desktop.root.tk.call(desktop.root.protocol("WM_DELETE_WINDOW"))


def threads() -> set[threading.Thread]:
    """Return the threads that there are."""
    return set(threading.enumerate())


def n_open_files() -> int:
    """Return how many files and connections this process has open."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208  # numbers, not paths


@contextlib.contextmanager
def nothing_left(data_dir: Path) -> Iterator[None]:
    """Fail where a thread or a file of the moment is left."""
    before = threads()
    yield
    assert threads() == before
    assert not (data_dir / "server.json").exists()
    assert not list((data_dir / "tmp").iterdir())
