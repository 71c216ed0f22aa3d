"""Runs with nothing to say to a test, or too much: what each document then answers."""

import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine import metrics
from engine.artifacts.picture import Picture, _fold_ends
from engine.artifacts.plot import draw_png
from engine.errors import ConfigError
from engine.records import BacktestResult, Candles
from engine.validation import REASONS
from engine.validation.scoring import compounded

Backtest = Callable[..., BacktestResult]
Make = Callable[..., Candles]

HOLD = {"name": "buy_and_hold"}
CROSS = {"name": "dual_sma", "params": {"fast": 1, "slow": 2}}
NEVER = {"name": "dual_sma", "params": {"fast": 3, "slow": 8, "threshold_bp": 9000}}
TOO_SLOW = {"name": "dual_sma", "params": {"fast": 3, "slow": 100}}
LEVERED = {"name": "fixed_fraction", "params": {"fraction": 12.0, "max_leverage": 20.0}}
SLIPPED = {"slippage_bps": 5}
PARTICIPATION = {"slippage_model": {"name": "participation_rate"}, "zero_volume": "fill"}
EVERY_TEST: dict[str, Any] = {
    "permutation": {"n": 7},
    "block_bootstrap": {"n": 7},
    "monte_carlo": {"n": 7},
    "walk_forward": {"folds": 2, "in_sample_folds": 1},
}


def every_test(**given: dict[str, Any]) -> dict[str, Any]:
    """Return every test, some of them with other parameters."""
    return {name: params | given.get(name, {}) for name, params in EVERY_TEST.items()}


def still(of: Candles, n_bars: int | None = None) -> Candles:
    """Return candles whose price stays at 8 for the first ``n_bars``, or for ever."""
    columns = {}
    for name in ("open", "high", "low", "close"):
        columns[name] = getattr(of, name).copy()
        columns[name][:n_bars] = 8.0
        if n_bars is not None:
            columns[name][n_bars:] *= 8.0 / of.open[n_bars]
    return replace(of, **columns)


def untraded(of: Candles) -> Candles:
    """Return candles without any volume."""
    return replace(of, volume=np.zeros(len(of)))


def soaring(of: Candles) -> Candles:
    """Return candles whose price halves while nothing is out of sample yet, and then triples."""
    moves = np.full(len(of), 3.0)
    moves[:3] = 1.0, 1.0, 0.5
    close = 1e-150 * np.cumprod(moves)
    opening = close / moves
    high, low = np.maximum(opening, close), np.minimum(opening, close)
    return replace(of, open=opening, high=high, low=low, close=close)


CASES: dict[str, tuple[Callable[[Make], Candles], dict[str, Any]]] = {
    "no trades": (lambda c: c(60, 1), {"strategy": NEVER, "execution": SLIPPED}),
    "no trades, no slippage": (lambda c: c(60, 1), {"strategy": NEVER}),
    "one trade": (
        lambda c: c(60, 5),
        {"strategy": HOLD, "execution": SLIPPED | {"auto_flatten_end": True}},
    ),
    "still prices": (lambda c: still(c(60, 1)), {"strategy": CROSS, "execution": SLIPPED}),
    "still prices, held": (lambda c: still(c(60, 1)), {"strategy": HOLD, "execution": SLIPPED}),
    "still at first": (
        lambda c: still(c(60, 1), 35),
        {"strategy": CROSS, "execution": SLIPPED},
    ),
    "one replicate": (
        lambda c: c(60, 1),
        {
            "strategy": CROSS,
            "execution": SLIPPED,
            "validation": every_test(
                permutation={"n": 1}, block_bootstrap={"n": 1}, monte_carlo={"n": 1}
            ),
        },
    ),
    "block longer than the sample": (
        lambda c: c(60, 1),
        {"strategy": CROSS, "validation": every_test(block_bootstrap={"block_length": 61})},
    ),
    "more folds than bars": (
        lambda c: c(60, 1),
        {"strategy": CROSS, "validation": every_test(walk_forward={"folds": 100})},
    ),
    "volume unknown": (
        lambda c: c(60, 1, volume="unknown"),
        {"strategy": CROSS, "execution": SLIPPED},
    ),
    "no volume": (lambda c: untraded(c(60, 1)), {"strategy": CROSS, "execution": SLIPPED}),
    "no volume, filled": (
        lambda c: untraded(c(60, 1)),
        {"strategy": CROSS, "execution": SLIPPED | {"zero_volume": "fill"}},
    ),
    "no volume, participating": (
        lambda c: untraded(c(60, 1)),
        {"strategy": CROSS, "execution": PARTICIPATION},
    ),
    "ruined": (
        lambda c: c(60, 3, move=0.1),
        {"strategy": CROSS, "risk": LEVERED, "execution": SLIPPED},
    ),
    "ruined, then beyond all numbers": (
        lambda c: soaring(c(600, 1)),
        {
            "strategy": HOLD,
            "risk": LEVERED,
            "validation": every_test(walk_forward={"folds": 190}),
        },
    ),
    "one bar": (lambda c: c(1, 1), {"strategy": HOLD, "execution": SLIPPED}),
    "two bars": (lambda c: c(2, 3), {"strategy": HOLD, "execution": SLIPPED}),
    "three bars": (lambda c: c(3, 1), {"strategy": HOLD, "execution": SLIPPED}),
    "features that never begin": (lambda c: c(60, 1), {"strategy": TOO_SLOW, "execution": SLIPPED}),
}


