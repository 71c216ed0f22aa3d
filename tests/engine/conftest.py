"""Candles to compute from."""

from collections.abc import Callable

import numpy as np
import pytest

from engine.records import Candles

DAY_MS = 86_400_000


def walk(n_bars: int, seed: int = 0, *, with_volume: bool = True) -> Candles:
    """Return a random walk of daily bars whose prices stay below 1."""
    rng = np.random.default_rng(seed)
    close = np.full(n_bars, 0.5) * np.cumprod(1 + rng.uniform(-0.02, 0.02, n_bars))
    open_ = close * rng.uniform(0.99, 1.01, n_bars)
    high = np.maximum(open_, close) * rng.uniform(1.0, 1.02, n_bars)
    low = np.minimum(open_, close) * rng.uniform(0.98, 1.0, n_bars)
    volume = rng.integers(1, 1000, n_bars).astype(np.float64) if with_volume else None
    ts = np.arange(n_bars, dtype=np.int64) * DAY_MS
    return Candles("X", "1d", ts, open_, high, low, close, volume)


@pytest.fixture(name="walk", scope="session")
def walk_fixture() -> Callable[..., Candles]:
    return walk
