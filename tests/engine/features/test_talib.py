"""What the adapter adds to TA-Lib: ranges, words, exact warm-ups, threads."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from pydantic import create_model

from engine.errors import ConfigError
from engine.features import IndicatorInput, indicators, talib_adapter
from engine.records import Candles
from engine.registry import Params

Walk = Callable[..., Candles]
talib: Any = talib_adapter._talib
FUNCTIONS = [name for name in talib.get_functions() if name not in talib_adapter.LEFT_OUT]
N_THREADS = 4


def properties(function: str) -> dict[str, dict[str, Any]]:
    schema = indicators.params_model(function.lower()).model_json_schema()
    found: dict[str, dict[str, Any]] = schema["properties"]
    return found


def computed(function: str, candles: Candles, params: dict[str, Any]) -> dict[str, np.ndarray]:
    name = function.lower()
    indicator = indicators.build(name, indicators.check(name, params, "indicators.0"))
    return dict(indicator.compute(IndicatorInput(candles, 252.0)))


def lookback(function: str, params: dict[str, Any]) -> int:
    described = talib.abstract.Function(function)
    described.parameters = dict(params)
    return int(described.lookback)


def takes(function: str, name: str, value: float) -> bool:
    """Ask TA-Lib itself, over more than one bar."""
    described = talib.abstract.Function(function)
    bars = {title: np.linspace(0.4, 0.6, 5) for title in ("open", "high", "low", "close", "volume")}
    try:
        described(bars, **{name: value})
    except Exception as error:
        if "TA_BAD_PARAM" in str(error):
            return False
        raise
    return True


WITH_PARAMETERS = [name for name in FUNCTIONS if talib.abstract.Function(name).parameters]


@pytest.mark.parametrize("function", WITH_PARAMETERS)
def test_ranges(function: str) -> None:
    """A parameter's limits are the last values that TA-Lib takes, and the next one is refused."""
    for name, field in properties(function).items():
        low, high = field["minimum"], field["maximum"]
        below, above = (
            (low - 1, high + 1)
            if field["type"] == "integer"
            else (float(np.nextafter(low, -np.inf)), float(np.nextafter(high, np.inf)))
        )
        for value in (low, high):
            assert takes(function, name, value)
            indicators.check(function.lower(), {name: value}, "indicators.0")
        for value, words in ((below, "greater than or equal to"), (above, "less than or equal to")):
            assert not takes(function, name, value)
            with pytest.raises(ConfigError) as caught:
                indicators.check(function.lower(), {name: value}, "indicators.0")
            (fault,) = caught.value.faults
            assert fault.field == f"indicators.0.params.{name}"
            assert fault.message.startswith(f"should be {words} ")


@pytest.mark.parametrize(
    ("function", "name", "low", "high"),
    [
        ("SMA", "timeperiod", 1, 100_000),
        ("RSI", "timeperiod", 2, 100_000),
        ("MACD", "signalperiod", 1, 100_000),
        ("MAMA", "fastlimit", 0.01, 0.99),
        ("T3", "vfactor", 0.0, 1.0),
        ("PERCENTILE", "percentile", 0.0, 100.0),
        ("BBANDS", "nbdevup", -3e37, 3e37),
        ("SAREXT", "offsetonreverse", 0.0, 3e37),
        ("BBANDS", "matype", 0, 13),
    ],
)
def test_known_ranges(function: str, name: str, low: float, high: float) -> None:
    """The limits are those of TA-Lib's own tables."""
    field = properties(function)[name]
    assert (field["minimum"], field["maximum"]) == (low, high)


def test_words() -> None:
    """A form shows TA-Lib's own title and help, and every type of moving average by its name."""
    fields = properties("BBANDS")
    assert fields["nbdevup"]["title"] == "Deviations up"
    assert fields["nbdevup"]["description"] == "Deviation multiplier for upper band"
    described = fields["matype"]["description"]
    assert described.startswith("Type of Moving Average: 0 Simple Moving Average, 1 Exponential")
    assert described.endswith("13 Wilder's Smoothed Moving Average")


def settings_of(function: str) -> Iterator[dict[str, Any]]:
    """Yield parameters: the defaults, short and long windows, every type of moving average."""
    yield {}
    windows = {k: f for k, f in properties(function).items() if f["type"] == "integer"}
    types = [name for name in windows if name.endswith("matype")]
    windows = {name: field for name, field in windows.items() if name not in types}
    for length in (0, 17, 40):
        yield {name: max(length, field["minimum"]) for name, field in windows.items()}
    for name in types:
        yield from ({name: value} for value in range(properties(function)[name]["maximum"] + 1))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_warm_up(function: str, walk: Walk) -> None:
    """Every output is null for exactly TA-Lib's lookback, and a number ever after."""
    candles = walk(300)
    for params in settings_of(function):
        n_null = lookback(function, params)
        for column in computed(function, candles, params).values():
            assert column.dtype == np.float64
            assert np.isnan(column).tolist() == [t < n_null for t in range(300)], params


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bars_that_follow(function: str, walk: Walk) -> None:
    """An output at a bar is the same to the bit when the data ends there."""
    candles = walk(300)
    for params in settings_of(function):
        whole = computed(function, candles, params)
        for n_bars in (1, lookback(function, params) + 1, 150, 299):
            arrays: dict[str, Any] = {
                name: getattr(candles, name)[:n_bars].copy()
                for name in ("ts", "open", "high", "low", "close", "volume")
            }
            for title, column in computed(function, Candles("X", "1d", **arrays), params).items():
                assert column.tobytes() == whole[title][:n_bars].tobytes(), params


