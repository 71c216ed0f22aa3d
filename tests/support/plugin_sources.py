"""Sources of plugins, as tests write them into a file."""

from collections.abc import Callable
from typing import Any

from engine.plugins import REGISTRIES

Studio = Callable[..., Any]
SAMPLE: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "plot": False, "end": "2003-12-31"}

STRATEGY = """
import numpy as np
from engine.registry import Params
from engine.strategy import strategies

@strategies.register("mine", Params)
class Mine:
    \"\"\"Mine.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view):
        return BODY
"""


def forget() -> None:
    """Take every plugin's components out of the registries."""
    for registry in REGISTRIES.values():
        for name in [name for name in registry if registry.source(name)]:
            registry.remove(name)


TEST = """
from engine.records import ValidationReport
from engine.registry import Params
from engine.validation import validation_tests

@validation_tests.register("odd", Params)
class Odd:
    \"\"\"Odd.\"\"\"
    def __init__(self, params): pass
    def run(self, subject, replicates):
        return BODY
"""
COMPONENTS = """
import numpy as np
from engine.execution import SlippageCoefficients, slippage_models
from engine.features import indicators
from engine.registry import Params
from engine.risk import sizing_models

class Base:
    \"\"\"Base.\"\"\"
    needs_volume = False
    def __init__(self, params): pass
    def features(self): return []
    def compute(self, inputs): return {"": np.ones(2)}
    def sizes(self, view): return np.full(len(view.signals), -1.0)
    def coefficients(self, candles): return SlippageCoefficients(np.ones(2), np.ones(2))

indicators.register("short", Params)(Base)
sizing_models.register("negative", Params)(Base)
slippage_models.register("two", Params)(Base)
"""
