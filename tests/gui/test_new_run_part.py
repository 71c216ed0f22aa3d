"""The form for a new run: its fields, its faults, its presets and what Start asks for."""

import tkinter as tk
from collections.abc import Callable
from pathlib import Path
from tkinter import ttk
from typing import Any

import pytest

from engine.config import ExecutionConfig, RunConfig, ValidationConfig
from gui.forms import Field
from gui.panel import Panel
from gui.panels.new_run import NO_SYMBOL, NewRunPart

Until = Callable[[Callable[[], object]], None]
Press = Callable[[tk.Misc, str], None]
QUICK = {"symbol": "SPX", "provider": "sample", "plot": False}


@pytest.fixture
def part(panel: Panel, root: tk.Tk) -> NewRunPart:
    frame = ttk.Frame(root, width=360)
    frame.pack_propagate(flag=False)
    frame.pack(side="left", fill="y")
    made = NewRunPart(frame, panel)
    made.pack(fill="both", expand=True)
    root.update()
    return made


def field(part: NewRunPart, path: str) -> Field:
    return part.form.by_path()[path]


def choose(part: NewRunPart, path: str, value: str) -> None:
    """Choose from a list, as the mouse does."""
    widget = field(part, path).widget
    assert isinstance(widget, ttk.Combobox)
    widget.set(value)
    widget.event_generate("<<ComboboxSelected>>")
    widget.update()


def started(part: NewRunPart, panel: Panel, until: Until) -> dict[str, Any]:
    """Press Start and return the run as the server has it."""
    before = panel.state["selected"]
    part.start_button.invoke()
    until(lambda: panel.state["selected"] != before)
    run: dict[str, Any] = panel.client.get(f"/runs/{panel.state['selected']}")
    return run


def test_the_form_starts_with_the_programs_defaults(part: NewRunPart) -> None:
    """Untouched, the form is a configuration of nothing but defaults, on the sample."""
    given = part.configuration()
    plain = RunConfig.model_validate({"symbol": "SPX", "provider": "sample"})
    read = RunConfig.model_validate_json(RunConfig.model_validate(given).model_dump_json())
    assert read.execution == plain.execution
    assert read.validation == plain.validation
    assert (read.symbol, read.provider, read.start, read.end, read.seed) == (
        "SPX",
        "sample",
        None,
        None,
        0,
    )
    assert given["strategy"]["params"] == {
        "fast": 20,
        "slow": 50,
        "threshold_bp": 0,
        "long_only": False,
    }
    assert given["risk"] == {
        "name": "fixed_fraction",
        "params": {"fraction": 0.95, "max_leverage": 1},
    }


def test_every_field_has_its_place(part: NewRunPart) -> None:
    """Whatever a configuration can say has a field, but for extra indicators, which are kept."""
    shown = {path.partition(".")[0] for path in part.form.by_path()}
    assert shown == {*RunConfig.model_fields} - {"indicators"}
    costs = {path.split(".")[1] for path in part.form.by_path() if path.startswith("execution.")}
    assert costs == set(ExecutionConfig.model_fields)
    tests = {path.split(".")[1] for path in part.form.by_path() if path.startswith("validation.")}
    assert tests == set(ValidationConfig.model_fields)


def test_a_field_says_what_the_server_would_take(part: NewRunPart) -> None:
    """Bounds and words are those of the catalogue; an empty field is never called null."""
    assert field(part, "execution.commission_bps").hint == (
        "basis points of the value; at least 0, at most 10,000"
    )
    hint = field(part, "execution.periods_per_year").hint
    assert hint.startswith("bars a year; empty reads it from the candles; at least 1")
    assert all("null" not in each.hint for each in part.form.by_path().values())


def test_before_the_catalog(root: tk.Tk, panel: Panel) -> None:
    """Until the server has said what can be configured, nothing can be started and nothing breaks."""
    known, panel.state["catalog"] = panel.state["catalog"], {}
    made = NewRunPart(root, panel)
    assert made.start_button.instate(["disabled"])
    made.fill({"symbol": "NDX", "provider": "sample"})
    assert not any("symbol" in path for path in made.form.by_path())
    panel.state["catalog"] = known
    assert made.start_button.instate(["!disabled"])
    assert made.configuration()["symbol"] == "NDX"


def test_a_run_is_what_the_form_said(part: NewRunPart, panel: Panel, until: Until) -> None:
    """Start asks for the run that stands in the form, and the run is then the selected one."""
    field(part, "start").put("2001-02-03")
    field(part, "end").put("2003-01-31")
    field(part, "strategy.params.fast").put("5")
    field(part, "execution.commission_bps").put("2.5")
    tick = field(part, "validation.permutation").widget
    assert isinstance(tick, ttk.Checkbutton)
    tick.invoke()
    field(part, "validation.permutation.n").put("19")
    choose(part, "execution.slippage_model", "spread_pct")
    config = started(part, panel, until)["config"]
    assert config["start"] == 981_158_400_000
    assert config["end"] == 1_044_057_599_999
    assert config["strategy"]["params"]["fast"] == 5
    assert config["execution"]["commission_bps"] == 2.5
    assert config["execution"]["slippage_model"] == {
        "name": "spread_pct",
        "params": {"spread_pct": 0.001},
    }
    assert config["validation"]["permutation"] == {"n": 19, "method": "bars"}
    assert config["validation"]["walk_forward"] is None
    assert panel.notice.get() == "The run has been put in the queue."


