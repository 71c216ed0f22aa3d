"""What the table and the picture say of validation, in words."""

from typing import Any

import pytest

from app.belief import BELIEF, reason_in_words
from engine.validation import chance_in_words

SAY = {(label, test): sentence for label, test, sentence in BELIEF}


@pytest.mark.parametrize(
    ("p", "n", "words"),
    [
        (0.034, 999, "1 in 29 random markets did as well"),
        (0.001, 999, "none of 999 random markets did as well"),
        (0.002, 999, "1 in 500 random markets did as well"),
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
        ({"p_value": 0.034, "p_value_error": 0.0057}, "1 in 29 random markets did as well (p 0.034 ± 0.006)"),
        ({"p_value": 1e-4, "p_value_error": 1e-4, "n": 9999}, "None of 9,999 random markets did as well (p 0.000100 ± 0.000100)"),
        ({"p_value": 0.03, "p_value_error": 0.01, "method": "shift"}, "1 in 33 shifts of the position did as well (p 0.030 ± 0.010; not valid for signals made from the same prices)"),
        ({"p_value": None, "reason": "no_timing"}, "no verdict: the target weight never changes, so there is no timing to test"),
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
        (None, 0.95, "no interval: zero volatility"),
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
    assert SAY["Return", "block_bootstrap"](lost) == "no interval: a bar lost everything"
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
    assert SAY["", "monte_carlo"](noise) == "not tried: no slippage is configured, and no noise_bps"
    folds: dict[str, Any] = {"folds": [], "reason": "too_few_bars"}
    assert SAY["Through time", "walk_forward"](folds) == "no verdict: too few bars"
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
