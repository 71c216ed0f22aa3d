"""Buy and hold: what has nothing to show shows nothing, to the last digit."""

import numpy as np
import pytest

from engine.metrics import kernel
from engine.metrics.benchmark import buy_and_hold


@pytest.mark.parametrize("price", [168.89, 0.07, 100.0, 1 / 3])
@pytest.mark.parametrize("cash", [1e3, 1e5, 1e6])
def test_a_price_that_stays(price: float, cash: float) -> None:
    """Nothing is gained or lost, and the Sharpe is undefined."""
    equity, figures = buy_and_hold(np.full(50, price), cash, 252.0, 0.0, kernel)
    assert equity.tolist() == [cash] * 50
    assert figures["total_return"].value == figures["max_drawdown"].value == 0.0
    assert (figures["sharpe"].value, figures["sharpe"].reason) == (None, "zero_volatility")


def test_the_first_bar_earns_nothing() -> None:
    """E_0 is the cash itself, whatever the first close."""
    closes = np.random.default_rng(0).uniform(0.01, 500, 1000).round(2)
    for close in closes:
        equity, _ = buy_and_hold(np.array([close, 2 * close]), 1e6, 252.0, 0.0, kernel)
        assert equity.tolist() == [1e6, 2e6]
