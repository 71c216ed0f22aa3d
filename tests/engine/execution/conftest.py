"""A builder of small simulations."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from engine.config import ExecutionConfig
from engine.execution import load_kernel, simulate
from engine.execution.slippage import slippage_models
from engine.records import Candles, Execution

DAY_MS = 86_400_000
Bar = float | tuple[float, float, float, float]


def simulate_bars(
    bars: Sequence[Bar],
    weights: Sequence[float],
    *,
    volume: Sequence[float] | None = None,
    vwap: Sequence[float] | None = None,
    days: Sequence[int] | None = None,
    model: tuple[str, dict[str, float]] | None = None,
    **config: Any,
) -> Execution:
    """Simulate bars that are (open, high, low, close), or one price for all four.

    Daily bars from 1970 on, or on the ``days`` given; 1,000 of initial cash unless told otherwise.
    """
    rows = [bar if isinstance(bar, tuple) else (bar,) * 4 for bar in bars]
    opens, highs, lows, closes = (
        np.array(prices, dtype=float) for prices in zip(*rows, strict=True)
    )
    candles = Candles(
        "TEST",
        "1d",
        np.array(days or range(len(bars)), dtype=np.int64) * DAY_MS,
        opens,
        highs,
        lows,
        closes,
        volume=None if volume is None else np.array(volume, dtype=float),
        vwap=None if vwap is None else np.array(vwap, dtype=float),
    )
    built = None
    if model is not None:
        name, params = model
        built = slippage_models.build(name, slippage_models.check(name, params, "slippage_model"))
    return simulate(
        candles,
        np.array(weights, dtype=float),
        ExecutionConfig(**{"initial_cash": 1_000.0} | config),
        built,
        check_cancelled=lambda: None,
        report_progress=lambda _: None,
        kernel=load_kernel("auto"),
    )


@pytest.fixture
def run() -> Callable[..., Execution]:
    """Return the builder, so that a scenario is one call."""
    return simulate_bars
