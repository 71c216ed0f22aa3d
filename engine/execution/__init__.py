"""Execution: target weights in, fills, trades and an equity curve out."""

from engine.execution.simulator import kernel_is_compiled, load_kernel, simulate
from engine.execution.slippage import SlippageCoefficients, SlippageModel, slippage_models

__all__ = [
    "SlippageCoefficients",
    "SlippageModel",
    "kernel_is_compiled",
    "load_kernel",
    "simulate",
    "slippage_models",
]