def run_case(case: str, backtest: Backtest, candles: Make) -> tuple[BacktestResult, Any]:
    """Return the run of a case, and its documents as read back from JSON without NaN."""
    make, config = CASES[case]
    result = backtest(make(candles), **({"validation": EVERY_TEST} | config))
    written = {name: test.document for name, test in result.validation.items()}
    return result, json.loads(json.dumps(written, allow_nan=False))


def unexplained(value: Any, path: str = "", *, explained: bool = False) -> Iterator[str]:
    """Yield every null that has no reason beside it nor around it."""
    if isinstance(value, dict):
        inside = explained or value.get("reason") is not None
        for key, each in value.items():
            own = value.get(f"{key}_reason") or value.get(f"{key.split('_')[0]}_reason")
            if not key.endswith("reason"):
                yield from unexplained(each, f"{path}.{key}", explained=inside or bool(own))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from unexplained(each, f"{path}.{i}", explained=explained)
    elif value is None and not explained:
        yield path


def reasons(value: Any) -> Iterator[str]:
    """Yield every reason that is given anywhere."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key.endswith("reason") and each is not None:
                yield each
            else:
                yield from reasons(each)
    elif isinstance(value, list):
        for each in value:
            yield from reasons(each)


@pytest.mark.parametrize("case", CASES)
def test_documents_can_be_written_and_read(case: str, backtest: Backtest, candles: Make) -> None:
    """All four documents are JSON without NaN, and say only reasons that there are words for."""
    _, documents = run_case(case, backtest, candles)
    assert set(documents) == set(EVERY_TEST)
    assert set(reasons(documents)) <= set(REASONS | metrics.REASONS)


@pytest.mark.parametrize("case", CASES)
def test_every_null_has_a_reason(case: str, backtest: Backtest, candles: Make) -> None:
    """A value that cannot be defined is null, with a reason beside it or around it."""
    _, documents = run_case(case, backtest, candles)
    assert list(unexplained(documents)) == []


def spread(of: Any) -> set[Any]:
    """Return the figures of a summary of replicates, each once."""
    return {of[name] for name in ("mean", "p5", "p50", "p95")}


def assert_none(of: Any, reason: str) -> None:
    """Check that a summary of replicates has no figure, and says why."""
    assert (spread(of), of["reason"]) == ({None}, reason)


def assert_no_sharpe(document: Any, reason: str) -> None:
    """Check that a bootstrap gives no interval for the Sharpe ratio."""
    sharpe = document["sharpe"]
    assert (sharpe["studentized"], sharpe["percentile"]) == (None, None)
    assert (document["reason"], sharpe["reason"]) == (reason, reason)


@pytest.mark.parametrize("case", ["no trades", "still prices", "features that never begin"])
def test_without_a_trade(case: str, backtest: Backtest, candles: Make) -> None:
    """Nothing traded is nothing earned, whatever it might have cost, and no timing to test."""
    result, of = run_case(case, backtest, candles)
    assert len(result.execution.fills) == 0
    assert of["permutation"]["reason"] == "no_timing"
    assert_none(of["permutation"]["replicates"], "no_timing")
    assert_no_sharpe(of["block_bootstrap"], "zero_volatility")
    assert_none(of["block_bootstrap"]["replicates"], "zero_volatility")
    assert of["block_bootstrap"]["total_return"]["interval"] == [0.0, 0.0]
    assert of["block_bootstrap"]["max_drawdown"]["band"] == [0.0, 0.0, 0.0]
    noise = of["monte_carlo"]
    assert spread(noise["total_return"]) == {0.0}
    assert_none(noise["sharpe"], "zero_volatility")
    assert (noise["probability_of_loss"], noise["undefined"]) == (0.0, 7)
    assert [row["total_return"] for row in noise["cost_grid"]] == [0.0] * 5
    assert noise["breakeven_reason"] == "no_trades"
    late = case == "features that never begin"
    assert of["walk_forward"]["reason"] == ("too_few_bars" if late else "zero_volatility")


def test_without_slippage_there_is_no_noise(backtest: Backtest, candles: Make) -> None:
    """Where nothing slips and no noise is given, there is nothing to multiply."""
    _, of = run_case("no trades, no slippage", backtest, candles)
    noise = of["monte_carlo"]
    assert noise["reason"] == "no_slippage"
    assert noise["cost_grid"] is None
    assert_none(noise["total_return"], "no_slippage")
    assert_none(noise["sharpe"], "no_slippage")


def test_one_trade(backtest: Backtest, candles: Make) -> None:
    """Of one round trip the break-even is (C - O) / (C + O), by hand."""
    result, of = run_case("one trade", backtest, candles)
    assert result.metrics.values["trade_count"] == 1
    assert of["permutation"]["reason"] == "no_timing"
    bought, sold = result.candles.open[1], result.candles.close[-1]
    expected = 1e4 * (sold - bought) / (sold + bought)
    assert of["monte_carlo"]["breakeven_slippage_bps"] == pytest.approx(expected, abs=0.001)


def test_still_prices_held(backtest: Backtest, candles: Make) -> None:
    """On prices that never move a purchase costs its slippage and nothing else is ever earned."""
    _, of = run_case("still prices, held", backtest, candles)
    noise = of["monte_carlo"]
    paid = [multiple * 0.95 * 5e-4 for multiple in (0, 1, 2, 3, 5)]
    found = [-row["total_return"] for row in noise["cost_grid"]]
    assert found == pytest.approx(paid, rel=1e-9, abs=1e-15)
    assert noise["probability_of_loss"] == 1.0
    assert noise["breakeven_slippage_bps"] == pytest.approx(0.0, abs=0.001)
    assert of["permutation"]["reason"] == "no_timing"
    assert of["walk_forward"]["positive_folds"] == 0.0


def test_one_replicate_each(backtest: Backtest, candles: Make) -> None:
    """One replicate is its own mean, quantiles and interval, and p is a half or one."""
    result, of = run_case("one replicate", backtest, candles)
    shuffled, noise, resampled = (
        of[name] for name in ("permutation", "monte_carlo", "block_bootstrap")
    )
    (only,) = spread(shuffled["replicates"])
    p = 1.0 if only >= shuffled["observed"] else 0.5
    assert shuffled["p_value"] == p
    assert shuffled["p_value_error"] == math.sqrt(p * (1 - p))
    assert shuffled["histogram"]["counts"] == [1]
    low, high = shuffled["histogram"]["edges"]
    assert low <= only <= high
    assert len(spread(noise["total_return"])) == 1
    assert noise["probability_of_loss"] == float(noise["total_return"]["mean"] < 0)
    for interval in ("studentized", "percentile"):
        assert len(set(resampled["sharpe"][interval])) == 1
    assert len(set(resampled["total_return"]["interval"])) == 1
    assert len(set(resampled["max_drawdown"]["band"])) == 1
    assert result.validation["permutation"].headline == {"permutation_p_value": p}


@pytest.mark.parametrize("scheme", ["stationary", "circular", "moving"])
def test_a_block_longer_than_the_sample(scheme: str, backtest: Backtest, candles: Make) -> None:
    """Blocks may be as long as the sample, not longer; then every interval says so."""
    documents = []
    for length in (60, 61):
        given = {"n": 7, "scheme": scheme, "block_length": length}
        result = backtest(candles(60, 1), strategy=CROSS, validation={"block_bootstrap": given})
        documents.append(result.validation["block_bootstrap"].document)
    within, beyond = documents
    assert within["reason"] is None
    assert_no_sharpe(beyond, "block_longer_than_sample")
    assert_none(beyond["replicates"], "block_longer_than_sample")
    for name, interval in (("total_return", "interval"), ("max_drawdown", "band")):
        assert within[name][interval] is not None
        assert beyond[name][interval] is None
        assert beyond[name]["reason"] == "block_longer_than_sample"
        assert beyond[name]["estimate"] == within[name]["estimate"]


def test_more_folds_than_bars(backtest: Backtest, candles: Make) -> None:
    """A walk that would have folds of a bar or none is not gone."""
    result, of = run_case("more folds than bars", backtest, candles)
    assert of["walk_forward"]["reason"] == "too_few_bars"
    assert of["walk_forward"]["folds"] == []
    assert result.validation["walk_forward"].curve is None


def test_volume_that_nobody_asks_for(backtest: Backtest, candles: Make) -> None:
    """Unknown volume, and none at all where it does not hold up fills, change no document."""
    _, unknown = run_case("volume unknown", backtest, candles)
    _, none = run_case("no volume, filled", backtest, candles)
    assert unknown == none
    assert unknown["permutation"]["p_value"] is not None
    assert unknown["block_bootstrap"]["sharpe"]["studentized"] is not None


def test_no_volume_holds_up_every_fill(backtest: Backtest, candles: Make) -> None:
    """Where fills wait for volume that never comes there are no trades, though there is timing."""
    result, of = run_case("no volume", backtest, candles)
    assert len(set(result.weights.tolist())) > 1
    assert of["permutation"]["reason"] == "no_trades"
    assert_none(of["permutation"]["replicates"], "no_trades")
    assert of["monte_carlo"]["breakeven_reason"] == "no_trades"
    assert_no_sharpe(of["block_bootstrap"], "zero_volatility")


def test_participation_without_volume(backtest: Backtest, candles: Make) -> None:
    """A share of no volume slips as a whole bar's volume does; of unknown volume it is refused."""
    _, of = run_case("no volume, participating", backtest, candles)
    assert of["monte_carlo"]["base_slippage_bps"] == pytest.approx(1000.0, rel=1e-9)
    assert of["monte_carlo"]["reason"] is None
    with pytest.raises(ConfigError, match="volume"):
        backtest(
            candles(60, 1, volume="unknown"),
            strategy=CROSS,
            execution=PARTICIPATION,
            validation=EVERY_TEST,
        )


