"""Every TA-Lib function as an indicator, from what TA-Lib says of itself."""

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import AliasChoices, Field, create_model

from engine.features.indicator import Indicator, IndicatorInput, indicators
from engine.registry import MAX_INTEGER, Params


def _import_without_frames() -> Any:
    """Import TA-Lib while pandas and polars look absent: it imports both where they are there.

    That takes 0.4 s, and adds a wrapper to every call, for a use that is not ours.
    """
    names = [name for name in ("pandas", "polars") if name not in sys.modules]
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]  # how an absent module is marked
    try:
        import talib  # noqa: PLC0415  # inside the hiding, on purpose
        import talib.abstract  # noqa: PLC0415
    finally:
        for name in names:
            del sys.modules[name]
    return talib


_talib = _import_without_frames()

if TYPE_CHECKING:
    from engine.records import Floats

# MAVP reads a series of periods beside the prices, which no configuration can name.
LEFT_OUT = ("MAVP",)
REAL_ABOVE = 3e37  # TA-Lib's own bound for a real parameter


class TalibIndicator:
    """One TA-Lib function with its parameters."""

    def __init__(self, function_name: str, params: Params) -> None:
        # An abstract function keeps state, so it is this object's own.
        self._function = _talib.abstract.Function(function_name)
        self._compute: Callable[..., Any] = getattr(_talib, function_name)
        self._params = params.model_dump()
        self._inputs = _input_columns(self._function.info)
        self.needs_volume = "volume" in self._inputs
        self._check()

    def _check(self) -> None:
        one_bar = np.ones(1)
        try:
            self._compute(*[one_bar for _ in self._inputs], **self._params)
        except Exception:  # noqa: BLE001  # TA-Lib raises nothing more specific
            given = ", ".join(f"{name} {value}" for name, value in self._params.items())
            message = f"TA-Lib does not take {given} for {self._function.info['display_name']}"
            raise ValueError(message) from None

    def compute(self, inputs: IndicatorInput) -> "dict[str, Floats]":
        """Return the function's outputs, null before its lookback."""
        columns = [getattr(inputs.candles, name) for name in self._inputs]
        outputs = self._compute(*columns, **self._params)
        names = self._function.output_names
        if len(names) == 1:
            return {"": self._masked(outputs)}
        return {name: self._masked(series) for name, series in zip(names, outputs, strict=True)}

    def _masked(self, series: Any) -> "Floats":
        if series.dtype == np.float64:
            floats: Floats = series
            return floats
        # Whole-number outputs hold 0, not NaN, before the first defined bar.
        self._function.parameters = self._params
        floats = series.astype(np.float64)
        floats[: self._function.lookback] = np.nan
        return floats


def _input_columns(info: Any) -> list[str]:
    columns: list[str] = []
    for source in info["input_names"].values():
        columns += [source] if isinstance(source, str) else source
    return columns


def _params_model(function_name: str) -> type[Params]:
    fields: dict[str, Any] = {}
    for name, default in _talib.abstract.Function(function_name).info["parameters"].items():
        alias = AliasChoices(name, "length") if name == "timeperiod" else None
        if isinstance(default, int):
            fields[name] = (
                int,
                Field(default, ge=-MAX_INTEGER, le=100_000, validation_alias=alias),
            )
        else:
            fields[name] = (float, Field(default, ge=-REAL_ABOVE, le=REAL_ABOVE))
    return create_model(f"{function_name}Params", __base__=Params, **fields)


def _entry(function_name: str) -> tuple[Callable[[Any], Indicator], type[Params]]:
    def build(params: Params) -> Indicator:
        return TalibIndicator(function_name, params)

    build.__doc__ = _talib.abstract.Function(function_name).info["display_name"]
    return build, _params_model(function_name)


indicators.register_lazily(
    {
        name.lower(): functools.partial(_entry, name)
        for name in _talib.get_functions()
        if name not in LEFT_OUT
    }
)
