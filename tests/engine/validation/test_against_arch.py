"""Block lengths and intervals against those of the package arch."""

import csv
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import (
    CircularBlockBootstrap,
    MovingBlockBootstrap,
    StationaryBootstrap,
    optimal_block_length,
)

from engine.records import Candles
from engine.validation.block_length import optimal_block_lengths

SAMPLE = Path(__file__).parents[3] / "assets" / "sample"
BOOTSTRAPS = {
    "stationary": StationaryBootstrap,
    "circular": CircularBlockBootstrap,
    "moving": MovingBlockBootstrap,
}
N_OURS, N_THEIRS = 40_000, 12_000
SURELY = 4.5  # standard errors: one in 150,000 where the errors are normal


def sampled(name: str, n: int, start: int = 0) -> list[float]:
    """Return daily returns of the sample candles."""
    with (SAMPLE / f"{name}_1d.csv").open() as file:
        close = [float(row["Close"]) for row in csv.DictReader(file)][start : start + n + 1]
    return [b / a - 1 for a, b in itertools.pairwise(close)]


def autoregressive(n: int, weight: float, seed: int) -> list[float]:
    """Return a series in which each value remembers the last."""
    values = [0.0]
    for shock in np.random.default_rng(seed).standard_normal(n - 1).tolist():
        values.append(weight * values[-1] + 0.01 * shock)
    return values


def garch(n: int, seed: int) -> list[float]:
    """Return a series whose size is remembered and whose sign is not."""
    values, variance = [], 1e-4
    for shock in np.random.default_rng(seed).standard_normal(n).tolist():
        values.append(math.sqrt(variance) * shock)
        variance = 2e-6 + 0.1 * values[-1] ** 2 + 0.88 * variance
    return values


SERIES = {
    "S&P 500": sampled("SPX", 5000),
    "S&P 500, a year": sampled("SPX", 252, start=2400),
    "Nasdaq": sampled("IXIC", 5000),
    "Nasdaq, 50 days": sampled("IXIC", 50, start=700),
    "noise, 50": autoregressive(50, 0.0, 1),
    "noise, 500": autoregressive(500, 0.0, 2),
    "noise, 5,000": autoregressive(5000, 0.0, 3),
    "remembers a little": autoregressive(1000, 0.1, 4),
    "remembers": autoregressive(333, 0.5, 5),
    "remembers long": autoregressive(5000, 0.9, 6),
    "remembers nearly all": autoregressive(200, 0.99, 7),
    "alternates": autoregressive(800, -0.4, 8),
    "alternates nearly always": autoregressive(300, -0.95, 12),
    "clusters": garch(2500, 9),
    "clusters, squared": [x * x for x in garch(2500, 9)],
}


@pytest.mark.parametrize("name", SERIES)
def test_block_lengths(name: str) -> None:
    """Both lengths are arch's, but never below 1."""
    ours = optimal_block_lengths(np.array(SERIES[name]))
    theirs = optimal_block_length(np.array(SERIES[name]))
    for scheme in ("stationary", "circular"):
        expected = max(float(theirs[scheme].iloc[0]), 1.0)
        assert getattr(ours, scheme) == pytest.approx(expected, rel=1e-9)


def test_block_lengths_at_any_scale() -> None:
    """Returns whose squares are beyond all numbers have the lengths of smaller ones."""
    x = np.random.default_rng(3).standard_normal(300).cumsum()
    assert optimal_block_lengths(x * 2.0**1000) == optimal_block_lengths(x)


def test_the_series_reach_both_ends_and_what_lies_between() -> None:
    """Among the series are lengths of 1, the longest that is allowed, and some between."""
    lengths = {name: optimal_block_lengths(np.array(x)).stationary for name, x in SERIES.items()}
    longest = {
        name: math.ceil(min(3 * math.sqrt(len(x)), len(x) / 3)) for name, x in SERIES.items()
    }
    assert [name for name, length in lengths.items() if length == 1.0]
    assert [name for name, length in lengths.items() if length == longest[name]]
    assert sum(1 < length < longest[name] for name, length in lengths.items()) >= 8


