"""The whole window as a trader uses it, with mouse and keyboard, beside a real server."""

import json
from pathlib import Path
from tkinter import filedialog, ttk
from typing import Any

import pytest
from window_driver import QUICK, Press, Until, click, done, field, run_quick, type_into

from gui.panels.metrics import MetricsPane
from gui.panels.settings import SAVED, SettingsDialog
from gui.window import Window
from scripts.panel_layout import faults_of, mapped

LONG = QUICK | {"validation": {"permutation": {"n": 100_000}}}
GOOD = "Date,Open,High,Low,Close\n" + "".join(
    f"2024-01-{day:02},100,103,99,102\n" for day in range(1, 29)
)


def test_first_start_one_press_shows_a_result(window: Window, until: Until) -> None:
    """With nothing there yet, the table says what to do, and one press brings a chart."""
    assert window.runs.empty.winfo_ismapped()
    assert "Try it on the sample" in str(window.runs.empty.cget("text"))
    click(window.new_run.try_sample)
    until(lambda: window.panel.state["selected"])
    until(lambda: done(window))
    until(lambda: window.results.chart.picture is not None)
    until(window.results.chart.body.winfo_ismapped)
    assert not window.runs.empty.winfo_ismapped()
    values = window.runs.table.item(window.panel.state["selected"], "values")
    assert values[:3] == ("SPX 1d", "dual_sma", "completed")
    assert faults_of(window.root) == []


def test_every_tab_shows_the_run(window: Window, until: Until) -> None:
    """A click on each tab shows what the run found there, and nothing is cut off."""
    run_quick(window, until, validation={"permutation": {"n": 19}})
    for title, pane in window.results.panes.items():
        index = list(window.results.panes).index(title)
        x = next(
            x for x in range(2, 900)
            if window.results.tk.call(str(window.results), "identify", "tab", x, 12) == index
        )  # fmt: skip
        click(window.results, x + 8, 12)
        until(pane.body.winfo_ismapped)
    results = window.results
    results.tk.call(str(results), "select", str(results.log))
    until(lambda: "Completed" in window.results.log.text.get("1.0", "end"))
    assert faults_of(window.root) == []


