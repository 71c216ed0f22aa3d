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
    """Return an undefined number."""
    return Measured(None, reason)
