"""A number, or null with the reason why it is not defined."""

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Measured:
    """``value`` is finite, or None with a ``reason``."""

    value: float | None
    reason: str | None = None

    def finite(self) -> Self:
        """Return itself, or null ``overflow`` where the value has left the finite numbers."""
        if self.value is None or math.isfinite(self.value):
            return self
        return type(self)(None, "overflow")


def null(reason: str) -> Measured:
    """Return an undefined number; ``reason`` is one of ``REASONS``."""
    return Measured(None, reason)


# Why a number is not defined, as a person reads it.
REASONS = {
    "fewer_than_2_bars": "fewer than 2 bars",
    "fewer_than_3_bars": "fewer than 3 bars",
    "zero_volatility": "zero volatility",
    "no_downside": "no losing bar",
    "no_drawdown": "no drawdown",
    "no_trades": "no closed trade",
    "no_losses": "no losing trade",
    "no_wins": "no winning trade",
    "sharpe_not_positive": "Sharpe not above 0",
    "radicand_not_positive": "moments too extreme",
    "overflow": "too large a number",
}
