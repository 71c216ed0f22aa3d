"""One suite for every registered component: whoever registers one gets all of it for nothing.

Each check is a plain function of a registry and a name; ``test_conformance_bites.py`` shows that
each of them fails for a component that breaks its rule.
"""

import functools
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from engine.errors import ConfigError
from engine.execution import slippage_models
from engine.features import (
    FeatureSpec,
    IndicatorInput,
    ShiftedCandles,
    build_feature,
    compute_features,
    first_defined_bar,
    indicators,
    shift,
)
from engine.records import Candles, freeze
from engine.registry import MAX_INTEGER, Registry
from engine.risk import SizingView, sizing_models, target_weights
from engine.strategy import StrategyView, strategies

Array = NDArray[Any]
REGISTRIES: tuple[Registry[Any], ...] = (indicators, strategies, sizing_models, slippage_models)
EVERY = [
    pytest.param(registry, name, id=f"{registry.kind}: {name}")
    for registry in REGISTRIES
    for name in registry
]
COLUMNS = ("open", "high", "low", "close", "volume", "vwap")
N_BARS = 320
N_THREADS = 4


@dataclass(frozen=True)
class Market:
    """Candles, and the signals of a strategy that a sizing model does not know."""

    candles: Candles
    signals: Array

    def __post_init__(self) -> None:
        freeze(self.signals)

    def first(self, n_bars: int) -> "Market":
        """Return the first bars alone."""
        arrays: dict[str, Any] = {
            name: getattr(self.candles, name)[:n_bars].copy() for name in ("ts", *COLUMNS)
        }
        return Market(replace(self.candles, **arrays), self.signals[:n_bars].copy())

    def with_other_future(self, cut: int) -> "Market":
        """Return the market with another random walk after bar ``cut``, from its close on."""
        rng = np.random.default_rng(cut)
        n_later = len(self.candles) - cut - 1
        close = self.candles.close[cut] * np.cumprod(1 + rng.uniform(-0.05, 0.05, n_later))
        later = candles(close, rng)
        arrays: dict[str, Any] = {
            name: np.append(getattr(self.candles, name)[: cut + 1], getattr(later, name))
            for name in COLUMNS
        }
        # The signal of bar cut + 1 is made from bars up to the cut.
        signals = np.append(self.signals[: cut + 2], rng.integers(-1, 2, n_later)[1:])
        return Market(replace(self.candles, **arrays), signals)


def candles(close: Array, rng: np.random.Generator, spread: float = 0.01) -> Candles:
    n = len(close)
    open_ = close * rng.uniform(1 - spread, 1 + spread, n)
    high = np.maximum(open_, close) * rng.uniform(1, 1 + spread, n)
    low = np.minimum(open_, close) * rng.uniform(1 - spread, 1, n)
    volume = rng.integers(1, 1000, n).astype(np.float64)
    ts = np.arange(n, dtype=np.int64) * 86_400_000
    return Candles("X", "1d", ts, open_, high, low, close, volume, (high + low + close) / 3)


@functools.cache
def market(kind: str = "plain", n_bars: int = N_BARS) -> Market:
    """Return a market by its kind; a plain one has prices below 1 and no bar without volume."""
    rng = np.random.default_rng(7)
    steps = np.cumprod(1 + rng.uniform(-0.02, 0.02, n_bars))
    price = {"plain": 0.5, "dear": 5000.0, "tiny": 1e-300, "huge": 1e300}.get(kind, 100.0)
    close = np.full(n_bars, price) if kind == "constant" else price * steps
    made = candles(close, rng, spread=0 if kind == "constant" else 0.01)
    if kind in {"untraded", "constant"}:
        traded = np.arange(n_bars) < (180 if kind == "untraded" else 0)
        made = replace(made, volume=np.where(traded, 500.0, 0.0))
    return Market(made, rng.integers(-1, 2, n_bars))


