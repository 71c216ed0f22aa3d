"""The tabs of results: what each shows, when a run is read, and what stands there without one."""

import subprocess
import sys
import threading
import tkinter as tk
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gui.client import Client, GoneError
from gui.panel import Panel
from gui.panels.pane import Pane
from gui.panels.results import NOTHING_SELECTED, ResultsPart, state_in_words

Until = Callable[[Callable[[], object]], None]
FAST = {"symbol": "SPX", "provider": "sample", "plot": False}
SLOW = FAST | {"validation": {"permutation": {"n": 20_000}}}


@pytest.fixture
def results(root: tk.Tk, panel: Panel) -> ResultsPart:
    part = ResultsPart(root, panel)
    part.pack(fill="both", expand=True)
    root.update()
    return part


def completed(panel: Panel, until: Until, config: Mapping[str, Any]) -> str:
    """Run a configuration; return its id once the panel knows that it is done."""
    run_id = str(panel.client.post("/runs", config)["run_id"])
    panel.watcher.look()
    until(lambda: (panel.state.run(run_id) or {}).get("status") == "completed")
    return run_id


def look_at(results: ResultsPart, tab: int) -> None:
    results.tk.call(str(results), "select", tab)


def shown(pane: Pane) -> bool:
    return bool(pane.body.winfo_ismapped())


def test_nothing_is_drawn_with_before_it_is_needed() -> None:
    """The window opens without matplotlib and Arrow."""
    names = "{'matplotlib', 'pyarrow', 'pandas', 'engine'}"
    code = f"import sys, gui.panels.results; assert not {names} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_run(results: ResultsPart) -> None:
    """Without a run, every tab says what to do."""
    for pane in results.panes.values():
        assert pane.sentence["text"] == NOTHING_SELECTED
        assert not shown(pane)
    tab: Any = results.tab
    assert [tab(i, "text") for i in range(5)] == [
        "Chart", "Metrics", "Validation", "Trades", "Log",
    ]  # fmt: skip


def test_each_tab_of_a_completed_run(results: ResultsPart, panel: Panel, until: Until) -> None:
    """Each tab shows the run that is selected, once it is looked at."""
    panel.state["selected"] = completed(panel, until, FAST)
    for i, pane in enumerate(results.panes.values()):
        assert (pane.key is None) is bool(i)
        look_at(results, i)
        until(lambda pane=pane: shown(pane))  # type: ignore[misc]  # bound now
        assert pane.key is not None
        assert pane.key[0] == panel.state["selected"]
    assert len(results.trades.table.get_children()) == 116
    look_at(results, 4)
    until(lambda: "Completed." in results.log.text.get("1.0", "end"))


