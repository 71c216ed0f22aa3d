"""Features: what indicators compute, shifted by one bar before anything can read it."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from engine.blocks import blocks
from engine.caches import BoundedCache
from engine.errors import ConfigError, DataError, PluginError
from engine.records import SERIES, CancelCheck, Candles, as_series, freeze, never_cancelled
from engine.registry import Params, Registry

if TYPE_CHECKING:
    from engine.records import Floats


@dataclass(frozen=True, eq=False)
class IndicatorInput:
    """What an indicator computes from: the candles and how many of them make a year.

    One that takes long calls ``check_cancelled`` now and then.
    """

    candles: Candles
    periods_per_year: float
    check_cancelled: CancelCheck = never_cancelled


class Indicator(Protocol):
    """Maps candles to series that at bar t use bars up to t only; the shift is not its task."""

    needs_volume: bool

    def compute(self, inputs: IndicatorInput) -> "Mapping[str, Floats]":
        """Return each output by its name, "" where there is only one; (n,) float64, NaN null."""


indicators: Registry[Indicator] = Registry("indicator")


@dataclass(frozen=True)
class FeatureSpec:
    """An indicator with the parameters that were given for it; those name its columns."""

    name: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Feature:
    """A checked indicator, ready to compute; ``column`` is its name, or that of its columns.

    ``key`` names all that its series depend on beside the candles and the bars in a year.
    """

    column: str
    indicator: Indicator
    key: tuple[str, str, str | None]


def build_feature(spec: FeatureSpec, field_name: str) -> Feature:
    """Return the checked indicator of ``spec``.

    Raises
        ConfigError naming ``field_name`` for an unknown name or a bad parameter.
    """
    params = indicators.check(spec.name, dict(spec.params), field_name)
    try:
        indicator = indicators.build(spec.name, params)
    except ValueError as fault:
        raise ConfigError.of(f"{field_name}.params", str(fault)) from None
    key = (spec.name, params.model_dump_json(), indicators.source(spec.name))
    return Feature(column_name(spec.name, params), indicator, key)


def column_name(name: str, params: Params) -> str:
    """Return ``name_param…``: the parameters that were given, in the order of the model."""
    given = [
        getattr(params, title)
        for title in type(params).model_fields
        if title in params.model_fields_set
    ]
    return "_".join([name, *(_text(value) for value in given)])


def _text(value: object) -> str:
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def shift(series: "Floats") -> "Floats":
    """Return F with F_t = x_{t-1} and F_0 null; whatever is not finite is null (NaN).

    This is the only way from a series to a strategy.
    """
    shifted = np.empty(len(series), dtype=np.float64)
    shifted[:1] = np.nan
    shifted[1:] = series[:-1]
    infinite = np.isinf(shifted)
    if infinite.any():
        shifted[infinite] = np.nan
    freeze(shifted)
    return shifted


def compute_features(
    features: Iterable[Feature],
    inputs: IndicatorInput,
    check_cancelled: CancelCheck,
    cache: BoundedCache | None = None,
    digest: str = "",
) -> "dict[str, Floats]":
    """Return every feature's columns by name, shifted, read-only, (n_bars,) float64.

    With a ``cache``, series computed before for candles of the same ``digest`` are taken from it.

    Raises
        DataError where an indicator needs a volume that the candles do not have; PluginError where
        it does not return series by name, of one number a bar.
    """
    columns: dict[str, Floats] = {}
    computed: set[tuple[str, tuple[str, str, str | None]]] = set()
    for feature in features:
        check_cancelled()
        asked = (feature.column, feature.key)
        if asked in computed:
            continue
        computed.add(asked)
        if cache is None:
            new = _shifted(feature, inputs)
        else:
            key = (digest, inputs.periods_per_year, *asked)
            make = functools.partial(_shifted, feature, inputs)
            new = cache.get_or_make(key, make, _size)
        clash = sorted(new.keys() & {*columns, "ts"})
        if clash:
            message = f"the indicator {feature.column}: there is a column {clash[0]} already"
            raise PluginError(message)
        columns |= new
    return columns


def _shifted(feature: Feature, inputs: IndicatorInput) -> "dict[str, Floats]":
    candles = inputs.candles
    if feature.indicator.needs_volume and candles.volume is None:
        name = f"{candles.symbol} {candles.timeframe}"
        raise DataError(f"{feature.column} needs volume, which {name} does not have")
    outputs: object = feature.indicator.compute(inputs)
    if not isinstance(outputs, Mapping) or not all(map(_is_name, outputs)):
        message = f"the indicator {feature.column} must return a dictionary of series by name"
        raise PluginError(message)
    columns = {}
    for output, values in outputs.items():
        series = as_series(values, len(candles))
        if series is None:
            message = f"the indicator {feature.column} must return one number for each bar"
            raise PluginError(message)
        columns["_".join(filter(None, [feature.column, output]))] = shift(series)
    return columns


def _is_name(output: object) -> bool:
    return isinstance(output, str) and output.isprintable()


def _size(columns: "dict[str, Floats]") -> int:
    return sum(series.nbytes for series in columns.values())


def first_defined_bar(columns: "Iterable[Floats]", n_bars: int) -> int:
    """Return the first bar at which every column is non-null; 0 for none, n_bars for never."""
    columns = list(columns)
    for part in blocks(n_bars):
        null = np.zeros(part.stop - part.start, dtype=np.bool_)
        for column in columns:
            null |= np.isnan(column[part])
        if not null.all():
            return int(part.start) + int(np.argmin(null))
    return n_bars


class ShiftedCandles:
    """The candles as a strategy may see them at bar t: those of bar t-1, null at bar 0.

    ``ts`` is not shifted: a bar's opening time is known when it opens.
    """

    def __init__(self, candles: Candles) -> None:
        self._candles = candles
        self._shifted: dict[str, Floats] = {}
        self.ts = candles.ts

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self._candles)

    def __getattr__(self, name: str) -> "Floats":
        """Return ``open``, ``high``, ``low``, ``close``, ``volume`` or ``vwap``, shifted."""
        if name not in SERIES:
            raise AttributeError(name)
        if name not in self._shifted:
            series = getattr(self._candles, name)
            if series is None:
                message = f"{self._candles.symbol} {self._candles.timeframe} has no {name}"
                raise DataError(message)
            self._shifted[name] = shift(series)
        return self._shifted[name]
