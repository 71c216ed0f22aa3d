"""Metrics: what a backtest earned and at what risk."""

from engine.metrics.measured import REASONS, Measured, null
from engine.metrics.returns import per_bar_returns, rf_per_bar, sharpe_of_returns
from engine.metrics.summary import HEADLINE, measure, measure_account

__all__ = [
    "HEADLINE",
    "REASONS",
    "Measured",
    "measure",
    "measure_account",
    "null",
    "per_bar_returns",
    "rf_per_bar",
    "sharpe_of_returns",
]
