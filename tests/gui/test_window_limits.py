"""The whole window with long names, very many runs and trades, and at every size."""

import subprocess
import sys
import tkinter as tk
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from window_driver import Press, Until, click, field, run_quick, type_into

from gui.panels.tables import read_table
from gui.window import Window
from scripts.panel_layout import faults_of

ROOT = Path(__file__).parents[2]
LONG_NAME = "AN_EXTRAORDINARILY_LONG_NAME_OF_A_SYMBOL_THAT_SOMEBODY_CHOSE"


def test_presets_come_and_go(window: Window, until: Until, press: Press) -> None:
    """A configuration is saved under a name, shown again by it, and deleted, all with clicks."""
    part = window.new_run
    type_into(field(window, "strategy.params.fast").widget, "33", press)
    type_into(part.presets, "mine", press)
    click(part.save)
    until(lambda: window.panel.notice.get() == "Saved as the preset mine.")
    until(lambda: part.load.instate(["!disabled"]))
    type_into(field(window, "strategy.params.fast").widget, "44", press)
    click(part.load)
    assert field(window, "strategy.params.fast").value() == 33
    click(part.delete)
    until(lambda: window.panel.notice.get() == "The preset mine is deleted.")
    until(lambda: not window.panel.state["presets"])


def test_a_preset_with_a_long_name(window: Window, until: Until, press: Press) -> None:
    """A name as long as one may be moves nothing out of its place."""
    name = "p" * 64
    type_into(window.new_run.presets, name, press)
    click(window.new_run.save)
    until(lambda: name in window.panel.notice.get())
    assert faults_of(window.root) == []


def test_long_words_stay_within_the_window(window: Window, until: Until, root: tk.Tk) -> None:
    """A long name of a symbol and a long error are shown within the window's parts."""
    field(window, "symbol").put(LONG_NAME)
    click(window.new_run.start_button)
    problem = field(window, "symbol").problem
    until(problem.winfo_ismapped)
    assert LONG_NAME in str(problem.cget("text"))
    window.panel.say(f"Nothing was imported: {'a long reason; ' * 20}".strip())
    root.update()
    assert faults_of(root) == []
    assert root.winfo_width() == 1024


def test_a_run_with_a_long_name(window: Window, until: Until, tmp_path: Path) -> None:
    """The run of a set with a long name leaves every button where it can be pressed."""
    rows = [f"2024-01-{day:02},100,103,99,102" for day in range(1, 29)]
    file = tmp_path / "x.csv"
    file.write_text("\n".join(["Date,Open,High,Low,Close", *rows]), encoding="utf-8")
    name = LONG_NAME[:31]
    window.panel.client.put_file(f"/datasets/{name}/1d", {}, file)
    window.panel.load("datasets", "/datasets", "datasets")
    until(lambda: len(window.panel.state["datasets"]) == 3)
    run_quick(window, until, symbol=name, provider="local", strategy={"name": "buy_and_hold"})
    run = {
        **window.panel.state["runs"][0],
        "status": "running",
        "progress": 0.5,
        "stage": "validation",
    }
    window.panel.state["runs"] = [run | {"started_ts": 0}]
    shown = str(window.bottom_bar.words.cget("text"))
    assert shown.startswith(f"{name[:8]}…: validation")
    assert window.bottom_bar.copy_id.winfo_width() >= window.bottom_bar.copy_id.winfo_reqwidth()


def test_a_hundred_runs(window: Window, until: Until, press: Press) -> None:
    """A hundred runs stand in the table, newest first; the keyboard goes through them."""
    made = run_quick(window, until)
    newest = window.panel.client.get(f"/runs/{made}")
    window.panel.watcher.close()  # what is listed from here on is made up
    until(window.panel.inbox._calls.empty)
    listed = [dict(newest) | {"run_id": f"{n:016x}", "symbol": f"S{n}"} for n in range(100)]
    window.panel.state["runs"] = [*listed, newest]
    table = window.runs.table
    assert len(table.get_children()) == 101
    assert table.get_children()[-1] == made
    table.see(made)
    press(table, "Up")
    until(lambda: window.panel.state["selected"] == f"{99:016x}")
    assert table.item(f"{99:016x}", "values")[0] == "S99 1d"


def test_ten_thousand_trades(window: Window, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tab of trades shows ten thousand of them, and says how many."""

    def longer(*given: Any) -> dict[str, Any]:
        table = {name: np.asarray(column) for name, column in read_table(*given).items()}
        return {name: np.resize(column, 10_000) for name, column in table.items()}

    monkeypatch.setattr("gui.panels.trades.read_table", longer)
    run_quick(window, until)
    pane = window.results.trades
    window.results.tk.call(str(window.results), "select", str(pane))
    until(lambda: len(pane.table.get_children()) == 10_000)
    assert "10,000 trades" in str(pane.count.cget("text"))
    last = pane.table.get_children()[-1]
    pane.table.focus_set()
    pane.table.event_generate("<End>")
    pane.table.see(last)
    window.root.update()
    assert pane.table.bbox(last)


def test_small_and_full_screen(window: Window, until: Until, root: tk.Tk) -> None:
    """From the least size to the whole screen and back, nothing is cut off and the chart fits."""
    run_quick(window, until)
    until(window.results.chart.body.winfo_ismapped)
    for width, height in ((1280, 1024), (1024, 640)):
        root.geometry(f"{width}x{height}+0+0")
        until(lambda size=(width, height): (root.winfo_width(), root.winfo_height()) == size)  # type: ignore[misc]  # bound now
        assert faults_of(root) == []
    bottom = window.new_run.start_button
    assert bottom.winfo_rooty() + bottom.winfo_height() <= root.winfo_rooty() + 640


def test_a_click_chooses_a_run(window: Window, until: Until) -> None:
    """The run that is clicked is the one that the tabs and the buttons are about."""
    first = run_quick(window, until)
    second = run_quick(window, until, seed=2)
    table = window.runs.table
    assert table.selection() == (second,)
    box = table.bbox(first)
    assert not isinstance(box, str)
    click(table, box[0] + 5, box[1] + box[3] // 2)
    until(lambda: window.panel.state["selected"] == first)


@pytest.mark.parametrize("look", ["light-small", "dark-2x"])
def test_pictures_find_nothing_amiss(look: str, tmp_path: Path) -> None:
    """The pictures of some states can be taken, and in them nothing is cut off or hard to read."""
    states = ["first", "chart", "fault", "settings"]
    command = [sys.executable, "-m", "scripts.panel_pictures", "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--look", look, "--state", *states],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert {file.name for file in tmp_path.iterdir()} == {f"{each}-{look}.png" for each in states}
