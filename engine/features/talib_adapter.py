"""Every TA-Lib function as an indicator, from what TA-Lib says of itself.

May be used from any thread: an indicator calls a plain function with arguments that never change.
"""

import functools
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import AliasChoices, Field, create_model

from engine.features.indicator import Indicator, IndicatorInput, indicators
from engine.records import freeze
from engine.registry import Params


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

# Why a function is no indicator. What each bar of MAVP averages over comes from a second series,
# which a configuration has no way to name; one period for all bars would be ``ma`` by another name.
LEFT_OUT: Mapping[str, str] = {
    "MAVP": "reads a series of periods beside the prices, which a configuration cannot name"
}
# What a user should know beyond a function's title, such as where candles without a fault give no
# number even after the warm-up.
NOTES: Mapping[str, str] = {
    "ACOS": "null where the price is above 1",
    "ASIN": "null where the price is above 1",
    "COSH": "null where the price is above 710",
    "EXP": "null where the price is above 709",
    "SINH": "null where the price is above 710",
    "RVOL": "null where no bar of the window before has volume",
    "VWMA": "null where no bar of the window has volume",
    "MA": f"MAVP, of variable period, is left out: it {LEFT_OUT['MAVP']}",
}
MOVING_AVERAGE = 3  # TA-Lib's kind of parameter that is one of a list: only types of average are
# The smallest integer and -4e37 stand for “the default” in TA-Lib; every range ends before them.
INTEGER_OUTSIDE = 1 << 31
REAL_OUTSIDE = 4e37

_one_bar = np.ones(1)
freeze(_one_bar)
_building = threading.Lock()


class TalibIndicator:
    """One TA-Lib function with its parameters."""

    def __init__(self, function_name: str, params: Params) -> None:
        # Objects of the abstract interface keep state for each thread, so none is kept.
        function = _talib.abstract.Function(function_name)
        self._compute: Callable[..., Any] = getattr(_talib, function_name)
        self._inputs = _input_columns(function.info)
        self._outputs: list[str] = function.output_names
        self._params = params.model_dump()
        self.needs_volume = "volume" in self._inputs
        if not _takes(function_name, self._params):
            given = ", ".join(f"{name} {value}" for name, value in self._params.items())
            message = f"TA-Lib does not take {given} for {function.info['display_name']}"
            raise ValueError(message)
        function.parameters = self._params
        self._lookback: int = function.lookback

    def compute(self, inputs: IndicatorInput) -> "dict[str, Floats]":
        """Return the function's outputs, null before its lookback."""
        columns = [getattr(inputs.candles, name) for name in self._inputs]
        outputs = self._compute(*columns, **self._params)
        if len(self._outputs) == 1:
            return {"": self._masked(outputs)}
        return {
            name: self._masked(series) for name, series in zip(self._outputs, outputs, strict=True)
        }

    def _masked(self, series: Any) -> "Floats":
        if series.dtype == np.float64:  # TA-Lib has put NaN there
            floats: Floats = series
            return floats
        # Whole-number outputs hold 0, not NaN, before the first defined bar.
        floats = series.astype(np.float64)
        floats[: self._lookback] = np.nan
        return floats


def _input_columns(info: Any) -> list[str]:
    columns: list[str] = []
    for source in info["input_names"].values():
        columns += [source] if isinstance(source, str) else source
    return columns


@functools.cache
def _n_inputs(function_name: str) -> int:
    return len(_input_columns(_talib.abstract.Function(function_name).info))


def _takes(function_name: str, params: Mapping[str, object]) -> bool:
    """Tell whether TA-Lib takes these parameters; it checks them before it looks at a bar."""
    bars = [_one_bar] * _n_inputs(function_name)
    try:
        getattr(_talib, function_name)(*bars, **params)
    except Exception as error:  # TA-Lib raises nothing more specific
        if "TA_BAD_PARAM" in str(error):
            return False
        raise
    return True


def _range(function_name: str, name: str, default: float) -> tuple[float, float]:
    """Return the lowest and the highest value that TA-Lib takes for one parameter.

    TA-Lib's C tables hold them, but its Python wrapper does not pass them on; so the function is
    asked. The values it takes lie around its default without a hole, whatever the others are.
    """

    def taken(value: float) -> bool:
        return _takes(function_name, {name: value})

    if isinstance(default, int):
        low, high = (_edge(taken, default, end) for end in (-INTEGER_OUTSIDE, INTEGER_OUTSIDE))
        return low, high
    start, outside = _ordinal(default), _ordinal(REAL_OUTSIDE)
    low, high = (
        _edge(lambda place: taken(_real(place)), start, end) for end in (-outside, outside)
    )
    return _real(low), _real(high)


def _edge(taken: Callable[[int], bool], inside: int, outside: int) -> int:
    """Return the last integer that is taken on the way from ``inside`` to ``outside``."""
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if taken(middle):
            inside = middle
        else:
            outside = middle
    return inside


def _ordinal(value: float) -> int:
    """Return the place of a number among all floats, 0 at 0: halving it finds an edge exactly."""
    (place,) = struct.unpack("<q", struct.pack("<d", abs(value)))
    return -int(place) if value < 0 else int(place)


def _real(ordinal: int) -> float:
    (value,) = struct.unpack("<d", struct.pack("<q", abs(ordinal)))
    return -float(value) if ordinal < 0 else float(value)


def _params_model(function_name: str) -> type[Params]:
    fields: dict[str, Any] = {}
    parameters = _talib.abstract.Function(function_name).info["parameters"]
    for place, (name, default) in enumerate(parameters.items()):
        # The one way to the help text; Function keeps it to itself.
        told = _talib.abstract._ta_lib._ta_getOptInputParameterInfo(  # noqa: SLF001
            function_name.encode(), place
        )
        low, high = _range(function_name, name, default)
        description = told["help"].removesuffix(".")
        if told["type"] == MOVING_AVERAGE:
            types = (f"{n} {_talib.MA_Type[n]}" for n in range(int(low), int(high) + 1))
            description += f": {', '.join(types)}"
        fields[name] = (
            type(default),
            Field(
                default,
                ge=low,
                le=high,
                title=told["display_name"],
                description=description,
                validation_alias=AliasChoices(name, "length") if name == "timeperiod" else None,
            ),
        )
    return create_model(f"{function_name}Params", __base__=Params, **fields)


@functools.cache
def _make(function_name: str) -> tuple[Callable[[Any], Indicator], type[Params]]:
    def build(params: Params) -> Indicator:
        return TalibIndicator(function_name, params)

    build.__doc__ = _talib.abstract.Function(function_name).info["display_name"]
    if function_name in NOTES:
        build.__doc__ += f"; {NOTES[function_name]}"
    return build, _params_model(function_name)


def _entry(function_name: str) -> tuple[Callable[[Any], Indicator], type[Params]]:
    with _building:  # two threads that ask at once get one model, not two that are unequal
        return _make(function_name)


indicators.register_lazily(
    {
        name.lower(): functools.partial(_entry, name)
        for name in _talib.get_functions()
        if name not in LEFT_OUT
    }
)
