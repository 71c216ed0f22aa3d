"""The bootstrap of runs over the samples against arch, every statistic by empyrical.

arch resamples the run's returns at the block length that it chooses itself, and empyrical measures
each resample. Two samples of replicates differ by chance: of m draws a share p lies below the true
quantile, but for √(p (1 - p) / m). So below each end that we report must lie the share of theirs
that it stands for, within 4 standard errors of both: one in 16,000 by chance, and the draws are the
same each time; a confidence of 93 % in place of 95 % would be seen. (The studentised interval is
compared in the tests of the engine: arch scales it otherwise.)
"""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap, optimal_block_length

from engine.pipeline import run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its imports, which are not ours to mend
    import empyrical

N_OURS, N_THEIRS = 40_000, 12_000
SURELY = 4.0
SCHEMES: dict[str, Any] = {"stationary": StationaryBootstrap, "circular": CircularBlockBootstrap}


def measured(x: Any) -> Any:
    """Return Sharpe ratio, total return and maximum drawdown of a resample."""
    sharpe = empyrical.sharpe_ratio(x, annualization=252)
    return np.array([sharpe, empyrical.cum_returns_final(x), empyrical.max_drawdown(x)])


@pytest.mark.parametrize(
    ("symbol", "scheme", "long_only"),
    [("SPX", "stationary", False), ("IXIC", "circular", True)],
)
def test_intervals(symbol: str, scheme: str, *, long_only: bool) -> None:
    """Block length, intervals and drawdown band of six years of trading are arch's."""
    result = run(
        {
            "symbol": symbol,
            "provider": "sample",
            "start": "2007-01-01",
            "end": "2012-12-31",
            "strategy": {"name": "dual_sma", "params": {"long_only": long_only}},
            "execution": {"commission_bps": 5.0, "slippage_bps": 2.0},
            "validation": {"block_bootstrap": {"n": N_OURS, "scheme": scheme}},
            "plot": False,
        }
    )
    equity = result.execution.curve.equity
    returns = equity / np.concatenate([[result.config.execution.initial_cash], equity[:-1]]) - 1
    document = result.validation["block_bootstrap"].document
    length = float(optimal_block_length(returns)[scheme].iloc[0])
    if scheme == "circular":
        length = math.floor(length + 0.5)
    assert document["block_length"] == pytest.approx(length, rel=1e-9)
    block: Any = length if scheme == "stationary" else int(length)
    theirs = SCHEMES[scheme](block, returns, seed=np.random.default_rng(3)).apply(
        measured, N_THEIRS
    )
    reported = {
        0: zip((0.025, 0.975), document["sharpe"]["percentile"], strict=True),
        1: zip((0.025, 0.975), document["total_return"]["interval"], strict=True),
        2: zip((0.05, 0.5, 0.95), document["max_drawdown"]["band"], strict=True),
    }
    for statistic, ends in reported.items():
        for level, end in ends:
            below = float((theirs[:, statistic] < end).mean())
            error = math.sqrt(level * (1 - level) * (1 / N_OURS + 1 / N_THEIRS))
            assert abs(below - level) <= SURELY * error, (statistic, level)
