"""Give the engine configurations near to good ones, over every component, for half an hour.

    python -m scripts.fuzz_config --minutes 30 --seed 0

Each is either refused, with the field and in words, or is a run whose figures are all finite, or
null with a reason, whose files verify, and which gives the same bytes a second time.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from engine.artifacts import metrics_document, summary_document, validation_document, verify
from engine.config import OWN_TESTS, TIMEFRAME_MS, ExecutionConfig, RunConfig, ValidationConfig
from engine.data import Dataset, DatasetInfo, QualityReport
from engine.errors import ConfigError, DataError, Fault
from engine.execution import slippage_models
from engine.features import indicators
from engine.limits import Limits
from engine.pipeline import RunContext, run
from engine.records import BacktestResult, Candles
from engine.registry import Registry
from engine.risk import sizing_models
from engine.strategy import strategies
from engine.validation import ThreadMapper
from scripts.fuzz_at_length import command
from scripts.fuzz_import import LEAKS

LIMITS = Limits(max_bars=400, max_replicates=30, max_indicators=4)
FIRST_MS = 1_577_836_800_000
KINDS = ("walk", "flat", "steps", "tiny", "huge", "crash", "silent", "no_volume")
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**53, 2**64, 0.5, -0.0, 1e308, -1e308, 1e-320, math.nan, math.inf,
    "", "x", "1", "é\x00\n", "sharpe", [], [1], {}, {"name": "sma"}, {"n": 3}, [[]], "2024-01-31",
)  # fmt: skip
# Asked of a test, not found by it; where nothing was asked for, there is no reason either.
ECHOES = {"block_length", "noise_bps", "seed"}


@dataclass(frozen=True)
class Made:
    """Gives candles of some kind, whatever the configuration names."""

    kind: str
    n_bars: int
    seed: int

    def fingerprint(self, config: RunConfig) -> str:
        """Return what the candles depend on."""
        return f"{self}/{config.timeframe}"

    def datasets(self) -> list[DatasetInfo]:
        """Return nothing."""
        return []

    def n_bars_known(self, config: RunConfig) -> None:
        """Return None, as a file does."""

    def load(self, config: RunConfig) -> Dataset:
        """Return the candles, of the timeframe that is asked for."""
        rng = np.random.default_rng(self.seed)
        n = self.n_bars
        moves = 0.02 * rng.standard_normal(n)
        if self.kind == "flat":
            moves[:] = 0.0
        elif self.kind == "steps":
            moves[rng.random(n) < 0.9] = 0.0
        elif self.kind == "crash":
            moves[n // 2] = -0.99
        scale = {"tiny": 1e-9, "huge": 1e12}.get(self.kind, 100.0)
        close = np.asarray(scale * np.cumprod(1.0 + np.clip(moves, -0.99, 0.5)), np.float64)
        opening = np.concatenate([close[:1], close[:-1]])
        reach = 0.0 if self.kind in {"flat", "steps"} else 0.01
        volume = 1000.0 * rng.integers(0, 4 if self.kind != "silent" else 1, n).astype(np.float64)
        candles = Candles(
            symbol=config.symbol,
            timeframe=config.timeframe,
            ts=FIRST_MS + TIMEFRAME_MS[config.timeframe] * np.arange(n, dtype=np.int64),
            open=opening,
            high=np.maximum(opening, close) * (1 + reach),
            low=np.minimum(opening, close) / (1 + reach),
            close=close,
            volume=None if self.kind == "no_volume" else volume,
        )
        return Dataset(candles, None, QualityReport(rows_in=n, rows_out=n))


@dataclass(frozen=True)
class Case:
    """A configuration and what it is run on."""

    config: dict[str, Any]
    made: Made


def values(schema: Mapping[str, Any], name: str = "") -> st.SearchStrategy[Any]:
    """Return values that a JSON Schema allows, mostly modest, now and then at its bounds."""
    if "anyOf" in schema:
        return st.one_of(*(values(each, name) for each in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kind = schema.get("type")
    default = schema.get("default")
    found: st.SearchStrategy[Any]
    if kind == "integer":
        least = int(schema.get("minimum", schema.get("exclusiveMinimum", -10)))
        most = min(int(schema.get("maximum", least + 40)), least + (25 if name == "n" else 40))
        found = st.integers(least, most)
    elif kind == "number":
        low = float(schema.get("minimum", schema.get("exclusiveMinimum", -1.0)))
        high = float(schema.get("maximum", schema.get("exclusiveMaximum", low + 1e6)))
        bounds = st.sampled_from([low, high, low + 1e-9])
        modest = st.floats(low, min(high, low + 5.0), allow_subnormal=False)
        found = st.one_of(modest, modest, modest, st.floats(low, high), bounds)
    elif kind == "boolean":
        found = st.booleans()
    elif kind == "null":
        found = st.none()
    else:
        found = st.sampled_from(["", "x", "1", "é"])
    return found if default is None or name == "n" else found | st.just(default)


def parameters(schema: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return some of a model's parameters."""
    fields = {name: values(each, name) for name, each in schema.get("properties", {}).items()}
    return st.fixed_dictionaries({}, optional=fields)


