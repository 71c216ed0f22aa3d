"""The tab of trades: its cells, its order, and very many rows."""

import time
import tkinter as tk
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from gui.panel import Panel
from gui.panels import trades as module
from gui.panels.trades import CHUNK, COLUMNS, TradesPane, columns_of

Until = Callable[[Callable[[], object]], None]
DAY = 86_400_000


def made_up(n: int, step: int = DAY) -> Mapping[str, Any]:
    """Return trades whose profits fall and rise, the last of them open."""
    number = np.arange(n)
    ones = np.ones(n)
    return columns_of(
        {
            "entry_ts": number * step, "exit_ts": (number + 1) * step, "side": np.where(number % 2, "short", "long"),
            "qty": ones, "entry_price": 100 * ones, "exit_price": 101 * ones,
            "pnl": (number * 7919) % n - n / 2, "return": ones / 100, "commission": ones,
            "slippage": ones, "borrow": ones, "bars_held": number, "mae": -ones / 50, "mfe": ones / 50,
            "open": number == n - 1,
        }
    )  # fmt: skip


@pytest.fixture
def pane(root: tk.Tk, panel: Panel) -> TradesPane:
    made = TradesPane(root, panel)
    made.pack(fill="both", expand=True)
    made.reveal()
    root.update()
    return made


def column(pane: TradesPane, name: str) -> list[str]:
    return [pane.table.set(row, name) for row in pane.table.get_children()]


def click_heading(root: tk.Tk, pane: TradesPane, name: str) -> None:
    """Click where the heading of a column stands."""
    x = sum(
        int(pane.table.column(each, "width")) for each in list(COLUMNS)[: list(COLUMNS).index(name)]
    )
    pane.table.xview_moveto(0.0)
    root.update()
    pane.table.event_generate("<Motion>", x=x + 10, y=8)
    pane.table.event_generate("<ButtonPress-1>", x=x + 10, y=8)
    pane.table.event_generate("<ButtonRelease-1>", x=x + 10, y=8)
    root.update()


def test_cells(root: tk.Tk, pane: TradesPane) -> None:
    """A trade's row is what the report says of it."""
    pane.show(made_up(2))
    root.update()
    assert [pane.table.item(row, "values") for row in pane.table.get_children()] == [
        ("1", "long", "1970-01-01", "1970-01-02", "0", "-1.00", "+1.00%", "-2.00%", "+2.00%", "1", "100.00", "101.00", "3.00"),
        ("2", "short", "1970-01-02", "open", "1", "+0.00", "+1.00%", "-2.00%", "+2.00%", "1", "100.00", "101.00", "3.00"),
    ]  # fmt: skip
    assert list(pane.table.item("0", "tags")) == ["loss"]
    assert pane.count["text"] == "2 trades, net of costs."


def test_a_click_on_a_heading_sorts(root: tk.Tk, pane: TradesPane, until: Until) -> None:
    """By number, not by text; a second click turns it round; so do the list and the button."""
    pane.show(made_up(300))
    until(lambda: len(pane.table.get_children()) == 300)
    click_heading(root, pane, "pnl")
    until(lambda: len(pane.table.get_children()) == 300)
    profits = [float(text) for text in column(pane, "pnl")]
    assert profits == sorted(profits)
    click_heading(root, pane, "pnl")
    until(lambda: len(pane.table.get_children()) == 300)
    assert [float(text) for text in column(pane, "pnl")] == profits[::-1]
    pane.by.current(0)
    pane.by.event_generate("<<ComboboxSelected>>")
    until(lambda: column(pane, "number") == [str(i) for i in range(1, 301)])
    pane.reverse.invoke()
    until(lambda: column(pane, "number") == [str(i) for i in range(300, 0, -1)])


def test_many_rows_come_a_few_at_a_time(root: tk.Tk, pane: TradesPane, until: Until) -> None:
    """Ten thousand trades do not hold the window up: other work is done between the chunks."""
    seen: list[int] = []

    def look() -> None:
        seen.append(len(pane.table.get_children()))
        if seen[-1] < 10_000:
            root.after(1, look)

    pane.show(made_up(10_000))
    assert len(pane.table.get_children()) == CHUNK
    look()
    until(lambda: len(pane.table.get_children()) == 10_000)
    assert len(set(seen)) >= 20
    assert column(pane, "number")[-1] == "10,000"


def test_another_run_while_rows_come(root: tk.Tk, pane: TradesPane, until: Until) -> None:
    """Rows of the run before do not mix with those of the next."""
    pane.show(made_up(5_000))
    root.update()
    pane.show(made_up(250))
    until(lambda: len(pane.table.get_children()) == 250)
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        root.update()
    assert len(pane.table.get_children()) == 250


def test_very_many(
    root: tk.Tk, pane: TradesPane, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what a table can hold, the first in the chosen order are shown, and it is said."""
    monkeypatch.setattr(module, "MOST_ROWS", 300)
    pane.show(made_up(1_000))
    pane.sort("pnl")
    pane.sort("pnl")
    until(lambda: len(pane.table.get_children()) == 300)
    assert column(pane, "pnl")[0] == "+499.00"
    assert (
        pane.count["text"] == "1,000 trades, net of costs; the first 300 in this order are shown."
    )
    root.update()


def test_no_trades(root: tk.Tk, pane: TradesPane) -> None:
    """An empty table says why."""
    pane.show(made_up(0))
    root.update()
    assert pane.count["text"] == "Nothing was traded."


def test_times_within_a_day_have_room(root: tk.Tk, pane: TradesPane) -> None:
    """Bars shorter than a day show hours and minutes, in a wider column."""
    pane.show(made_up(2))
    narrow = pane.table.column("entry_ts", "width")
    pane.show(made_up(2, 3_600_000))
    root.update()
    assert pane.table.column("entry_ts", "width") > narrow
    assert column(pane, "entry_ts") == ["1970-01-01", "1970-01-01 01:00"]


def test_an_end_while_rows_come(root: tk.Tk, pane: TradesPane) -> None:
    """A table that goes away leaves no work behind."""
    pane.show(made_up(5_000))
    waiting = pane._filling
    assert waiting in root.tk.call("after", "info")
    pane.destroy()
    assert waiting not in root.tk.call("after", "info")
    root.update()  # an error of what is left would fail the test


def test_the_keyboard_reaches_every_column(
    root: tk.Tk, pane: TradesPane, press: Callable[[tk.Misc, str], None]
) -> None:
    """Right and Left show what lies aside where there is no room for all columns."""
    pane.pack_propagate(flag=False)
    pane.configure(width=300, height=200)
    pane.pack(fill="none", expand=False)
    root.update()
    pane.show(made_up(5))
    root.update()
    assert pane.table.xview()[1] < 1.0
    for _ in range(8):
        press(pane.table, "Right")
    assert pane.table.xview()[1] == 1.0
    for _ in range(8):
        press(pane.table, "Left")
    assert pane.table.xview()[0] == 0.0
