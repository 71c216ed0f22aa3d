"""Plugins within validation: what they may keep, what they must return, how they fail."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import LookaheadError, PluginError
from engine.identity import json_bytes
from engine.pipeline import RunContext, Silent, run
from engine.plan import make_plan
from engine.plugins import LoadedPlugins, Plugin, load_plugins
from engine.records import BacktestResult
from engine.validation import ThreadMapper

RAW: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "end": "2000-12-31", "plot": False}
HEAD = """
import numpy as np
from engine.execution import SlippageCoefficients, slippage_models
from engine.features import indicators
from engine.records import ValidationReport
from engine.registry import Params
from engine.strategy import strategies
from engine.validation import validation_tests
"""
COUNTS_MARKETS = """
@slippage_models.register("counting", Params)
class Counting:
    \"\"\"Costs more with every call.\"\"\"
    needs_volume = False
    def __init__(self, params): self.calls = 0
    def coefficients(self, candles):
        self.calls += 1
        return SlippageCoefficients(np.full(len(candles), 1e-4 * self.calls), np.zeros(len(candles)))

@strategies.register("remembers", Params)
class Remembers:
    \"\"\"Trades the other way with every call.\"\"\"
    def __init__(self, params): self.side = -1
    def features(self): return []
    def signals(self, view):
        self.side = -self.side
        return self.side * np.where(view.candles.close > view.candles.open, 1, -1)
"""
TASK = """
class Task:
    def run(self, numbers, check_cancelled):
        return ROWS

@validation_tests.register("rows", Params)
class Rows:
    \"\"\"Rows.\"\"\"
    def __init__(self, params): pass
    def run(self, subject, replicates):
        rows = [replicates(Task(), n) for n in NUMBERS]
        return ValidationReport({"sum": float(sum(each.sum() for each in rows))})
"""
SOMETIMES = """
@indicators.register("shifty", Params)
class Shifty:
    \"\"\"Has another output where the last bar fell.\"\"\"
    needs_volume = False
    def __init__(self, params): pass
    def compute(self, inputs):
        close = inputs.candles.close
        return {f"digit{int(close[-1] * 1e6) % 10}": close}
"""
NEVER_DEFINED = """
from engine.features import FeatureSpec
@strategies.register("late", Params)
class Late:
    \"\"\"Reads what is never defined, and the future.\"\"\"
    def __init__(self, params): pass
    def features(self): return [FeatureSpec("sma", {"length": 100000})]
    def signals(self, view):
        close = view.candles.close
        return np.where(np.append(close[3:], close[-3:]) > close, 1, -1)
"""


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[str], Plugin]]:
    """Load a plugin from its source, and take it out again afterwards."""
    loaded: list[Plugin] = []

    def call(source: str) -> Plugin:
        path = tmp_path / f"mine{len(loaded)}.py"
        path.write_text(HEAD + source, encoding="utf-8")
        loaded.extend(load_plugins([path]))
        return loaded[-1]

    yield call
    for plugin in loaded:
        plugin.unload()


def documents(result: BacktestResult) -> list[bytes]:
    return [json_bytes(report.document) for report in result.validation.values()]


def test_components_keep_nothing(load: Callable[[str], Plugin]) -> None:
    """What a plugin's model keeps from call to call reaches no other replicate, nor another run."""
    load(COUNTS_MARKETS)
    raw = RAW | {
        "strategy": {"name": "remembers"},
        "execution": {"slippage_model": {"name": "counting"}},
        "validation": {"permutation": {"n": 12}, "monte_carlo": {"n": 12}, "walk_forward": {}},
    }
    results = []
    for threads, portion in ((1, None), (2, 1), (3, 5)):
        with ThreadMapper(threads, portion) as mapper:
            results.append(run(raw, RunContext(mapper=mapper)))
    assert documents(results[0]) == documents(results[1]) == documents(results[2])
    grid = results[0].validation["monte_carlo"].document["cost_grid"]
    total = results[0].metrics.values["total_return"]
    assert grid[1]["total_return"] == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    "rows",
    ["np.zeros((len(numbers) - 1, 1))", "np.zeros(len(numbers))", "[[0.0]] * len(numbers)", "None",
     "np.zeros((len(numbers), 1 + (0 in numbers)))", "np.full((len(numbers), 1), 'x')"],
)  # fmt: skip
def test_missing_rows_are_no_result(load: Callable[[str], Plugin], rows: str) -> None:
    """A task that does not give one row for each replicate fails the run."""
    load(TASK.replace("ROWS", rows).replace("NUMBERS", "[70]"))
    with pytest.raises(PluginError, match="must give a row of numbers for each replicate"):
        run(RAW | {"validation": {"rows": {}}})


