"""Causality end to end: the first bars of a run are a run of the first bars.

Cut short: a run that is given the first k bars alone holds the same bytes as the run of all bars,
up to bar k - 1: features, signals, weights, fills, position, cash, equity, drawdown, the trades that
were closed by then. Only its last bar cannot decide, which shows at bar k and thus not at all; and
where the end closes the position, that closing is left out, and cash and equity of its bar.

Another future: where the bars from k on are others, what is known when bar k opens stays too:
features, signals and weights of bar k, and which order it fills. So nothing skips the shift by one
bar, which cutting short could not see.

``periods_per_year`` is given in all of them: read from the candles it would depend on the end.
"""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, seed, settings, strategies as st

from engine.errors import ConfigError
from engine.execution import slippage_models
from engine.features import FeatureSpec, build_feature, indicators
from engine.records import BacktestResult, Candles
from engine.risk import sizing_models
from engine.strategy import strategies
from tests.proof.random_runs import FEW, MANY, Case, Raw, cases, columns, markets

CHUNK = 16
NAMES = list(indicators)
CHUNKS = [NAMES[start : start + CHUNK] for start in range(0, len(NAMES), CHUNK)]
WINDOWED = settings(
    FEW,
    # Warm-ups are long, so the candles are, and the parameters are drawn one by one.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def assert_same_series(short: BacktestResult, whole: BacktestResult, k: int) -> None:
    """Compare what is computed before the first trade, at the bars before ``k``."""
    assert short.features.keys() == whole.features.keys()
    for name, series in short.features.items():
        assert series[:k].tobytes() == whole.features[name][:k].tobytes(), name
    assert short.signals[:k].tobytes() == whole.signals[:k].tobytes()
    assert short.weights[:k].tobytes() == whole.weights[:k].tobytes()


def assert_same_account(short: BacktestResult, whole: BacktestResult, k: int) -> None:
    """Compare what is traded and earned at the bars before ``k``."""
    ours, theirs = short.execution, whole.execution
    fills = (ours.fills.bar < k, theirs.fills.bar < k)
    assert columns(ours.fills, fills[0]) == columns(theirs.fills, fills[1])
    assert columns(ours.curve, slice(k)) == columns(theirs.curve, slice(k))
    drawdowns = (short.metrics.drawdown, whole.metrics.drawdown)
    assert drawdowns[0][:k].tobytes() == drawdowns[1][:k].tobytes()
    closed = [~e.trades.open & (e.trades.exit_bar < k) for e in (ours, theirs)]
    assert columns(ours.trades, closed[0]) == columns(theirs.trades, closed[1])
    begun = [e.trades.entry_bar < k for e in (ours, theirs)]
    for name in ("entry_bar", "entry_ts", "side"):
        one, other = getattr(ours.trades, name)[begun[0]], getattr(theirs.trades, name)[begun[1]]
        assert one.tobytes() == other.tobytes(), name


def assert_a_prefix(case: Case, k: int) -> None:
    """Compare the run of the first ``k`` bars with that of all."""
    whole, short = case.run(), case.on(first(case.candles, k)).run()
    assert len(short.candles) == k
    assert_same_series(short, whole, k)
    if not case.execution["auto_flatten_end"]:
        assert_same_account(short, whole, k)
        return
    assert_same_account(short, whole, k - 1)
    # Before the closing, the last bar is the same too.
    fills = [r.execution.fills for r in (short, whole)]
    at_end = [
        f.at_close & (f.bar == last) for f, last in zip(fills, ends(short, whole), strict=True)
    ]
    kept = [~closing & (f.bar < k) for closing, f in zip(at_end, fills, strict=True)]
    assert columns(fills[0], kept[0]) == columns(fills[1], kept[1])


def ends(*results: BacktestResult) -> list[int]:
    """Return the bars at which the end may close a position: none where ruin came before."""
    return [
        -1 if any(w.code == "ruin" for w in r.warnings) else len(r.candles) - 1 for r in results
    ]


def first(candles: Candles, k: int) -> Candles:
    """Return the first ``k`` bars in memory of their own."""
    return candles.having(
        {
            entry.name: column[:k].copy()
            for entry in dataclasses.fields(candles)
            if isinstance(column := getattr(candles, entry.name), np.ndarray)
        }
    )


def cuts(case: Case) -> st.SearchStrategy[int]:
    """Return how many bars a shorter run may have."""
    return st.integers(1, len(case.candles) - 1)


@given(cases(), st.data())
@MANY
def test_cut_short(case: Case, data: st.DataObject) -> None:
    """A run of the first bars is the first bars of the run, whatever is configured."""
    assert_a_prefix(case, data.draw(cuts(case)))


@pytest.mark.parametrize("slippage", [None, *slippage_models])
@pytest.mark.parametrize("sizing", list(sizing_models))
@pytest.mark.parametrize("strategy", list(strategies))
def test_every_combination(strategy: str, sizing: str, slippage: str | None) -> None:
    """The same for each strategy with each sizing and each slippage model."""

    @given(cases(strategy=strategy, sizing=sizing, slippage=slippage), st.data())
    @FEW
    def check(case: Case, data: st.DataObject) -> None:
        assert_a_prefix(case, data.draw(cuts(case)))

    check()


def parameters(draw: Any, name: str) -> Raw:
    """Draw an indicator's parameters: often the defaults, else short windows and any choice."""
    if draw(st.booleans()):
        return {}
    fields = indicators.params_model(name).model_json_schema()["properties"]
    params: Raw = {}
    for title, field in fields.items():
        if field["type"] == "integer":
            low = field["minimum"]
            params[title] = draw(st.integers(low, min(field["maximum"], max(low, 0) + 12)))
    try:
        build_feature(FeatureSpec(name, params), "indicators.0")
    except ConfigError:  # such as a fast average that is slower than the slow one
        return {}
    return params


def with_indicators(case: Case, chosen: list[Raw]) -> Case:
    """Return a case that keeps indicators, on candles with a volume: some need it."""
    candles = case.candles
    if candles.volume is None:
        candles = candles.having({"volume": np.arange(1.0, len(candles) + 1)})
    return Case(candles, case.config | {"indicators": chosen})


@pytest.mark.parametrize("number", range(len(CHUNKS)))
def test_every_indicator(number: int) -> None:
    """The same for each indicator that is kept beside the run, over windows short and long."""

    @given(cases(markets(100, 240)), st.data())
    @seed(number)
    @WINDOWED
    def check(case: Case, data: st.DataObject) -> None:
        chosen = [{"name": name, "params": parameters(data.draw, name)} for name in CHUNKS[number]]
        note(repr(chosen))
        n = len(case.candles)
        assert_a_prefix(with_indicators(case, chosen), data.draw(st.integers(n // 3, n - 1)))

    check()


def other_future(candles: Candles, k: int, factor: float) -> Candles:
    """Return candles whose bars from ``k`` on are others: dearer by a factor that grows."""
    n = len(candles)
    scale = np.ones(n)
    scale[k:] = factor ** np.arange(1, n - k + 1)
    names = ("open", "high", "low", "close", "volume", "vwap")
    known = {name: x for name in names if (x := getattr(candles, name)) is not None}
    return candles.having({name: column * scale for name, column in known.items()})


@given(
    cases(),
    st.lists(st.sampled_from(NAMES), unique=True, max_size=4),
    st.sampled_from((0.9, 1.05, 1.3)),
    st.data(),
)
@MANY
def test_another_future(case: Case, names: list[str], factor: float, data: st.DataObject) -> None:
    """Other bars from k on change nothing before k, no feature at k, and not the order filled."""
    k = data.draw(cuts(case))
    mine = with_indicators(case, [{"name": name} for name in names]).having(auto_flatten_end=False)
    whole, other = mine.run(), mine.on(other_future(mine.candles, k, factor)).run()
    assert whole.candles.close[k] != other.candles.close[k]
    assert_same_series(other, whole, k + 1)
    assert_same_account(other, whole, k)
    # What ruin closes at the close of bar k was not known when it opened.
    filled = [(f.bar == k) & ~f.at_close for f in (r.execution.fills for r in (other, whole))]
    orders = [
        (r.execution.fills.side[at_k].tolist(), r.execution.fills.qty[at_k].tolist())
        for r, at_k in zip((other, whole), filled, strict=True)
    ]
    assert orders[0] == orders[1]


def test_all_indicators_are_in_it() -> None:
    """The chunks hold every registered indicator."""
    assert sorted(name for chunk in CHUNKS for name in chunk) == sorted(indicators)
    assert len(NAMES) > 190
