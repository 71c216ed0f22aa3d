"""The tab of validation: a verdict and a drawing for each test, in words."""

import json
import tkinter as tk
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.validation import REASONS
from gui.forms import label_of
from gui.panel import Panel
from gui.panels.validation import NOT_RUN, ValidationPane, in_short
from gui.panels.verdicts import TESTS, chance, costs, luck, through_time, uncertainty

Until = Callable[[Callable[[], object]], None]
ALL = {
    "permutation": {"n": 99}, "block_bootstrap": {"n": 99}, "monte_carlo": {"n": 50, "noise_bps": 2.0},
    "walk_forward": {},
}  # fmt: skip
CONFIG = {
    "symbol": "SPX", "provider": "sample", "plot": False, "execution": {"slippage_bps": 2.0},
    "strategy": {"name": "dual_sma", "params": {"fast": 20, "slow": 100, "long_only": True}},
}  # fmt: skip


@pytest.fixture
def pane(root: tk.Tk, panel: Panel) -> ValidationPane:
    made = ValidationPane(root, panel)
    made.pack(fill="both", expand=True)
    root.update()
    return made


def read(panel: Panel, pane: ValidationPane, until: Until, **changes: Any) -> Mapping[str, Any]:
    """Run, show what the tests found, and return it."""
    run_id = panel.client.post("/runs", CONFIG | changes)["run_id"]
    until(lambda: (panel.state.run(run_id) or {}).get("status") == "completed")
    found: Mapping[str, Any]
    found, reasons = pane.read(panel.client, {"run_id": run_id})
    assert reasons == REASONS
    pane.show((found, reasons))
    pane.reveal()
    until(pane.body.winfo_ismapped)
    return found


def test_nothing_was_tested(panel: Panel, pane: ValidationPane, until: Until) -> None:
    """A run without tests says of each that it was not run, and what to tick."""
    assert read(panel, pane, until) == {}
    for name, test in TESTS.items():
        assert pane.choices.set(name, "state") == NOT_RUN
        pane.choices.selection_set(name)
        until(lambda test=test: pane.verdict["text"] == f"{test.title}: not run.")  # type: ignore[misc]  # bound now
        assert f"Tick “{label_of(name)}” under Validation" in pane.explanation["text"]
    assert pane.picture is None


def test_every_test(root: tk.Tk, panel: Panel, pane: ValidationPane, until: Until) -> None:
    """Each test has a verdict and a drawing of its own."""
    found = read(panel, pane, until, validation=ALL)
    assert found.keys() == TESTS.keys()
    seen = set()
    for name, test in TESTS.items():
        pane.choices.selection_set(name)
        verdict = test.verdict(found[name], REASONS)[0]
        until(lambda verdict=verdict: pane.verdict["text"] == verdict)  # type: ignore[misc]  # bound now
        root.update()
        assert pane.picture is not None
        (axes,) = pane.picture.figure.axes
        seen.add(axes.get_xlabel())
        assert axes.has_data()
        pane.picture._draw_now()
    assert len(seen) == len(TESTS)
    pane.event_generate("<<ThemeChanged>>")
    root.update()


@pytest.mark.parametrize("changes", [
    {"strategy": {"name": "buy_and_hold"}},
    {"end": "1999-01-20"},
    {"execution": {}},
    {"validation": ALL | {"statistic": "total_return", "permutation": {"n": 99, "method": "shift"}, "walk_forward": {"folds": 30}}},
])  # fmt: skip
def test_runs_with_little_to_say(
    root: tk.Tk, panel: Panel, pane: ValidationPane, until: Until, changes: dict[str, Any]
) -> None:
    """Where a test has no verdict it says why, and nothing breaks."""
    found = read(panel, pane, until, **({"validation": ALL} | changes))
    for name in found:
        pane.choices.selection_set(name)
        root.update()
        assert pane.verdict["text"] == TESTS[name].verdict(found[name], REASONS)[0]
        if pane.verdict["text"].startswith("No verdict"):
            assert not pane._place.winfo_ismapped()
        if pane.picture is not None:
            pane.picture._draw_now()


def test_a_test_of_a_plugin(root: tk.Tk, pane: ValidationPane) -> None:
    """A test of one's own is listed, with its figures; it goes with its run."""
    found = {"mine": {"score": 0.123456789, "n": 10, "note": "well", "list": [1]}}
    pane.show((found, REASONS))
    pane.choices.selection_set("mine")
    root.update()
    assert pane.verdict["text"] == "mine: a test of your own."
    assert pane.explanation["text"] == "score 0.123457; n 10; note well"
    pane.show(({}, REASONS))
    root.update()
    assert pane.choices.get_children() == tuple(TESTS)


@pytest.mark.parametrize(
    ("p", "n", "method", "words"),
    [
        (0.001, 999, "bars", "none of 999 random markets did as well"),
        (0.034, 999, "bars", "1 in 29 random markets did as well"),
        (0.5, 99, "shift", "5 in 10 shifts of the position did as well"),
        (0.99, 99, "bars", "nearly all random markets did as well"),
    ],
)
def test_luck_in_words(p: float, n: int, method: str, words: str) -> None:
    """A p-value is how many random markets did as well."""
    assert chance(p, n, method) == words


def test_verdicts() -> None:
    """Each verdict is what the figures say."""
    found = {"p_value": 0.034, "p_value_error": 0.0057, "n": 999, "method": "bars"}
    assert luck(found, REASONS)[0] == ("1 in 29 random markets did as well (p 0.034 ± 0.006).")
    assert luck({"p_value": None, "reason": "no_timing"}, REASONS)[0].startswith(
        "No verdict: the target"
    )
    interval = {
        "confidence": 0.95, "sharpe": {"studentized": [0.1, 0.66]},
        "total_return": {"interval": None, "reason": "return_of_minus_one"},
    }  # fmt: skip
    assert uncertainty(interval, REASONS) == (
        "Sharpe from 0.10 to 0.66 with 95% confidence; 0 lies outside.",
        "No interval for the return: a bar lost everything.",
    )
    cost = {
        "breakeven_slippage_bps": 14.2, "base_slippage_bps": 2.0, "probability_of_loss": 0.1,
        "total_return": {"p5": -0.01, "p95": 0.2},
    }  # fmt: skip
    assert costs(cost, REASONS) == (
        "Breaks even at 14.2 basis points of slippage a fill; 2.0 are assumed.",
        "With noisy slippage the return is -1.0% to +20.0%, a loss in 10% of the tries.",
    )
    nothing = {
        "breakeven_slippage_bps": None, "breakeven_reason": "no_trades", "base_slippage_bps": None,
        "probability_of_loss": None, "reason": "no_slippage",
    }  # fmt: skip
    assert costs(nothing, REASONS)[0] == "No break-even: nothing was traded."
    folds = {"folds": [{}], "positive_folds": 0.6, "n": 5, "stitched": {"sharpe": 0.5}}
    assert (
        through_time(folds, REASONS)[0]
        == "3 of 5 later stretches made money; Sharpe of all of them 0.50."
    )
    assert (
        through_time({"folds": [], "reason": "too_few_bars"}, REASONS)[0]
        == "No verdict: too few bars."
    )


def test_in_short() -> None:
    """The list says each result in a few characters."""
    assert in_short("permutation", {"p_value": 0.034}) == "p 0.034"
    assert in_short("permutation", {"p_value": None}) == "no verdict"
    assert in_short("monte_carlo", None) == NOT_RUN


def test_words_hold_no_codes() -> None:
    """What is said of a test is no JSON and no field's name."""
    assert "_" not in json.dumps([[test.title, test.question] for test in TESTS.values()])
