"""Slippage noise, the cost grid and the break-even against re-runs in plain Python."""

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest

from engine.records import BacktestResult, Candles
from engine.streams import generator

GRID = [0, 1, 2, 3, 5]
SPREAD = {"name": "spread_pct", "params": {"spread_pct": 0.003}}
LEVERED = {"name": "fixed_fraction", "params": {"fraction": 12.0, "max_leverage": 20.0}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "slippage": ({}, {"execution": {"slippage_bps": 6}}, {}),
    "slippage, borrow, lots": (
        {},
        {"execution": {"slippage_bps": 8, "borrow_bps": 400, "lot_size": 25, "commission_min": 4, "initial_cash": 20_000}},
        {"sigma": 1.5},
    ),
    "spread and slippage, middle, flattened": (
        {"volume": "unknown"},
        {
            "execution": {"slippage_model": SPREAD, "slippage_bps": 4, "fill_price": "mid_next", "auto_flatten_end": True},
            "risk_free_annual": 0.03,
        },
        {},
    ),
    "participation, commission": (
        {"volume": "sometimes 0"},
        {"execution": {"slippage_model": {"name": "participation_rate"}, "commission_bps": 3, "zero_volume": "fill"}},
        {"sigma": 0.2},
    ),
    "sold for nothing": (
        {},
        {
            "execution": {"slippage_model": {"name": "participation_rate", "params": {"participation_pct": 2.0}}, "initial_cash": 1e9},
            "risk": {"name": "fixed_fraction", "params": {"fraction": 0.05}},
        },
        {"sigma": 1.0},
    ),
    "noise alone": (
        {"vwap": True},
        {"execution": {"commission_per_share": 0.001, "fill_price": "vwap_next"}},
        {"noise_bps": 12.5},
    ),
    "no noise": ({}, {"execution": {"slippage_bps": 6}}, {"sigma": 0.0}),
    "ruined": ({"move": 0.1}, {"execution": {"slippage_bps": 30}, "risk": LEVERED}, {}),
}  # fmt: skip


