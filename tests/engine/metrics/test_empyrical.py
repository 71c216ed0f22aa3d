"""The metrics of a run over the sample against the empyrical library."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.pipeline import run
from engine.records import BacktestResult

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its imports, which are not ours to mend
    import empyrical

P = 252
RISK_FREE_ANNUAL = 0.03
RISK_FREE = math.pow(1 + RISK_FREE_ANNUAL, 1 / P) - 1
FUNCTIONS: dict[str, Callable[[Any], float]] = {
    "total_return": empyrical.cum_returns_final,
    "cagr": lambda r: empyrical.annual_return(r, annualization=P),
    "volatility": lambda r: empyrical.annual_volatility(r, annualization=P),
    "sharpe": lambda r: empyrical.sharpe_ratio(r, risk_free=RISK_FREE, annualization=P),
    "sortino": lambda r: empyrical.sortino_ratio(r, required_return=RISK_FREE, annualization=P),
    "max_drawdown": empyrical.max_drawdown,
    "calmar": lambda r: empyrical.calmar_ratio(r, annualization=P),
}
OF_BENCHMARK = ("total_return", "cagr", "sharpe", "max_drawdown")


@pytest.fixture(scope="module")
def result() -> BacktestResult:
    config = {
        "symbol": "SPX",
        "provider": "sample",
        "risk_free_annual": RISK_FREE_ANNUAL,
        "execution": {"commission_bps": 1.0, "slippage_bps": 2.0, "borrow_bps": 50.0},
        "plot": False,
    }
    return run(config)


def _returns(equity: Any, initial: float) -> Any:
    before = np.concatenate([[initial], equity[:-1]])
    return equity / before - 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_strategy(name: str, result: BacktestResult) -> None:
    """Twenty years of the dual moving average have the figures that empyrical computes."""
    returns = _returns(result.execution.curve.equity, result.config.execution.initial_cash)
    assert len(returns) == 5031
    assert result.execution.trades.side.min() == -1
    assert result.metrics.values[name] == pytest.approx(FUNCTIONS[name](returns), rel=1e-9)


@pytest.mark.parametrize("name", OF_BENCHMARK)
def test_benchmark(name: str, result: BacktestResult) -> None:
    """Holding the index has the figures that empyrical computes, its first return being 0."""
    close = result.candles.close
    returns = _returns(close, close[0])
    assert result.metrics.benchmark[name] == pytest.approx(FUNCTIONS[name](returns), rel=1e-9)