def test_the_same_run_again_says_that_it_was_there(
    part: NewRunPart, panel: Panel, until: Until
) -> None:
    """Nothing is computed twice, and one is told so."""
    field(part, "plot").put(False)  # noqa: FBT003  # the value
    run = started(part, panel, until)
    until(lambda: (panel.state.run(run["run_id"]) or {}).get("status") == "completed")
    part.start()
    until(lambda: "there already" in panel.notice.get())
    assert panel.state["selected"] == run["run_id"]


def test_a_runs_configuration_fills_the_form(part: NewRunPart, panel: Panel, until: Until) -> None:
    """What a run was configured with comes back in full, so that Start finds that very run."""
    config = QUICK | {
        "start": "2001-01-01T12:00:00.250Z", "end": "2018-06-30", "indicators": [{"name": "sma", "params": {"length": 9}}],
        "strategy": {"name": "buy_and_hold"}, "risk": {"name": "volatility_target", "params": {"lookback": 30}},
        "execution": {"slippage_model": {"name": "participation_rate"}, "periods_per_year": 252, "lot_size": 1e-9},
        "validation": {"block_bootstrap": {"n": 19}, "statistic": "total_return"}, "seed": 7,
        "risk_free_annual": 0.02,
    }  # fmt: skip
    made = panel.client.post("/runs", config)
    part.fill(panel.client.get(f"/runs/{made['run_id']}")["config"])
    assert not any(each.is_changed for each in part.form.by_path().values())
    again = panel.client.post("/runs", part.configuration())
    assert (again["run_id"], again["reused"]) == (made["run_id"], True)
    until(lambda: (panel.state.run(made["run_id"]) or {}).get("status") == "completed")
    assert field(part, "start").value() == "2001-01-01T12:00:00.250Z"
    assert field(part, "end").value() == "2018-06-30"


def test_faults_stand_at_their_fields(
    part: NewRunPart, panel: Panel, until: Until, root: tk.Tk
) -> None:
    """Every fault is told at its field, the first is scrolled to, and all go with the next try."""
    field(part, "seed").put("-1")
    field(part, "execution.lot_size").put("x")
    field(part, "strategy.params.fast").put("100")
    part.scroller.canvas.yview_moveto(1)
    part.start_button.invoke()
    slow = field(part, "strategy.params.slow")
    until(slow.problem.winfo_ismapped)
    told = {
        name: str(each.problem.cget("text"))
        for name, each in part.form.by_path().items()
        if each.problem.winfo_ismapped()
    }
    assert told == {
        "strategy.params.slow": "Must be greater than fast (100)",
        "execution.lot_size": "Should be a valid number",
        "seed": "Should be greater than or equal to 0",
    }
    until(lambda: in_sight(part, slow.widget) and in_sight(part, slow.problem))
    assert panel.notice.get() == "Not started: see the words in red."
    part.fill(QUICK)
    root.update()
    assert not any(each.problem.winfo_ismapped() for each in part.form.by_path().values())


def in_sight(part: NewRunPart, widget: tk.Misc) -> bool:
    """Tell whether a widget of the form is within what is seen of it."""
    canvas = part.scroller.canvas
    top, bottom = widget.winfo_rooty(), widget.winfo_rooty() + widget.winfo_height()
    return canvas.winfo_rooty() <= top and bottom <= canvas.winfo_rooty() + canvas.winfo_height()


def test_an_unknown_symbol_is_told_at_the_symbol(part: NewRunPart, until: Until) -> None:
    """Candles that are not there, and no symbol at all, are faults of the symbol."""
    symbol = field(part, "symbol")
    symbol.put("NOPE")
    part.start()
    until(symbol.problem.winfo_ismapped)
    assert "no candles for NOPE" in str(symbol.problem.cget("text"))
    symbol.put("")
    until(lambda: part.start_button.instate(["!disabled"]))
    part.start()
    assert str(symbol.problem.cget("text")).lower() == NO_SYMBOL


def test_start_stays_in_sight_and_the_form_scrolls(
    part: NewRunPart, root: tk.Tk, until: Until
) -> None:
    """At the least size Start is seen; the wheel over a field scrolls and changes no value."""
    root.update()
    bottom = part.start_button.winfo_rooty() + part.start_button.winfo_height()
    assert bottom <= root.winfo_rooty() + 640
    before = part.configuration()
    timeframe = field(part, "timeframe").widget
    timeframe.event_generate("<Button-5>")
    root.update()
    assert part.scroller.canvas.canvasy(0) > 0
    assert part.configuration() == before
    timeframe.event_generate("<Button-4>")
    root.update()
    assert part.scroller.canvas.canvasy(0) == 0
    field(part, "seed").widget.focus_force()
    until(lambda: in_sight(part, field(part, "seed").widget))


