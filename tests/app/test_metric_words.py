"""The value of a metric in words: its unit, or why there is none."""

import pytest

from app.metric_words import in_words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("total_return", 0.1234, "+12.34%"),
        ("benchmark.cagr", -0.5, "-50.00%"),
        ("max_drawdown", -0.25, "-25.00%"),
        ("long.win_rate", 0.5, "50.0%"),
        ("sharpe", 1.23456, "1.235"),
        ("turnover", 3.14, "3.1 × equity"),
        ("total_commission", 1234.5, "1,234.50"),
        ("max_drawdown_duration_bars", 1234, "1,234"),
        ("trade_count", 1234, "1,234"),
        ("total_return", 2.5e20, "2.50000e+22%"),
        ("total_return", 1.7e308, "1.70000e+310%"),
        ("short.pnl", -1e20, "-1e+20"),
        ("nobody's", 0.123456789, "0.123457"),
    ],
)
def test_a_value_with_its_unit(name: str, value: float, words: str) -> None:
    """A fraction is a percentage however large it is; everything else has its own unit."""
    assert in_words(name, value) == words


def test_no_value() -> None:
    """What is undefined says why."""
    assert in_words("win_rate", None, "no_trades") == "– (no closed trade)"
