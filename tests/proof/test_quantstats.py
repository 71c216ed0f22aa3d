"""The metrics of runs over the samples against what quantstats said of the same returns.

quantstats itself is no requirement: it brings a client of a market data service along. Its answers
stand in quantstats_figures.json, with the versions that gave them; quantstats_figures.py asks anew.
Skewness and kurtosis of quantstats are those of a sample, ours are population moments; the factors
between the two are exact and stand below.
"""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.metrics import kernel
from engine.metrics.drawdown import drawdowns
from engine.pipeline import run
from engine.records import BacktestResult

RECORDED = json.loads(
    (Path(__file__).parent / "quantstats_figures.json").read_text(encoding="utf-8")
)
RUNS: dict[str, Any] = RECORDED["runs"]
REL = 1e-9
NAMES = (
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "avg_drawdown",
)


@cache
def result(name: str) -> BacktestResult:
    return run(RUNS[name])


def figures(name: str) -> dict[str, Any]:
    found: dict[str, Any] = RECORDED["figures"][name]
    return found


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("metric", NAMES)
def test_metrics(name: str, metric: str) -> None:
    """A metric of twenty years of trading is the one of quantstats."""
    assert result(name).metrics.values[metric] == pytest.approx(figures(name)[metric], rel=REL)


@pytest.mark.parametrize("name", RUNS)
def test_moments(name: str) -> None:
    """Skewness and kurtosis are those of quantstats without the correction for a sample."""
    ours, theirs, n = result(name).metrics.values, figures(name), len(result(name).candles)
    g1 = theirs["unbiased_skewness"] * (n - 2) / math.sqrt(n * (n - 1))
    excess = theirs["unbiased_excess_kurtosis"] * (n - 2) * (n - 3) / (n - 1)
    assert ours["skewness"] == pytest.approx(g1, rel=1e-8)
    assert ours["kurtosis"] == pytest.approx((excess - 6) / (n + 1) + 3, rel=1e-8)


@pytest.mark.parametrize("name", RUNS)
def test_episodes(name: str) -> None:
    """There are as many drawdowns as quantstats counts."""
    found = result(name)
    cash = found.config.execution.initial_cash
    _, falls = drawdowns(found.execution.curve.equity, cash, kernel)
    assert falls.n_episodes == figures(name)["episodes"]
    assert figures(name)["episodes"] > 5


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("table", ["monthly_returns", "yearly_returns"])
def test_calendar(name: str, table: str) -> None:
    """The return of every month and year is the one of quantstats."""
    ours, theirs = getattr(result(name).metrics, table), figures(name)[table]
    assert ours.keys() == theirs.keys()
    # A return is a difference of numbers near 1, so its error is one of 1.
    np.testing.assert_allclose(
        [ours[period] for period in theirs], list(theirs.values()), rtol=REL, atol=1e-12
    )
