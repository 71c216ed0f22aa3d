"""The results of the run that is looked at: a tab for each way to look."""

import tkinter as tk
from tkinter import ttk
from typing import Any

from gui.client import Client, GoneError, RefusedError
from gui.panel import Panel, in_words
from gui.panels.chart import ChartPane
from gui.panels.log import LogPane
from gui.panels.metrics import MetricsPane
from gui.panels.pane import Key, Pane, Run
from gui.panels.trades import TradesPane
from gui.panels.validation import ValidationPane
from gui.theme import pixels, scaled

NOTHING_SELECTED = "No run is selected. Select one in the table above, or start one on the left."

HEIGHT = 205.0  # points; a chart needs as much


class ResultsPart(ttk.Notebook):
    """Chart, metrics, validation, trades and log of the selected run.

    A tab asks the server when it is first looked at, once for a run and its manifest's hash; what
    arrives for a run that is no longer selected is dropped.
    """

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent, height=pixels(parent, HEIGHT), padding=scaled(parent, 4, 0))
        self._panel = panel
        self.chart = ChartPane(self, panel)
        self.metrics = MetricsPane(self, panel)
        self.validation = ValidationPane(self, panel)
        self.trades = TradesPane(self, panel)
        self.log = LogPane(self, panel)
        self.panes: dict[str, Pane] = {
            "Chart": self.chart, "Metrics": self.metrics, "Validation": self.validation,
            "Trades": self.trades,
        }  # fmt: skip
        for title, pane in self.panes.items():
            self.add(pane, text=title)
        self.add(self.log, text="Log")
        self.enable_traversal()
        panel.state.on("selected", lambda _: self._look())
        panel.state.on("runs", lambda _: self._look())
        self.bind("<<NotebookTabChanged>>", lambda _: self._look())
        self._look()

    def _look(self) -> None:
        """Show in the open tab what is known of the selected run, and ask for what is not."""
        run_id = self._panel.state["selected"]
        run = self._panel.state.run(run_id)
        if run is not None and run["status"] == "completed":
            self._show_completed(run)
            return
        sentence = state_in_words(run_id, run)
        for pane in self.panes.values():
            pane.key = None
            pane.say(sentence)

    def _show_completed(self, run: Run) -> None:
        key = (str(run["run_id"]), str(run["manifest_hash"]))
        for pane in self.panes.values():
            if pane.key not in {None, key}:
                pane.key = None
                pane.say("")
        opened = self._open_pane()
        if opened is not None and opened.key != key:
            self._ask(opened, key, run)

    def _open_pane(self) -> Pane | None:
        opened = self.tk.call(str(self), "select")
        return next((pane for pane in self.panes.values() if str(pane) == str(opened)), None)

    def _ask(self, pane: Pane, key: Key, run: Run) -> None:
        pane.key = key
        pane.say("Reading the results…")

        def show(found: Any) -> None:
            if pane.key != key:
                return
            try:
                _show(pane, found)
            except Exception:
                say_failed("The panel's log says more.")
                raise

        def failed(fault: Exception) -> None:
            if pane.key == key:
                say_failed(in_words(fault))

        def say_failed(why: str) -> None:
            sentence = f"The results cannot be shown. {why}"
            pane.say(sentence, lambda: self._ask(pane, key, run))

        self._panel.ask(lambda: _read(pane, key, self._panel.client, run), show, failed)


def _read(pane: Pane, key: Key, client: Client, run: Run) -> Any:
    """Return what a pane reads, or the error that nobody foresaw, to be raised on Tk's thread."""
    # Who runs down the table asks for many that are gone before their turn comes.
    if pane.key != key:
        return None
    try:
        return pane.read(client, run)
    except (RefusedError, GoneError, OSError):
        raise
    except Exception as fault:  # noqa: BLE001  # by ``_show``
        return fault


def _show(pane: Pane, found: Any) -> None:
    if isinstance(found, Exception):
        raise found
    pane.show(found)
    pane.reveal()


def state_in_words(run_id: str | None, run: Run | None) -> str:
    """Return why there are no results to show."""
    if run_id is None:
        return NOTHING_SELECTED
    if run is None:
        return "This run is not in the table of runs."
    status = run["status"]
    if status == "failed":
        return (
            f"This run failed: {_sentence((run['error'] or {}).get('message', 'no reason given'))}"
        )
    if status == "running":
        stage = (run["stage"] or "about to begin").replace("_", " ")
        done = f"{stage}, {run['progress']:.0%}"
        return f"This run is at work: {done}. Its results come when it is done."
    return {
        "queued": "This run waits for its turn. Its results come when it is done.",
        "cancelling": "This run is being cancelled.",
        "cancelled": "This run was cancelled, so it has no results.",
    }.get(status, f"This run is {status}.")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