def test_threads(walk: Walk) -> None:
    """All functions give the same bytes in four threads at once, each in another order."""
    candles = walk(5000)
    built = {
        name: indicators.build(name, indicators.check(name, {}, "indicators.0"))
        for name in indicators
    }
    together = threading.Barrier(N_THREADS)

    def compute(names: list[str]) -> dict[str, list[bytes]]:
        inputs = IndicatorInput(candles, 252.0)
        return {
            name: [series.tobytes() for series in built[name].compute(inputs).values()]
            for name in names
        }

    def compute_in_turn(thread: int) -> dict[str, list[bytes]]:
        names = list(built)
        start = thread * len(names) // N_THREADS
        together.wait()
        return compute(names[start:] + names[:start])

    expected = compute(list(built))
    with ThreadPoolExecutor(N_THREADS) as pool:
        for found in pool.map(compute_in_turn, range(N_THREADS)):
            assert found == expected


def test_one_model_for_all_threads() -> None:
    """Threads that ask for a function at the same time get one model of its parameters."""
    together = threading.Barrier(N_THREADS)
    talib_adapter._make.cache_clear()

    def ask(_: int) -> type[Params]:
        together.wait()
        return talib_adapter._entry("MACDEXT")[1]

    with ThreadPoolExecutor(N_THREADS) as pool:
        assert len(set(pool.map(ask, range(N_THREADS)))) == 1


def test_nothing_is_made_at_import() -> None:
    """Importing the features makes no model; each is made when its indicator is first used."""
    code = (
        "import engine.features.talib_adapter as adapter\n"
        "assert adapter._make.cache_info().currsize == 0\n"
        "adapter.indicators.check('sma', {}, 'indicators.0')\n"
        "assert adapter._make.cache_info().currsize == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_notes(function: str) -> None:
    """An indicator is described by TA-Lib's title, and what else is to be known of it."""
    title, _, note = indicators.description(function.lower()).partition("; ")
    assert title == talib.abstract.Function(function).info["display_name"]
    assert note == talib_adapter.NOTES.get(function, "")


def test_left_out() -> None:
    """What is left out is no indicator, and its nearest relative says why."""
    registered = {name for name in talib.get_functions() if name.lower() in indicators}
    assert set(talib.get_functions()) - registered == {"MAVP"} == set(talib_adapter.LEFT_OUT)
    assert talib_adapter.LEFT_OUT["MAVP"] in indicators.description("ma")


@pytest.mark.parametrize(
    ("name", "price", "volume", "is_null"),
    [
        ("acos", 1.0, 5.0, False),
        ("acos", 1.1, 5.0, True),
        ("asin", 1.1, 5.0, True),
        ("exp", 709.0, 5.0, False),
        ("exp", 710.0, 5.0, True),
        ("cosh", 710.0, 5.0, False),
        ("cosh", 711.0, 5.0, True),
        ("sinh", 711.0, 5.0, True),
        ("vwma", 100.0, 5.0, False),
        ("vwma", 100.0, 0.0, True),
        ("rvol", 100.0, 5.0, False),
        ("rvol", 100.0, 0.0, True),
    ],
)
def test_documented_nulls(name: str, price: float, volume: float, *, is_null: bool) -> None:
    """Outputs are no number where the description says so, and nowhere near it."""
    prices, volumes = np.full(60, price), np.full(60, volume)
    candles = Candles("X", "1d", np.arange(60), prices, prices, prices, prices, volumes)
    assert "null where" in indicators.description(name)
    assert np.isfinite(computed(name.upper(), candles, {})[""][-1]) != is_null


def test_refused_together() -> None:
    """Parameters that no model stopped are refused by TA-Lib before any bar is read."""
    model: Any = indicators.params_model("sma")
    params = model.model_construct(timeperiod=0)
    with pytest.raises(ValueError, match="TA-Lib does not take timeperiod 0 for Simple Moving"):
        indicators.build("sma", params)


def test_other_errors_pass() -> None:
    """An error that is not about a parameter's value is not taken for one."""
    params: Any = create_model("Odd", __base__=Params, colour=(int, 5))()
    with pytest.raises(TypeError, match="colour"):
        indicators.build("sma", params)
