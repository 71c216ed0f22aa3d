"""The metrics of a run beside buy and hold, each with its definition in words."""

import functools
import importlib.resources
import json
import re
import tkinter as tk
from collections.abc import Mapping
from dataclasses import dataclass
from tkinter import ttk
from typing import Any
from urllib.parse import quote

from gui.client import Client
from gui.panel import Panel, scrolled
from gui.panels.figures import NOTHING, metric
from gui.panels.pane import Pane, Run, label_that_wraps
from gui.theme import POINTS, pixels

# By what they are about, as in the report; what a run has beside them comes last.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What it earned", ("total_return", "cagr")),
    (
        "At what risk",
        (
            "volatility", "max_drawdown", "avg_drawdown", "max_drawdown_duration_bars",
            "avg_drawdown_duration_bars", "skewness", "kurtosis",
        ),
    ),
    ("For that risk", ("sharpe", "sortino", "calmar", "psr", "min_track_record_bars")),
    (
        "Trades",
        (
            "trade_count", "open_trades", "win_rate", "payoff_ratio", "profit_factor", "expectancy",
            "best_trade", "worst_trade", "avg_bars_held",
            "longest_win_streak", "longest_loss_streak",
            "long.trade_count", "long.win_rate", "long.pnl",
            "short.trade_count", "short.win_rate", "short.pnl",
        ),
    ),
    ("Activity", ("exposure", "avg_gross_exposure", "max_gross_exposure", "turnover")),
    ("Costs", ("total_commission", "total_slippage", "total_borrow")),
)  # fmt: skip
UNITS = {
    "a fraction: 0.1 is 10 %": "fraction",
    "a ratio": "ratio",
    "in currency": "currency",
    "in bars": "bars",
    "a count": "count",
}
SHOWN_UNITS = {
    "fraction": "%",
    "ratio": "ratio",
    "currency": "currency",
    "bars": "bars",
    "count": "",
}
# The contract says a metric as "label, unit. definition".
SAID = re.compile(rf"(.+?), ({'|'.join(map(re.escape, UNITS))})\. (.+)", re.DOTALL)
COLUMNS = {
    "strategy": ("Strategy", 160, "e"),
    "benchmark": ("Buy and hold", 120, "e"),
    "unit": ("Unit", 80, "w"),
}
HINT = "Point at a number, or select it, to read what it means."


@dataclass(frozen=True)
class Definition:
    """What the contract says of a metric."""

    label: str
    unit: str
    words: str


@functools.cache
def definitions() -> Mapping[str, Definition]:
    """Return the definitions of the contract by dotted names, as ``long.win_rate``."""
    text = (importlib.resources.files("contracts") / "metrics.schema.json").read_text("utf-8")
    models = json.loads(text)["$defs"]
    sides = {"long.": "LongTrades", "short.": "ShortTrades", "benchmark.": "Benchmark"}
    found = {}
    for prefix, model in {"": "AllMetrics", **sides}.items():
        for name, schema in models[model]["properties"].items():
            said = SAID.fullmatch(schema.get("description", ""))
            if said is not None:
                label, unit, words = said.groups()
                found[f"{prefix}{name}"] = Definition(label, UNITS[unit], words)
    return found


@dataclass(frozen=True)
class Row:
    """A metric as the table shows it."""

    name: str
    label: str
    strategy: str
    benchmark: str
    unit: str
    definition: str


def rows_of(document: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
    """Return the groups of ``metrics.json`` with their rows."""
    flat: dict[str, Any] = {}
    for name, value in document["metrics"].items():
        inner = value.items() if isinstance(value, Mapping) else None
        flat.update({name: value} if inner is None else {f"{name}.{k}": v for k, v in inner})
    grouped = {name for _, names in GROUPS for name in names}
    others = ("Others", tuple(name for name in flat if name not in grouped))
    return [
        (title, [_row(name, flat[name], document) for name in names if name in flat])
        for title, names in (*GROUPS, others)
        if any(name in flat for name in names)
    ]


def _row(name: str, value: float | None, document: Mapping[str, Any]) -> Row:
    known = definitions().get(name) or Definition(name.replace("_", " "), "", "")
    beside = ""
    if name in document["benchmark"]:
        reason = document["reasons"].get(f"benchmark.{name}")
        beside = metric(name, known.unit, document["benchmark"][name], reason)
    said = metric(name, known.unit, value, document["reasons"].get(name))
    unit = "× equity" if name == "turnover" else SHOWN_UNITS.get(known.unit, "")
    return Row(name, known.label, said, beside, unit, known.words)


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
        return rows_of(client.get(f"/runs/{quote(run['run_id'])}/artifact/metrics.json"))

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
