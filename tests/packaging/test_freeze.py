"""The program in a bundle: environment of other programs, errors without a console, fonts."""

import io
import os
import sys
import tkinter as tk
from collections.abc import Sequence
from pathlib import Path
from tkinter import messagebox
from types import SimpleNamespace

import pytest

from app import frozen, frozen_start

BUNDLES = {"LD_LIBRARY_PATH": "/b/_internal", "TCL_LIBRARY": "/b/_internal/_tcl_data", "HOME": "/h"}


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process look like a bundle's."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", "/b/_internal", raising=False)


@pytest.mark.usefixtures("bundled")
def test_others_get_the_environment_back() -> None:
    """Another program gets the library path of before, and nothing that points into the bundle."""
    given = BUNDLES | {"LD_LIBRARY_PATH_ORIG": "/usr/own", "_PYI_ARCHIVE_FILE": "/b/Studio"}
    assert frozen.environment_for_others(given) == {"LD_LIBRARY_PATH": "/usr/own", "HOME": "/h"}


@pytest.mark.usefixtures("bundled")
def test_others_get_no_library_path_where_there_was_none() -> None:
    """Where no library path was set before the bundle's own, another program gets none."""
    assert frozen.environment_for_others(BUNDLES) == {"HOME": "/h"}


@pytest.mark.usefixtures("bundled")
def test_a_users_own_tk_stays() -> None:
    """A library of Tk's that the user has named is none of the bundle's."""
    given = {"TK_LIBRARY": "/opt/tk"}
    assert frozen.environment_for_others(given) == given


def test_from_source_others_get_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bundle another program gets the environment as it is."""
    assert frozen.environment_for_others(BUNDLES) == BUNDLES
    monkeypatch.setenv("STUDIO_SEEN", "1")
    assert frozen.environment_for_others()["STUDIO_SEEN"] == "1"


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [([], ["desktop"]), (["runs", "--json"], ["runs", "--json"])],
)  # fmt: skip
def test_without_arguments_the_panel_opens(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], passed: list[str]
) -> None:
    """The program for double-clicking opens the panel; with arguments it does what they say."""
    seen: list[Sequence[str]] = []

    def main(given: Sequence[str]) -> int:
        seen.append(given)
        return 4

    monkeypatch.setattr(frozen_start, "main", main)
    monkeypatch.setattr(frozen_start, "show", lambda _: None)
    assert frozen_start.start_desktop(arguments) == 4
    assert seen == [passed]


def test_a_failed_start_is_shown_where_there_is_no_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without streams nothing breaks, and the sentence on a failure is shown in a window."""
    shown: list[str] = []
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(frozen_start, "show", shown.append)
    assert frozen_start.start_desktop(["report", "no-such-run"]) == 3
    where = "in ./studio-runs or in the data directory"
    assert shown == [f"studio: there is no run no-such-run {where}\n"]
    sys.stdout.close()  # what was opened instead of it


@pytest.mark.parametrize(
    ("arguments", "is_terminal", "windows"),
    [((), False, 1), ((), True, 0), (("desktop",), False, 0)],
)
def test_a_double_click_has_no_terminal(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], windows: int, *, is_terminal: bool
) -> None:
    """Where nobody reads the errors, a failed start is shown too, and still written there."""

    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    def main(_: Sequence[str]) -> int:
        assert sys.stderr is not None
        sys.stderr.write("studio: no\n")
        return 6

    shown: list[str] = []
    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(frozen_start, "main", main)
    monkeypatch.setattr(frozen_start, "show", shown.append)
    assert frozen_start.start_desktop(arguments) == 6
    assert shown == ["studio: no\n"] * windows
    assert stream.getvalue() == "studio: no\n"


def test_the_window_on_a_failure_says_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window has the program's name and the sentence; without a display there is none."""
    shown: list[tuple[str, str]] = []
    root = SimpleNamespace(withdraw=lambda: None, destroy=lambda: None)
    monkeypatch.setattr(tk, "Tk", lambda: root)
    monkeypatch.setattr(messagebox, "showerror", lambda *said, **_: shown.append(said))
    frozen_start.show("studio: The port 1 is taken.\n")

    def without_display() -> None:
        raise tk.TclError

    monkeypatch.setattr(tk, "Tk", without_display)
    frozen_start.show("studio: no one sees this")
    assert shown == [("Studio", "The port 1 is taken.")]


def test_what_was_said_does_not_grow_without_end() -> None:
    """Of a long life without a console only the last sentences are kept."""
    said = frozen_start.Said(None)
    for number in range(5000):
        said.write(f"{number}\n")
    assert len(said.getvalue()) == frozen_start.MAX_SAID
    assert said.getvalue().endswith("\n4998\n4999\n")


@pytest.mark.usefixtures("bundled")
def test_fonts_are_listed_in_the_data_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle keeps matplotlib's list of fonts in the data directory once there is one."""
    monkeypatch.setenv("MPLCONFIGDIR", "")
    monkeypatch.delenv("MPLCONFIGDIR")
    frozen.keep_font_cache(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "cache").mkdir()
    frozen.keep_font_cache(tmp_path)
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "cache" / "matplotlib")


def test_from_source_matplotlib_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bundle matplotlib keeps its list where it always does."""
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    (tmp_path / "cache").mkdir()
    frozen.keep_font_cache(tmp_path)
    assert "MPLCONFIGDIR" not in os.environ


def test_no_window_without_tk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Tk itself cannot be loaded nothing is shown, and nothing breaks."""
    monkeypatch.setitem(sys.modules, "tkinter", None)
    frozen_start.show("studio: no one sees this")


def test_errors_that_cannot_be_written_are_kept() -> None:
    """A full device keeps no sentence from being shown."""

    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "no space")

    said = frozen_start.Said(Full())
    said.write("studio: no")
    assert said.getvalue() == "studio: no"
