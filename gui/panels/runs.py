"""The table of runs, newest first."""

import tkinter as tk
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from tkinter import ttk
from typing import Any

from gui.panel import Panel, fill_width, scrolled
from gui.panels.figures import run_name
from gui.theme import pixels, scaled
from gui.watcher import LISTED, LIVE

# Title and width in points.
COLUMNS = {
    "symbol": ("Symbol", 62),
    "strategy": ("Strategy", 80),
    "state": ("State", 92),
    "total_return": ("Return", 50),
    "sharpe": ("Sharpe", 44),
    "max_drawdown": ("Drawdown", 64),
    "permutation_p_value": ("p-value", 47),
    "queued": ("Asked for (UTC)", 100),
}
STRETCHES = "symbol"
WHERE_THERE_IS_ROOM = "strategy"
EMPTY = "No runs yet. Choose on the left what to run, and press Start."
OR_SAMPLE = "\nTo see first what comes out, press Try it on the sample."
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
        super().__init__(parent, text="Runs", padding=scaled(parent, 4, 0, 4, 3))
        self._panel = panel
        self.table: ttk.Treeview = scrolled(self, self._make_table)
        self.table.bind("<<TreeviewSelect>>", lambda _: self._select())
        self.empty = ttk.Label(
            self.table, text=EMPTY + OR_SAMPLE, style="Empty.TLabel", justify="center"
        )
        self.empty.place(relx=0.5, rely=0.55, anchor="center")
        panel.state.on("runs", self._show)
        panel.state.on("selected", lambda _: self._mark())
        panel.state.on("datasets", self._invite)

    def _make_table(self, parent: tk.Misc) -> ttk.Treeview:
        table = ttk.Treeview(
            parent, columns=list(COLUMNS), show="headings", selectmode="browse", height=6
        )
        for name, (title, width) in COLUMNS.items():
            anchor: Any = "w" if name in {"symbol", "strategy", "state"} else "e"
            table.heading(name, text=title, anchor=anchor)
            wide = pixels(self, width)
            table.column(name, width=wide, anchor=anchor, stretch=False)
        table.bind("<Configure>", lambda _: self._choose_columns(table))
        fill_width(table, STRETCHES, pixels(self, COLUMNS[STRETCHES][1]))
        return table

    def _choose_columns(self, table: ttk.Treeview) -> None:
        room = table.winfo_width() - sum(pixels(self, width) for _, width in COLUMNS.values())
        shown = [name for name in COLUMNS if room > 0 or name != WHERE_THERE_IS_ROOM]
        if list(table["displaycolumns"]) != shown:
            table.configure(displaycolumns=shown)

    def _invite(self, sets: list[Mapping[str, Any]]) -> None:
        """Say what to do where nothing has been run; who has candles needs no sample."""
        own = any(each["provider"] == "local" for each in sets)
        self.empty.configure(text=EMPTY if own else EMPTY + OR_SAMPLE)

    def _show(self, runs: list[Mapping[str, Any]]) -> None:
        wanted, before = [run["run_id"] for run in runs], self.table.get_children()
        full = len(runs) == LISTED
        self.configure(text=f"Runs (the newest {LISTED})" if full else "Runs")
        if wanted:
            self.empty.place_forget()
        else:
            self.empty.place(relx=0.5, rely=0.55, anchor="center")
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
        self._choose_another(before, wanted)
        self._mark()

    def _choose_another(self, before: Sequence[str], wanted: Sequence[str]) -> None:
        """Look at the newest run at first, and at a neighbour of one that is gone."""
        selected = self._panel.state["selected"]
        if selected in before and selected not in wanted:
            place = before.index(selected)
            near = [*before[place + 1 :], *reversed(before[:place])]
            selected = next((each for each in near if each in wanted), None)
            self._panel.state["selected"] = selected
        if selected is None and wanted:
            self._panel.state["selected"] = wanted[0]

    def _mark(self) -> None:
        """Mark the run that is looked at, once it is in the list."""
        run_id = self._panel.state["selected"]
        is_listed = run_id is not None and self.table.exists(run_id)
        if is_listed and self.table.selection() != (run_id,):
            self.table.selection_set(run_id)
            self.table.focus(run_id)  # from where the keyboard goes on
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
    return (run_name(run), run["strategy"] or "", state_of(run), *figures, moment(run["queued_ts"]))


def state_of(run: Mapping[str, Any]) -> str:
    """Return a run's state in a few words, with a bar while it is at work."""
    if run["status"] == "failed" and run["error"] is not None:
        return f"failed: {run['error']['code'].lower().replace('_', ' ')}"
    if run["status"] == "cancelling":
        return "cancelling…"
    if run["status"] in LIVE - {"queued"}:
        done = round(BLOCKS * run["progress"])
        return f"{'█' * done}{'░' * (BLOCKS - done)} {run['progress']:.0%}"
    return str(run["status"])


def moment(ts_ms: int) -> str:
    """Return a time as UTC text, to the minute."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
