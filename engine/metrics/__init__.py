"""Metrics: what a backtest earned and at what risk.

What is measured with arrays is imported when it is first asked for, so that ``definitions`` can be
read without numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.metrics.measured import REASONS, Measured, null
    from engine.metrics.returns import per_bar_returns, rf_per_bar, sharpe_of_returns
    from engine.metrics.summary import HEADLINE, measure

__all__ = [
    "HEADLINE",
    "REASONS",
    "Measured",
    "measure",
    "null",
    "per_bar_returns",
    "rf_per_bar",
    "sharpe_of_returns",
]
_HOMES = {
    "HEADLINE": "summary",
    "REASONS": "measured",
    "Measured": "measured",
    "measure": "summary",
    "null": "measured",
    "per_bar_returns": "returns",
    "rf_per_bar": "returns",
    "sharpe_of_returns": "returns",
}

if not TYPE_CHECKING:  # a type checker knows the names from above, and no others

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
