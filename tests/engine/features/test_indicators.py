"""Indicators by name: their columns, parameters, values, and what they refuse."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from engine.errors import ConfigError, DataError, PluginError
from engine.features import (
    FeatureSpec,
    IndicatorInput,
    build_feature,
    compute_features,
    indicators,
    rolling_mean_std,
    talib_adapter,
)
from engine.plan import make_plan
from engine.records import Candles

Walk = Callable[..., Candles]
P = 252.0
# As the engine imports it: with what it would otherwise load left out.
talib: Any = talib_adapter._talib
NEED_VOLUME = {
    name.lower()
    for name in talib.get_functions()
    if "volume" in str(talib.abstract.Function(name).input_names)
}


def _columns(
    candles: Candles, name: str, params: Mapping[str, object] | None = None, periods: float = P
) -> dict[str, np.ndarray]:
    feature = build_feature(FeatureSpec(name, params or {}), "indicators.0")
    return compute_features([feature], IndicatorInput(candles, periods), lambda: None)


def _closes(*close: float) -> Candles:
    price = np.array(close)
    ts = np.arange(len(price), dtype=np.int64) * 86_400_000
    return Candles("X", "1d", ts, price, price, price, price)


@pytest.mark.parametrize(
    ("name", "params", "columns"),
    [
        ("sma", {"timeperiod": 20}, ["sma_20"]),
        ("sma", {"length": 20}, ["sma_20"]),
        ("sma", {}, ["sma"]),
        (
            "bbands",
            {"timeperiod": 20},
            [f"bbands_20_{band}band" for band in ("upper", "middle", "lower")],
        ),
        (
            "bbands",
            {"nbdevdn": 1.5, "length": 20, "nbdevup": 2.0},
            [f"bbands_20_2_1.5_{band}band" for band in ("upper", "middle", "lower")],
        ),
        ("macd", {}, ["macd_macd", "macd_macdsignal", "macd_macdhist"]),
        (
            "macd",
            {"signalperiod": 5, "fastperiod": 8},
            ["macd_8_5_macd", "macd_8_5_macdsignal", "macd_8_5_macdhist"],
        ),
        ("stoch", {}, ["stoch_slowk", "stoch_slowd"]),
        ("atr", {"timeperiod": 7}, ["atr_7"]),
        ("obv", {}, ["obv"]),
        ("realized_vol", {"length": 10}, ["realized_vol_10"]),
        ("realized_vol", {}, ["realized_vol"]),
    ],
)
def test_columns(name: str, params: dict[str, object], columns: list[str], walk: Walk) -> None:
    """Columns are named by the given parameters in TA-Lib's order, and by the output."""
    assert list(_columns(walk(60), name, params)) == columns


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "sma", "params": {"timeperiod": 5}}, {"name": "sma", "params": {"length": 5}}),
        ({"name": "rsi", "params": {}}, {"name": "rsi"}),
        (
            {"name": "bbands", "params": {"nbdevup": 2.0}},
            {"name": "bbands", "params": {"nbdevdn": 2.0}},
        ),
    ],
)
def test_equal_columns(first: dict[str, object], second: dict[str, object]) -> None:
    """Two indicators with the same column are refused, however they are written."""
    with pytest.raises(ConfigError, match="same column") as caught:
        make_plan({"symbol": "X", "indicators": [first, {"name": "ema"}, second]})
    assert [fault.field for fault in caught.value.faults] == ["indicators.2"]


def test_a_plugin_s_column_that_is_there_already(walk: Walk) -> None:
    """A column that would take another's place is the plugin's fault, and no change of the code."""
    ours = build_feature(FeatureSpec("sma"), "indicators.0")
    for name in ("ts", "sma"):
        other = dataclasses.replace(ours, column=name, key=(name, "{}", "of a plugin"))
        with pytest.raises(
            PluginError, match=f"indicator {name}: there is a column {name} already"
        ):
            compute_features([ours, other], IndicatorInput(walk(60), P), lambda: None)


def test_other_columns_of_one_indicator() -> None:
    """One indicator may be asked for twice with other parameters."""
    listed = [{"name": "sma", "params": {"length": n}} for n in (5, 6)]
    assert len(make_plan({"symbol": "X", "indicators": listed}).kept) == 2


@pytest.mark.parametrize(
    ("name", "default", "outputs"),
    [
        ("sma", {"timeperiod": 30}, {"sma", "sma_30"}),
        (
            "bbands",
            {"timeperiod": 20},
            {f"{own}_{band}band" for own in ("bbands", "bbands_20") for band in ("upper", "middle", "lower")},
        ),
    ],
)  # fmt: skip
def test_a_default_written_out(
    name: str, default: dict[str, object], outputs: set[str], walk: Walk
) -> None:
    """An indicator with its default written out stands beside the one without, each once."""
    listed = [FeatureSpec(name), FeatureSpec(name, default), FeatureSpec(name)]
    features = [build_feature(spec, "strategy") for spec in listed]
    columns = compute_features(features, IndicatorInput(walk(60), P), lambda: None)
    assert columns.keys() == outputs
    for title, column in _columns(walk(60), name, default).items():
        assert np.array_equal(columns[title], column, equal_nan=True)


