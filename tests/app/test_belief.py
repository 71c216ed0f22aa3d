"""What the table and the picture say of validation, in words."""

from typing import Any

import pytest

from app.belief import BELIEF, costs_in_words, reason_in_words, told, verdict
from engine.config import RunConfig
from engine.validation import chance_in_words

SAY = {(label, test): sentence for label, test, sentence in BELIEF}


@pytest.mark.parametrize(
    ("p", "n", "words"),
    [
        (0.034, 999, "1 in 30 random markets did as well"),
        (0.001, 999, "none of 999 random markets did as well"),
        (0.002, 999, "1 in 999 random markets did as well"),
        (0.25, 999, "1 in 4 random markets did as well"),
        (0.4, 999, "4 in 10 random markets did as well"),
        (0.501, 999, "5 in 10 random markets did as well"),
        (0.97, 999, "nearly all random markets did as well"),
        (1.0, 1, "nearly all random markets did as well"),
        (0.5, 1, "none of 1 random markets did as well"),
    ],
)
def test_a_p_value_in_words(p: float, n: int, words: str) -> None:
    """A p-value reads as how many random markets did as well, in numbers that do not jump."""
    assert chance_in_words(p, n) == words


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"p_value": 0.034, "p_value_error": 0.0057}, "1 in 30 random markets did as well (p 0.034 ± 0.006)"),
        ({"p_value": 1e-4, "p_value_error": 1e-4, "n": 9999}, "None of 9,999 random markets did as well (p 0.000100 ± 0.000100)"),
        ({"p_value": 0.03, "p_value_error": 0.01, "method": "shift"}, "1 in 34 shifts of the position did as well (p 0.030 ± 0.010; not valid for signals made from the same prices)"),
        ({"p_value": None, "reason": "no_timing"}, "No verdict: the target weight never changes, so there is no timing to test"),
    ],
)  # fmt: skip
def test_luck(found: dict[str, Any], words: str) -> None:
    """Luck is told with its p-value, never as 0, or with why there is no verdict."""
    assert SAY["Luck", "permutation"]({"method": "bars", "n": 999} | found) == words


@pytest.mark.parametrize(
    ("interval", "confidence", "words"),
    [
        ([-0.1, 0.66], 0.95, "95% interval from -0.10 to 0.66; 0 lies within"),
        ([0.1, 0.66], 0.975, "97.5% interval from 0.10 to 0.66; 0 lies outside"),
        ([0.1, 0.66], 0.999, "99.9% interval from 0.10 to 0.66; 0 lies outside"),
        (None, 0.95, "No interval: zero volatility"),
    ],
)
def test_sharpe_interval(interval: Any, confidence: float, words: str) -> None:
    """The interval is told with its confidence, and whether it holds 0."""
    sharpe = {"studentized": interval, "reason": "zero_volatility"}
    found = {"sharpe": sharpe, "confidence": confidence}
    assert SAY["Sharpe", "block_bootstrap"](found) == words


def test_the_other_sentences() -> None:
    """Return, costs, noise and folds are told where there are any, else why not."""
    total: dict[str, Any] = {"total_return": {"interval": [-0.4, 5.2]}, "confidence": 0.9}
    assert SAY["Return", "block_bootstrap"](total) == "90% interval from -40% to +520%"
    lost = {"total_return": {"interval": None, "reason": "return_of_minus_one"}}
    assert SAY["Return", "block_bootstrap"](lost) == "No interval: a bar lost everything"
    costs: dict[str, Any] = {"breakeven_slippage_bps": 14.23, "base_slippage_bps": 2.0}
    assert SAY["Costs", "monte_carlo"](costs).endswith(
        "14.2 basis points of slippage a fill; 2.0 are assumed"
    )
    costs = {"breakeven_slippage_bps": 14.23, "base_slippage_bps": None}
    assert (
        SAY["Costs", "monte_carlo"](costs) == "Breaks even at 14.2 basis points of slippage a fill"
    )
    none = {"breakeven_slippage_bps": None, "breakeven_reason": "above_range"}
    assert SAY["Costs", "monte_carlo"](none) == "No break-even: above 1,000 basis points"
    noise = {"probability_of_loss": None, "reason": "no_slippage"}
    assert SAY["", "monte_carlo"](noise) == "Not tried: no slippage is configured, and no noise_bps"
    folds: dict[str, Any] = {"folds": [], "reason": "too_few_bars"}
    assert SAY["Through time", "walk_forward"](folds) == "No verdict: too few bars"
    folds = {"folds": [1], "positive_folds": 0.5, "n": 2, "stitched": {"sharpe": None}}
    assert (
        SAY["Through time", "walk_forward"](folds)
        == "1 of 2 later stretches made money (nothing was fitted)"
    )


