"""The log of a run: one line for each event, and where one reads in it."""

import tkinter as tk
from collections.abc import Callable
from typing import Any

import pytest

from gui.panel import Panel
from gui.panels import log as module
from gui.panels.log import NOTHING, LogPane, line

Until = Callable[[Callable[[], object]], None]
TS = 1_700_000_000_123


def event(seq: int, kind: str, run_id: str = "a", **more: Any) -> dict[str, Any]:
    return {"run_id": run_id, "seq": seq, "ts": TS, "attempt": 1, "type": kind, **more}


@pytest.fixture
def pane(root: tk.Tk, panel: Panel) -> LogPane:
    # What the watcher would learn of the runs that are made up here: nothing.
    panel.watcher.close()
    made = LogPane(root, panel)
    made.pack(fill="both", expand=True)
    root.update()
    return made


def lines(pane: LogPane) -> list[str]:
    return [each[25:] for each in pane.text.get("1.0", "end-1c").splitlines()]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (event(1, "queued"), "Waits for its turn"),
        (event(1, "queued") | {"attempt": 2}, "Waits for its turn, attempt 2"),
        (event(2, "stage", stage="risk_sizing", progress=0.1), "risk sizing         Begins"),
        (event(3, "progress", stage="execution", progress=0.634), "execution           63% of the run done"),
        (event(4, "validation_progress", stage="validation", progress=0.7, data={"test": "block_bootstrap", "completed": 1200, "total": 1999}),
         "validation          block bootstrap: 1,200 of 1,999"),
        (event(5, "warning", stage="execution", message="no volume", data={"code": "X", "count": 3}),
         "execution           Warning: no volume (3 times)"),
        (event(5, "warning", stage="execution", message="no volume", data={"code": "X"}),
         "execution           Warning: no volume"),
        (event(6, "completed", progress=1.0, data={}), "Completed."),
        (event(6, "failed", message="it looked ahead", data={"code": "LOOKAHEAD"}), "Failed: it looked ahead"),
        (event(6, "cancelled"), "Cancelled"),
        (event(6, "requeued", data={"reason": "stop"}), "Begins anew, attempt 1: the program was closed"),
        (event(6, "requeued", data={"reason": "crash"}), "Begins anew, attempt 1: the program ended unexpectedly"),
        (event(7, "of_later_times"), "Of later times"),
    ],
)  # fmt: skip
def test_lines(said: dict[str, Any], text: str) -> None:
    """An event is its time in UTC, its stage, and what a person reads of it."""
    assert line(said).startswith("2023-11-14 22:13:20.123  ")
    assert line(said)[25:].strip() == text


def test_events_are_appended(panel: Panel, pane: LogPane) -> None:
    """What has arrived stands below what was there; progress of one thing stays one line."""
    first = [event(1, "queued"), event(2, "stage", stage="execution", progress=0.1)]
    panel.state["events"] = first
    more = [event(i, "progress", stage="execution", progress=i / 10) for i in (3, 4)]
    panel.state["events"] = [*first, *more]
    panel.state["events"] = [*first, *more, event(5, "progress", stage="execution", progress=0.5)]
    panel.state["events"] = [*panel.state["events"], event(6, "completed", data={})]
    assert [each.strip() for each in lines(pane)] == [
        "Waits for its turn", "execution           Begins", "execution           50% of the run done", "Completed.",
    ]  # fmt: skip
    assert pane.text.tag_names("4.3") == ("completed",)


def test_another_run_begins_anew(panel: Panel, pane: LogPane) -> None:
    """The log is that of the selected run alone."""
    assert pane.text.get("1.0", "end-1c") == NOTHING
    panel.state["events"] = [event(i, "stage", stage="execution") for i in range(1, 9)]
    panel.state["events"] = []
    assert not lines(pane) or lines(pane) == [NOTHING[25:]]
    panel.state["events"] = [event(1, "queued", "b")]
    assert [each.strip() for each in lines(pane)] == ["Waits for its turn"]
    panel.state["events"] = [event(1, "queued", "c"), event(2, "cancelled", "c")]
    assert [each.strip() for each in lines(pane)] == ["Waits for its turn", "Cancelled"]


def test_it_follows_the_end_unless_scrolled_up(root: tk.Tk, panel: Panel, pane: LogPane) -> None:
    """At the end one stays at the end; who reads above is left there."""
    many = [event(i, "stage", stage="execution") for i in range(1, 201)]
    panel.state["events"] = many
    root.update()
    assert pane.text.yview()[1] == 1.0
    panel.state["events"] = [*many, event(201, "cancelled")]
    root.update()
    assert pane.text.yview()[1] == 1.0
    pane.text.yview_moveto(0.2)
    root.update()
    top = pane.text.index("@0,0")
    panel.state["events"] = [*panel.state["events"], event(202, "queued")]
    root.update()
    assert pane.text.index("@0,0") == top


def test_it_stays_of_a_size(panel: Panel, pane: LogPane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many events the newest stay."""
    monkeypatch.setattr(module, "MOST_LINES", 50)
    panel.state["events"] = [event(i, "stage", stage="execution") for i in range(1, 80)]
    panel.state["events"] = [*panel.state["events"], event(80, "cancelled")]
    assert len(lines(pane)) == 50
    assert lines(pane)[-1].strip() == "Cancelled"


def test_nobody_writes_into_it(root: tk.Tk, pane: LogPane) -> None:
    """The log is read only."""
    pane.text.focus_force()
    root.update()
    pane.text.event_generate("<Key>", keysym="x")
    root.update()
    assert pane.text.get("1.0", "end-1c") == NOTHING
