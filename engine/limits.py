"""Limits: how much one run may ask for, and a file of candles may hold.

What is beyond one is refused by the name of the setting that raises it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run may ask for; none of them changes a result."""

    max_bars: int = 2_000_000
    max_replicates: int = 100_000
    max_indicators: int = 64


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The most that a file may hold; what is beyond is refused while it is read."""

    max_rows: int = 5_000_000
    max_columns: int = 64
    max_line_bytes: int = 65_536
    max_unpacked_bytes: int = 256 * 2**20