def test_an_import_is_chosen_for_the_form(
    window: Window, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Import asks for a file and what it is; the set is then in the table and in the form."""
    file = tmp_path / "DAX_1d.csv"
    file.write_text(GOOD, encoding="utf-8")
    monkeypatch.setattr(filedialog, "askopenfilename", lambda **_: str(file))
    click(window.data.import_button)
    until(lambda: window.data.dialog is not None)
    dialog = window.data.dialog
    assert dialog is not None
    click(dialog.import_button)
    until(lambda: field(window, "symbol").value() == "DAX")
    assert field(window, "provider").value() == "local"
    assert not dialog.winfo_exists()


def test_a_bad_import_says_the_servers_words(
    window: Window, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, press: Press
) -> None:
    """What the server has against a file stands in the dialog, which Escape leaves."""
    file = tmp_path / "DAX_1d.csv"
    file.write_text(GOOD + "2024-02-01,0,3,1,2\n", encoding="utf-8")
    monkeypatch.setattr(filedialog, "askopenfilename", lambda **_: str(file))
    press(window.root, "Control-o")
    dialog = window.data.dialog
    assert dialog is not None
    click(dialog.import_button)
    until(lambda: "not above zero" in str(dialog.problem.cget("text")))
    until(lambda: faults_of(dialog) == [])
    press(dialog, "Escape")
    assert not dialog.winfo_exists()
    assert [each["symbol"] for each in window.panel.state["datasets"]] == ["IXIC", "SPX"]


def test_a_changed_parameter_reaches_the_run_and_a_wrong_one_is_told(
    window: Window, until: Until, press: Press
) -> None:
    """A wrong parameter is told in red at its field; put right, the run starts with it."""
    fast = field(window, "strategy.params.fast")
    type_into(fast.widget, "100", press)
    click(window.new_run.start_button)
    slow = field(window, "strategy.params.slow")
    until(slow.problem.winfo_ismapped)
    assert str(slow.problem.cget("style")) == "Error.TLabel"
    assert window.panel.notice.get() == "Not started: see the words in red."
    type_into(fast.widget, "7", press)
    click(window.new_run.start_button)
    until(lambda: window.panel.state["selected"])
    assert not slow.problem.winfo_ismapped()
    run = window.panel.client.get(f"/runs/{window.panel.state['selected']}")
    assert run["config"]["strategy"]["params"]["fast"] == 7


def test_progress_is_seen_and_a_run_is_cancelled(window: Window, until: Until) -> None:
    """The bar and the table show how far a run is; Cancel ends it, and the log says so."""
    run_id = str(window.panel.client.post("/runs", LONG)["run_id"])
    window.panel.state["selected"] = run_id
    bar, table = window.bottom_bar.progress, window.runs.table
    until(lambda: float(bar["value"]) > 0.3)
    until(lambda: "█" in str(table.item(run_id, "values")))
    assert str(window.bottom_bar.words.cget("text")).startswith("SPX: validation")
    assert "at work" in str(window.results.chart.sentence.cget("text"))
    click(window.bottom_bar.cancel)
    until(lambda: table.item(run_id, "values")[2] == "cancelled")
    assert window.panel.notice.get() == "SPX 1d was cancelled."
    until(lambda: float(bar["value"]) == 0.0)
    assert window.bottom_bar.cancel.instate(["disabled"])
    assert "was cancelled" in str(window.results.chart.sentence.cget("text"))


def test_keyboard_alone(window: Window, until: Until, press: Press, quits: list[str]) -> None:
    """Tab reaches every control that is shown; the shortcuts start a run and quit."""
    wanted = {
        str(each) for each in mapped(window.root)
        if isinstance(each, ttk.Button | ttk.Entry | ttk.Checkbutton | ttk.Treeview)
        and each.instate(["!disabled"])
    }  # fmt: skip
    window.top_bar.copy_url.focus_force()
    until(lambda: window.root.focus_get() is window.top_bar.copy_url)
    reached: set[str] = set()
    for _ in range(3 * len(wanted)):
        reached.add(str(window.root.focus_get()))
        focus = window.root.focus_get()
        assert focus is not None
        focus.event_generate("<Tab>")
        window.root.update()
    assert wanted - reached == set()
    press(field(window, "symbol").widget, "Control-Return")
    until(lambda: window.panel.state["selected"])
    until(lambda: done(window))
    press(window.bottom_bar.copy_id, "Return")
    assert window.root.clipboard_get() == window.panel.state["selected"]
    press(window.root, "Control-q")
    assert quits == ["quit"]


def test_start_and_return_press_the_button_in_focus_once(
    window: Window, until: Until, press: Press
) -> None:
    """Return on Start starts one run, and the same again says that it was there."""
    press(window.new_run.start_button, "Return")
    until(lambda: window.panel.state["selected"])
    until(lambda: done(window))
    press(window.new_run.start_button, "Control-Return")
    until(lambda: "there already" in window.panel.notice.get())
    assert len(window.panel.state["runs"]) == 1


def test_what_is_copied_and_the_token_is_nowhere_seen(window: Window, until: Until) -> None:
    """URL, token and run id go to the clipboard; no widget and no title shows the token."""
    run_id = run_quick(window, until)
    client = window.panel.client
    for button, wanted in (
        (window.top_bar.copy_url, client.url), (window.top_bar.copy_token, client.token),
        (window.bottom_bar.copy_id, run_id),
    ):  # fmt: skip
        click(button)
        assert window.root.clipboard_get() == wanted
        assert "in the clipboard" in window.panel.notice.get()
    shown = [window.root.title(), window.panel.notice.get()]
    for widget in mapped(window.root):
        shown += [str(widget.cget(key)) for key in ("text",) if key in widget.keys()]  # noqa: SIM118  # Tk's own keys
        shown += [str(widget.get())] if isinstance(widget, ttk.Entry) else []
    assert not any(client.token in text for text in shown)


def test_a_run_fills_the_form_and_changes_are_marked(
    window: Window, until: Until, press: Press
) -> None:
    """Use this configuration shows the run's own; a field that is changed since is marked."""
    run_quick(window, until, strategy={"name": "dual_sma", "params": {"fast": 9, "slow": 33}})
    click(window.bottom_bar.use)
    until(lambda: field(window, "strategy.params.fast").value() == 9)
    slow = field(window, "strategy.params.slow")
    assert not any(each.is_changed for each in window.new_run.form.by_path().values())
    type_into(slow.widget, "34", press)
    assert slow.is_changed
    assert str(slow.label.cget("text")).endswith("•")


def test_report_and_folder(
    window: Window, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Save report writes the page where it was asked to; Open folder shows the run's own."""
    run_id = run_quick(window, until)
    file = tmp_path / "report.html"
    monkeypatch.setattr(filedialog, "asksaveasfilename", lambda **_: str(file))
    click(window.bottom_bar.report)
    until(lambda: window.panel.notice.get() == "The report is in report.html.")
    assert file.read_bytes() == window.panel.client.download(f"/runs/{run_id}/report")
    shown: list[str] = []
    monkeypatch.setattr("gui.panel.show_outside", shown.append)
    click(window.bottom_bar.folder)
    until(lambda: shown)
    assert shown == [str(window.panel.data_dir / "runs" / run_id)]
    assert Path(shown[0], "manifest.json").is_file()


def test_settings_are_written(window: Window, until: Until) -> None:
    """Saved settings are in the file, and one is told from when on they hold."""
    dialog = window.top_bar.open_settings()
    assert isinstance(dialog, SettingsDialog)
    dialog.form.fields["theme"].put("dark")
    click(dialog.save_button)
    until(lambda: window.panel.notice.get() == SAVED)
    text = (window.panel.data_dir / "settings.toml").read_text(encoding="utf-8")
    assert json.dumps("dark") in text


def test_the_server_goes(window: Window, server: Any, until: Until) -> None:
    """When the server no longer answers, it is said, Start waits, and nothing is at work."""
    config = QUICK | {"validation": {"permutation": {"n": 20_000}}}
    run_id = str(window.panel.client.post("/runs", config)["run_id"])
    window.panel.state["selected"] = run_id
    until(lambda: window.bottom_bar.cancel.instate(["!disabled"]))
    server.thread.stop()
    window.panel.watcher.look()
    until(lambda: not window.panel.state["online"])
    dot, status = window.top_bar.winfo_children()[:2]
    assert str(dot.cget("foreground")) == window.panel.palette.loss
    assert str(status.cget("text")) == "does not answer"
    assert window.new_run.start_button.instate(["disabled"])
    assert str(window.bottom_bar.words.cget("text")) == "The server does not answer."
    assert window.bottom_bar.cancel.instate(["disabled"])


def test_what_others_change_is_seen(window: Window, until: Until) -> None:
    """A file put into the folder of candles, and another client's preset, are there on return."""
    folder = window.panel.data_dir / "candles"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "DROPPED_1d.csv").write_text(GOOD, encoding="utf-8")
    window.panel.client.post("/presets", {"name": "theirs", "config": {}})
    window._looked = 0.0
    window.root.event_generate("<FocusIn>")
    until(lambda: "DROPPED" in {each["symbol"] for each in window.panel.state["datasets"]})
    until(lambda: [each["name"] for each in window.panel.state["presets"]] == ["theirs"])


def test_a_preset_that_another_client_deleted(window: Window, until: Until) -> None:
    """One is told, and it is in the list no longer."""
    window.panel.client.post("/presets", {"name": "theirs", "config": {}})
    window._look_again()
    until(lambda: window.panel.state["presets"])
    window.panel.client.delete("/presets/theirs")
    window.new_run.presets.set("theirs")
    window.new_run._enable()
    click(window.new_run.delete)
    until(lambda: window.panel.is_complaint)
    until(lambda: not window.panel.state["presets"])


def test_a_run_started_once_more_is_followed(window: Window, until: Until) -> None:
    """After a cancel and a new start of the same run its log goes on to the end."""
    config = QUICK | {"validation": {"permutation": {"n": 20_000}}}
    run_id = str(window.panel.client.post("/runs", config)["run_id"])
    window.panel.state["selected"] = run_id
    window.panel.client.post(f"/runs/{run_id}/cancel")
    log = window.results.log.text
    until(lambda: "Cancelled" in log.get("1.0", "end"))
    assert window.panel.client.post("/runs", config)["attempt"] == 2
    until(lambda: "Completed" in log.get("1.0", "end"))
    assert "Cancelled" in log.get("1.0", "end")


def test_a_server_that_comes_back_late(window: Window, until: Until) -> None:
    """What could not be read at the start is asked for once the server answers."""
    catalog = window.panel.state["catalog"]
    for value in (False, True):
        window.panel.state["catalog"] = {}
        window.panel.state["online"] = value
    until(lambda: window.panel.state["catalog"] == catalog)


def test_an_import_that_takes_the_place_of_another(
    window: Window, until: Until, tmp_path: Path
) -> None:
    """Whoever imports over a data set is told; its dialog says that closing stops nothing."""
    file = tmp_path / "DAX_1d.csv"
    file.write_text(GOOD, encoding="utf-8")
    for end in ("28 bars.", "28 bars, in place of the one before."):
        window.data.ask_about(file)
        dialog = window.data.dialog
        assert dialog is not None
        click(dialog.import_button)
        assert "goes on" in str(dialog.problem.cget("text"))
        assert str(dialog.cancel_button.cget("text")) == "Close"
        click(dialog.cancel_button)
        until(lambda end=end: window.panel.notice.get() == f"Imported DAX 1d: {end}")  # type: ignore[misc]  # bound now
        until(lambda: "DAX" in {each["symbol"] for each in window.panel.state["datasets"]})


def test_the_chosen_data_set_can_be_chosen_again(window: Window, until: Until) -> None:
    """A click on the row that is chosen already puts it into the form once more."""
    table = window.data.table
    row = table.get_children()[0]
    box = table.bbox(row)
    assert not isinstance(box, str)
    for _ in range(2):
        field(window, "symbol").put("OTHER")
        click(table, box[0] + 5, box[1] + box[3] // 2)
        until(lambda: field(window, "symbol").value() == row.split("/")[1])


def test_tables_take_the_arrow_keys(window: Window, until: Until, press: Press) -> None:
    """A table that nobody has clicked in begins at its first row."""
    run_quick(window, until)
    table = window.data.table
    table.selection_set()
    table.focus("")
    press(table, "Down")
    assert table.selection()
    metrics = window.results.panes["Metrics"]
    assert isinstance(metrics, MetricsPane)
    window.results.tk.call(str(window.results), "select", str(metrics))
    until(metrics.body.winfo_ismapped)
    press(metrics.table, "Down")
    assert metrics.table.selection()


def test_the_keyboard_goes_from_top_to_bottom(window: Window, until: Until) -> None:
    """The bar at the bottom comes last, as one sees it."""
    run_quick(window, until)
    places = []
    widget: Any = window.top_bar.copy_url
    for _ in range(200):
        places.append(widget)
        widget = widget.tk_focusNext()
        if widget is window.top_bar.copy_url:
            break
    first_below = next(
        i for i, each in enumerate(places) if str(each).startswith(str(window.bottom_bar))
    )
    assert all(str(each).startswith(str(window.bottom_bar)) for each in places[first_below:])
    assert window.results.log.text["takefocus"]


def test_a_hint_moves_nothing(window: Window) -> None:
    """Whatever the pointer rests on, the form stays where it is."""
    top = window.new_run.start_button.winfo_rooty()
    for each in window.new_run.form.by_path().values():
        if each.widget.winfo_viewable():
            each.widget.event_generate("<Enter>")
            window.root.update()
            assert window.new_run.start_button.winfo_rooty() == top
            assert window.new_run.scroller.winfo_rooty() < top


def test_a_selected_run_that_goes(window: Window, until: Until) -> None:
    """When the run that is looked at is removed, its neighbour is looked at."""
    first = run_quick(window, until)
    second = run_quick(window, until, seed=2)
    window.panel.client.delete(f"/runs/{second}")
    window.panel.watcher.look()
    until(lambda: window.panel.state["selected"] == first)