def ratio_and_error(x: Any) -> tuple[float, float]:
    """Return the Sharpe ratio per bar, with population moments, and its error (Ledoit & Wolf)."""
    n, mean, s = len(x), x.mean(), x.std()
    ratio, z = mean / s, (x - mean) / s
    psi = z - ratio / 2 * (z**2 - 1)
    psi = psi - psi.mean()
    lags = math.floor(4 * (n / 100) ** (2 / 9))
    variance = psi @ psi / n
    for k in range(1, lags + 1):
        variance += 2 * (1 - k / (lags + 1)) * (psi[k:] @ psi[:-k]) / n
    return float(ratio), math.sqrt(variance / n)


def shifted(level: float, by: float) -> tuple[float, float]:
    """Return what part of arch's replicates surely lies below, and above, our quantile.

    Of n draws k lie below the true quantile p, k / n being p but for √(p (1 - p) / n); two samples
    differ by the root of the sum of both squares, whatever the distribution is like.
    """
    error = math.sqrt(level * (1 - level) * (1 / N_OURS + 1 / N_THEIRS))
    return level - by * error, level + by * error


@dataclass
class Bracket:
    """arch's interval of a little more than the confidence asked for, and of a little less."""

    wide: Any
    narrow: Any

    def holds(self, interval: list[float], column: int, *, scale: float = 1.0) -> bool:
        """Tell whether both ends lie between arch's."""
        wide, narrow = (each[:, column] * scale for each in (self.wide, self.narrow))
        return bool(wide[0] < interval[0] < narrow[0] and narrow[1] < interval[1] < wide[1])


def bracket(bootstrap: Any, statistics: Callable[[Any], Any], confidence: float) -> Bracket:
    """Return arch's percentile intervals on both sides of the one asked for."""
    levels = shifted((1 - confidence) / 2, SURELY)
    wide, narrow = (
        bootstrap.conf_int(
            statistics,
            reps=N_THEIRS,
            method="percentile",
            size=1 - 2 * level,
            reuse=level == levels[1],
        )
        for level in levels
    )
    return Bracket(wide, narrow)


@pytest.mark.parametrize(
    ("scheme", "length", "confidence"),
    [("stationary", 6.4, 0.95), ("circular", 7.0, 0.9), ("moving", 12.0, 0.95)],
)
def test_intervals(
    scheme: str,
    length: float,
    confidence: float,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
    plain: Any,
) -> None:
    """Percentile, studentised and mean intervals are arch's, but for what chance explains.

    arch scales a studentised interval by the deviation of the replicates; ours is scaled by the
    ratio's own error, so arch draws the replicates and gives the quantiles of t* alone.
    """
    test = {"n": N_OURS, "scheme": scheme, "block_length": length, "confidence": confidence}
    result = backtest(
        candles(160, 71),
        validation={"block_bootstrap": test},
        execution={"slippage_bps": 3},
        risk_free_annual=0.02,
        seed=11,
    )
    document = result.validation["block_bootstrap"].document
    periods, n = result.periods_per_year.value, 160
    returns = np.array(plain.run_returns(result))
    rf, scale = plain.risk_free(result.config, periods), math.sqrt(periods) * math.sqrt((n - 1) / n)
    ratio, error = ratio_and_error(returns - rf)

    def statistics(x: Any) -> Any:
        """Return Sharpe ratio, mean log return and t* of a resample."""
        star, its_error = ratio_and_error(x - rf)
        return np.array([star, np.log1p(x).mean(), (star - ratio) / its_error])

    block: Any = length if scheme == "stationary" else int(length)
    bootstrap = BOOTSTRAPS[scheme](block, returns, seed=np.random.default_rng(12))
    theirs = bracket(bootstrap, statistics, confidence)
    assert theirs.holds(document["sharpe"]["percentile"], 0, scale=scale)
    logs = [math.log1p(end) / n for end in document["total_return"]["interval"]]
    assert theirs.holds(logs, 1)
    low, high = document["sharpe"]["studentized"]
    quantiles = [(ratio - end / scale) / error for end in (high, low)]
    assert theirs.holds(quantiles, 2)


def test_the_brackets_are_narrow() -> None:
    """What passes for chance is less than half a percent of the replicates at either end."""
    for confidence in (0.9, 0.95):
        level = (1 - confidence) / 2
        below, above = shifted(level, SURELY)
        assert below > 0.6 * level
        assert above < 1.4 * level
