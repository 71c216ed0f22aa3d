"""Strategies: shifted features and candles in, a signal of -1, 0 or +1 for each bar out."""

from engine.strategy import buy_and_hold as _buy_and_hold, dual_sma as _dual_sma  # they register
from engine.strategy.strategy import Strategy, StrategyView, compute_signals, strategies

__all__ = ["Strategy", "StrategyView", "compute_signals", "strategies"]
del _buy_and_hold, _dual_sma