@pytest.mark.parametrize("case", ["one bar", "two bars", "three bars"])
def test_a_handful_of_bars(case: str, backtest: Backtest, candles: Make) -> None:
    """One bar fills nothing; a purchase on the second breaks even at its last close over its open."""
    result, of = run_case(case, backtest, candles)
    bars, n = result.candles, len(result.candles)
    assert of["permutation"]["reason"] == "no_timing"
    assert of["walk_forward"]["reason"] == "too_few_bars"
    noise, resampled = of["monte_carlo"], of["block_bootstrap"]
    if n == 1:
        assert noise["breakeven_reason"] == "no_trades"
        assert_no_sharpe(resampled, "too_few_bars")
        assert_none(resampled["replicates"], "too_few_bars")
        assert resampled["max_drawdown"]["reason"] == "too_few_bars"
        assert resampled["total_return"]["reason"] == "too_few_bars"
    elif bars.close[-1] < bars.open[1]:
        assert noise["breakeven_reason"] == "loses_without_costs"
    else:
        expected = 1e4 * (bars.close[-1] / bars.open[1] - 1)
        assert noise["breakeven_slippage_bps"] == pytest.approx(expected, abs=0.001)
    assert resampled["sharpe"]["undefined"] <= 7


def test_stitched_beyond_all_numbers(backtest: Backtest, candles: Make) -> None:
    """What the later stretches would have grown to together is null where no number holds it."""
    result, found = run_case("ruined, then beyond all numbers", backtest, candles)
    stitched = found["walk_forward"]["stitched"]
    assert (stitched["total_return"], stitched["total_return_reason"]) == (None, "overflow")
    assert result.validation["walk_forward"].curve is None
    later = [each["out_of_sample"]["total_return"] for each in found["walk_forward"]["folds"]]
    assert min(later) > 30
    drawn = io.BytesIO()
    draw_png(Picture.of(result), drawn)
    assert drawn.getvalue().startswith(b"\x89PNG")
    assert _fold_ends(found, 1.0) is None


def test_growth_after_all_is_lost() -> None:
    """What is lost stays lost, without a word about how far the rest would have grown."""
    assert compounded(np.array([1.0, -5.0, 1e200, 1e200, -5.0])).tolist() == [2.0, *[-8.0] * 4]
