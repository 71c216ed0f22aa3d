"""Limits: how much one run may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run may ask for; none of them changes a result."""

    max_bars: int = 2_000_000
    max_replicates: int = 100_000
    max_indicators: int = 64
