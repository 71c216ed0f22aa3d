"""The permutation test against every one of its replicates made and traded in plain Python."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.records import BacktestResult, Candles
from engine.registry import Params
from engine.strategy import StrategyView, strategies
from engine.streams import generator

NEW_YORK = ZoneInfo("America/New_York")
SHORT = {"strategy": {"name": "dual_sma", "params": {"fast": 2, "slow": 5}}}
TARGETED = {
    "name": "volatility_target",
    "params": {"target_vol": 0.3, "lookback": 11, "max_leverage": 2.0},
}
LEVERED = {"name": "fixed_fraction", "params": {"fraction": 12.0, "max_leverage": 20.0}}
LONG_ONLY = {
    "name": "dual_sma",
    "params": {"fast": 4, "slow": 9, "threshold_bp": 20, "long_only": True},
}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "no costs": ({}, {}),
    "slippage, borrow, lots": (
        {},
        {"execution": {"slippage_bps": 8, "borrow_bps": 400, "lot_size": 25, "commission_min": 4, "initial_cash": 20_000}},
    ),
    "spread, middle, flattened": (
        {"volume": "unknown"},
        {
            "execution": {"slippage_model": {"name": "spread_pct", "params": {"spread_pct": 0.002}}, "fill_price": "mid_next", "auto_flatten_end": True},
            "strategy": LONG_ONLY,
            "risk_free_annual": 0.03,
        },
    ),
    "participation, changing weights": (
        {},
        {
            "execution": {"slippage_model": {"name": "participation_rate"}, "commission_bps": 3, "rebalance_band": 0.1, "slippage_bps": 2},
            "risk": TARGETED,
        },
    ),
    "vwap, bars without volume": (
        {"volume": "sometimes 0", "vwap": True},
        {"execution": {"fill_price": "vwap_next", "commission_per_share": 0.01}} | SHORT,
    ),
    "orders dropped without volume": (
        {"volume": "sometimes 0"},
        {"execution": {"fill_price": "vwap_next", "zero_volume": "skip"}},
    ),
    "ruined": ({"move": 0.1}, {"risk": LEVERED} | SHORT),
}  # fmt: skip


def permutation(result: BacktestResult) -> Any:
    return result.validation["permutation"].document


def shuffled(slot_of: list[int], u: list[float]) -> list[int]:
    """Return the moves in another order: Fisher and Yates within each slot, slots in their order."""
    by_slot = sorted(range(len(slot_of)), key=lambda j: slot_of[j])
    order = list(range(len(slot_of)))
    start = 0
    for slot in sorted(set(slot_of)):
        stop = start + slot_of.count(slot)
        for i in range(stop - 1, start, -1):
            here, there = by_slot[i], by_slot[start + int(u[i] * (i - start + 1))]
            order[here], order[there] = order[there], order[here]
        start = stop
    return order


def drawn_orders(seed: int, replicate: int, slot_of: list[int]) -> tuple[list[int], list[int]]:
    """Return a replicate's orders of the gaps and of the bars."""
    m = len(slot_of)
    u = generator(seed, "permutation", replicate).random(2 * m).tolist()
    return shuffled(slot_of, u[:m]), shuffled(slot_of, u[m:])


def replicate_statistic(
    result: BacktestResult, replicate: int, plain: Any, slot_of: list[int] | None = None
) -> float:
    """Return T of one replicate: shuffled, rebuilt, traded and measured in plain Python.

    ``slot_of`` tells each bar's slot of the day; without it there is one.
    """
    config, periods = result.config, result.periods_per_year.value
    bars = plain.bars(result.candles)
    _, w = plain.target_weights(bars, config, periods)
    slots = [0] * (len(bars) - 1 - w) if slot_of is None else slot_of[w + 1 :]
    market = bars.rebuilt(w, *drawn_orders(config.seed, replicate, slots))
    weights, first = plain.target_weights(market, config, periods)
    assert first == w
    account = plain.simulate(market, weights, config.execution)
    return float(plain.statistic(result, plain.returns(account, config.execution)[w + 1 :]))


def assert_document(document: Any, observed: float, values: list[float], plain: Any) -> None:
    """Compare all that a permutation's document says with plain replicates."""
    n = len(values)
    bound = observed - 1e-12 * max(1.0, abs(observed))
    p = (1 + sum(value >= bound for value in values)) / (n + 1)
    assert document["n"] == n
    assert document["reason"] is None
    assert document["observed"] == pytest.approx(observed, rel=1e-9, abs=1e-12)
    assert document["p_value"] == pytest.approx(p, rel=1e-15)
    assert document["p_value_error"] == pytest.approx(math.sqrt(p * (1 - p) / n), rel=1e-12)
    expected = plain.distribution(values)
    assert document["replicates"] == pytest.approx(expected, rel=1e-9, abs=1e-11)
    plain.assert_histogram(document["histogram"], values)


