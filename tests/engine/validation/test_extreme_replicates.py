"""Replicates that are all the same, and replicates in which everything is lost."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.records import BacktestResult, Candles
from engine.registry import Params
from engine.strategy import StrategyView, strategies

Backtest = Callable[..., BacktestResult]
Make = Callable[..., Candles]

CROSS = {"name": "dual_sma", "params": {"fast": 1, "slow": 2}}
LEVERED = {"name": "fixed_fraction", "params": {"fraction": 12.0, "max_leverage": 20.0}}
SLIPPED = {"slippage_bps": 5}


class NoSettings(Params):
    """No parameters."""


class Mostly:
    """Long on three bars of five, whatever the market does."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def features(self) -> list[Any]:
        return []

    def signals(self, view: StrategyView) -> Any:
        return (np.arange(len(view.candles)) % 5 > 1).astype(np.int64)


@pytest.fixture
def mostly() -> Iterator[None]:
    strategies.register("mostly", NoSettings)(Mostly)
    yield
    strategies.remove("mostly")


@pytest.mark.usefixtures("mostly")
@pytest.mark.parametrize("statistic", ["sharpe", "total_return"])
def test_equal_moves_shifted(statistic: str, backtest: Backtest, candles: Make) -> None:
    """Where every move is the same a shifted position earns what it earned: no p, and the reason."""
    close = np.array([10.0 * 1.01**t for t in range(60)])
    same = replace(candles(60, 1), open=close / 1.01, high=close, low=close / 1.01, close=close)
    result = backtest(
        same,
        strategy={"name": "mostly"},
        validation={"statistic": statistic, "permutation": {"n": 9, "method": "shift"}},
    )
    document = result.validation["permutation"].document
    assert (document["p_value"], document["reason"]) == (None, "statistic_invariant")
    assert document["observed"] > 0.2
    assert document["replicates"]["p5"] == pytest.approx(document["observed"], rel=1e-12)
    assert document["histogram"]["counts"] == [9]


def test_blocks_as_long_as_the_sample(backtest: Backtest, candles: Make) -> None:
    """In moving blocks as long as the sample every replicate is the run, and has its figures."""
    given = {"n": 9, "scheme": "moving", "block_length": 60}
    result = backtest(candles(60, 1), strategy=CROSS, validation={"block_bootstrap": given})
    document = result.validation["block_bootstrap"].document
    estimate = pytest.approx(document["sharpe"]["estimate"], rel=1e-12)
    assert document["sharpe"]["percentile"] == [estimate, estimate]
    assert document["sharpe"]["studentized"] == [estimate, estimate]
    total = pytest.approx(document["total_return"]["estimate"], rel=1e-9)
    assert document["total_return"]["interval"] == [total, total]
    assert document["histogram"]["counts"] == [9]


def test_noise_of_no_width(backtest: Backtest, candles: Make) -> None:
    """Without a width the noise is none: every replicate is the run itself, in one bin."""
    result = backtest(
        candles(60, 1),
        strategy=CROSS,
        execution=SLIPPED,
        validation={"monte_carlo": {"n": 9, "sigma": 0.0}},
    )
    document = result.validation["monte_carlo"].document
    observed = pytest.approx(result.metrics.values["total_return"], rel=1e-9)
    for name in ("mean", "p5", "p50", "p95"):
        assert document["total_return"][name] == observed
    assert document["histogram"]["counts"] == [9]
    assert document["cost_grid"][1]["total_return"] == observed


def least(document: Any) -> float:
    """Return the least replicate, where the histogram begins."""
    return float(document["histogram"]["edges"][0])


@pytest.mark.parametrize("statistic", ["sharpe", "total_return"])
def test_ruin_inside_a_permutation(statistic: str, backtest: Backtest, candles: Make) -> None:
    """Markets on which the run would have been ruined count with what was lost on them."""
    result = backtest(
        candles(60, 1, move=0.05),
        strategy=CROSS,
        risk=LEVERED,
        validation={"statistic": statistic, "permutation": {"n": 60}},
    )
    document = result.validation["permutation"].document
    assert sum(document["histogram"]["counts"]) == 60
    assert document["undefined"] == 0
    assert 1 / 61 <= document["p_value"] <= 1
    if statistic == "total_return":
        assert least(document) <= -1.0


def test_ruin_inside_a_bootstrap(backtest: Backtest, candles: Make) -> None:
    """A replicate that lost more than everything is in debt and stays there, like the run itself."""
    result = backtest(
        candles(60, 3, move=0.1),
        strategy=CROSS,
        risk=LEVERED,
        validation={"block_bootstrap": {"n": 60, "block_length": 5}},
    )
    assert "ruin" in {warning.code for warning in result.warnings}
    document = result.validation["block_bootstrap"].document
    assert document["total_return"]["interval"] is None
    assert document["total_return"]["reason"] == "return_of_minus_one"
    band = document["max_drawdown"]["band"]
    assert band == sorted(band)
    assert document["max_drawdown"]["estimate"] < -1.0
    assert band[0] < -1.0
    assert band[-1] <= 0.0


def test_ruin_inside_the_noise(backtest: Backtest, candles: Make) -> None:
    """Slippage that ruins some replicates, and not the run, shows in return and chance of loss."""
    result = backtest(
        candles(60, 1, move=0.004),
        strategy=CROSS,
        risk=LEVERED,
        execution={"slippage_bps": 8},
        validation={"monte_carlo": {"n": 60, "sigma": 3.0}},
    )
    document = result.validation["monte_carlo"].document
    assert "ruin" not in {warning.code for warning in result.warnings}
    assert least(document) <= -1.0 < result.metrics.values["total_return"]
    assert document["undefined"] == 0
    assert document["cost_grid"][-1]["total_return"] <= document["cost_grid"][0]["total_return"]


def test_ruin_inside_a_walk(backtest: Backtest, candles: Make) -> None:
    """Nothing is earned after a stretch that lost everything: two ruins are not a gain."""
    result = backtest(
        candles(90, 2, move=0.05),
        strategy=CROSS,
        risk={"name": "fixed_fraction", "params": {"fraction": 20.0, "max_leverage": 50.0}},
        execution=SLIPPED,
        validation={"walk_forward": {"folds": 2, "in_sample_folds": 1}},
    )
    document = result.validation["walk_forward"].document
    folds = [fold["out_of_sample"]["total_return"] for fold in document["folds"]]
    assert max(folds) <= -1.0
    assert document["stitched"]["total_return"] <= -1.0
