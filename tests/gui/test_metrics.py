"""The tab of metrics: its groups, its rows and what explains them."""

import tkinter as tk
from collections.abc import Callable
from typing import Any

import pytest

from app.catalog import whole_catalog
from app.metric_words import GROUPS
from engine.metrics.definitions import METRICS
from gui.panel import Panel
from gui.panels.metrics import HINT, MetricsPane, rows_of

Until = Callable[[Callable[[], object]], None]
CATALOG = whole_catalog()
DOCUMENT: dict[str, Any] = {
    "metrics": {
        "total_return": 0.5, "cagr": None, "sharpe": 1.25, "trade_count": 1234, "turnover": 3.14,
        "long": {"trade_count": 2, "win_rate": None, "pnl": -12.5}, "of_a_plugin": 1.5,
    },
    "benchmark": {"total_return": -0.25, "cagr": None, "sharpe": 0.5},
    "reasons": {
        "cagr": "overflow", "long.win_rate": "no_trades", "benchmark.cagr": "fewer_than_2_bars",
    },
}  # fmt: skip


@pytest.fixture
def pane(root: tk.Tk, panel: Panel) -> MetricsPane:
    made = MetricsPane(root, panel)
    made.pack(fill="both", expand=True)
    made.show(rows_of(DOCUMENT, CATALOG))
    made.reveal()
    root.update()
    return made


def test_every_metric_of_a_run(panel: Panel, root: tk.Tk, until: Until) -> None:
    """A run's metrics stand in the report's groups and order, each with its definition."""
    config = {"symbol": "SPX", "provider": "sample", "plot": False}
    run_id = panel.client.post("/runs", config)["run_id"]
    until(lambda: (panel.state.run(run_id) or {}).get("status") == "completed")
    found = MetricsPane(root, panel).read(panel.client, {"run_id": run_id})
    assert [(title, tuple(row.name for row in rows)) for title, rows in found] == list(GROUPS)
    for _, rows in found:
        for row in rows:
            assert (row.label, row.definition) == (
                METRICS[row.name].label,
                METRICS[row.name].definition,
            )


def test_rows(pane: MetricsPane) -> None:
    """Each metric stands in its group, with its unit, beside buy and hold; null with its reason."""
    table: Any = pane.table
    assert table.get_children() == (
        "What it earned", "For that risk", "Trades", "Activity", "Others",
    )  # fmt: skip
    rows = {
        table.item(row, "text"): table.item(row, "values")
        for group in table.get_children()
        for row in table.get_children(group)
    }
    assert rows == {
        "Total return": ("+50.00%", "-25.00%", "%"),
        "Return a year (CAGR)": ("– (too large a number)", "– (fewer than 2 bars)", "%"),
        "Sharpe": ("1.250", "0.500", "ratio"),
        "Trades": ("1,234", "", ""),
        "Long trades": ("2", "", ""),
        "Long win rate": ("– (no closed trade)", "", "%"),
        "Long profit or loss": ("-12.50", "", "currency"),
        "Turnover a year": ("3.1", "", "× equity"),
        "of a plugin": ("1.5", "", ""),
    }


def test_a_metric_is_explained(root: tk.Tk, pane: MetricsPane) -> None:
    """What is pointed at is explained, else what is selected, else how to come by an explanation."""
    assert pane.definition["text"] == HINT
    pane.table.selection_set("sharpe")
    root.update()
    assert pane.definition["text"] == f"Sharpe: {METRICS['sharpe'].definition}"
    pane.table.see("total_return")
    root.update()
    place: Any = pane.table.bbox("total_return")
    x, y, width, height = place
    pane.table.event_generate("<Motion>", x=x + width // 2, y=y + height // 2)
    root.update()
    assert pane.definition["text"].startswith("Total return: What the whole run earned")
    pane.table.event_generate("<Leave>")
    root.update()
    assert pane.definition["text"].startswith("Sharpe: ")


def test_rows_do_not_move_under_the_pointer(root: tk.Tk, pane: MetricsPane) -> None:
    """Once there was room for a long definition, it stays."""
    root.geometry("500x400")
    root.update()
    pane._definitions["sharpe"] = "long " * 100
    pane._explain("sharpe")
    root.update()
    height = pane.table.winfo_height()
    assert pane._foot.winfo_height() > pane.definition.winfo_reqheight()
    pane._explain("total_return")
    root.update()
    assert pane.table.winfo_height() == height


def test_another_run_leaves_the_place(root: tk.Tk, pane: MetricsPane) -> None:
    """What is selected or closed stays so with the next run."""
    pane.table.selection_set("sharpe")
    pane.table.item("Trades", open=False)
    pane.show(rows_of(DOCUMENT, CATALOG))
    root.update()
    assert pane.table.selection() == ("sharpe",)
    assert not pane.table.item("Trades", "open")
    assert pane.definition["text"].startswith("Sharpe: ")
