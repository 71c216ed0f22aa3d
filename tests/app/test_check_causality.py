"""The command ``check-causality``: it finds components that look ahead, and passes honest ones."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.plugins import REGISTRIES

Studio = Callable[..., Any]
HEAD = """
import numpy as np
from engine.features import FeatureSpec, indicators
from engine.registry import Params
from engine.risk import sizing_models
from engine.strategy import strategies
from pydantic import Field

class WithLength(Params):
    length: int = Field(20, ge=1)
"""
HONEST = """
@strategies.register("honest", Params)
class Honest:
    \"\"\"Long after an up day.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view): return (view.candles.close > view.candles.open).astype(int)
"""
IN_FEATURES = """
@indicators.register("ahead", Params)
class Ahead:
    \"\"\"Divides by the mean of all bars.\"\"\"
    needs_volume = False
    def __init__(self, params): pass
    def compute(self, inputs): return {"": inputs.candles.close / inputs.candles.close.mean()}
"""
IN_SIGNALS = """
@strategies.register("prophet", Params)
class Prophet:
    \"\"\"Long before an up day.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view):
        close = view.candles.close
        return np.where(np.append(close[1:], close[-1]) > close, 1, -1)
"""
IN_SIZING = """
@sizing_models.register("hindsight", Params)
class Hindsight:
    \"\"\"Sizes by the last close of all.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def sizes(self, view):
        close = view.candles.close
        return np.where(close < close[-1], 0.9, 0.1)
"""
NEEDS = """
@strategies.register("needs", WithLength)
class Needs:
    \"\"\"Reads an average of that length.\"\"\"
    def __init__(self, params): self.params = params
    def features(self): return [FeatureSpec("sma", {"length": self.params.length})]
    def signals(self, view):
        return (view.candles.close > view.features[f"sma_{self.params.length}"]).astype(int)
"""
SLIPPAGE = """
from engine.execution import slippage_models
@slippage_models.register("free", Params)
class Free:
    \"\"\"Costs nothing.\"\"\"
    needs_volume = False
    def __init__(self, params): pass
    def coefficients(self, candles): return None
"""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Take what a command loaded out of the registries."""
    yield
    for registry in REGISTRIES.values():
        for name in [name for name in registry if registry.source(name)]:
            registry.remove(name)


@pytest.fixture
def check(studio: Studio, tmp_path: Path) -> Studio:
    """Run the command on a plugin made of parts."""

    def call(*parts: str, arguments: tuple[str, ...] = ()) -> Any:
        file = tmp_path / "mine.py"
        file.write_text(HEAD + "".join(parts), encoding="utf-8")
        return studio("check-causality", "--plugins", file, *arguments)

    return call


def test_an_honest_plugin_passes(check: Studio) -> None:
    """Every component is named with the number of futures that it stood."""
    ended = check(HONEST, SLIPPAGE)
    assert (ended.code, ended.err) == (0, "")
    assert "ok     strategy honest: 40 other futures changed nothing before them" in ended.out
    assert "Slippage models and validation tests decide nothing" in ended.out


@pytest.mark.parametrize(
    ("part", "name", "series"),
    [
        (IN_FEATURES, "indicator ahead", "the feature ahead"),
        (IN_SIGNALS, "strategy prophet", "the signal"),
        (IN_SIZING, "sizing model hindsight", "the target weight"),
    ],
)
def test_peeking_is_found_wherever_it_is(check: Studio, part: str, name: str, series: str) -> None:
    """Looking ahead in features, signals or sizing fails with component, series and bar."""
    ended = check(HONEST, part)
    assert ended.code == 4
    assert "ok     strategy honest" in ended.out
    assert f"FAILED {name}: look-ahead: {series} at bar " in ended.out
    assert ended.err == f"studio: {name} knows bars that are still to come\n"


def test_one_strategy_alone(check: Studio, studio: Studio) -> None:
    """--strategy leaves the others out; it may be one of ours, without any plugin."""
    ended = check(HONEST, IN_SIGNALS, arguments=("--strategy", "honest"))
    assert ended.code == 0
    assert "prophet" not in ended.out
    assert studio("check-causality", "--strategy", "dual_sma").code == 0


def test_parameters_can_be_given(check: Studio) -> None:
    """--set reaches the component that is checked."""
    assert check(NEEDS, arguments=("--set", "strategy.params.length=7")).code == 0


def test_parameters_are_checked(check: Studio) -> None:
    """What --set gives is refused where the component does not take it."""
    ended = check(NEEDS, arguments=("--set", "strategy.params.length=0"))
    assert (ended.code, "strategy.params.length: should be greater" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name a plugin with a strategy, sizing model or indicator, or a --strategy"),
        (("--strategy", "dual_sm"), "did you mean 'dual_sma'"),
        (("--plugins", "none.py"), "none.py cannot be read"),
    ],
)
def test_nothing_to_check_is_said(studio: Studio, arguments: tuple[str, ...], words: str) -> None:
    """Without a component, or with one that is not there, the command says what it needs."""
    ended = studio("check-causality", *arguments)
    assert (ended.code, words in ended.err) == (2, True)


def test_only_slippage_is_nothing_to_check(check: Studio) -> None:
    """A plugin of slippage models alone has nothing that could look ahead."""
    assert check(SLIPPAGE).code == 2