@pytest.mark.parametrize("name", [name for name in talib.get_functions() if name != "MAVP"])
def test_defaults(name: str) -> None:
    """Every TA-Lib function is there under its lower-case name, with TA-Lib's own defaults."""
    params = indicators.check(name.lower(), {}, "indicators.0").model_dump()
    assert params == dict(talib.abstract.Function(name).info["parameters"])


@pytest.mark.parametrize("name", ["sma", "rsi", "atr", "bbands", "adx", "linearreg"])
def test_length_is_timeperiod(name: str, walk: Walk) -> None:
    """``length`` is another word for TA-Lib's ``timeperiod``."""
    candles = walk(80)
    by_alias, by_name = (_columns(candles, name, {word: 9}) for word in ("length", "timeperiod"))
    assert list(by_alias) == list(by_name)
    for title, column in by_alias.items():
        assert np.array_equal(column, by_name[title], equal_nan=True)
        assert not np.array_equal(
            column, _columns(candles, name)[title.replace("_9", "")], equal_nan=True
        )


@pytest.mark.parametrize(
    ("name", "params", "field", "words"),
    [
        ("smaa", {}, "indicators.3.name", "did you mean 'sma'"),
        ("mavp", {}, "indicators.3.name", "unknown indicator"),
        ("SMA", {}, "indicators.3.name", "did you mean 'sma'"),
        ("sma", {"timeperiod": 0}, "indicators.3.params.timeperiod", "than or equal to 1"),
        (
            "sma",
            {"length": 0},
            "indicators.3.params.length",
            "should be greater than or equal to 1",
        ),
        (
            "rsi",
            {"length": 1},
            "indicators.3.params.length",
            "should be greater than or equal to 2",
        ),
        ("macd", {"fastperiod": 1}, "indicators.3.params.fastperiod", "than or equal to 2"),
        ("ma", {"matype": 14}, "indicators.3.params.matype", "less than or equal to 13"),
        ("mama", {"fastlimit": 1.0}, "indicators.3.params.fastlimit", "less than or equal to 0.99"),
        ("sma", {"timeperiod": 200_000}, "indicators.3.params.timeperiod", "less than or equal"),
        ("sma", {"timeperiod": 5.0}, "indicators.3.params.timeperiod", "integer"),
        ("sma", {"timeperiod": "5"}, "indicators.3.params.timeperiod", "integer"),
        ("sma", {"timeperiod": True}, "indicators.3.params.timeperiod", "integer"),
        ("sma", {"timeperiod": None}, "indicators.3.params.timeperiod", "integer"),
        ("sma", {"timeperoid": 5}, "indicators.3.params.timeperoid", "did you mean 'timeperiod'"),
        ("sma", {"timeperiod": 5, "length": 6}, "indicators.3.params.length", "unknown field"),
        ("bbands", {"nbdevup": math.nan}, "indicators.3.params.nbdevup", "finite"),
        ("bbands", {"nbdevup": math.inf}, "indicators.3.params.nbdevup", "finite"),
        ("obv", {"timeperiod": 5}, "indicators.3.params.timeperiod", "unknown field"),
        ("realized_vol", {"length": 1}, "indicators.3.params.length", "greater than or equal to 2"),
    ],
)
def test_refused_parameters(name: str, params: dict[str, object], field: str, words: str) -> None:
    """A name or parameter that cannot be used is refused under its own field."""
    with pytest.raises(ConfigError, match=words) as caught:
        build_feature(FeatureSpec(name, params), "indicators.3")
    assert [fault.field for fault in caught.value.faults] == [field]


def test_sma(walk: Walk) -> None:
    """The moving average at a bar is the mean of the closes before it."""
    candles = walk(60)
    column = _columns(candles, "sma", {"timeperiod": 7})["sma_7"]
    assert np.flatnonzero(~np.isnan(column))[0] == 7
    for t in range(7, 60):
        assert column[t] == pytest.approx(sum(candles.close[t - 7 : t]) / 7, rel=1e-12)


@pytest.mark.parametrize(
    "name", ["bbands", "macd", "atr", "obv", "stoch", "cdlengulfing", "ht_sine"]
)
def test_talib_values(name: str, walk: Walk) -> None:
    """The columns are TA-Lib's own outputs from the same candles, one bar later."""
    candles = walk(150)
    function = talib.abstract.Function(name.upper())
    columns = {
        title: getattr(candles, title) for title in ("open", "high", "low", "close", "volume")
    }
    outputs = function(columns)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    found = list(_columns(candles, name).values())
    assert len(found) == len(outputs)
    for column, output in zip(found, outputs, strict=True):
        defined = ~np.isnan(column)
        assert defined.sum() == 150 - 1 - function.lookback
        assert column[1:][defined[1:]].tolist() == output[:-1][defined[1:]].tolist()


