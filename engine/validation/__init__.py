"""Validation: whether to believe a backtest."""

from engine.validation.causality import Targets, check_causality

__all__ = ["Targets", "check_causality"]