@pytest.mark.parametrize("statistic", ["sharpe", "total_return"])
@pytest.mark.parametrize("case", CASES)
def test_replicates_are_the_plain_ones(
    case: str,
    statistic: str,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
    plain: Any,
) -> None:
    """The observed statistic, p, its error and the replicates are those of the plain reading."""
    shape, config = CASES[case]
    validation = {"statistic": statistic, "permutation": {"n": 9}}
    result = backtest(candles(130, 11, **shape), validation=validation, seed=5, **config)
    document = permutation(result)
    bars = plain.bars(result.candles)
    weights, w = plain.target_weights(bars, result.config, result.periods_per_year.value)
    np.testing.assert_allclose(result.weights, weights, 1e-9, 1e-12)
    observed = plain.statistic(result, plain.run_returns(result)[w + 1 :])
    values = [replicate_statistic(result, i, plain) for i in range(9)]
    assert (document["method"], document["statistic"]) == ("bars", statistic)
    assert len(set(values)) > 1
    assert_document(document, observed, values, plain)


def test_undefined_replicates_count_as_zero(
    backtest: Callable[..., Any], candles: Callable[..., Candles], plain: Any
) -> None:
    """A replicate that never trades has no Sharpe ratio; it counts as 0 and is told."""
    rarely = {"name": "dual_sma", "params": {"fast": 3, "slow": 20, "threshold_bp": 380}}
    result = backtest(
        candles(70, 26), strategy=rarely, validation={"permutation": {"n": 60}}, seed=1
    )
    values = [replicate_statistic(result, i, plain) for i in range(60)]
    observed = plain.statistic(result, plain.run_returns(result)[21:])
    undefined = values.count(0.0)
    assert 0 < undefined < 60
    assert permutation(result)["undefined"] == undefined
    assert_document(permutation(result), observed, values, plain)


def test_replicates_are_ruined_too(
    backtest: Callable[..., Any], candles: Callable[..., Candles], plain: Any
) -> None:
    """The case of ruin has ruined replicates, as the plain reading trades them."""
    shape, config = CASES["ruined"]
    validation = {"statistic": "total_return", "permutation": {"n": 9}}
    result = backtest(candles(130, 11, **shape), validation=validation, seed=5, **config)
    assert any(replicate_statistic(result, i, plain) <= -1 for i in range(9))


def new_york_hours(n_sessions: int) -> tuple[list[int], list[int]]:
    """Return the times of hourly bars from 9:30 in New York, and each bar's hour of the session."""
    times: list[int] = []
    hours: list[int] = []
    day = datetime(2016, 2, 16, 9, 30, tzinfo=NEW_YORK)
    while len(times) < 7 * n_sessions:
        if day.weekday() < 5:
            opened = int(day.timestamp())
            times += [1000 * (opened + 3600 * hour) for hour in range(7)]
            hours += range(7)
        day += timedelta(days=1)  # the clock's, not 24 hours
    return times, hours


def test_moves_stay_at_their_time_of_the_session(
    backtest: Callable[..., Any], candles: Callable[..., Candles], plain: Any
) -> None:
    """With a calendar, moves change places within their slot, across the change of clocks too."""
    times, hours = new_york_hours(27)
    assert {
        time // 3_600_000 % 24 for time, hour in zip(times, hours, strict=True) if not hour
    } == {13, 14}
    of = candles(len(times), 17)
    of = replace(of, timeframe="1h", ts=np.array(times, dtype=np.int64))
    result = backtest(of, calendar="XNYS", validation={"permutation": {"n": 5}})
    assert [warning.code for warning in result.warnings] == ["short_sample"]
    values = [replicate_statistic(result, i, plain, hours) for i in range(5)]
    observed = plain.statistic(result, plain.run_returns(result)[9:])
    assert_document(permutation(result), observed, values, plain)


@pytest.mark.parametrize("all_week", [True, False])
def test_a_session_without_a_calendar_warns(
    all_week: bool,  # noqa: FBT001  # a table of cases
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
    plain: Any,
) -> None:
    """Without a calendar there is one slot, and a warning where the market ever closes."""
    times, _ = new_york_hours(20)
    if all_week:
        times = [times[0] + 3_600_000 * t for t in range(len(times))]
    of = replace(candles(140, 18), timeframe="1h", ts=np.array(times, dtype=np.int64))
    result = backtest(of, validation={"permutation": {"n": 3}})
    warned = "intraday_without_calendar" in {warning.code for warning in result.warnings}
    assert warned == (not all_week)
    values = [replicate_statistic(result, i, plain) for i in range(3)]
    observed = plain.statistic(result, plain.run_returns(result)[9:])
    assert_document(permutation(result), observed, values, plain)


