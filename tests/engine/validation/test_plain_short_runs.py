"""Runs too short, too still or too ruinous to say much still get documents that say so."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from engine.records import BacktestResult, Candles

EVERY_TEST = {
    "permutation": {"n": 7},
    "block_bootstrap": {"n": 7},
    "monte_carlo": {"n": 7},
    "walk_forward": {"folds": 2, "in_sample_folds": 1},
}
HOLD = {"name": "buy_and_hold"}
CROSS = {"name": "dual_sma", "params": {"fast": 1, "slow": 2}}
RECKLESS = {"name": "fixed_fraction", "params": {"fraction": 50.0, "max_leverage": 50.0}}


def documents(result: BacktestResult) -> dict[str, Any]:
    """Return every document, having seen that it is JSON without NaN or infinity."""
    written = {name: test.document for name, test in result.validation.items()}
    assert set(written) == set(EVERY_TEST)
    read: dict[str, Any] = json.loads(json.dumps(written, allow_nan=False))
    return read


def headlines(of: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return what each test is run for, each beside the reason for its absence."""
    walk, bootstrap, noise = of["walk_forward"], of["block_bootstrap"], of["monte_carlo"]
    return [
        (of["permutation"]["p_value"], of["permutation"]["reason"]),
        (bootstrap["sharpe"]["studentized"], bootstrap["sharpe"]["reason"]),
        (bootstrap["total_return"]["interval"], bootstrap["total_return"]["reason"]),
        (noise["probability_of_loss"], noise["reason"]),
        (noise["breakeven_slippage_bps"], noise["breakeven_reason"]),
        (walk["observed"], walk["reason"]),
    ]


@pytest.mark.parametrize("slippage_bps", [0, 5])
@pytest.mark.parametrize("strategy", [HOLD, CROSS])
@pytest.mark.parametrize("n_bars", [1, 2, 3, 4, 5, 7, 11])
def test_few_bars(
    n_bars: int,
    strategy: dict[str, Any],
    slippage_bps: float,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
) -> None:
    """On a handful of bars every test gives a value or a reason, never both, never neither."""
    execution = {"slippage_bps": slippage_bps}
    result = backtest(
        candles(n_bars, 51), strategy=strategy, execution=execution, validation=EVERY_TEST
    )
    for value, reason in headlines(documents(result)):
        assert (value is None) == (reason is not None)


@pytest.mark.parametrize("seed", range(52, 56))
def test_ruin_and_stillness(
    seed: int, backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """Nor does a ruined run, nor one on prices that never move, leave anything unsaid."""
    walk = candles(60, seed, move=0.1)
    flat = walk.close * 0.0 + 7.0
    still = Candles("X", "1d", walk.ts, flat, flat, flat, flat)
    ruined = backtest(walk, strategy=CROSS, risk=RECKLESS, validation=EVERY_TEST)
    assert "ruin" in {warning.code for warning in ruined.warnings}
    held = backtest(still, strategy=HOLD, execution={"slippage_bps": 5}, validation=EVERY_TEST)
    for result in (ruined, held):
        for value, reason in headlines(documents(result)):
            assert (value is None) == (reason is not None)


def test_a_test_left_out_is_not_run(
    backtest: Callable[..., Any], candles: Callable[..., Candles]
) -> None:
    """Only the tests that a configuration names have a document."""
    result = backtest(candles(60, 56), validation={"walk_forward": {}})
    assert list(result.validation) == ["walk_forward"]
    assert not backtest(candles(60, 56)).validation
