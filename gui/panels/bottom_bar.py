"""The bar at the bottom: what is at work and how far it is, and what can be done with a run."""

import time
import tkinter as tk
from collections.abc import Callable, Mapping
from pathlib import Path
from tkinter import filedialog, ttk
from typing import Any

from gui.panel import Panel
from gui.panels.figures import run_name
from gui.panels.pane import label_that_wraps
from gui.saving import write_whole
from gui.theme import pixels, scaled
from gui.watcher import LIVE

IDLE = "Nothing is running."
SILENT = "The server does not answer."
ENDS = {"completed": "has completed", "cancelled": "was cancelled"}
MOST_LETTERS = 9  # of a symbol, beside what is said of its run
ENOUGH_TO_GUESS = 0.03  # of a run, before the time left is told


class BottomBar(ttk.Frame):
    """Progress, cancel, and the selected run's report, id and configuration."""

    def __init__(self, parent: tk.Misc, panel: Panel, use: Callable[[str], None]) -> None:
        super().__init__(parent, padding=scaled(parent, 6, 4))
        self._panel = panel
        self._live: set[str] = set()
        notice = label_that_wraps(self, textvariable=panel.notice, style="Muted.TLabel")
        notice.pack(side="bottom", fill="x", pady=(pixels(self, 3), 0))
        self.words = ttk.Label(self, text=IDLE)
        self.words.pack(side="left")
        self.progress = ttk.Progressbar(self, maximum=1.0, length=pixels(parent, 60))
        self.progress.pack(side="left", padx=pixels(self, 5))
        self.cancel = self._button("Cancel run", self._cancel)
        self.cancel.pack(side="left")
        # As the keyboard goes through them, from left to right.
        self.copy_id = self._button("Copy run id", self._copy_id)
        self.folder = self._button("Open folder", self._open_folder)
        self.report = self._button("Save report…", self._save_report)
        self.use = self._button(
            "Use this configuration", lambda: use(self._panel.state["selected"])
        )
        for button in (self.use, self.report, self.folder, self.copy_id):
            button.pack(side="right", padx=(pixels(self, 4), 0))
        panel.dress_notice = lambda: self._dress_notice(notice)
        panel.state.on("runs", lambda _: self._show())
        panel.state.on("runs", self._tell_of_ends)
        panel.state.on("selected", lambda _: self._show())
        panel.state.on("online", lambda _: self._show())
        self._show()

    def _dress_notice(self, notice: ttk.Label) -> None:
        notice.configure(style="Error.TLabel" if self._panel.is_complaint else "Muted.TLabel")

    def _tell_of_ends(self, runs: list[Mapping[str, Any]]) -> None:
        """Say how the run has ended that was at work when last seen."""
        for run in runs:
            if run["run_id"] in self._live and run["status"] not in LIVE:
                if run["status"] == "failed":
                    why = str(run["error"]["message"]).rstrip(".")
                    self._panel.complain(f"{run_name(run)} has failed: {why}.")
                else:
                    self._panel.say(f"{run_name(run)} {ENDS[run['status']]}.")
        self._live = {run["run_id"] for run in runs if run["status"] in LIVE}

    def _button(self, text: str, command: Callable[[], None]) -> ttk.Button:
        return ttk.Button(self, text=text, style="Compact.TButton", command=command)

    def _show(self) -> None:
        working = self._working()
        run = self._panel.state.run(self._panel.state["selected"])
        _enable(self.cancel, working is not None)
        _enable(self.use, run is not None)
        _enable(self.copy_id, run is not None)
        completed = run is not None and run["status"] == "completed"
        _enable(self.report, completed)
        _enable(self.folder, completed)
        if working is None:
            self.words.configure(text=IDLE if self._panel.state["online"] else SILENT)
            self.progress.configure(value=0.0)
            return
        queued = sum(each["status"] == "queued" for each in self._panel.state["runs"])
        waiting = f", {queued} more" if queued > (working["status"] == "queued") else ""
        stage = (working["stage"] or working["status"]).replace("_", " ")
        left = _time_left(working)
        self.words.configure(text=f"{shortened(working['symbol'])}: {stage}{left}{waiting}")
        self.progress.configure(value=working["progress"])

    def _working(self) -> Mapping[str, Any] | None:
        """Return the selected run where it is live, else the one that has worked longest.

        None also while the server does not answer: what it did last says nothing of now.
        """
        if not self._panel.state["online"]:
            return None
        live = [run for run in self._panel.state["runs"] if run["status"] in LIVE]
        chosen = [run for run in live if run["run_id"] == self._panel.state["selected"]]
        at_work = [run for run in live if run["status"] != "queued"]
        return next(iter([*chosen, *reversed(at_work), *live]), None)

    def _cancel(self) -> None:
        working = self._working()
        if working is not None:
            path = f"/runs/{working['run_id']}/cancel"
            self._panel.ask(
                lambda: self._panel.client.post(path), lambda _: self._panel.watcher.look()
            )

    def _open_folder(self) -> None:
        """Show the run's artifacts in the file manager."""
        self._panel.show_folder(self._panel.data_dir / "runs" / self._panel.state["selected"])

    def _copy_id(self) -> None:
        self._panel.root.clipboard_clear()
        self._panel.root.clipboard_append(self._panel.state["selected"])
        self._panel.say("The run's id is in the clipboard.")

    def _save_report(self) -> None:
        run_id = self._panel.state["selected"]
        chosen = filedialog.asksaveasfilename(
            parent=self._panel.root, defaultextension=".html", initialfile=f"{run_id}.html"
        )
        if chosen:
            self.save_report(run_id, Path(chosen))

    def save_report(self, run_id: str, file: Path) -> None:
        """Write a run's report into a file."""

        def work() -> None:
            write_whole(file, self._panel.client.download(f"/runs/{run_id}/report"))

        self._panel.ask(work, lambda _: self._panel.say(f"The report is in {file.name}."))


def shortened(text: str) -> str:
    """Return a name that leaves room for others."""
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"


def _enable(button: ttk.Button, enabled: bool) -> None:  # noqa: FBT001  # a state
    button.state(["!disabled" if enabled else "disabled"])


def _time_left(run: Mapping[str, Any]) -> str:
    if run["started_ts"] is None or run["progress"] < ENOUGH_TO_GUESS:
        return ""
    spent = time.time() - run["started_ts"] / 1000
    seconds = round(spent * (1 - run["progress"]) / run["progress"])
    if seconds < 1:  # or the clock was set back
        return ""
    if seconds < 100:
        return f", {seconds} s left"
    minutes = round(seconds / 60)
    return f", {minutes} min left" if minutes < 100 else f", {minutes / 60:.1f} h left"