def test_every_reason_has_words() -> None:
    """A reason that nobody wrote words for is at least no gap."""
    assert reason_in_words("no_trades") == "nothing was traded"  # a metric's is another
    assert reason_in_words("zero_volatility") == "zero volatility"
    assert reason_in_words("never heard of") == reason_in_words(None) == "undefined"


def _found(p: Any = "", interval: Any = "", method: str = "bars") -> dict[str, Any]:
    permutation = {"p_value": p, "method": method}
    bootstrap = {"sharpe": {"studentized": interval}}
    found = {"permutation": permutation} if p != "" else {}
    return found | ({"block_bootstrap": bootstrap} if interval != "" else {})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (_found(0.51, [-1, 1]), "Nothing here speaks for an edge: luck is enough to explain it (p 0.510), and 0 lies in the Sharpe's interval."),
        (_found(0.051, [-2, -1]), "Nothing here speaks for an edge: luck is enough to explain it (p 0.051), and the Sharpe's whole interval lies below 0."),
        (_found(0.051, None), "Nothing here speaks for an edge: luck is enough to explain it (p 0.051), and the Sharpe has no interval."),
        (_found(0.51), "Nothing here speaks for an edge: luck is enough to explain it (p 0.510), and how uncertain the Sharpe is was not tested."),
        (_found(0.51, [0.1, 1]), "0 lies outside the Sharpe's interval, but luck is enough to explain it (p 0.510)."),
        (_found(0.01, [-1, 1]), "Luck is unlikely (p 0.010), but 0 lies in the Sharpe's interval."),
        (_found(0.01, [0, 1]), "Luck is unlikely (p 0.010), but 0 lies in the Sharpe's interval."),
        (_found(0.05, [-2, -1]), "Luck is unlikely (p 0.050), but the Sharpe's whole interval lies below 0."),
        (_found(0.05, None), "Luck is unlikely (p 0.050), but the Sharpe has no interval."),
        (_found(0.05), "Luck is unlikely (p 0.050), but how uncertain the Sharpe is was not tested."),
        (_found(0.0001, [0.1, 1]), "Luck is unlikely (p 0.000100), and 0 lies outside the Sharpe's interval: it survived these two tests, on this stretch of the past."),
        (_found(0.01, [0.1, 1], "shift"), "Luck is unlikely (p 0.010), and 0 lies outside the Sharpe's interval. A p-value by shifts is not valid for signals made from the same prices."),
        (_found(None, [-1, 1]), "Nothing here speaks for an edge: whether this is luck has no verdict, and 0 lies in the Sharpe's interval."),
        (_found("", [0.1, 1]), "0 lies outside the Sharpe's interval, but whether this is luck was not tested."),
        (_found(None, None, "shift"), "Whether this is luck has no verdict, and the Sharpe has no interval."),
        ({"walk_forward": {}}, "Whether this is luck was not tested, and how uncertain the Sharpe is was not tested."),
    ],
)  # fmt: skip
def test_the_verdict(found: dict[str, Any], words: str) -> None:
    """One sentence by fixed rules says what luck and the interval say together, and no more."""
    assert verdict(found) == words


def test_what_was_not_tested_is_told() -> None:
    """Each of the engine's tests that was not run is named as such, once."""
    assert [each.text for each in told({})] == [
        "Not tested: no permutation test was asked for",
        "No interval: no block bootstrap was asked for",
        "Not varied: no Monte Carlo test was asked for",
        "Not tested: no walk-forward test was asked for",
    ]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "No costs are assumed: commission and slippage are 0."),
        ({"borrow_bps": 50}, "No costs are assumed: commission and slippage are 0, borrow fee 50 bp a year."),
        ({"commission_bps": 5, "slippage_bps": 2}, "Costs assumed: commission 5 bp, slippage 2 bp, no borrow fee."),
        ({"commission_per_share": 0.005, "commission_min": 1}, "Costs assumed: commission 0.005 a unit and 1 a fill at least, no slippage, no borrow fee."),
        ({"slippage_bps": 1.5, "slippage_model": {"name": "spread_pct"}, "borrow_bps": 1200}, "Costs assumed: no commission, slippage 1.5 bp and the model spread_pct, borrow fee 1,200 bp a year."),
    ],
)  # fmt: skip
def test_costs_in_words(asked: dict[str, Any], words: str) -> None:
    """The costs that a run assumes are told, and that there are none."""
    execution = RunConfig.model_validate({"symbol": "X", "execution": asked}).to_json()["execution"]
    assert costs_in_words(execution) == words
