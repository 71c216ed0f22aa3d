"""Tk is called from its own thread alone, and starts and stops leave nothing behind."""

import gc
import sys
import threading
from pathlib import Path
from tkinter import StringVar
from typing import Any

import pytest
from desktop_plays import (
    Story,
    make_desktop,
    n_open_files,
    nothing_left,
    play,
    press_close,
    threads,
)

from app.commands import desktop as program
from app.commands.desktop import Desktop
from app.settings import read_settings

CSV = "date,open,high,low,close\n2024-01-02,10,12,9,11\n2024-01-03,11,12,10,12\n"
SLOW = {
    "symbol": "SPX", "provider": "sample", "plot": False,
    "validation": {"permutation": {"n": 100_000}},
}  # fmt: skip


class Recorded:
    """Tk's interpreter, with the names of the threads that have called it."""

    def __init__(self, tk: Any) -> None:
        self._tk = tk
        self.callers: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._tk, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self.callers.setdefault(threading.current_thread().name, f"{name} {arguments[:3]}")
            return found(*arguments, **named)

        return call


@pytest.mark.usefixtures("display")
def test_tk_is_called_from_its_own_thread_alone(tmp_path: Path) -> None:
    """From the start over an import, runs, a chart and a cancel to the end no other calls Tk.

    Not even where garbage is collected while another thread makes much of it.
    """
    root = program.make_root()
    recorded = Recorded(root.tk)
    root.tk = recorded  # type: ignore[assignment]  # stands before the real one
    file = tmp_path / "ACME_1d.csv"
    file.write_text(CSV, encoding="utf-8")
    settings = read_settings({"data_dir": tmp_path / "data", "port": 0}, {})
    with nothing_left(tmp_path / "data"):
        desktop = Desktop(root, settings, None)
        window = desktop.window
        state = window.panel.state

        def statuses() -> list[str]:
            return [run["status"] for run in state["runs"]]

        def story() -> Story:
            yield lambda: state["catalog"] and state["datasets"]
            n_sets = len(state["datasets"])
            window.data.import_file(file, "ACME", "1d")
            yield lambda: len(state["datasets"]) > n_sets
            window.new_run.try_sample.invoke()
            yield lambda: statuses() == ["completed"]
            yield lambda: state["events"] and state["events"][-1]["type"] == "completed"
            slow = window.panel.client.post("/runs", SLOW)["run_id"]
            yield lambda: statuses()[0] == "running"
            state["selected"] = slow
            window.bottom_bar.cancel.invoke()
            yield lambda: statuses()[0] == "cancelled"
            knot: list[Any] = [StringVar(root)]
            knot.append(knot)
            del knot
            done: list[int] = []
            window.panel.ask(lambda: len([[] for _ in range(50_000)]), done.append)
            yield lambda: done
            press_close(desktop)

        assert play(desktop, story())
    assert list(recorded.callers) == ["MainThread"], recorded.callers


def resident() -> int:
    """Return the memory of this process in pages, 0 where that is not easily known."""
    if not sys.platform.startswith("linux"):
        return 0
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])


@pytest.mark.usefixtures("display")
def test_starting_and_stopping_leaves_nothing(tmp_path: Path) -> None:
    """Fifty starts and stops in a row leave no thread, no open file, and next to no memory."""

    def once() -> None:
        desktop = make_desktop(tmp_path / "data")

        def story() -> Story:
            yield desktop.root.winfo_ismapped
            desktop.stop()

        assert play(desktop, story())

    once()
    gc.collect()  # what other tests have left
    before = threads(), n_open_files()
    pages: list[int] = []
    for _ in range(50):
        once()
        assert gc.isenabled()
        program._roots.clear()  # as each process has one
        gc.collect()
        pages.append(resident())
    assert pages[-1] - pages[9] < 4096  # 16 MB; one that stays is two
    assert (threads(), n_open_files()) == before
    assert not list((tmp_path / "data" / "tmp").iterdir())
