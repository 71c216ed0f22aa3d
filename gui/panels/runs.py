"""The table of runs, newest first."""

import tkinter as tk
from collections.abc import Mapping
from datetime import UTC, datetime
from tkinter import ttk
from typing import Any

from gui.panel import Panel, scrolled
from gui.theme import pixels
from gui.watcher import LIVE

# Title and width in points.
COLUMNS = {
    "symbol": ("Symbol", 60),
    "state": ("State", 110),
    "total_return": ("Return", 60),
    "sharpe": ("Sharpe", 50),
    "max_drawdown": ("Max drawdown", 100),
    "permutation_p_value": ("p-value", 50),
    "queued": ("Asked for (UTC)", 120),
}
FORMS = {
    "total_return": "{:+.1%}",
    "sharpe": "{:.2f}",
    "max_drawdown": "{:.1%}",
    "permutation_p_value": "{:.3f}",
}
BLOCKS = 8


class RunsPart(ttk.Labelframe):
    """What has been run, and how it came out."""

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent, text="Runs")
        self._panel = panel
        self.table: ttk.Treeview = scrolled(self, self._make_table)
        self.table.bind("<<TreeviewSelect>>", lambda _: self._select())
        panel.state.on("runs", self._show)
        panel.state.on("selected", lambda _: self._mark())

    def _make_table(self, parent: tk.Misc) -> ttk.Treeview:
        table = ttk.Treeview(
            parent, columns=list(COLUMNS), show="headings", selectmode="browse", height=6
        )
        for name, (title, width) in COLUMNS.items():
            anchor: Any = "w" if name in {"symbol", "state", "queued"} else "e"
            table.heading(name, text=title, anchor=anchor)
            wide = pixels(self, width)
            table.column(name, width=wide, anchor=anchor, stretch=name == "state")
        return table

    def _show(self, runs: list[Mapping[str, Any]]) -> None:
        wanted = [run["run_id"] for run in runs]
        for gone in set(self.table.get_children()) - set(wanted):
            self.table.delete(gone)
        for place, run in enumerate(runs):
            values = cells(run)
            if self.table.exists(run["run_id"]):
                if self.table.item(run["run_id"], "values") != values:
                    self.table.item(run["run_id"], values=values)
                if self.table.index(run["run_id"]) != place:
                    self.table.move(run["run_id"], "", place)
            else:
                self.table.insert("", place, run["run_id"], values=values)
        if self._panel.state["selected"] is None and wanted:
            self._panel.state["selected"] = wanted[0]
        self._mark()

    def _mark(self) -> None:
        """Mark the run that is looked at, once it is in the list."""
        run_id = self._panel.state["selected"]
        is_listed = run_id is not None and self.table.exists(run_id)
        if is_listed and self.table.selection() != (run_id,):
            self.table.selection_set(run_id)
            self.table.see(run_id)

    def _select(self) -> None:
        chosen = self.table.selection()
        if chosen:  # nothing is chosen where the run is not listed yet
            self._panel.state["selected"] = chosen[0]


def cells(run: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a run as the table shows it."""
    metrics = run["metrics"] or {}
    figures = [
        "" if metrics.get(name) is None else form.format(metrics[name])
        for name, form in FORMS.items()
    ]
    return (f"{run['symbol']}", state_of(run), *figures, moment(run["queued_ts"]))


def state_of(run: Mapping[str, Any]) -> str:
    """Return a run's state in a few words, with a bar while it is at work."""
    if run["status"] == "failed" and run["error"] is not None:
        return f"failed: {run['error']['code'].lower().replace('_', ' ')}"
    if run["status"] in LIVE - {"queued"}:
        done = round(BLOCKS * run["progress"])
        return f"{'█' * done}{'░' * (BLOCKS - done)} {run['progress']:.0%}"
    return str(run["status"])


def moment(ts_ms: int) -> str:
    """Return a time as UTC text, to the second."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
