"""Turnover and exposure against a replay of the fills, and on cases done by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from engine.config import ExecutionConfig
from engine.execution import simulate
from engine.metrics import measure
from engine.records import Candles, Execution, Metrics

DAY_MS = 86_400_000
NAMES = ("turnover", "exposure", "avg_gross_exposure", "max_gross_exposure")


def _candles(opens: Sequence[float], closes: Sequence[float]) -> Candles:
    first, last = np.array(opens, dtype=np.float64), np.array(closes, dtype=np.float64)
    high, low = np.maximum(first, last), np.minimum(first, last)
    ts = np.arange(len(first), dtype=np.int64) * DAY_MS
    return Candles("X", "1d", ts, first, high, low, last)


def _run(
    candles: Candles, weights: Sequence[float], config: ExecutionConfig
) -> tuple[Execution, Metrics]:
    execution = simulate(
        candles,
        np.array(weights, dtype=np.float64),
        config,
        None,
        check_cancelled=lambda: None,
        report_progress=lambda _: None,
    )
    metrics = measure(
        candles,
        execution,
        initial_cash=config.initial_cash,
        periods=252.0,
        risk_free_annual=0.0,
    )
    return execution, metrics


def _replay(candles: Candles, execution: Execution) -> dict[str, float]:
    """Return the four figures by following the position from fill to fill."""
    fills, equity, n = execution.fills, execution.curve.equity, len(candles)
    rows = [
        (int(fills.bar[k]), bool(fills.at_close[k]), float(fills.position_after[k]))
        for k in range(len(fills))
    ]
    traded, held, gross = 0.0, 0, []
    position = 0.0
    for t in range(n):
        value = float(equity[t])
        for k, (bar, _, _) in enumerate(rows):
            if bar == t and value > 0:
                traded += float(fills.qty[k]) * float(fills.price[k]) / value
        for bar, at_close, after in rows:
            if bar == t and not at_close:
                position = after
        held += position != 0
        gross.append(abs(position * float(candles.close[t])) / value if value > 0 else 0.0)
        for bar, at_close, after in rows:
            if bar == t and at_close:
                position = after
    figures = (traded * 252.0 / n, held / n, sum(gross) / n, max(gross))
    return dict(zip(NAMES, figures, strict=True))


@settings(max_examples=150, deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.floats(0.7, 1.4), st.floats(0.7, 1.4), st.sampled_from([-2, -1, 0, 0.5, 3])),
        min_size=1,
        max_size=30,
    ),
    flatten=st.booleans(),
)
def test_replay(moves: list[tuple[float, float, float]], *, flatten: bool) -> None:
    """Turnover and exposures are those of the positions that the fills leave, bar by bar."""
    opens, closes, price = [], [], 100.0
    for gap, body, _ in moves:
        opens.append(price * gap)
        price = opens[-1] * body
        closes.append(price)
    config = ExecutionConfig(
        initial_cash=1000.0,
        commission_bps=20.0,
        slippage_bps=10.0,
        borrow_bps=300.0,
        auto_flatten_end=flatten,
    )
    candles = _candles(opens, closes)
    execution, metrics = _run(candles, [weight for _, _, weight in moves], config)
    for name, value in _replay(candles, execution).items():
        assert metrics.values[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


HAND_CASES = {
    # Twenty units bought at 10 for an equity of 100; at 4 the account is 20 in debt.
    "ruin": (
        ([10, 10, 10, 4, 4], [2.0] * 5, ExecutionConfig(initial_cash=100.0)),
        (2 * 252 / 5, 3 / 5, (2 + 2) / 5, 2.0),
    ),
    # Ten units for 100 and a commission of 1; closed at the last close for another 1.
    "flattened": (
        (
            [10] * 4,
            [1.0] * 4,
            ExecutionConfig(initial_cash=100.0, commission_bps=100.0, auto_flatten_end=True),
        ),
        (
            (100 / 99 + 100 / 98) * 252 / 4,
            3 / 4,
            (100 / 99 + 100 / 99 + 100 / 98) / 4,
            100 / 98,
        ),
    ),
    # A short of ten units held to the end.
    "left_open": (
        ([10, 10, 8], [-1.0] * 3, ExecutionConfig(initial_cash=100.0)),
        (1 * 252 / 3, 2 / 3, (1 + 80 / 120) / 3, 1.0),
    ),
    "never_traded": (
        ([10, 11], [0.0, 0.0], ExecutionConfig(initial_cash=100.0)),
        (0.0, 0.0, 0.0, 0.0),
    ),
}


@pytest.mark.parametrize("case", HAND_CASES)
def test_by_hand(case: str) -> None:
    """Ruin, a last bar flattened at its close and an open position count as done by hand."""
    (prices, weights, config), want = HAND_CASES[case]
    _, metrics = _run(_candles(prices, prices), weights, config)
    assert [metrics.values[name] for name in NAMES] == pytest.approx(list(want))


def test_ruin_is_debt() -> None:
    """A ruined account owes money, so its return and drawdown are below −1 and stay there."""
    (prices, weights, config), _ = HAND_CASES["ruin"]
    execution, metrics = _run(_candles(prices, prices), weights, config)
    assert execution.curve.equity.tolist() == [100.0, 100.0, 100.0, -20.0, -20.0]
    assert metrics.values["total_return"] == pytest.approx(-1.2)
    assert metrics.values["max_drawdown"] == pytest.approx(-1.2)
    assert metrics.values["cagr"] == -1.0
    assert metrics.values["calmar"] == pytest.approx(-1 / 1.2)
    assert metrics.values["max_drawdown_duration_bars"] == 2


def test_costs_are_summed() -> None:
    """Commission, slippage and borrow are totals in currency over the whole run."""
    config = ExecutionConfig(
        initial_cash=100.0, commission_min=2.0, slippage_bps=100.0, borrow_bps=100.0
    )
    candles = _candles([10] * 4, [10] * 4)
    execution, metrics = _run(candles, [-1.0, -1.0, 0.0, 0.0], config)
    assert len(execution.fills) == 2
    assert metrics.values["total_commission"] == 4.0
    # Ten units sold and bought back 0.1 away from the open; a fee for each of the two days.
    assert metrics.values["total_slippage"] == pytest.approx(2.0)
    assert metrics.values["total_borrow"] == pytest.approx(2 * 0.01 * 100.0 / 365.25)