def test_no_replicates_are_refused(load: Callable[[str], Plugin]) -> None:
    """A test that asks for none is told so."""
    load(TASK.replace("ROWS", "None").replace("NUMBERS", "[0]"))
    with pytest.raises(PluginError, match="at least one replicate"):
        run(RAW | {"validation": {"rows": {}}})


class Told(Silent):
    """Notes progress."""

    def __init__(self) -> None:
        self.fractions: list[float] = []
        self.tests: list[tuple[str, int, int]] = []

    def progress(self, fraction: float) -> None:
        self.fractions.append(fraction)

    def validation(self, test: str, completed: int, total: int) -> None:
        self.tests.append((test, completed, total))


def test_progress_never_goes_back(load: Callable[[str], Plugin]) -> None:
    """A test that maps twice, and one that maps nothing, only ever come further."""
    load(TASK.replace("ROWS", "np.zeros((len(numbers), 1))").replace("NUMBERS", "[70, 90]"))
    told = Told()
    run(RAW | {"validation": {"rows": {}, "walk_forward": {}}}, RunContext(observer=told))
    assert told.fractions == sorted(told.fractions)
    assert ("rows", 90, 90) in told.tests
    assert [t for t in told.tests if t[0] == "walk_forward"] == [("walk_forward", i, 5) for i in range(1, 6)]  # fmt: skip


def test_outputs_that_depend_on_the_future(load: Callable[[str], Plugin]) -> None:
    """A series that is there only in some futures is look-ahead, and no error inside."""
    load(SOMETIMES)
    with pytest.raises(LookaheadError, match=r"whether there is the feature shifty_digit\d"):
        run(RAW | {"indicators": [{"name": "shifty"}]})


def test_features_that_are_never_defined(load: Callable[[str], Plugin]) -> None:
    """Where no bar has every feature the cuts lie anywhere: looking ahead is found all the same."""
    load(NEVER_DEFINED)
    with pytest.raises(LookaheadError, match="the signal"):
        run(RAW | {"strategy": {"name": "late"}})


def test_a_reserved_name_is_refused(tmp_path: Path) -> None:
    """A test cannot be called what a configuration means by another word."""
    path = tmp_path / "mine.py"
    path.write_text(HEAD + TASK.replace('"rows"', '"statistic"'), encoding="utf-8")
    with pytest.raises(Exception, match="no validation test can be called 'statistic'"):
        load_plugins([path])


def test_a_limit_knows_numbers_only(load: Callable[[str], Plugin]) -> None:
    """A test's n that is not a number is not held against the limit of replicates."""
    load(TASK.replace("Params)", "WithN)").replace("class Task", "class WithN(Params):\n    n: int | None = None\n\nclass Task"))  # fmt: skip
    assert make_plan(RAW | {"validation": {"rows": {}}}).config.to_json()["validation"]["rows"] == {"n": None}  # fmt: skip


def test_a_worker_takes_the_newer_version(load: Callable[[str], Plugin]) -> None:
    """Plugins that come from elsewhere take the place of older ones of the same name."""
    older = load(COUNTS_MARKETS)
    sources = LoadedPlugins.here().sources
    assert set(sources) == {older.sha256}
    newer = HEAD + COUNTS_MARKETS + "# edited\n"
    digest = "f" * 64
    LoadedPlugins({digest: ("mine.py", newer.encode())})()
    raw = RAW | {"strategy": {"name": "remembers"}}
    (now,) = make_plan(raw).plugins
    assert now != older.sha256
    LoadedPlugins(sources)()
    assert make_plan(raw).plugins == (older.sha256,)
    assert json.dumps(make_plan(raw).config.to_json())