@pytest.fixture(params=CASES)
def result(
    request: pytest.FixtureRequest, backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> BacktestResult:
    """Return the run of a case with 12 replicates."""
    shape, config, test = CASES[request.param]
    of = candles(110, 31, **shape)
    made: BacktestResult = backtest(
        of, validation={"monte_carlo": {"n": 12} | test}, seed=9, **config
    )
    return made


def monte_carlo(result: BacktestResult) -> Any:
    return result.validation["monte_carlo"].document


def is_configured(result: BacktestResult) -> bool:
    """Tell whether the run itself has slippage, so that it is not the noise's own base."""
    execution = result.config.execution
    return execution.slippage_bps > 0 or execution.slippage_model is not None


def rerun(result: BacktestResult, slip: Callable[[int, float], float], plain: Any) -> list[float]:
    """Return the returns of the run's weights where fills slip otherwise."""
    test, execution = result.config.validation.monte_carlo, result.config.execution
    assert test is not None
    noise = (test.noise_bps or 0.0) / 1e4

    def slip_from_base(k: int, configured: float) -> float:
        """Return s of fill k, from the configured model or else from the noise's own."""
        return slip(k, configured if is_configured(result) else noise)

    weights = result.weights.tolist()
    account = plain.simulate(plain.bars(result.candles), weights, execution, slip_from_base)
    returns: list[float] = plain.returns(account, execution)
    return returns


def sharpe(result: BacktestResult, returns: list[float], plain: Any) -> Any:
    periods = result.periods_per_year.value
    return plain.sharpe(returns, plain.risk_free(result.config, periods), periods)


def test_replicates_are_the_plain_ones(result: BacktestResult, plain: Any) -> None:
    """Return, Sharpe ratio and chance of a loss are those of the plain noise on each fill."""
    test = result.config.validation.monte_carlo
    assert test is not None
    sigma, n = test.sigma, len(result.candles)
    totals, ratios = [], []
    for i in range(12):
        z = generator(9, "monte_carlo", i).standard_normal(n + 2).tolist()

        def slip(k: int, base: float, z: list[float] = z) -> float:
            return base * math.exp(sigma * z[k] - sigma**2 / 2)

        returns = rerun(result, slip, plain)
        totals.append(plain.total_return(returns))
        ratios.append(sharpe(result, returns, plain))
    document = monte_carlo(result)
    assert (document["n"], document["sigma"]) == (12, sigma)
    assert document["total_return"] == plain.near(plain.distribution(totals))
    assert document["sharpe"] == plain.near(plain.distribution(ratios))
    losses = sum(total < 0 for total in totals)
    assert document["probability_of_loss"] == pytest.approx(losses / 12, rel=1e-15)
    plain.assert_histogram(document["histogram"], totals)


def multiplied(by: float, _k: int, base: float) -> float:
    """Return s of a fill at a multiple of its base."""
    return by * base


def test_the_cost_grid_is_the_plain_one(result: BacktestResult, plain: Any) -> None:
    """At 0, 1, 2, 3 and 5 times the base every fill slips by that much, and without noise."""
    grid = monte_carlo(result)["cost_grid"]
    assert [row["multiple"] for row in grid] == GRID
    for row in grid:
        multiple = row["multiple"]
        returns = rerun(result, functools.partial(multiplied, multiple), plain)
        assert row["total_return"] == plain.near(plain.total_return(returns))
        assert row["sharpe"] == plain.near(sharpe(result, returns, plain))


def test_the_run_stands_in_the_grid(result: BacktestResult, plain: Any) -> None:
    """The run itself is the grid at 1, or at 0 where the noise has a base of its own."""
    row = monte_carlo(result)["cost_grid"][1 if is_configured(result) else 0]
    values = result.metrics.values
    assert row["total_return"] == plain.near(values["total_return"])
    assert row["sharpe"] == plain.near(values["sharpe"])


@pytest.mark.parametrize("multiple", GRID)
def test_the_grid_is_a_run_with_that_slippage(
    multiple: int, backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """A multiple of the slippage is the run that was configured with it."""
    of, validation = candles(110, 32), {"monte_carlo": {"n": 1}}
    once = backtest(of, execution={"slippage_bps": 7.0}, validation=validation)
    more = backtest(of, execution={"slippage_bps": 7.0 * multiple})
    row = monte_carlo(once)["cost_grid"][GRID.index(multiple)]
    expected = more.metrics.values
    assert row["total_return"] == pytest.approx(expected["total_return"], rel=1e-9)
    assert row["sharpe"] == pytest.approx(expected["sharpe"], rel=1e-9)


def test_the_grid_is_a_run_with_that_spread(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """Three times a spread's cost is the run that was configured with three times the spread."""
    of, validation = candles(110, 33), {"monte_carlo": {"n": 1}}
    once = backtest(of, execution={"slippage_model": SPREAD}, validation=validation)
    wide = {"name": "spread_pct", "params": {"spread_pct": 0.009}}
    more = backtest(of, execution={"slippage_model": wide}).metrics.values
    row = monte_carlo(once)["cost_grid"][3]
    assert row["total_return"] == pytest.approx(more["total_return"], rel=1e-9)


def flat_total(result: BacktestResult, bps: float, plain: Any) -> float:
    """Return the total return where every fill slips by the same fraction."""
    execution = result.config.execution
    weights, bars = result.weights.tolist(), plain.bars(result.candles)
    account = plain.simulate(bars, weights, execution, lambda _k, _base: bps / 1e4)
    return float(plain.total_return(plain.returns(account, execution)))


def winning(candles: Callable[..., Candles]) -> Candles:
    """Return a walk on which dual_sma(3, 8) wins before costs."""
    return candles(110, 45)


@pytest.mark.parametrize(
    "execution",
    [
        {"slippage_bps": 5},
        {"slippage_model": SPREAD, "slippage_bps": 100, "commission_bps": 1},
        {"slippage_bps": 5, "auto_flatten_end": True, "fill_price": "mid_next", "borrow_bps": 50},
    ],
)
def test_the_break_even(
    execution: dict[str, Any],
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
    plain: Any,
) -> None:
    """A flat slippage of the break-even, instead of all that is configured, leaves nothing."""
    result = backtest(winning(candles), execution=execution, validation={"monte_carlo": {"n": 1}})
    low, high = 0.0, 1000.0
    assert flat_total(result, low, plain) > 0 > flat_total(result, high, plain)
    while high - low > 1e-9:
        middle = (low + high) / 2
        if flat_total(result, middle, plain) > 0:
            low = middle
        else:
            high = middle
    found = monte_carlo(result)["breakeven_slippage_bps"]
    assert found == pytest.approx(low, rel=0, abs=0.001)
    slope = abs(flat_total(result, found + 0.5, plain) - flat_total(result, found - 0.5, plain))
    assert abs(flat_total(result, found, plain)) <= 0.001 * 1.01 * slope


@pytest.mark.parametrize(
    ("execution", "reason"),
    [
        ({"slippage_bps": 5, "commission_bps": 100}, "loses_without_costs"),
        ({"slippage_bps": 5, "lot_size": 1e9}, None),
    ],
)
def test_no_break_even(
    execution: dict[str, Any],
    reason: str | None,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
) -> None:
    """A run that loses without any slippage has no break-even, nor has one that never trades."""
    result = backtest(winning(candles), execution=execution, validation={"monte_carlo": {"n": 1}})
    document = monte_carlo(result)
    assert document["breakeven_slippage_bps"] is None
    assert reason is None or reason in reasons(document)


def test_a_break_even_above_the_range(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """Where even 1,000 basis points leave a profit, the break-even lies above the range."""
    of = candles(110, 35, move=0.001)
    rising = of.close * [1.03**t for t in range(110)]
    up = Candles("X", "1d", of.ts, rising, rising, rising, rising)
    result = backtest(up, execution={"slippage_bps": 5}, validation={"monte_carlo": {"n": 1}})
    document = monte_carlo(result)
    assert document["breakeven_slippage_bps"] is None
    assert "above_range" in reasons(document)


def reasons(value: Any) -> list[str]:
    """Return every text of a document, wherever it stands."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in reasons(item)]
    return []


def test_without_slippage_there_is_no_noise(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """Neither slippage nor noise configured: nothing to vary, null with a reason."""
    document = monte_carlo(backtest(winning(candles), validation={"monte_carlo": {"n": 3}}))
    assert document["probability_of_loss"] is None
    assert {document["total_return"][name] for name in ("mean", "p5", "p50", "p95")} == {None}
    assert document["reason"]
