"""How the desktop program ends, and how it tells errors that come on the way."""

import json
import signal
import sys
import threading
import tkinter as tk
from collections.abc import Callable
from pathlib import Path
from tkinter import ttk
from typing import Any

import pytest
from desktop_plays import WAIT_S, Story, make_desktop, nothing_left, play, press_close

from app.commands.desktop import Desktop
from gui.window import ENDED

SLOW = {
    "symbol": "SPX", "provider": "sample", "plot": False,
    "validation": {"permutation": {"n": 20_000}},
}  # fmt: skip


def press_quit(desktop: Desktop) -> None:
    """Press the button Quit."""
    desktop.window.top_bar.quit_button.invoke()


def press_control_q(desktop: Desktop) -> None:
    """Press Ctrl-Q in whatever has the keyboard."""
    # The system's dialog is none of tkinter's widgets.
    there = desktop.root.tk.call("focus") or "."
    desktop.root.tk.call("event", "generate", there, "<Control-q>")


def open_nothing(_: Desktop) -> None:
    """Open no dialog."""


def open_import(desktop: Desktop) -> None:
    """Open the dialog that asks what a file is."""
    desktop.window.data.ask_about(Path("SPX_1d.csv"))


def open_file_dialog(desktop: Desktop) -> None:
    """Open the system's dialog for a file."""
    desktop.window.data.choose_file()


def dialogs(desktop: Desktop) -> list[tk.Misc]:
    """Return what is open above the window."""
    found = desktop.root.tk.call("winfo", "children", ".")
    tops = [name for name in found if desktop.root.tk.call("winfo", "class", name) != "Menu"]
    return [
        name for name in tops if str(desktop.root.tk.call("winfo", "toplevel", name)) == str(name)
    ]


