"""Metrics: what a backtest earned and at what risk."""

from engine.metrics.measured import REASONS
from engine.metrics.summary import HEADLINE, measure

__all__ = ["HEADLINE", "REASONS", "measure"]
