"""What the panel does in another way on Windows or on a Mac, tried on this system."""

import ctypes
import os
import subprocess
import sys
import tkinter as tk
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gui.outside import show_outside
from gui.scrolling import Scroller
from gui.window_system import (
    ask_for_real_pixels,
    follow_the_system,
    name_of,
    scale_as_elsewhere,
    shortcut_key,
    wheel_notches,
)


class Shell:
    """Windows' library of that name, as far as it is asked for anything."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.said: list[object] = []
        self._fault = fault
        self.SetProcessDpiAwareness = self._set

    def load(self, name: str) -> "Shell":
        self.said.append(name)
        return self

    def _set(self, awareness: int) -> None:
        if self._fault is not None:
            raise self._fault
        self.said.append(awareness)


@pytest.mark.parametrize("fault", [None, OSError("told already"), AttributeError("Windows 7")])
def test_pixels_of_windows(monkeypatch: pytest.MonkeyPatch, fault: Exception | None) -> None:
    """Windows is told that the program scales by itself, and may not know what that is."""
    shell = Shell(fault)
    monkeypatch.setattr(ctypes, "OleDLL", shell.load, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    ask_for_real_pixels()
    assert shell.said == ["shcore", *([1] if fault is None else [])]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_pixels_elsewhere(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """No other system is asked for anything before the first window."""
    shell = Shell()
    monkeypatch.setattr(ctypes, "OleDLL", shell.load, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    ask_for_real_pixels()
    assert shell.said == []


def test_the_size_of_a_point(root: tk.Tk) -> None:
    """On a Mac 72 points are 96 pixels, as on a usual screen; elsewhere the screen decides."""
    root.tk.call("tk", "scaling", 1.0)
    for system in ("x11", "win32"):
        scale_as_elsewhere(root, system)
        assert root.winfo_fpixels("1i") == pytest.approx(72, abs=0.5)
    scale_as_elsewhere(root, "aqua")
    assert root.winfo_fpixels("1i") == pytest.approx(96, abs=0.5)


def test_quitting_a_mac(root: tk.Tk) -> None:
    """What the Mac's menu, its Dock and the end of its session call are our own functions."""
    said: list[str] = []
    follow_the_system(root, "aqua", lambda: said.append("quit"), lambda: said.append("show"))
    root.tk.call("::tk::mac::Quit")
    root.tk.call("::tk::mac::ReopenApplication")
    assert said == ["quit", "show"]
    assert root.protocol("WM_SAVE_YOURSELF")


@pytest.mark.parametrize("system", ["x11", "win32"])
def test_the_end_of_a_session(root: tk.Tk, system: str) -> None:
    """X11 and Windows tell a window that its session ends; no command of a Mac is made there."""
    follow_the_system(root, system, lambda: None, lambda: None)
    assert root.protocol("WM_SAVE_YOURSELF")
    assert root.tk.call("info", "commands", "::tk::mac::Quit") == ""


def test_shortcuts() -> None:
    """A Mac's shortcuts are with Command, all others with Control."""
    keys = {system: shortcut_key(system) for system in ("x11", "win32", "aqua")}
    assert keys == {"x11": "Control", "win32": "Control", "aqua": "Command"}


@pytest.mark.parametrize(
    ("system", "num", "delta", "notches"),
    [
        ("x11", 4, 0, 1.0),
        ("x11", 5, 0, -1.0),
        ("win32", "??", 120, 1.0),
        ("win32", "??", -360, -3.0),
        ("win32", "??", 30, 0.25),  # a touchpad
        ("aqua", "??", 3, 1.0),
        ("aqua", "??", -1, -1 / 3),
        ("aqua", "??", -120, -1.0),  # Tk 9 counts as Windows does
        ("aqua", "??", 0, 0.0),
    ],
)
def test_wheels(system: str, num: object, delta: int, notches: float) -> None:
    """A notch of the wheel is one wherever it is turned, and a touchpad's parts of one are parts."""
    assert wheel_notches(system, num, delta) == pytest.approx(notches)


@pytest.mark.parametrize(("delta", "units"), [(120, -3), (-120, 3), (-30, 1), (30, -1), (0, 0)])
def test_a_form_scrolls(
    root: tk.Tk, monkeypatch: pytest.MonkeyPatch, delta: int, units: int
) -> None:
    """A form moves by three units for a notch of Windows' wheel, by one for a small part of it."""
    scroller = Scroller(root, "#ffffff")
    scroller.pack(fill="both", expand=True)
    tk.Frame(scroller.inside, height=5_000, width=10).pack()
    root.update()
    moved: list[tuple[object, ...]] = []
    monkeypatch.setattr(scroller.canvas, "yview_scroll", lambda *by: moved.append(by))
    event = cast("tk.Event[tk.Misc]", SimpleNamespace(num="??", delta=delta))
    assert scroller._wheel(event) == "break"
    assert moved == [(units, "units")]


def test_the_name_of_the_system(root: tk.Tk) -> None:
    """Tk itself says which window system it shows its windows by."""
    assert name_of(root) == root.tk.call("tk", "windowingsystem")


def test_a_folder_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows is given the folder itself, of whatever name, and no command line."""
    shown: list[str] = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "startfile", shown.append, raising=False)
    show_outside(str(tmp_path / "with spaces & signs"))
    assert shown == [str(tmp_path / "with spaces & signs")]


@pytest.mark.parametrize(("platform", "program"), [("darwin", "open"), ("linux", "xdg-open")])
def test_a_folder_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, program: str
) -> None:
    """The system's program is started with the folder as one argument, whatever its name holds."""
    commands: list[list[str]] = []

    class Ended:
        def __init__(self, command: list[str], **_: Any) -> None:
            commands.append(command)

        def wait(self, _: float) -> int:
            return 0

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(subprocess, "Popen", Ended)
    show_outside(str(tmp_path / 'a "quoted" name'))
    assert commands == [[program, str(tmp_path / 'a "quoted" name')]]