@pytest.mark.parametrize("close", [press_close, press_quit, press_control_q])
@pytest.mark.parametrize("dialog", [open_nothing, open_import, open_file_dialog])
@pytest.mark.usefixtures("display")
def test_the_window_ends_it(
    close: Callable[[Desktop], None],
    dialog: Callable[[Desktop], None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Close button, Quit and Ctrl-Q end everything, in front of a dialog too, and even twice."""
    with nothing_left(tmp_path / "data"):
        desktop = make_desktop(tmp_path / "data")

        def story() -> Story:
            yield desktop.root.winfo_ismapped
            yield lambda: desktop.window.panel.state["catalog"]
            desktop.root.focus_force()
            yield desktop.root.focus_get
            desktop.root.after(0, dialog, desktop)
            yield lambda: dialog is open_nothing or dialogs(desktop)
            yield lambda: desktop.root.tk.call("focus")
            close(desktop)
            desktop.stop()

        assert play(desktop, story())
    assert capfd.readouterr().err == ""
    assert '"error"' not in log_of(tmp_path / "data")


def log_of(data_dir: Path) -> str:
    """Return what has been logged."""
    return (data_dir / "logs" / "studio.log").read_text(encoding="utf-8")


def errors_in(data_dir: Path) -> list[dict[str, Any]]:
    """Return the errors that have been logged."""
    lines = [json.loads(line) for line in log_of(data_dir).splitlines()]
    return [line for line in lines if line["level"] == "error"]


@pytest.mark.usefixtures("display")
def test_a_server_that_dies(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panel says that its server has ended and shows the log; it can be closed as ever."""
    data_dir = tmp_path / "data"
    shown: list[str] = []
    monkeypatch.setattr("gui.panel.show_outside", shown.append)
    with nothing_left(data_dir):
        desktop = make_desktop(data_dir)
        run_id = desktop.window.panel.client.post("/runs", SLOW)["run_id"]

        def banner() -> tk.Misc | None:
            first = desktop.root.pack_slaves()[0]
            return first if first is not desktop.window.top_bar else None

        def story() -> Story:
            yield (
                lambda: (
                    (run := desktop.window.panel.state.run(run_id)) and run["status"] == "running"
                )
            )
            desktop._server._loop.call_soon_threadsafe(sys.exit, 3)
            yield banner
            assert str(desktop.window.warning.cget("text")) == ENDED
            frame = banner()
            assert frame is not None
            (button,) = [each for each in frame.winfo_children() if isinstance(each, ttk.Button)]
            button.invoke()
            yield lambda: shown
            assert shown == [str(data_dir / "logs")]
            press_close(desktop)

        assert play(desktop, story())
    out, err = capfd.readouterr()
    assert err == ""
    assert out.endswith("A run goes on at the next start.\n")
    told = [line["message"] for line in errors_in(data_dir)]
    assert told == ["the server's thread has ended"]


@pytest.mark.usefixtures("display")
def test_an_error_in_a_callback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What goes wrong in a callback, or on a thread of the panel, is shown and logged once."""
    desktop = make_desktop(tmp_path / "data")
    panel = desktop.window.panel

    def wrong() -> None:
        raise ZeroDivisionError("callback")

    def told() -> bool:
        return "studio.log says more" in panel.notice.get()

    def story() -> Story:
        yield desktop.root.winfo_ismapped
        desktop.root.after(0, wrong)
        yield told
        panel.say("")
        panel.ask(lambda: 1 / 0, lambda _: None)
        yield told
        desktop.stop()

    assert play(desktop, story())
    assert capfd.readouterr().err == ""
    first, second = errors_in(tmp_path / "data")
    assert "ZeroDivisionError: callback" in first["trace"]
    assert "ZeroDivisionError: division by zero" in second["trace"]


@pytest.mark.usefixtures("display")
def test_errors_of_threads_and_listeners_reach_the_window(tmp_path: Path) -> None:
    """A list that cannot be read, and a part that fails at it, are told; the others go on."""
    desktop = make_desktop(tmp_path / "data")
    panel, heard = desktop.window.panel, list[Any]()

    def fail(_: object) -> None:
        raise ValueError("a part")

    panel.state.on("presets", fail)
    panel.state.on("presets", heard.append)

    def story() -> Story:
        yield lambda: panel.state["catalog"]
        panel.state["presets"] = [{"name": "a", "config": {}}]
        yield lambda: True

    with pytest.raises(ValueError, match="a part"):
        play(desktop, story())
    assert heard == [[{"name": "a", "config": {}}]]


@pytest.mark.usefixtures("display")
def test_a_thread_that_takes_its_time_is_left_behind(tmp_path: Path) -> None:
    """Work that knows nothing of the end holds the window's end up for a moment only."""
    desktop = make_desktop(tmp_path / "data")
    gate, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        gate.wait(WAIT_S)

    def story() -> Story:
        desktop.window.panel.ask(wait, lambda _: None)
        yield begun.is_set
        press_close(desktop)

    assert not play(desktop, story())
    gate.set()
    assert not (tmp_path / "data" / "server.json").exists()


@pytest.mark.usefixtures("display")
def test_a_signal_before_the_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while the program starts ends it as soon as it has started."""
    # On a slow machine the engine is being loaded by then, and that is left behind.
    monkeypatch.setattr("app.server.WARM_UP_AFTER_S", 60.0)
    with nothing_left(tmp_path / "data"):
        desktop = make_desktop(tmp_path / "data", [signal.SIGTERM])
        assert desktop.run()


def test_who_closes_during_a_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who closes the window reads that the run goes on; a signal shows nothing."""
    said: list[str] = []
    for told, wanted in (([], ["A run goes on at the next start."]), ([15], [])):
        desktop = make_desktop(tmp_path / f"data{len(told)}")
        run_id = desktop.window.panel.client.post("/runs", SLOW)["run_id"]
        show = desktop.window.say_farewell

        def farewell(text: str, show: Callable[[str], None] = show, of: Desktop = desktop) -> None:
            show(text)
            (sheet,) = [each for each in of.root.winfo_children() if isinstance(each, tk.Toplevel)]
            assert sheet.winfo_ismapped()
            assert not of.root.winfo_ismapped()
            (label,) = sheet.winfo_children()
            said.append(str(label["text"]))

        monkeypatch.setattr(desktop.window, "say_farewell", farewell)

        def story(
            desktop: Desktop = desktop, run_id: str = run_id, told: list[int] = told
        ) -> Story:
            state = desktop.window.panel.state
            yield lambda: (state.run(run_id) or {}).get("status") == "running"
            desktop._told = told
            if not told:
                press_close(desktop)

        said.clear()
        assert play(desktop, story())
        assert said == wanted