WHOLE_OUTPUTS = [
    name.lower()
    for name in talib.get_functions()
    if name.startswith("CDL") or name in {"HT_TRENDMODE", "MAXINDEX", "MININDEX", "MINMAXINDEX"}
]


@pytest.mark.parametrize("name", WHOLE_OUTPUTS)
def test_whole_number_outputs(name: str, walk: Walk) -> None:
    """Outputs of whole numbers are null before the window is full, where TA-Lib gives 0."""
    lookback = talib.abstract.Function(name.upper()).lookback
    for column in _columns(walk(150), name).values():
        assert np.isnan(column).tolist() == [t <= lookback for t in range(150)]


@pytest.mark.parametrize("length", [5, 40])
def test_whole_number_window(length: int, walk: Walk) -> None:
    """The null bars of a whole-number output follow the parameters that were given."""
    column = _columns(walk(150), "maxindex", {"timeperiod": length})[f"maxindex_{length}"]
    assert np.flatnonzero(~np.isnan(column))[0] == length


@pytest.mark.parametrize("name", ["ad", "adosc", "mfi", "obv"])
def test_volume_is_needed(name: str) -> None:
    """Indicators of volume say that they need one."""
    assert build_feature(FeatureSpec(name), "indicators.0").indicator.needs_volume


@pytest.mark.parametrize("name", list(indicators))
def test_unknown_volume(name: str, walk: Walk) -> None:
    """The indicators that need a volume refuse candles without one, and no other does."""
    candles = walk(80, with_volume=False)
    if name in NEED_VOLUME:
        with pytest.raises(DataError, match=f"{name} needs volume, which X 1d does not have"):
            _columns(candles, name)
    else:
        assert _columns(candles, name)


@pytest.mark.parametrize("periods", [252.0, 365.0, 52.0])
@pytest.mark.parametrize("length", [2, 5, 20])
def test_realized_vol(length: int, periods: float, walk: Walk) -> None:
    """Realised volatility is the sample deviation of simple returns, per year, one bar later."""
    candles = walk(60)
    close = candles.close.tolist()
    column = _columns(candles, "realized_vol", {"length": length}, periods)[
        f"realized_vol_{length}"
    ]
    for t in range(60):
        if t <= length:
            assert math.isnan(column[t])
            continue
        # The last close known at t is that of bar t - 1.
        returns = [close[s] / close[s - 1] - 1 for s in range(t - length, t)]
        mean = math.fsum(returns) / length
        variance = math.fsum((r - mean) ** 2 for r in returns) / (length - 1)
        assert column[t] == pytest.approx(math.sqrt(variance * periods), rel=1e-10)


@pytest.mark.parametrize("close", [[3.0] * 12, [2.0**i for i in range(12)]])
def test_volatility_of_equal_returns(close: list[float]) -> None:
    """Equal returns have a volatility of exactly 0."""
    column = _columns(_closes(*close), "realized_vol", {"length": 4})["realized_vol_4"]
    assert column[5:].tolist() == [0.0] * 7
    assert np.isnan(column[:5]).all()


@pytest.mark.parametrize("n_bars", [1, 2, 5])
def test_volatility_of_few_bars(n_bars: int, walk: Walk) -> None:
    """Where the window never fills, realised volatility is null throughout."""
    column = _columns(walk(n_bars), "realized_vol", {"length": 5})["realized_vol_5"]
    assert len(column) == n_bars
    assert np.isnan(column).all()


@pytest.mark.parametrize("value", [0.1, -0.3, 1e-9, 1 / 3])
def test_deviation_of_equal_values(value: float) -> None:
    """Equal values deviate by exactly 0, though their mean may be off in its last bit."""
    mean, std = rolling_mean_std(np.array([value] * 8), 3)
    assert mean[2:].tolist() == pytest.approx([value] * 6)
    assert std[2:].tolist() == [0.0] * 6
    assert np.isnan([*mean[:2], *std[:2]]).all()


def test_equal_windows(walk: Walk) -> None:
    """Each window is summed afresh, so that equal windows give equal bits wherever they lie."""
    close = walk(3000).close
    column = _columns(_closes(*close, *close), "realized_vol", {"length": 500})["realized_vol_500"]
    assert column[502:3000].tobytes() == column[3502:].tobytes()


def test_long_windows_can_be_cancelled() -> None:
    """Rolling moments look at the cancel flag as they go, indicator and sizing model alike."""
    looks: list[int] = []
    rolling_mean_std(np.arange(20_000.0), 100, lambda: looks.append(1))
    assert len(looks) >= 7
