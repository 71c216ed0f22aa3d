"""Validation: whether to believe a backtest."""

from engine.validation import (  # they register
    block_bootstrap as _block_bootstrap,
    monte_carlo as _monte_carlo,
    permutation as _permutation,
    walk_forward as _walk_forward,
)
from engine.validation.causality import BAR_MOVE, check_causality
from engine.validation.cluster import ClusterMapper
from engine.validation.replicates import MappedReplicates, Mapper, ThreadMapper
from engine.validation.scoring import REASONS, chance_in_words, p_value
from engine.validation.test import Replicates, Subject, ValidationTest, as_report, validation_tests

__all__ = [
    "BAR_MOVE",
    "REASONS",
    "ClusterMapper",
    "MappedReplicates",
    "Mapper",
    "Replicates",
    "Subject",
    "ThreadMapper",
    "ValidationTest",
    "as_report",
    "chance_in_words",
    "check_causality",
    "p_value",
    "validation_tests",
]
del _block_bootstrap, _monte_carlo, _permutation, _walk_forward