def test_a_newly_built_parameter_scrolls_too(part: NewRunPart, root: tk.Tk) -> None:
    """Parameters that came with a choice take part in scrolling."""
    choose(part, "risk.name", "kelly_fraction")
    mode = field(part, "risk.params.mode")
    mode.widget.event_generate("<Button-5>")
    root.update()
    assert part.scroller.canvas.canvasy(0) > 0
    assert mode.value() == "fixed"
    assert part.configuration()["risk"]["params"]["p_win"] == 0.55


def test_a_test_shows_its_fields_while_it_is_ticked(part: NewRunPart, root: tk.Tk) -> None:
    """The replicates of a test are asked for only where it is to be run."""
    tick = field(part, "validation.monte_carlo").widget
    assert isinstance(tick, ttk.Checkbutton)
    n = field(part, "validation.monte_carlo.n").widget
    assert not n.winfo_ismapped()
    part.scroller.canvas.yview_moveto(1)
    tick.invoke()
    root.update()
    assert n.winfo_manager()
    assert part.form.tests.tests["monte_carlo"].params.winfo_ismapped()
    tick.invoke()
    root.update()
    assert not part.form.tests.tests["monte_carlo"].params.winfo_ismapped()


def test_the_sample_is_one_press_away(
    part: NewRunPart, panel: Panel, until: Until, root: tk.Tk
) -> None:
    """With nothing there yet, one button runs the sample with every test; then it is gone."""
    root.update()
    assert part.try_sample.winfo_ismapped()
    part.try_sample.invoke()
    until(lambda: panel.state["selected"])
    run = panel.client.get(f"/runs/{panel.state['selected']}")
    assert (run["config"]["symbol"], run["config"]["provider"]) == ("SPX", "sample")
    tests = {k: v for k, v in run["config"]["validation"].items() if k != "statistic"}
    assert all(tests.values())
    until(lambda: not part.try_sample.winfo_ismapped())
    panel.client.post(f"/runs/{run['run_id']}/cancel")


def test_the_sample_is_not_offered_beside_own_data(
    part: NewRunPart, panel: Panel, tmp_path: Path, until: Until, root: tk.Tk
) -> None:
    """Who has imported candles needs no sample."""
    path = tmp_path / "DAX_1d.csv"
    lines = [f"2024-01-0{day},100,103,99,102,1000" for day in range(2, 6)]
    path.write_text("\n".join(["Date,Open,High,Low,Close,Volume", *lines]), encoding="utf-8")
    panel.client.put_file("/datasets/DAX/1d", {}, path)
    panel.load("datasets", "/datasets", "datasets")
    until(lambda: len(panel.state["datasets"]) == 3)
    root.update()
    assert not part.try_sample.winfo_ismapped()
    choose(part, "symbol", "DAX  1d  local")
    market = part.form.market.values()
    assert (market["symbol"], market["provider"], market["timeframe"]) == ("DAX", "local", "1d")


def test_presets(part: NewRunPart, panel: Panel, until: Until, press: Press) -> None:
    """A configuration is saved under a name, comes back by it, and goes."""
    assert part.load.instate(["disabled"])
    field(part, "strategy.params.fast").put("33")
    for key in "mine":
        press(part.presets, key)
    assert part.presets.get() == "mine"
    part.save.invoke()
    until(lambda: panel.state["presets"])
    field(part, "strategy.params.fast").put("44")
    part.load.invoke()
    assert field(part, "strategy.params.fast").value() == 33
    assert not field(part, "strategy.params.fast").is_changed
    part.delete.invoke()
    until(lambda: not panel.state["presets"])
    assert part.presets.get() == ""


def test_a_preset_that_is_refused_says_why(
    part: NewRunPart, panel: Panel, until: Until, press: Press
) -> None:
    """A bad name is told below, a bad field at the field."""
    for key in ("a", "space", "b"):
        press(part.presets, key)
    part.save.invoke()
    until(lambda: "1 to 64 letters" in panel.notice.get())
    part.presets.set("ab")
    field(part, "seed").put("x")
    part.save.invoke()
    until(lambda: str(field(part, "seed").problem.cget("text")))
    assert not panel.client.get("/presets")["presets"]


def test_what_differs_from_the_run_is_marked(part: NewRunPart) -> None:
    """Another data set or component is marked as a change, and going back is none."""
    params = {"fast": 7, "slow": 33}
    part.fill(QUICK | {"strategy": {"name": "dual_sma", "params": params}})

    def changed() -> set[str]:
        return {path for path, each in part.form.by_path().items() if each.is_changed}

    assert changed() == set()
    choose(part, "symbol", "IXIC  1d  sample")
    assert changed() == {"symbol"}
    choose(part, "symbol", "SPX  1d  sample")
    assert changed() == set()
    choose(part, "strategy.name", "buy_and_hold")
    assert changed() == {"strategy", "strategy.name"}
    choose(part, "strategy.name", "dual_sma")
    assert changed() == set()
    assert {name: part.configuration()["strategy"]["params"][name] for name in params} == params
