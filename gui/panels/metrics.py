"""The metrics of a run beside buy and hold, each with its definition in words."""

import tkinter as tk
from collections.abc import Mapping
from dataclasses import dataclass
from tkinter import ttk
from typing import Any
from urllib.parse import quote

from gui.client import Client
from gui.panel import Panel, scrolled
from gui.panels.figures import NOTHING, metric, reason_in_words
from gui.panels.pane import Pane, Run, label_that_wraps
from gui.theme import POINTS, pixels

UNITS = {"fraction": "%", "ratio": "ratio", "currency": "currency", "bars": "bars"}
OWN_UNITS = {"turnover": "× equity"}
OTHERS = "Others"
COLUMNS = {
    "strategy": ("Strategy", 160, "e"),
    "benchmark": ("Buy and hold", 120, "e"),
    "unit": ("Unit", 80, "w"),
}
HINT = "Point at a number, or select it, to read what it means."


@dataclass(frozen=True)
class Row:
    """A metric as the table shows it."""

    name: str
    label: str
    strategy: str
    benchmark: str
    unit: str
    definition: str


def rows_of(document: Mapping[str, Any], catalog: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
    """Return the groups of ``metrics.json`` with their rows, as ``/catalog`` orders them."""
    flat: dict[str, Any] = {}
    for name, value in document["metrics"].items():
        inner = value.items() if isinstance(value, Mapping) else None
        flat.update({name: value} if inner is None else {f"{name}.{k}": v for k, v in inner})
    known = {each["name"]: each for each in catalog["metrics"]}
    grouped: dict[str, list[Row]] = {}
    for name in [*filter(flat.__contains__, known), *(name for name in flat if name not in known)]:
        group = (known.get(name) or {}).get("group") or OTHERS
        row = _row(name, known.get(name), flat[name], document, catalog["reasons"]["metrics"])
        grouped.setdefault(group, []).append(row)
    return list(grouped.items())


def _row(
    name: str,
    known: Mapping[str, Any] | None,
    value: float | None,
    document: Mapping[str, Any],
    reasons: Mapping[str, str],
) -> Row:
    def said(figure: float | None, place: str) -> str:
        return metric(known, figure, reason_in_words(reasons, document["reasons"].get(place)))

    beside = document["benchmark"]
    return Row(
        name,
        known["label"] if known else name.replace("_", " "),
        said(value, name),
        said(beside[name], f"benchmark.{name}") if name in beside else "",
        OWN_UNITS.get(name) or UNITS.get(known["unit"] if known else "", ""),
        known["definition"] if known else "",
    )


class MetricsPane(Pane):
    """The table, and below it the definition of what is pointed at or selected."""

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent, panel)
        self._definitions: dict[str, str] = {}
        self._foot = foot = ttk.Frame(self.body, padding=(pixels(self, 8), pixels(self, 5)))
        foot.pack(side="bottom", fill="x")
        self.definition = label_that_wraps(foot, text=HINT, style="Muted.TLabel")
        self.definition.pack(fill="x")
        # It never shrinks: rows must not move under the pointer.
        self.definition.bind("<Configure>", lambda _: self._grow(), add="+")
        self.table: ttk.Treeview = scrolled(self.body, self._make_table)
        self.table.bind("<<TreeviewSelect>>", lambda _: self._explain_selected())
        self.table.bind("<Motion>", lambda event: self._explain(self.table.identify_row(event.y)))
        self.table.bind("<Leave>", lambda _: self._explain_selected())

    def _grow(self) -> None:
        needed = self.definition.winfo_reqheight() + 2 * pixels(self, 5)
        if needed > int(str(self._foot["height"] or 0)):
            self._foot.configure(height=needed)
            self._foot.pack_propagate(False)  # noqa: FBT003  # Tk's way

    def _make_table(self, parent: tk.Misc) -> ttk.Treeview:
        table = ttk.Treeview(parent, columns=list(COLUMNS), selectmode="browse", height=4)
        table.heading("#0", text="Metric", anchor="w")
        table.column("#0", width=pixels(parent, 190), minwidth=pixels(parent, 120))
        for name, (title, width, anchor) in COLUMNS.items():
            side: Any = anchor
            table.heading(name, text=title, anchor=side)
            table.column(
                name, width=pixels(parent, 0.75 * width), anchor=side, stretch=name != "unit"
            )
        table.tag_configure("group", font=("TkDefaultFont", POINTS, "bold"))
        return table

    def read(self, client: Client, run: Run) -> Any:
        """Return the groups of the run's metrics."""
        document = client.get(f"/runs/{quote(run['run_id'])}/artifact/metrics.json")
        return rows_of(document, client.catalog())

    def show(self, found: list[tuple[str, list[Row]]]) -> None:
        """Fill the table; what was selected stays selected."""
        chosen, top = self.table.selection(), self.table.yview()[0]
        closed = {
            group for group in self.table.get_children() if not self.table.item(group, "open")
        }
        self.table.delete(*self.table.get_children())
        self._definitions = {}
        for title, rows in found:
            is_open = title not in closed
            self.table.insert("", "end", title, text=title, open=is_open, tags=("group",))
            for row in rows:
                values = (row.strategy, row.benchmark, row.unit)
                self.table.insert(title, "end", row.name, text=row.label, values=values)
                words = row.definition or NOTHING
                self._definitions[row.name] = f"{row.label}: {words}"
        self.table.selection_set([name for name in chosen if self.table.exists(name)])
        self.table.yview_moveto(top)
        self._explain_selected()

    def _explain_selected(self) -> None:
        self._explain(next(iter(self.table.selection()), ""))

    def _explain(self, name: str) -> None:
        text = self._definitions.get(name, HINT)
        if self.definition["text"] != text:
            self.definition.configure(text=text)
            self._grow()