def test_a_run_is_read_once(
    results: ResultsPart, panel: Panel, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often one looks, and whatever else happens, a tab asks once for a run."""
    asked: list[str] = []
    download = Client.download

    def count(self: Client, path: str) -> bytes:
        asked.append(path)
        return download(self, path)

    monkeypatch.setattr(Client, "download", count)
    first = completed(panel, until, FAST)
    panel.state["selected"] = first
    until(lambda: shown(results.chart))
    look_at(results, 1)
    until(lambda: shown(results.metrics))
    look_at(results, 0)
    completed(panel, until, FAST | {"seed": 1})
    until(lambda: shown(results.chart))
    assert sorted(asked) == [
        f"/runs/{first}/artifact/{name}.parquet" for name in ("drawdown", "equity", "fills")
    ]


def test_an_answer_for_another_run_is_dropped(
    results: ResultsPart, panel: Panel, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives late, for a run that is no longer selected, is not shown."""
    late = completed(panel, until, FAST)
    other = completed(panel, until, FAST | {"symbol": "IXIC"})
    may_arrive, arrived = threading.Event(), threading.Event()
    read = results.chart.read

    def wait_for_one(client: Client, run: Mapping[str, Any]) -> Any:
        found = read(client, run)
        if run["run_id"] == late:
            may_arrive.wait(60)
            arrived.set()
        return found

    monkeypatch.setattr(results.chart, "read", wait_for_one)
    panel.state["selected"] = late
    panel.state["selected"] = other
    until(lambda: shown(results.chart))
    may_arrive.set()
    panel.state["selected"] = late
    panel.state["selected"] = other
    until(lambda: shown(results.chart) and results.chart.key == (other, key_of(panel, other)))
    assert results.chart.chart is not None
    assert results.chart.chart.title == "IXIC 1d"


def key_of(panel: Panel, run_id: str) -> str:
    run = panel.state.run(run_id)
    assert run is not None
    return str(run["manifest_hash"])


def test_tk_goes_on_while_a_run_is_read(
    root: tk.Tk, results: ResultsPart, panel: Panel, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading happens elsewhere: until it is done a sentence says so, and the window lives."""
    release = threading.Event()
    read = results.chart.read

    def wait(client: Client, run: Mapping[str, Any]) -> Any:
        release.wait(60)
        assert threading.current_thread() is not threading.main_thread()
        return read(client, run)

    monkeypatch.setattr(results.chart, "read", wait)
    panel.state["selected"] = completed(panel, until, FAST)
    ticks: list[int] = []
    root.after(1, lambda: ticks.append(1))
    until(lambda: ticks)
    assert results.chart.sentence["text"] == "Reading the results…"
    release.set()
    until(lambda: shown(results.chart))


def test_a_failure_can_be_tried_again(
    results: ResultsPart, panel: Panel, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer is said, beside a button that asks again."""

    def gone(*_: object) -> None:
        raise GoneError

    with monkeypatch.context() as patched:
        patched.setattr(results.chart, "read", gone)
        panel.state["selected"] = completed(panel, until, FAST)
        until(results.chart.again.winfo_ismapped)
    assert results.chart.sentence["text"].endswith("The server does not answer.")
    results.chart.again.invoke()
    until(lambda: shown(results.chart))
    assert not results.chart.again.winfo_ismapped()


def test_an_error_that_nobody_foresaw(
    root: tk.Tk, results: ResultsPart, panel: Panel, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said in the tab, and raised where errors of callbacks are shown."""
    faults: list[BaseException] = []
    monkeypatch.setattr(
        root, "report_callback_exception", lambda _, fault, __: faults.append(fault)
    )

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(results.chart, "read", broken)
    panel.state["selected"] = completed(panel, until, FAST)
    until(lambda: faults)
    assert isinstance(faults[0], ZeroDivisionError)
    assert results.chart.sentence["text"].endswith("The panel's log says more.")


def test_a_run_at_work_and_cancelled(results: ResultsPart, panel: Panel, until: Until) -> None:
    """A run that is not done says what it does, and one that was cancelled that it was."""
    first = completed(panel, until, FAST)
    panel.state["selected"] = first
    until(lambda: shown(results.chart))
    run_id = str(panel.client.post("/runs", SLOW)["run_id"])
    panel.watcher.look()
    panel.state["selected"] = run_id
    until(lambda: "This run is at work: " in results.chart.sentence["text"])
    assert not shown(results.chart)
    panel.client.post(f"/runs/{run_id}/cancel")
    until(lambda: "was cancelled" in results.chart.sentence["text"])
    panel.state["selected"] = first
    until(lambda: shown(results.chart))
    panel.state["selected"] = None
    assert results.chart.sentence["text"] == NOTHING_SELECTED


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        (None, "This run is not in the table of runs."),
        ({"status": "queued"}, "This run waits for its turn. Its results come when it is done."),
        ({"status": "running", "stage": None, "progress": 0.0},
         "This run is at work: about to begin, 0%. Its results come when it is done."),
        ({"status": "running", "stage": "risk_sizing", "progress": 0.634},
         "This run is at work: risk sizing, 63%. Its results come when it is done."),
        ({"status": "cancelling"}, "This run is being cancelled."),
        ({"status": "failed", "error": {"code": "LOOKAHEAD", "message": "mine looks ahead"}},
         "This run failed: mine looks ahead."),
        ({"status": "failed", "error": None}, "This run failed: no reason given."),
    ],
)  # fmt: skip
def test_states_in_words(run: Mapping[str, Any] | None, sentence: str) -> None:
    """Each state of a run without results is one plain sentence."""
    assert state_in_words("1", run) == sentence


def test_an_end_while_a_run_is_read(results: ResultsPart, panel: Panel, until: Until) -> None:
    """A window that goes away while results are on their way takes nothing amiss."""
    panel.state["selected"] = completed(panel, until, FAST)
    assert results.chart.key is not None
