"""Execution: target weights in, fills, trades and an equity curve out."""

from engine.execution.loop import BarLoop, Shock, kernel_is_compiled, load_kernel, replay
from engine.execution.simulator import simulate
from engine.execution.slippage import SlippageCoefficients, SlippageModel, slippage_models

__all__ = [
    "BarLoop",
    "Shock",
    "SlippageCoefficients",
    "SlippageModel",
    "kernel_is_compiled",
    "load_kernel",
    "replay",
    "simulate",
    "slippage_models",
]
