"""Candles for imports by ``soak.py``, drawn from a seed."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FIRST_MS, HOUR_MS = 1_262_304_000_000, 3_600_000


def candle_columns(rows: int, seed: int) -> dict[str, Any]:
    """Return hourly candles of a random walk like no other."""
    rng = np.random.default_rng(seed)
    close = 100.0 + np.cumsum(rng.integers(-50, 51, rows)) / 100.0
    close += 1.0 - min(0.0, close.min())
    opening = np.concatenate([close[:1], close[:-1]])
    return {
        "timestamp": FIRST_MS + HOUR_MS * np.arange(rows, dtype=np.int64),
        "open": opening,
        "high": np.maximum(opening, close) + 0.25,
        "low": np.minimum(opening, close) - 0.25,
        "close": close,
        "volume": rng.integers(1, 10_000, rows).astype(np.float64),
    }


def candle_file(rows: int, seed: int, *, parquet: bool) -> bytes:
    """Return such candles as a file."""
    columns = candle_columns(rows, seed)
    if parquet:
        sink = io.BytesIO()
        pq.write_table(pa.table(columns), sink)
        return sink.getvalue()
    lines = [",".join(columns)]
    lines += [f"{t},{o:.2f},{h:.2f},{low:.2f},{c:.2f},{v:.0f}"
              for t, o, h, low, c, v in zip(*columns.values(), strict=True)]  # fmt: skip
    return "\n".join(lines).encode()