def component(registry: Registry[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return any component of a kind with some of its parameters."""

    def named(name: str) -> st.SearchStrategy[dict[str, Any]]:
        params = parameters(registry.params_model(name).model_json_schema())
        return st.fixed_dictionaries({"name": st.just(name)}, optional={"params": params})

    return st.sampled_from(list(registry)).flatmap(named)


def tests() -> st.SearchStrategy[dict[str, Any]]:
    """Return some validation tests, with few replicates."""
    defined = ValidationConfig.model_json_schema()["$defs"]
    fields: dict[str, st.SearchStrategy[Any]] = {
        "statistic": st.sampled_from(["sharpe", "total_return"])
    }
    for name in OWN_TESTS:
        title = "".join(part.title() for part in name.split("_")) + "Config"
        params = parameters(defined[title])
        if "n" in defined[title]["properties"]:  # its default is beyond our limit
            number = st.integers(1, 25)
            params = st.builds(lambda made, n: made | {"n": n}, params, number)
        fields[name] = params
    return st.fixed_dictionaries({}, optional=fields)


def execution() -> st.SearchStrategy[dict[str, Any]]:
    """Return some of the execution's fields."""
    schema = ExecutionConfig.model_json_schema()["properties"]
    fields = {name: values(each) for name, each in schema.items() if name != "slippage_model"}
    fields["slippage_model"] = component(slippage_models)
    return st.fixed_dictionaries({}, optional=fields)


def configs() -> st.SearchStrategy[dict[str, Any]]:
    """Return configurations of which most can be run."""
    day = 86_400_000
    optional: dict[str, st.SearchStrategy[Any]] = {
        "timeframe": st.sampled_from(["1d", "1d", "1d", *TIMEFRAME_MS]),
        "start": st.integers(FIRST_MS - day, FIRST_MS + 50 * day) | st.just("2020-01-15"),
        "end": st.integers(FIRST_MS + 60 * day, FIRST_MS + 500 * day) | st.just("2020-12-31"),
        "calendar": st.sampled_from([None, None, None, "24/7", "XNYS"]),
        "adjust": st.sampled_from(["none", "none", "none", "split_dividend"]),
        "indicators": st.lists(component(indicators), max_size=3),
        "strategy": component(strategies),
        "risk": component(sizing_models),
        "execution": execution(),
        "risk_free_annual": st.floats(-0.5, 1.0),
        "validation": tests(),
        "seed": st.integers(0, 2**53 - 1),
    }
    fixed = {"symbol": st.just("FUZZ"), "plot": st.sampled_from([False] * 60 + [True])}
    return st.fixed_dictionaries(fixed, optional=optional)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to everything in a JSON value but the whole."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, below in items:
        yield (*path, key)
        yield from places(below, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a JSON value with another one in a place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@st.composite
def _near(draw: st.DrawFn) -> dict[str, Any]:
    config = draw(configs())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        path = draw(st.sampled_from(list(places(config))))
        config = changed(config, path, draw(st.sampled_from(JUNK)))
        if not isinstance(config, dict):
            break
    if draw(st.integers(0, 19)) == 0:
        config[draw(st.sampled_from(["symbl", "plots", "name"]))] = 1
    return config


def cases() -> st.SearchStrategy[Case]:
    """Return configurations and candles of every kind."""
    sizes = st.sampled_from([1, 2, 3, 10, 60, 120, 250, 250, 390])
    made = st.builds(Made, st.sampled_from(KINDS), sizes, st.integers(0, 99))
    return st.builds(Case, _near(), made)


def check(case: Case, folder: Path) -> str:
    """Run a configuration twice, and check what came of it."""
    first, second = (_outcome(case, folder / name) for name in ("one", "two"))
    if isinstance(first, str) or isinstance(second, str):
        assert first == second, "the same configuration ends otherwise"
        return str(first).partition(" ")[0]
    assert first.manifest is not None
    assert second.manifest is not None
    assert first.manifest["manifest_hash"] == second.manifest["manifest_hash"], "other bytes"
    assert verify(folder / "one").ok, "the files are not those of the manifest"
    check_figures(first)
    return "run"


def _outcome(case: Case, out: Path) -> BacktestResult | str:
    with ThreadMapper(1) as mapper:
        context = RunContext(limits=LIMITS, provider=case.made, mapper=mapper)
        try:
            return run(case.config, context, out)
        except (ConfigError, DataError) as refused:
            fault = refused
    check_refusal(fault)
    return f"{type(fault).__name__} {fault}"


def check_refusal(refused: ConfigError | DataError) -> None:
    """Check that a refusal is for a person, and names the field where it is about one."""
    faults = refused.faults if isinstance(refused, ConfigError) else (Fault("", str(refused)),)
    assert faults, "refused without a fault"
    for fault in faults:
        assert len(fault.message) >= 5, faults
        assert fault.field or " " in fault.message, faults
        assert fault.field or isinstance(refused, DataError), faults
        assert LEAKS.search(fault.message) is None, fault.message


def check_figures(result: BacktestResult) -> None:
    """Check that every figure is finite, or null with a reason."""
    document = metrics_document(result)
    for path, value in _leaves([summary_document(result), document, validation_document(result)]):
        assert not isinstance(value, float) or math.isfinite(value), f"{path} is {value}"
    reasons = document["reasons"]
    for prefix, figures in (("", document["metrics"]), ("benchmark.", document["benchmark"])):
        for path, value in _leaves(figures):
            name = prefix + ".".join(map(str, path))
            if value is None:
                assert reasons.get(name), f"{name} is null without a reason"
            else:
                assert name not in reasons, f"{name} is {value} and has a reason"
    for test, found in validation_document(result).items():
        _check_nulls(test, found, given=False)
    curve = result.execution.curve
    for name in ("equity", "cash", "position"):
        assert np.isfinite(getattr(curve, name)).all(), f"{name} is not finite"


def _check_nulls(where: str, found: Mapping[str, Any], *, given: bool) -> None:
    """Check that what a test could not say has a reason beside it or above it."""
    has_reason = given or any(found[name] for name in found if name.endswith("reason"))
    for name, value in found.items():
        if isinstance(value, Mapping):
            _check_nulls(f"{where}.{name}", value, given=has_reason)
        elif value is None and not _is_echo(name):
            assert has_reason, f"{where}.{name} is null without a reason"


def _is_echo(name: str) -> bool:
    return name in ECHOES or name.endswith("reason")


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    items: Any
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        yield path, value
        return
    for key, below in items:
        yield from _leaves(below, (*path, key))


if __name__ == "__main__":
    sys.exit(command(__doc__, cases, check, examples=100))
