"""What trading costs: nothing else is lost in a market that stands still, and no cost ever pays.

A market that stands still gives no crossing, so beside the registered strategies one is entered for
these tests that takes a side at every bar by the bar's number alone.

Where prices, rates and quantities are few binary digits long no operation of a run rounds, so what
was lost equals the costs to the byte; with any rates, to 1e-12 of all that changed hands.

Twice the costs make the account smaller and thus the orders, unless they are of whole lots so large
that none is lost by it; only those cases are compared. Every step from a cost to the equity keeps
order under rounding, so "never more" holds without a tolerance.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from pydantic import Field

from engine.records import BacktestResult, Candles
from engine.registry import Params
from engine.strategy import StrategyView, strategies
from tests.proof.random_runs import DAY_MS, MANY, MONDAY_MS, Array, Case, Raw, cases, walk

COSTS = (
    "commission_per_share",
    "commission_bps",
    "commission_min",
    "slippage_bps",
    "borrow_bps",
)


class TossedParams(Params):
    """Parameters of the tossed sides."""

    toss: int = Field(0, ge=0, le=1000, description="another sequence of sides")


class Tossed:
    """A side for each bar by its number."""

    def __init__(self, params: TossedParams) -> None:
        self.params = params

    def features(self) -> list[Any]:
        return []

    def signals(self, view: StrategyView) -> Array:
        rng = np.random.default_rng(self.params.toss)
        sides: Array = rng.integers(-1, 2, len(view.candles))
        return sides


@pytest.fixture(autouse=True, scope="module")
def _tossed() -> Iterator[None]:
    strategies.register("tossed", TossedParams)(Tossed)
    yield
    strategies.remove("tossed")


def standing(price: float) -> st.SearchStrategy[Candles]:
    """Return candles whose every price is the same."""

    def make(n: int, volume: float | None) -> Candles:
        level = np.full(n, price)
        ts = MONDAY_MS + np.arange(n, dtype=np.int64) * DAY_MS
        volumes = None if volume is None else np.full(n, volume)
        return Candles("X", "1d", ts, level, level, level, level, volumes)

    return st.builds(make, st.integers(2, 80), st.sampled_from((None, 1024.0, 2.0**40)))


def tossed(case: Case, toss: int) -> Case:
    """Return the case under sides by number; a ``toss`` of 0 leaves its own strategy."""
    if not toss:
        return case
    return Case(
        case.candles, case.config | {"strategy": {"name": "tossed", "params": {"toss": toss}}}
    )


def paid(result: BacktestResult) -> Array:
    """Return all costs that fills had until each bar, borrow apart."""
    fills = result.execution.fills
    each = np.zeros(len(result.candles))
    np.add.at(each, fills.bar, fills.commission + fills.slippage)
    total: Array = np.cumsum(each)
    return total


DYADIC: Raw = {
    "initial_cash": 65536.0,
    "lot_size": 1.0,
    "commission_per_share": st.sampled_from((0.0, 0.25)),
    "commission_bps": st.sampled_from((0.0, 625.0)),
    "commission_min": st.sampled_from((0.0, 16.0)),
    "slippage_bps": st.sampled_from((0.0, 625.0)),
    "borrow_bps": 0.0,
}


@given(
    cases(standing(64.0), slippage=None),
    st.fixed_dictionaries({k: x for k, x in DYADIC.items() if not isinstance(x, float)}),
    st.sampled_from((None, 2.0**-6)),
    st.integers(0, 1000),
)
@MANY
def test_standing_exactly(case: Case, costs: Raw, spread: float | None, toss: int) -> None:
    """In a market that stands still equity is the cash less the costs so far, to the byte."""
    model = spread and {"name": "spread_pct", "params": {"spread_pct": spread}}
    fixed = {k: x for k, x in DYADIC.items() if isinstance(x, float)}
    result = tossed(case.having(slippage_model=model, **fixed, **costs), toss).run()
    assume(not any(w.code == "ruin" for w in result.warnings))
    curve = result.execution.curve
    assert curve.equity.tobytes() == (65536.0 - paid(result)).tobytes()
    values = result.metrics.values
    lost = values["total_commission"] + values["total_slippage"]
    assert values["total_return"] == (65536.0 - lost) / 65536.0 - 1.0


@given(cases(standing(37.3)), st.integers(0, 1000))
@MANY
def test_standing(case: Case, toss: int) -> None:
    """In a market that stands still a run loses commission, slippage and borrow, and no more."""
    result = tossed(case, toss).run()
    values, fills = result.metrics.values, result.execution.fills
    cash = case.execution["initial_cash"]
    changed_hands = cash + float((fills.qty * fills.price).sum())
    lost = cash - result.execution.curve.equity[-1]
    costs = values["total_commission"] + values["total_slippage"] + values["total_borrow"]
    assert abs(lost - costs) <= 1e-12 * changed_hands
    before_fees = cash - paid(result)
    assert (result.execution.curve.equity <= before_fees + 1e-12 * changed_hands).all()


def doubled(case: Case) -> Case:
    """Return the case with every cost twice as high."""
    terms = {name: 2 * case.execution[name] for name in COSTS}
    if model := case.execution.get("slippage_model"):
        terms["slippage_model"] = model | {
            "params": {name: 2 * value for name, value in model["params"].items()}
        }
    return case.having(**terms)


LOTS = st.builds(
    walk,
    st.integers(2, 60),
    st.integers(0, 2**32 - 1),
    price=st.just(50.0),
    move=st.sampled_from((0.002, 0.02)),
    volume=st.sampled_from(("known", "sometimes 0")),
    vwap=st.booleans(),
    weekdays=st.booleans(),
)


@given(
    cases(
        LOTS,
        initial_cash=100_000.0,
        lot_size=st.sampled_from((300.0, 700.0)),
        commission_min=st.sampled_from((0.0, 1.0)),
    ),
    st.integers(0, 3),
)
@settings(MANY, suppress_health_check=[HealthCheck.filter_too_much])
def test_doubled(case: Case, toss: int) -> None:
    """Twice the costs on the same fills never leave more equity, at any bar."""
    once = tossed(case, toss)
    ours, theirs = once.run().execution, doubled(once).run().execution
    for name in ("bar", "side", "qty", "at_close"):
        one, other = getattr(ours.fills, name), getattr(theirs.fills, name)
        assume(one.tobytes() == other.tobytes())
    assert (theirs.curve.equity <= ours.curve.equity).all()
    assert (theirs.curve.cash <= ours.curve.cash).all()
    costs = [e.fills.commission.sum() + e.fills.slippage.sum() for e in (ours, theirs)]
    assert costs[1] >= 1.5 * costs[0]
    if costs[0]:
        assert theirs.curve.equity[-1] < ours.curve.equity[-1]
