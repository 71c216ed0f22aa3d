"""The tab of validation: a verdict and a drawing for each test, in words."""

import json
import tkinter as tk
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from app.belief import told
from gui.forms import label_of
from gui.panel import Panel
from gui.panels.validation import NOT_RUN, ValidationPane, in_short
from gui.panels.verdicts import TESTS, verdict

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


def in_words(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what the server says of it."""
    return [each._asdict() for each in told(found)]


def read(panel: Panel, pane: ValidationPane, until: Until, **changes: Any) -> Mapping[str, Any]:
    """Run, show what the tests found, and return it."""
    run_id = panel.client.post("/runs", CONFIG | changes)["run_id"]
    until(lambda: (panel.state.run(run_id) or {}).get("status") == "completed")
    found: Mapping[str, Any]
    found, said = pane.read(panel.client, {"run_id": run_id})
    assert said == in_words(found)
    pane.show((found, said))
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
    for name in TESTS:
        pane.choices.selection_set(name)
        first, _ = verdict(name, in_words(found))
        until(lambda first=first: pane.verdict["text"] == first)  # type: ignore[misc]  # bound now
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
        assert pane.verdict["text"] == verdict(name, in_words(found))[0]
        if pane.verdict["text"].startswith("No verdict"):
            assert not pane._place.winfo_ismapped()
        if pane.picture is not None:
            pane.picture._draw_now()


def test_a_test_of_a_plugin(root: tk.Tk, pane: ValidationPane) -> None:
    """A test of one's own is listed, with its figures; it goes with its run."""
    found = {"mine": {"score": 0.123456789, "n": 10, "note": "well", "list": [1]}}
    pane.show((found, []))
    pane.choices.selection_set("mine")
    root.update()
    assert pane.verdict["text"] == "mine: a test of your own."
    assert pane.explanation["text"] == "score 0.123457; n 10; note well"
    pane.show(({}, []))
    root.update()
    assert pane.choices.get_children() == tuple(TESTS)


def test_verdict() -> None:
    """The first sentence leads; the label stands before it where the title does not say it."""
    said = [
        {"label": "Luck", "test": "permutation", "text": "1 in 29 random markets did as well"},
        {"label": "Sharpe", "test": "block_bootstrap", "text": "95% interval from 0.10 to 0.66"},
        {"label": "Return", "test": "block_bootstrap", "text": "No interval: nothing was traded"},
        {"label": "Costs", "test": "monte_carlo", "text": "Breaks even at 14.2 basis points"},
        {"label": "", "test": "monte_carlo", "text": "Not tried: no slippage"},
    ]
    assert verdict("permutation", said) == ("1 in 29 random markets did as well.", "")
    assert verdict("block_bootstrap", said) == (
        "Sharpe: 95% interval from 0.10 to 0.66.",
        "Return: No interval: nothing was traded.",
    )
    assert verdict("monte_carlo", said) == (
        "Breaks even at 14.2 basis points.",
        "Not tried: no slippage.",
    )


def test_in_short() -> None:
    """The list says each result in a few characters."""
    assert in_short("permutation", {"p_value": 0.034}) == "p 0.034"
    assert in_short("permutation", {"p_value": None}) == "no verdict"
    assert in_short("monte_carlo", None) == NOT_RUN
    for bps, reason, words in (
        (12.34, None, "12.3 bps"), (None, "loses_without_costs", "loses anyway"),
        (None, "above_range", "> 1,000 bps"), (None, "statistic_undefined", "no verdict"),
    ):  # fmt: skip
        found = {"breakeven_slippage_bps": bps, "breakeven_reason": reason}
        assert in_short("monte_carlo", found) == words


def test_words_hold_no_codes() -> None:
    """What is said of a test is no JSON and no field's name."""
    assert "_" not in json.dumps([[test.title, test.question] for test in TESTS.values()])
