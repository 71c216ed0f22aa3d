"""The conformance suite fails what it should fail, and passes an honest component of each kind."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import Field, field_validator

from engine.errors import StudioError
from engine.execution.slippage import SlippageCoefficients
from engine.features import FeatureSpec, IndicatorInput
from engine.records import Candles
from engine.registry import Params, Registry
from engine.risk import SizingView
from engine.strategy import StrategyView

Array = NDArray[Any]


def load_suite() -> Any:
    path = Path(__file__).with_name("test_conformance.py")
    spec = importlib.util.spec_from_file_location("conformance_suite", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


suite = load_suite()
CHECKS = [name for name in vars(suite) if name.startswith("check_") and name != "check_column"]


class OwnParams(Params):
    """The parameters of every component here."""

    max_leverage: float = Field(1.0, gt=0, le=100, description="largest |weight|")


def indicator(formula: Callable[[Candles], Array], params: type[Params] = OwnParams) -> Any:
    """Return a registry that holds one indicator of this formula."""

    class Own:
        """An indicator."""

        needs_volume = False

        def __init__(self, params: Params) -> None:
            pass

        def compute(self, inputs: IndicatorInput) -> dict[str, Array]:
            return {"": formula(inputs.candles)}

    return _registered("indicator", Own, params)


def strategy(formula: Callable[[StrategyView], Array]) -> Any:
    """Return a registry that holds one strategy of this formula, which may read ``sma_5``."""

    class Own:
        """A strategy."""

        def __init__(self, params: Params) -> None:
            pass

        def features(self) -> Sequence[FeatureSpec]:
            return [FeatureSpec("sma", {"timeperiod": 5})]

        def signals(self, view: StrategyView) -> Array:
            return formula(view)

    return _registered("strategy", Own, OwnParams)


def sizing(formula: Callable[[SizingView], Array]) -> Any:
    """Return a registry that holds one sizing model of this formula."""

    class Own:
        """A sizing model."""

        def __init__(self, params: Params) -> None:
            pass

        def features(self) -> Sequence[FeatureSpec]:
            return []

        def sizes(self, view: SizingView) -> Array:
            return formula(view)

    return _registered("sizing model", Own, OwnParams)


def slippage(formula: Callable[[Candles], Array]) -> Any:
    """Return a registry that holds one slippage model with this spread and no impact."""

    class Own:
        """A slippage model."""

        needs_volume = False

        def __init__(self, params: Params) -> None:
            pass

        def coefficients(self, candles: Candles) -> SlippageCoefficients:
            return SlippageCoefficients(formula(candles), np.zeros(len(candles)))

    return _registered("slippage model", Own, OwnParams)


def _registered(kind: str, component: Callable[[Any], Any], params: type[Params]) -> Registry[Any]:
    registry: Registry[Any] = Registry(kind)
    registry.register("own", params)(component)
    return registry


def double_in_place(candles: Candles) -> Array:
    close = candles.close
    close *= 2
    return close


def double_unlocked(candles: Candles) -> Array:
    candles.close.flags.writeable = True
    doubled = double_in_place(candles).copy()
    candles.close.flags.writeable = False
    return doubled


def noise(candles: Candles) -> Array:
    return candles.close + np.random.default_rng().uniform(0, 1e-9, len(candles))


def counter() -> Callable[[Candles], Array]:
    calls: list[int] = []

    def formula(candles: Candles) -> Array:
        calls.append(1)
        return candles.close * len(calls)

    return formula


def with_gap(candles: Candles) -> Array:
    return np.where(np.arange(len(candles)) == 200, np.nan, candles.close)


def with_infinity(candles: Candles) -> Array:
    return np.where(np.arange(len(candles)) == 200, np.inf, candles.close)


def null_where_dear(candles: Candles) -> Array:
    return np.where(candles.close > 1000, np.nan, candles.close)


def near_maximum(view: StrategyView) -> Array:
    with np.errstate(invalid="ignore"):
        near = view.candles.close > 0.95 * np.max(view.candles.close[1:], initial=0)
    return np.where(np.isnan(view.features["sma_5"]), 0, near.astype(np.int64))


def above_average(view: StrategyView) -> Array:
    with np.errstate(invalid="ignore"):
        above = view.candles.close > view.features["sma_5"]
    return above.astype(np.int64)


class Undescribed(Params):
    """A parameter without a description."""

    length: int = Field(5, ge=1, le=9)


class Unbounded(Params):
    """A parameter without an upper bound."""

    length: int = Field(5, ge=1, description="window in bars")


class Restless(Params):
    """A parameter that is another one after each check."""

    length: int = Field(5, ge=1, le=9, description="window in bars")

    @field_validator("length")
    @classmethod
    def _grown(cls, length: int) -> int:
        return length % 9 + 1


def ones(view: SizingView) -> Array:
    return np.ones(len(view.signals))


FAULTY = {
    "the next close": (indicator(lambda c: np.append(c.close[1:], c.close[-1])), "check_future"),
    "the highest close of all": (indicator(lambda c: c.close / c.close.max()), "check_future"),
    "the number of bars": (indicator(lambda c: c.close / len(c)), "check_future"),
    "the whole series' maximum": (strategy(near_maximum), "check_future"),
    "the last close": (
        sizing(lambda v: np.minimum(0.5 * np.nan_to_num(v.candles.close / v.candles.close[-1]), 1)),
        "check_future",
    ),
    "the last signal": (sizing(lambda v: ones(v) * (v.signals[-1] == 1)), "check_future"),
    "the mean spread": (
        slippage(lambda c: np.full(len(c), (c.high / c.low - 1).mean())),
        "check_future",
    ),
    "the next bar's spread": (
        slippage(lambda c: np.append(c.high[1:] / c.low[1:] - 1, 0.0)),
        "check_future",
    ),
    "candles written": (indicator(double_in_place), "check_inputs"),
    "candles unlocked and written": (indicator(double_unlocked), "check_inputs"),
    "random": (indicator(noise), "check_same_bytes"),
    "other at each call": (indicator(counter()), "check_same_bytes"),
    "a gap": (indicator(with_gap), "check_warm_up"),
    "an infinity": (indicator(with_infinity), "check_warm_up"),
    "null without a word": (indicator(null_where_dear), "check_warm_up"),
    "never defined": (indicator(lambda c: c.close * np.nan), "check_warm_up"),
    "signals before features": (
        strategy(lambda v: np.ones(len(v.candles), np.int64)),
        "check_warm_up",
    ),
    "too short": (indicator(lambda c: c.close[1:]), "check_values"),
    "signals of two": (strategy(lambda v: 2 * above_average(v)), "check_values"),
    "signals as floats": (strategy(lambda v: above_average(v) * 1.0), "check_values"),
    "null sizes": (sizing(lambda v: v.candles.close * 0), "check_values"),
    "sizes below 0": (sizing(lambda v: -ones(v)), "check_values"),
    "negative zeros": (sizing(lambda v: -0.0 * ones(v)), "check_values"),
    "sizes above the leverage": (sizing(lambda v: 2 * ones(v)), "check_values"),
    "a negative spread": (slippage(lambda c: np.full(len(c), -0.1)), "check_values"),
    "no description": (indicator(lambda c: c.close, Undescribed), "check_parameters"),
    "no bound": (indicator(lambda c: c.close, Unbounded), "check_parameters"),
    "changing parameters": (indicator(lambda c: c.close, Restless), "check_round_trip"),
}
HONEST = {
    "indicator": indicator(lambda c: c.close),
    "strategy": strategy(above_average),
    "sizing model": sizing(ones),
    "slippage model": slippage(lambda c: c.high / c.low - 1),
}


@pytest.mark.parametrize("fault", list(FAULTY))
def test_fault_is_found(fault: str) -> None:
    """A component with a fault fails the check that is there for it."""
    registry, check = FAULTY[fault]
    # numpy refuses a write, the engine a bad size; pytest tells where nothing was refused.
    with pytest.raises((AssertionError, ValueError, StudioError, pytest.fail.Exception)):
        getattr(suite, check)(registry, "own")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", list(HONEST))
def test_honest_component_passes(kind: str, check: str) -> None:
    """A component without a fault passes every check, whatever its kind."""
    getattr(suite, check)(HONEST[kind], "own")


def test_every_check_bites() -> None:
    """There is no check that nothing fails."""
    assert {check for _, check in FAULTY.values()} == set(CHECKS)
