"""Execution: target weights in, fills, trades and an equity curve out."""

from engine.execution.loop import BarLoop, Markets, Shock, load_kernel
from engine.execution.simulator import simulate
from engine.execution.slippage import (
    SlippageCoefficients,
    SlippageModel,
    check_volume,
    slippage_models,
)

__all__ = [
    "BarLoop",
    "Markets",
    "Shock",
    "SlippageCoefficients",
    "SlippageModel",
    "check_volume",
    "load_kernel",
    "simulate",
    "slippage_models",
]
