"""The round trips of a run, in a table that sorts by any column."""

import tkinter as tk
from collections.abc import Iterator, Mapping, Sequence
from tkinter import ttk
from typing import Any

from gui.client import Client
from gui.panel import Panel
from gui.panels.figures import DAY_MS, moment, percent, price, quantity
from gui.panels.pane import Pane, Run
from gui.panels.tables import read_table
from gui.theme import pixels

CHUNK, PAUSE_MS = 200, 5
MOST_ROWS = 20_000
COLUMNS: dict[str, tuple[str, int]] = {
    "number": ("No.", 36),
    "side": ("Side", 36),
    "entry_ts": ("Entry (UTC)", 72),
    "exit_ts": ("Exit (UTC)", 68),
    "bars_held": ("Bars", 38),
    "pnl": ("Profit or loss", 88),
    "return": ("Return", 54),
    "mae": ("Worst", 56),
    "mfe": ("Best", 56),
    "qty": ("Quantity", 62),
    "entry_price": ("Entry price", 70),
    "exit_price": ("Exit price", 66),
    "costs": ("Costs", 54),
}
WITH_TIME = 96
UP, DOWN = "\N{BLACK UP-POINTING SMALL TRIANGLE}", "\N{BLACK DOWN-POINTING SMALL TRIANGLE}"
Trades = Mapping[str, Sequence[Any]]


class TradesPane(Pane):
    """The table; its rows come a few at a time, so that the window stays at hand."""

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent, panel)
        self._trades: Trades = {}
        self._rows: Iterator[int] = iter(())
        self._filling: str | None = None
        self._sorted_by, self._falls = "number", False
        self._make_foot()
        self._make_table()
        self._dress()
        self.bind("<<ThemeChanged>>", lambda _: self._dress())
        self.bind("<Destroy>", lambda _: self._stop_filling())

    def _make_foot(self) -> None:
        foot = ttk.Frame(self.body, padding=pixels(self, 4))
        foot.pack(side="bottom", fill="x")
        self.count = ttk.Label(foot, style="Muted.TLabel")
        self.count.pack(side="left", fill="x", expand=True)
        titles = [title for title, _ in COLUMNS.values()]
        self.by = ttk.Combobox(foot, values=titles, state="readonly", width=14)
        self.by.bind("<<ComboboxSelected>>", lambda _: self.sort(list(COLUMNS)[self.by.current()]))
        ttk.Label(foot, text="Sort by", style="Muted.TLabel").pack(side="left")
        self.by.pack(side="left", padx=pixels(self, 4))
        self.reverse = ttk.Button(
            foot, text="Reverse", width=-1, command=lambda: self.sort(self._sorted_by)
        )
        self.reverse.pack(side="left")

    def _make_table(self) -> None:
        frame = ttk.Frame(self.body)
        frame.pack(fill="both", expand=True)
        self.table = ttk.Treeview(
            frame, columns=list(COLUMNS), show="headings", selectmode="browse", height=4
        )
        for name, (title, width) in COLUMNS.items():
            side: Any = "w" if name in {"side", "entry_ts", "exit_ts"} else "e"
            self.table.heading(
                name,
                text=title,
                anchor=side,
                command=lambda name=name: self.sort(name),  # type: ignore[misc]  # bound now
            )
            wide = pixels(self, width)
            self.table.column(name, width=wide, minwidth=wide, anchor=side, stretch=True)
        for key, step in (("Left", -1), ("Right", 1)):
            self.table.bind(f"<{key}>", lambda _, step=step: self._aside(step))  # type: ignore[misc]  # bound now
        down = ttk.Scrollbar(frame, orient="vertical", command=self.table.yview)
        across = ttk.Scrollbar(frame, orient="horizontal", command=self.table.xview)
        self.table.configure(yscrollcommand=down.set, xscrollcommand=across.set)
        across.pack(side="bottom", fill="x")
        down.pack(side="right", fill="y")
        self.table.pack(side="left", fill="both", expand=True)

    def _aside(self, step: int) -> str:
        """Show what lies farther aside; Tk would open and close rows, which these are not."""
        self.table.xview_scroll(step, "pages")
        return "break"

    def _dress(self) -> None:
        self.table.tag_configure("gain", foreground=self.panel.palette.gain)
        self.table.tag_configure("loss", foreground=self.panel.palette.loss)

    def read(self, client: Client, run: Run) -> Any:
        """Return the columns of the run's trades."""
        return columns_of(read_table(client, run["run_id"], "trades"))

    def show(self, found: Trades) -> None:
        """Fill the table, in the order of the last run that was shown."""
        self._trades = found
        intraday = any(ts % DAY_MS for ts in (*found["entry_ts"], *found["exit_ts"]))
        for name in ("entry_ts", "exit_ts"):
            wide = pixels(self, WITH_TIME if intraday else COLUMNS[name][1])
            self.table.column(name, width=wide, minwidth=wide)
        self._fill()

    def sort(self, column: str) -> None:
        """Sort by a column; once more, the other way round."""
        self._falls = not self._falls if column == self._sorted_by else False
        self._sorted_by = column
        self._fill()

    def _fill(self) -> None:
        self._stop_filling()
        self.table.delete(*self.table.get_children())
        for name, (title, _) in COLUMNS.items():
            mark = f" {DOWN if self._falls else UP}" if name == self._sorted_by else ""
            self.table.heading(name, text=title + mark)
        self.by.current(list(COLUMNS).index(self._sorted_by))
        values = self._trades[self._sorted_by]
        order = sorted(range(len(values)), key=values.__getitem__, reverse=self._falls)
        self._rows = iter(order[:MOST_ROWS])
        self.count.configure(text=_counted(self._trades))
        self._add_some()

    def _add_some(self) -> None:
        self._filling = None
        for _, i in zip(range(CHUNK), self._rows, strict=False):
            pnl = self._trades["pnl"][i]
            tag = "gain" if pnl > 0 else "loss" if pnl < 0 else ""
            self.table.insert("", "end", str(i), values=cells(self._trades, i), tags=(tag,))
        if len(self.table.get_children()) < min(len(self._trades["number"]), MOST_ROWS):
            self._filling = self.after(PAUSE_MS, self._add_some)

    def _stop_filling(self) -> None:
        if self._filling is not None:
            self.after_cancel(self._filling)
            self._filling = None


def columns_of(table: Mapping[str, Any]) -> Trades:
    """Return the columns as plain values, beside each trade's number and all of its costs."""
    costs = table["commission"] + table["slippage"] + table["borrow"]
    found = {name: values.tolist() for name, values in table.items()}
    return {**found, "costs": costs.tolist(), "number": range(1, len(costs) + 1)}


def cells(trades: Trades, i: int) -> tuple[str, ...]:
    """Return a trade as the table shows it."""
    row = {name: values[i] for name, values in trades.items()}
    return (
        f"{row['number']:,}",
        row["side"],
        moment(row["entry_ts"]),
        "open" if row["open"] else moment(row["exit_ts"]),
        f"{row['bars_held']:,}",
        f"{row['pnl']:+,.2f}",
        percent(row["return"]),
        percent(row["mae"]),
        percent(row["mfe"]),
        quantity(row["qty"]),
        price(row["entry_price"]),
        price(row["exit_price"]),
        f"{row['costs']:,.2f}",
    )


def _counted(trades: Trades) -> str:
    n = len(trades["number"])
    if not n:
        return "Nothing was traded."
    many = f"{n:,} trades" if n > 1 else "1 trade"
    cut = f"; the first {MOST_ROWS:,} in this order are shown" if n > MOST_ROWS else ""
    return f"{many}, net of costs{cut}."