@pytest.mark.parametrize(
    ("config", "w"),
    [
        ({}, 8),
        ({"strategy": {"name": "dual_sma", "params": {"fast": 1, "slow": 2}}}, 2),
        ({"risk": TARGETED}, 12),
        ({"risk": TARGETED, "strategy": {"name": "dual_sma", "params": {"fast": 2, "slow": 30}}}, 30),
    ],
)  # fmt: skip
def test_the_first_scored_bar(
    config: dict[str, Any],
    w: int,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
    plain: Any,
) -> None:
    """Returns are scored from the bar after the first with every feature that is read."""
    result = backtest(candles(80, 12), validation={"permutation": {"n": 1}}, **config)
    assert plain.target_weights(plain.bars(result.candles), result.config, 260)[1] == w
    assert permutation(result)["scored_from"] == w + 1
    observed = plain.statistic(result, plain.run_returns(result)[w + 1 :])
    assert permutation(result)["observed"] == pytest.approx(observed, rel=1e-9)


def assert_no_p(document: Any, reason: str) -> None:
    assert document["p_value"] is None
    assert document["p_value_error"] is None
    assert document["reason"] == reason


def test_always_invested_has_no_timing(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """A weight that never changes has no p-value: there is no timing to test."""
    result = backtest(
        candles(60, 13), strategy={"name": "buy_and_hold"}, validation={"permutation": {"n": 3}}
    )
    assert_no_p(permutation(result), "no_timing")


def test_without_a_fill_there_is_no_p(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """Weights that change but lots too large to trade leave nothing to test."""
    result = backtest(
        candles(60, 13), execution={"lot_size": 1e9}, validation={"permutation": {"n": 3}}
    )
    assert len(set(result.weights[8:].tolist())) > 1
    assert_no_p(permutation(result), "no_trades")


class EveryThird:
    """Long on two bars of three, whatever the market does."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def features(self) -> list[Any]:
        return []

    def signals(self, view: StrategyView) -> Any:
        return (np.arange(len(view.candles)) % 3 > 0).astype(np.int64)


class NoSettings(Params):
    """No parameters."""


@pytest.fixture
def every_third() -> Iterator[None]:
    strategies.register("every_third", NoSettings)(EveryThird)
    yield
    strategies.remove("every_third")


@pytest.mark.usefixtures("every_third")
def test_equal_moves_leave_nothing_to_permute(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """Where every bar moves alike all replicates are the observed run: no p, and the reason."""
    of = candles(50, 14)
    close = 10.0 * np.cumprod(np.full(50, 1.01))
    opened = close / 1.01
    same = Candles("X", "1d", of.ts, opened, close, opened, close)
    result = backtest(
        same,
        strategy={"name": "every_third"},
        validation={"statistic": "total_return", "permutation": {"n": 5}},
    )
    assert_no_p(permutation(result), "statistic_invariant")
    assert permutation(result)["observed"] > 0.1


@pytest.mark.usefixtures("every_third")
def test_one_move_in_two_leaves_ties(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """Replicates that tie with the observed run but for rounding count against the strategy."""
    of = candles(32, 15)
    close = np.cumprod(np.array([1.5 if t == 20 else 1.0 for t in range(32)]))
    opened = np.concatenate([[1.0], close[:-1]])
    jump = Candles(
        "X", "1d", of.ts, opened, np.maximum(opened, close), np.minimum(opened, close), close
    )
    result = backtest(
        jump,
        strategy={"name": "every_third"},
        validation={"statistic": "total_return", "permutation": {"n": 30}},
    )
    # Held at the jump or not: two outcomes alone, and about two replicates of three tie.
    document = permutation(result)
    orders = [drawn_orders(0, i, [0] * 31)[1] for i in range(30)]
    jumps = [1 + order.index(19) for order in orders]
    held = [(bar - 1) % 3 > 0 for bar in jumps]
    assert document["observed"] > 0.3
    assert document["p_value"] == pytest.approx((1 + sum(held)) / 31, rel=1e-15)


@pytest.mark.parametrize("statistic", ["sharpe", "total_return"])
@pytest.mark.parametrize("case", [*CASES][:5])
def test_shifts_are_the_plain_ones(
    case: str,
    statistic: str,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
    plain: Any,
) -> None:
    """Shifted, the weights held meet other returns; no costs, offsets from 1 to m - 1."""
    shape, config = CASES[case]
    validation = {"statistic": statistic, "permutation": {"n": 40, "method": "shift"}}
    result = backtest(candles(90, 16, **shape), validation=validation, seed=7, **config)
    bars, n = plain.bars(result.candles), len(result.candles)
    _, w = plain.target_weights(bars, result.config, result.periods_per_year.value)
    curve = result.execution.curve
    held = [curve.position[t] * bars.close[t] / curve.equity[t] for t in range(w, n - 1)]
    moves = [bars.close[t] / bars.close[t - 1] - 1 for t in range(w + 1, n)]
    m = n - 1 - w
    offsets = [int(generator(7, "permutation", i).integers(1, m)) for i in range(40)]

    def statistic_of(offset: int) -> float:
        """Return T where what was held is held ``offset`` bars later."""
        shifted = held[-offset:] + held[:-offset] if offset else held
        products = [v * move for v, move in zip(shifted, moves, strict=True)]
        return float(plain.statistic(result, products))

    document = permutation(result)
    assert document["method"] == "shift"
    assert_document(document, statistic_of(0), [statistic_of(k) for k in offsets], plain)