def properties(registry: Registry[Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = registry.params_model(name).model_json_schema()["properties"]
    return found


def variants(registry: Registry[Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield parameters: the defaults, every switch and choice, each with the shortest windows."""
    told = properties(registry, name)
    choices: list[dict[str, Any]] = [{}]
    for title, field in told.items():
        values = [False, True] if field.get("type") == "boolean" else field.get("enum", [])
        choices += [{title: value} for value in values if value != field["default"]]
    shortest = {k: f["minimum"] for k, f in told.items() if f.get("type") == "integer"}
    yield from choices
    if shortest:
        yield from (choice | shortest for choice in choices)


def prepared(
    registry: Registry[Any], name: str, given: Market, params: Mapping[str, Any]
) -> tuple[Callable[[], dict[str, Array]], list[Array]]:
    """Return what runs a new component over a market, and every array that it can read."""
    checked = registry.check(name, dict(params), "component")
    component = registry.build(name, checked)
    inputs = IndicatorInput(given.candles, 252.0)
    arrays = [getattr(given.candles, column) for column in ("ts", *COLUMNS)]
    if registry.kind == indicators.kind:
        return lambda: {
            title: shift(series) for title, series in component.compute(inputs).items()
        }, arrays
    if registry.kind == slippage_models.kind:
        return lambda: dict(vars(component.coefficients(given.candles))), arrays
    shifted = ShiftedCandles(given.candles)
    specs: Sequence[FeatureSpec] = component.features()
    read = compute_features((build_feature(s, name) for s in specs), inputs, lambda: None)
    arrays += [*read.values(), *(getattr(shifted, column) for column in COLUMNS), given.signals]
    if registry.kind == strategies.kind:
        view = StrategyView(read, shifted)
        return lambda: {"signals": component.signals(view)}, arrays
    sizing = SizingView(given.signals, read, shifted, min(3, len(given.candles)))
    return lambda: {
        "sizes": component.sizes(sizing),
        "weights": target_weights(component, sizing),
    }, arrays


def outputs(
    registry: Registry[Any], name: str, given: Market, params: Mapping[str, Any]
) -> dict[str, Array]:
    return prepared(registry, name, given, params)[0]()


def in_bytes(columns: Mapping[str, Array], known: slice = slice(None)) -> dict[str, bytes]:
    return {title: column[known].tobytes() for title, column in columns.items()}


def check_parameters(registry: Registry[Any], name: str) -> None:
    schema = registry.params_model(name).model_json_schema()
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert schema["additionalProperties"] is False
    assert registry.description(name)
    registry.build(name, registry.check(name, {}, "component"))
    for title, field in schema["properties"].items():
        assert field.get("description"), f"{title} is not described"
        assert "default" in field, f"{title} has no default"
        if field.get("type") not in {"integer", "number"}:
            continue
        assert {"minimum", "exclusiveMinimum"} & set(field), f"{title} has no lower bound"
        far = MAX_INTEGER if field["type"] == "integer" else 1e300
        for value in (-far, far):
            with pytest.raises(ConfigError) as caught:
                registry.check(name, {title: value}, "component")
            assert f"component.params.{title}" in {fault.field for fault in caught.value.faults}


def check_round_trip(registry: Registry[Any], name: str) -> None:
    for params in variants(registry, name):
        checked = registry.check(name, params, "component")
        dumped = checked.model_dump()
        assert registry.check(name, dumped, "component") == checked
        text = json.dumps(checked.model_dump(mode="json"), allow_nan=False)
        assert registry.check(name, json.loads(text), "component").model_dump() == dumped
        for title in dumped:
            with pytest.raises(ValidationError):
                setattr(checked, title, dumped[title])


def check_inputs(registry: Registry[Any], name: str) -> None:
    for params in variants(registry, name):
        run, arrays = prepared(registry, name, market(), params)
        assert not any(array.flags.writeable for array in arrays)
        before = [array.tobytes() for array in arrays]
        run()
        assert [array.tobytes() for array in arrays] == before
        assert not any(array.flags.writeable for array in arrays)


def check_same_bytes(registry: Registry[Any], name: str) -> None:
    for params in variants(registry, name):
        run, _ = prepared(registry, name, market(), params)
        once = in_bytes(run())
        assert in_bytes(run()) == once
        # Elsewhere in memory, and from a component of its own.
        assert in_bytes(outputs(registry, name, market().first(N_BARS), params)) == once
        together = threading.Barrier(N_THREADS)

        def in_a_thread(_: int, run: Any = run, together: Any = together) -> dict[str, bytes]:
            together.wait()
            return in_bytes(run())

        with ThreadPoolExecutor(N_THREADS) as pool:
            assert list(pool.map(in_a_thread, range(N_THREADS))) == [once] * N_THREADS


def check_future(registry: Registry[Any], name: str) -> None:
    # What a model says of a bar's costs may use that bar; all else is known when the bar opens.
    ahead = 1 if registry.kind == slippage_models.kind else 2
    for params in variants(registry, name):
        plain = outputs(registry, name, market(), params)
        for cut in (3, 60, 150, N_BARS - 2):
            known = slice(0, cut + ahead)
            expected = in_bytes(plain, known)
            changed = outputs(registry, name, market().with_other_future(cut), params)
            assert in_bytes(changed, known) == expected, f"{params} sees past bar {cut}"
            ended = outputs(registry, name, market().first(cut + ahead), params)
            assert in_bytes(ended) == expected, f"{params} sees how many bars follow {cut}"


def check_warm_up(registry: Registry[Any], name: str) -> None:
    for params in variants(registry, name):
        if registry.kind != indicators.kind:
            n_null = first_readable(registry, name, params)
            for title, column in outputs(registry, name, market(), params).items():
                assert not column[:n_null].any(), f"{title} before its features are defined"
            continue
        for title, column in outputs(registry, name, market(), params).items():
            first = first_defined_bar([column], N_BARS)
            assert 1 <= first < N_BARS
            assert not np.isnan(column[first:]).any(), f"{title} is null after bar {first}"
            # One bar fewer leaves it null, so nothing before it was known either.
            for n_bars in (first, first + 1):
                short = outputs(registry, name, market().first(n_bars), params)[title]
                assert np.isnan(short).tolist() == [t < first for t in range(n_bars)]
            if "null where" not in registry.description(name):
                for kind in ("dear", "untraded", "constant"):
                    other = outputs(registry, name, market(kind), params)[title]
                    assert np.isnan(other).tolist() == [t < first for t in range(N_BARS)], kind


def first_readable(registry: Registry[Any], name: str, params: Mapping[str, Any]) -> int:
    """Return the first bar at which every feature that a component reads is defined."""
    if registry.kind == slippage_models.kind:
        return 0
    specs = registry.build(name, registry.check(name, dict(params), "component")).features()
    inputs = IndicatorInput(market().candles, 252.0)
    read = compute_features((build_feature(s, name) for s in specs), inputs, lambda: None)
    return first_defined_bar(read.values(), N_BARS)


def check_values(registry: Registry[Any], name: str) -> None:
    for params in variants(registry, name):
        first = 1
        if registry.kind == indicators.kind:
            columns = outputs(registry, name, market(), params)
            first = first_defined_bar(columns.values(), N_BARS)
        kinds = ("plain", "dear", "untraded", "tiny", "huge", "constant")
        markets = [market(kind) for kind in kinds]
        markets += [market().first(n) for n in sorted({1, 2, 3, first - 1 or 1, first, first + 1})]
        top = getattr(registry.check(name, params, "component"), "max_leverage", np.inf)
        for given in markets:
            found = outputs(registry, name, given, params)
            assert found
            for title, column in found.items():
                assert column.shape == (len(given.candles),)
                check_column(registry.kind, title, column, top)
            if "weights" in found:
                assert (found["weights"] == given.signals * found["sizes"]).all()


def check_column(kind: str, title: str, column: Array, top: float) -> None:
    if kind == strategies.kind:
        assert column.dtype.kind == "i"
        assert np.isin(column, (-1, 0, 1)).all()
        return
    assert column.dtype == np.float64
    if kind == indicators.kind:
        assert np.isnan(column[0])
        assert not np.isinf(column).any()
        return
    assert np.isfinite(column).all(), title
    assert (np.abs(column) <= top).all(), title
    assert not np.signbit(column[column == 0]).any(), f"{title} has a negative zero"
    if title != "weights":
        assert (column >= 0).all(), title


@pytest.mark.parametrize(("registry", "name"), EVERY)
def test_parameters(registry: Registry[Any], name: str) -> None:
    """Every parameter has a default, a description and bounds, in a schema that is JSON."""
    check_parameters(registry, name)


@pytest.mark.parametrize(("registry", "name"), EVERY)
def test_round_trip(registry: Registry[Any], name: str) -> None:
    """Checked parameters stay equal through a dump, through JSON, and cannot be changed."""
    check_round_trip(registry, name)


@pytest.mark.parametrize(("registry", "name"), EVERY)
def test_inputs(registry: Registry[Any], name: str) -> None:
    """Inputs come read-only and keep every byte."""
    check_inputs(registry, name)


@pytest.mark.parametrize(("registry", "name"), EVERY)
def test_same_bytes(registry: Registry[Any], name: str) -> None:
    """The same inputs give the same bytes again, elsewhere in memory and in threads at once."""
    check_same_bytes(registry, name)


@pytest.mark.parametrize(("registry", "name"), EVERY)
def test_future(registry: Registry[Any], name: str) -> None:
    """Bars after a cut, changed or left out, change no bit of what was known at it."""
    check_future(registry, name)


@pytest.mark.parametrize(("registry", "name"), EVERY)
def test_warm_up(registry: Registry[Any], name: str) -> None:
    """Values begin where the window is full and end nowhere, or where the description says so."""
    check_warm_up(registry, name)


@pytest.mark.parametrize(("registry", "name"), EVERY)
def test_values(registry: Registry[Any], name: str) -> None:
    """Values keep to what their kind may be, over few bars and over extreme prices too."""
    check_values(registry, name)
