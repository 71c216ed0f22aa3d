"""Take pictures of the panel in each of its main states, and say what in them is amiss.

    python -m scripts.panel_pictures [--out build/panel] [--look NAME …] [--state NAME …]

Needs Xvfb. Exits 1 where something is cut off, lies outside of its place, or is hard to read.
"""

import argparse
import contextlib
import gc
import sys
import tempfile
import time
import tkinter as tk
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import ImageGrab

from app.server import Server
from app.settings import Settings, read_settings
from gui.client import Client
from gui.panels.settings import SettingsDialog
from gui.server_thread import ServerThread
from gui.window import Window
from scripts.panel_layout import faults_of
from scripts.screen import screen

WAIT_S = 120.0
SETTLE_S = 0.25  # the chart is drawn once its size has been the same for a moment
SAMPLE: dict[str, Any] = {
    "symbol": "SPX", "provider": "sample", "plot": False,
    "execution": {"commission_bps": 5, "slippage_bps": 2},
    "validation": {
        "permutation": {"n": 199}, "block_bootstrap": {"n": 199}, "monte_carlo": {"n": 99},
        "walk_forward": {},
    },
}  # fmt: skip
LONG = {"symbol": "SPX", "provider": "sample", "validation": {"permutation": {"n": 100_000}}}
CANDLES = "Date,Open,High,Low,Close\n2024-01-02,1,3,1,2\n2024-01-03,0,3,1,2\n"
# A root that is collected on another thread ends the process: none is, before its end.
ROOTS: list[tk.Tk] = []


@dataclass(frozen=True)
class Look:
    """A theme, a size in pixels of an ordinary screen, and how many pixels one of those has."""

    theme: str
    width: int
    height: int
    scale: float = 1.0


LOOKS = {
    "light": Look("light", 1280, 800),
    "dark": Look("dark", 1280, 800),
    "light-small": Look("light", 1024, 640),
    "dark-small": Look("dark", 1024, 640),
    "light-2x": Look("light", 1280, 800, 2.0),
    "dark-2x": Look("dark", 1280, 800, 2.0),
    "light-small-2x": Look("light", 1024, 640, 2.0),
}


class Scene:
    """A real window with a real server, pictured state after state."""

    def __init__(self, window: Window, settings: Settings) -> None:
        self.window, self.settings = window, settings
        self.panel = window.panel
        self.shown: tk.Misc = window.root

    def until(self, condition: Callable[[], object]) -> None:
        """Let Tk work until something is so."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("it never came to that")
            self.window.root.update()
            time.sleep(0.01)

    def settle(self) -> None:
        """Let everything be drawn."""
        end = time.monotonic() + SETTLE_S
        self.until(lambda: time.monotonic() > end)

    def run(self, config: Mapping[str, Any], wanted: Callable[[Mapping[str, Any]], object]) -> str:
        """Start a run, and return its id once it is as wanted."""
        run_id = str(self.panel.client.post("/runs", config)["run_id"])
        self.panel.state["selected"] = run_id
        self.panel.watcher.look()
        self.until(lambda: wanted(self.panel.state.run(run_id) or {"status": "", "progress": 0}))
        return run_id

    def tab(self, name: str) -> None:
        """Open a tab of the results of a finished run, and wait for what it shows."""
        results = self.window.results
        self.run(SAMPLE, lambda run: run["status"] == "completed")
        shown = results.panes.get(name, results.log)
        results.tk.call(str(results), "select", str(shown))
        if name in results.panes:
            self.until(results.panes[name].body.winfo_ismapped)


def _first(_: Scene) -> None:
    """Show what a first start does."""


def _running(scene: Scene) -> None:
    scene.run(LONG, lambda run: run["progress"] > 0.3)


def _fault(scene: Scene) -> None:
    form = scene.window.new_run
    form.form.by_path()["strategy.params.fast"].put("100")
    form.form.by_path()["seed"].put("-1")
    form.start_button.invoke()
    slow = form.form.by_path()["strategy.params.slow"].problem
    scene.until(slow.winfo_ismapped)


def _settings(scene: Scene) -> None:
    dialog = SettingsDialog(scene.panel, scene.settings)
    dialog.form.fields["port"].put(70_000)
    dialog.save()
    scene.shown = dialog


def _import(scene: Scene) -> None:
    file = scene.settings.data_dir / "DAX_1d.csv"
    file.write_text(CANDLES, encoding="utf-8")
    scene.window.data.ask_about(file)
    dialog = scene.window.data.dialog
    assert dialog is not None
    dialog.confirm()
    scene.until(lambda: dialog.problem.cget("text"))
    scene.shown = dialog


STATES: dict[str, Callable[[Scene], None]] = {
    "first": _first,
    "running": _running,
    "chart": lambda scene: scene.tab("Chart"),
    "metrics": lambda scene: scene.tab("Metrics"),
    "validation": lambda scene: scene.tab("Validation"),
    "trades": lambda scene: scene.tab("Trades"),
    "log": lambda scene: scene.tab("Log"),
    "fault": _fault,
    "settings": _settings,
    "import": _import,
}


@contextlib.contextmanager
def scene(look: Look) -> Iterator[Scene]:
    """Have the program with an empty data directory, looking as asked for."""
    with tempfile.TemporaryDirectory() as data_dir:
        settings = read_settings({"data_dir": Path(data_dir) / "studio", "port": 0}, {})
        settings = replace(settings, theme=look.theme)
        thread = ServerThread(Server(settings), lambda: None)
        started = thread.start()
        root = tk.Tk()
        ROOTS.append(root)
        root.tk.call("tk", "scaling", look.scale * 96 / 72)
        client = Client(started.url, started.token.token)
        window = Window(root, client, settings=settings, quit_program=lambda: None)
        root.geometry(f"{look.width * look.scale:.0f}x{look.height * look.scale:.0f}+0+0")
        made = Scene(window, settings)
        window.start()
        made.until(lambda: made.panel.state["catalog"] and made.panel.state["datasets"])
        try:
            yield made
        finally:
            thread.stop()
            window.close()
            root.destroy()


def take(made: Scene, state: str, file: Path) -> list[str]:
    """Bring the window into a state, picture it, and return what is amiss."""
    root = made.window.root
    STATES[state](made)
    made.settle()
    area = (root.winfo_rootx(), root.winfo_rooty())
    size = (root.winfo_width(), root.winfo_height())
    picture = ImageGrab.grab((*area, area[0] + size[0], area[1] + size[1]), xdisplay="")
    picture.quantize(255).save(file, optimize=True)
    found = faults_of(root)
    if made.shown is not root:
        found += faults_of(made.shown)
        made.shown.destroy()
        made.shown = root
    for run in made.panel.state["runs"]:
        if run["status"] in {"queued", "running"}:
            made.panel.client.post(f"/runs/{run['run_id']}/cancel")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures; return 1 where something is amiss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/panel"))
    parser.add_argument("--look", nargs="*", choices=list(LOOKS), default=list(LOOKS))
    parser.add_argument("--state", nargs="*", choices=list(STATES), default=list(STATES))
    said = parser.parse_args(arguments)
    said.out.mkdir(parents=True, exist_ok=True)
    gc.disable()  # a Tk object must not be collected on another thread
    amiss = 0
    with screen("2560x1600"):
        for name in said.look:
            with scene(LOOKS[name]) as made:
                for state in said.state:
                    for fault in take(made, state, said.out / f"{state}-{name}.png"):
                        print(f"{state}, {name}: {fault}")
                        amiss += 1
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main())
