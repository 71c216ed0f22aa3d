"""Walk-forward folds against segments traded one by one in plain Python."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from engine.records import BacktestResult, Candles

SPREAD = {"name": "spread_pct", "params": {"spread_pct": 0.003}}
TARGETED = {
    "name": "volatility_target",
    "params": {"target_vol": 0.3, "lookback": 11, "max_leverage": 2.0},
}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "no costs": ({}, {}),
    "slippage, borrow, lots": (
        {},
        {"execution": {"slippage_bps": 8, "borrow_bps": 400, "lot_size": 25, "commission_min": 4, "initial_cash": 20_000}},
    ),
    "spread, middle, flattened": (
        {"volume": "unknown"},
        {"execution": {"slippage_model": SPREAD, "fill_price": "mid_next", "auto_flatten_end": True}, "risk_free_annual": 0.03},
    ),
    "participation, changing weights": (
        {"volume": "sometimes 0", "vwap": True},
        {
            "execution": {"slippage_model": {"name": "participation_rate"}, "commission_bps": 3, "fill_price": "vwap_next"},
            "risk": TARGETED,
        },
    ),
}  # fmt: skip
FOLDS: list[dict[str, Any]] = [
    {"folds": 5},
    {"folds": 5, "anchored": True},
    {"folds": 2, "in_sample_folds": 1},
    {"folds": 3, "in_sample_folds": 4, "anchored": True},
]


def walk_forward(result: BacktestResult) -> Any:
    return result.validation["walk_forward"].document


def edges(result: BacktestResult, plain: Any) -> list[int]:
    """Return e_0 … e_{folds + k}."""
    test = result.config.validation.walk_forward
    assert test is not None
    n, pieces = len(result.candles), test.folds + test.in_sample_folds
    bars = plain.bars(result.candles)
    _, w = plain.target_weights(bars, result.config, result.periods_per_year.value)
    m = n - (w + 1)
    return [w + 1 + j * m // pieces for j in range(pieces + 1)]


class Segment:
    """One stretch of bars, traded from cash to cash."""

    def __init__(self, result: BacktestResult, start: int, stop: int, plain: Any) -> None:
        config, periods = result.config, result.periods_per_year.value
        flattened = config.execution.model_copy(update={"auto_flatten_end": True})
        bars = plain.bars(result.candles).part(start, stop)
        account = plain.simulate(bars, result.weights.tolist()[start:stop], flattened)
        self.start, self.stop = start, stop
        self.returns: list[float] = plain.returns(account, flattened)
        self.total_return: float = plain.total_return(self.returns)
        rf = plain.risk_free(config, periods)
        self.sharpe: float | None = plain.sharpe(self.returns, rf, periods)
        self.trade_count = account.trade_count
        self.mean = math.fsum(self.returns) / len(self.returns)
        self.closed = account.position[-1] == 0

    def assert_document(self, document: Any, plain: Any) -> None:
        """Compare what the document says of this stretch."""
        assert (document["start"], document["end"]) == (self.start, self.stop)
        assert document["total_return"] == plain.near(self.total_return)
        assert document["sharpe"] == plain.near(self.sharpe)
        assert document["trade_count"] == self.trade_count


def plain_folds(result: BacktestResult, plain: Any) -> list[tuple[Segment, Segment]]:
    """Return (in sample, out of sample) of each fold."""
    test, e = result.config.validation.walk_forward, edges(result, plain)
    assert test is not None
    k = test.in_sample_folds
    folds = []
    for i in range(1, test.folds + 1):
        first = e[0] if test.anchored else e[i - 1]
        inside = Segment(result, first, e[k + i - 1], plain)
        folds.append((inside, Segment(result, e[k + i - 1], e[k + i], plain)))
    return folds


@pytest.mark.parametrize("seed", [41, 45, 47])
@pytest.mark.parametrize("test", FOLDS)
@pytest.mark.parametrize("case", CASES)
def test_folds_are_the_plain_ones(
    case: str,
    test: dict[str, Any],
    seed: int,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
    plain: Any,
) -> None:
    """Edges, returns, ratios and trades of every segment, and what is made of them, are plain."""
    shape, config = CASES[case]
    result = backtest(candles(223, seed, **shape), validation={"walk_forward": test}, **config)
    document, folds = walk_forward(result), plain_folds(result, plain)
    assert document["anchored"] == test.get("anchored", False)
    assert len(document["folds"]) == test["folds"]
    for fold, (inside, outside) in zip(document["folds"], folds, strict=True):
        inside.assert_document(fold["in_sample"], plain)
        outside.assert_document(fold["out_of_sample"], plain)
    assert_summary(document, folds, result, plain)


def assert_summary(
    document: Any, folds: list[tuple[Segment, Segment]], result: BacktestResult, plain: Any
) -> None:
    """Compare what is said of all folds together."""
    periods = result.periods_per_year.value
    stitched = [r for _, outside in folds for r in outside.returns]
    rf = plain.risk_free(result.config, periods)
    assert document["stitched"] == {
        "total_return": plain.near(plain.total_return(stitched)),
        "sharpe": plain.near(plain.sharpe(stitched, rf, periods)),
    }
    positive = sum(outside.total_return > 0 for _, outside in folds)
    assert document["positive_folds"] == pytest.approx(positive / len(folds), rel=1e-15)
    ratios = [(inside.sharpe, outside.sharpe) for inside, outside in folds]
    decays = [out - within for within, out in ratios if within is not None and out is not None]
    assert len(decays) == len(folds)
    value = math.fsum(decays) / len(decays)
    error = plain.deviation(decays) / math.sqrt(len(folds))
    assert document["sharpe_decay"]["value"] == plain.near(value)
    assert document["sharpe_decay"]["standard_error"] == plain.near(error)
    within, out = (math.fsum(fold[place].mean * periods for fold in folds) for place in (0, 1))
    expected = None if within <= 0 else out / within
    assert document["efficiency"] == plain.near(expected)


def test_efficiency_is_seen_both_ways(
    backtest: Callable[..., Any], candles: Callable[..., Candles], plain: Any
) -> None:
    """Efficiency is a number where the rule earned in sample, and null where it lost."""
    seen = set()
    for seed in range(41, 47):
        result = backtest(candles(120, seed), validation={"walk_forward": {"folds": 3}})
        folds = plain_folds(result, plain)
        earned = sum(inside.mean for inside, _ in folds) > 0
        assert (walk_forward(result)["efficiency"] is not None) == earned
        seen.add(earned)
    assert seen == {True, False}


def test_segments_end_in_cash(
    backtest: Callable[..., Any], candles: Callable[..., Candles], plain: Any
) -> None:
    """Every segment of the plain reading is closed at its end, so that folds do not overlap."""
    result = backtest(candles(223, 41), validation={"walk_forward": {"folds": 5}})
    folds = plain_folds(result, plain)
    assert all(segment.closed for fold in folds for segment in fold)
    assert folds[0][0].start == 9
    assert folds[-1][1].stop == 223
    starts_and_stops = [(outside.start, outside.stop) for _, outside in folds]
    assert all(stop == start for (_, stop), (start, _) in pairwise(starts_and_stops))


@pytest.mark.parametrize(("n_bars", "defined"), [(8 + 1 + 16, True), (8 + 1 + 14, False)])
def test_segments_need_two_bars(
    n_bars: int,
    defined: bool,  # noqa: FBT001  # a table of cases
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
) -> None:
    """With a segment of one bar the test is null, and says why."""
    document = walk_forward(backtest(candles(n_bars, 42), validation={"walk_forward": {}}))
    assert (document["stitched"] is not None) == defined
    if not defined:
        assert document["reason"]
