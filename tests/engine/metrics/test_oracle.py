"""The metrics against figures that were worked out elsewhere."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.metrics import kernel
from engine.metrics.drawdown import drawdowns
from engine.metrics.returns import (
    min_track_record,
    probabilistic_sharpe,
    return_statistics,
    sharpe,
    sortino,
)
from engine.records import Metrics, Trades

ORACLE = Path(__file__).parents[2] / "oracle"
CURVES = (
    "hand12",
    "first_bar_loss",
    "open_last_bar",
    "ruin",
    "single_loss",
    "all_zero",
    "constant_positive",
    "one_bar",
    "two_bars",
)
Read = Callable[[str], list[float]]
Compound = Callable[[Sequence[float]], list[float]]
Account = Callable[..., Metrics]

HAND12 = {
    "total_return": 0.09200929153942083,
    "cagr": 5.349697071348383,
    "volatility": 0.7378839524428806,
    "sharpe": 2.8459759736576737,
    "sortino": 5.4385167820585405,
    "max_drawdown": -0.0975,
    "calmar": 54.86868791126539,
    "max_drawdown_duration_bars": 5,
    "avg_drawdown_duration_bars": 11 / 3,
    "psr": 0.7308019182089474,
}

# A number is the value, a word the reason why there is none.
EDGES: dict[str, dict[str, float | str]] = {
    "first_bar_loss": {
        "max_drawdown": -0.1,
        "avg_drawdown": -0.1,
        "max_drawdown_duration_bars": 60,
        "avg_drawdown_duration_bars": 60,
        "total_return": 0.9 * 1.002**30 * 1.001**29 - 1,
    },
    "open_last_bar": {
        "total_return": 1.01 * 1.02 * 0.97 - 1,
        "max_drawdown": -0.03,
        "avg_drawdown": -0.03,
        "max_drawdown_duration_bars": 1,
        "avg_drawdown_duration_bars": 1,
        "calmar": ((1.01 * 1.02 * 0.97) ** 84 - 1) / 0.03,
    },
    "ruin": {
        "total_return": -1.0,
        "cagr": -1.0,
        "max_drawdown": -1.0,
        "calmar": -1.0,
        "max_drawdown_duration_bars": 10,
        "sortino": (0.1 - 1) / 20 * math.sqrt(252) / math.sqrt(1 / 20),
    },
    "single_loss": {
        "total_return": -0.05,
        "cagr": -0.05,
        "volatility": 0.05,
        "sharpe": -1.0,
        "sortino": -1.0,
        "max_drawdown": -0.05,
        "calmar": -1.0,
        "avg_drawdown": -0.05,
        "max_drawdown_duration_bars": 152,
        "skewness": -250 / math.sqrt(251),
        "kurtosis": 252**2 / 251 - 3,
        "min_track_record_bars": "sharpe_not_positive",
    },
    "all_zero": {
        "total_return": 0.0,
        "cagr": 0.0,
        "volatility": 0.0,
        "sharpe": "zero_volatility",
        "sortino": "no_downside",
        "max_drawdown": 0.0,
        "calmar": "no_drawdown",
        "avg_drawdown": 0.0,
        "avg_drawdown_duration_bars": 0.0,
        "max_drawdown_duration_bars": 0,
        "skewness": "zero_volatility",
        "kurtosis": "zero_volatility",
        "psr": "zero_volatility",
        "min_track_record_bars": "zero_volatility",
    },
    "constant_positive": {
        "total_return": 1.001**100 - 1,
        "cagr": 1.001**252 - 1,
        "sortino": "no_downside",
        "max_drawdown": 0.0,
        "calmar": "no_drawdown",
        "avg_drawdown": 0.0,
        "max_drawdown_duration_bars": 0,
    },
    "one_bar": {
        "total_return": 0.01,
        "cagr": 1.01**252 - 1,
        "volatility": "fewer_than_2_bars",
        "sharpe": "fewer_than_2_bars",
        "sortino": "no_downside",
        "calmar": "no_drawdown",
        "skewness": "fewer_than_2_bars",
        "kurtosis": "fewer_than_2_bars",
        "psr": "fewer_than_2_bars",
        "min_track_record_bars": "fewer_than_2_bars",
    },
    "two_bars": {
        "total_return": 1.01 * 0.98 - 1,
        "cagr": (1.01 * 0.98) ** 126 - 1,
        "volatility": 0.03 / math.sqrt(2) * math.sqrt(252),
        "sharpe": -0.005 / (0.03 / math.sqrt(2)) * math.sqrt(252),
        "sortino": -0.005 / math.sqrt(0.0004 / 2) * math.sqrt(252),
        "max_drawdown": -0.02,
        "max_drawdown_duration_bars": 1,
        "skewness": 0.0,
        "kurtosis": 1.0,
        "psr": "fewer_than_3_bars",
    },
}
TRADE_FIGURES = {
    "trade_count": "trades",
    "win_rate": "win_rate",
    "payoff_ratio": "payoff_ratio",
    "profit_factor": "profit_factor",
    "expectancy": "expectancy",
    "longest_win_streak": "max_win_streak",
    "longest_loss_streak": "max_loss_streak",
}


def _json(name: str) -> Any:
    return json.loads((ORACLE / name).read_text(encoding="utf-8"))


PUBLISHED: list[dict[str, Any]] = _json("psr_dsr_mintrl.json")
TRADE_LISTS: dict[str, Any] = _json("trades_hand.json")


@pytest.mark.parametrize(("name", "value"), HAND12.items())
def test_hand12(
    name: str, value: float, account: Account, oracle_returns: Read, compounded: Compound
) -> None:
    """Every figure of the twelve returns is the one computed by other libraries."""
    metrics = account(compounded(oracle_returns("hand12")))
    assert metrics.values[name] == pytest.approx(value, rel=1e-11)


def test_hand12_episodes(oracle_returns: Read, compounded: Compound) -> None:
    """The twelve returns fall below their peak three times, by 5.56 % on average."""
    equity = np.array(compounded(oracle_returns("hand12")))
    _, falls = drawdowns(equity, 1.0, kernel)
    assert falls.n_episodes == 3
    assert falls.avg_drawdown == pytest.approx(-0.0555667, abs=5e-8)


@pytest.mark.parametrize(
    ("curve", "name", "want"),
    [(curve, name, want) for curve, table in EDGES.items() for name, want in table.items()],
)
def test_edge_curve(
    curve: str,
    name: str,
    want: float | str,
    account: Account,
    oracle_returns: Read,
    compounded: Compound,
) -> None:
    """Each edge case gives the value its definition gives, or null with the reason."""
    metrics = account(compounded(oracle_returns(curve)))
    if isinstance(want, str):
        assert metrics.values[name] is None
        assert metrics.reasons[name] == want
    else:
        assert metrics.values[name] == pytest.approx(want, rel=1e-11, abs=1e-13)
        assert name not in metrics.reasons


@pytest.mark.parametrize("rf", [0.0, 0.0004])
@pytest.mark.parametrize("curve", CURVES)
def test_moments(
    curve: str,
    rf: float,
    oracle_returns: Read,
    plain_statistics: Callable[..., dict[str, float | None]],
) -> None:
    """The statistics of every curve's returns equal plain sums, constant ones included."""
    returns = oracle_returns(curve)
    want = plain_statistics(returns, rf, 252.0)
    stats = return_statistics(np.array(returns), rf, kernel)
    found = {
        "volatility": None if stats.std.value is None else stats.std.value * math.sqrt(252.0),
        "sharpe": sharpe(stats, 252.0).value,
        "sortino": sortino(stats, 252.0).value,
        "skewness": stats.skewness.value,
        "kurtosis": stats.kurtosis.value,
    }
    assert {name for name in found if found[name] is None} == {
        name for name in want if want[name] is None
    }
    for name, value in want.items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-11))


def _published(what: str) -> dict[str, Any]:
    (found,) = (row for row in PUBLISHED if row["what"].startswith(what))
    return found


# What, Sharpe ratio per period, number of periods, skewness, kurtosis.
PSR_CASES = [
    ("PSR(0) sr=1.585", 1.585 / math.sqrt(12), 24, -2.448, 10.164),
    ("PSR(0) same, normal", 1.585 / math.sqrt(12), 24, 0.0, 3.0),
    ("DSR annual SR 2.5,N=100", 2.5 / math.sqrt(250), 1250, -3.0, 10.0),
    ("DSR N=46", 2.5 / math.sqrt(250), 1250, -3.0, 10.0),
    ("DSR N=88 normal", 2.5 / math.sqrt(250), 1250, 0.0, 3.0),
]
# What, periods a year, annual Sharpe ratio and benchmark, skewness, kurtosis.
MINTRL_CASES = [
    ("MinTRL daily", 250, 2.0, 1.0, 0.0, 3.0),
    ("MinTRL weekly", 52, 2.0, 1.0, 0.0, 3.0),
    ("MinTRL monthly normal", 12, 2.0, 1.0, 0.0, 3.0),
    ("MinTRL monthly g3=-.72,g4=5.78 2 vs 1", 12, 2.0, 1.0, -0.72, 5.78),
    ("MinTRL monthly 3 vs 2.5", 12, 3.0, 2.5, -0.72, 5.78),
]


@pytest.mark.parametrize(("what", "sr", "n", "g3", "g4"), PSR_CASES)
def test_published_psr(what: str, sr: float, n: int, g3: float, g4: float) -> None:
    """The Probabilistic Sharpe Ratio is the published one, against 0 and against a benchmark."""
    row = _published(what)
    found = probabilistic_sharpe(sr, n, g3, g4, row.get("sr0", 0.0))
    assert found.value == pytest.approx(row["computed"], rel=1e-12)
    assert found.value == pytest.approx(row["published"], abs=5e-4)


@pytest.mark.parametrize(("what", "periods", "sr", "benchmark", "g3", "g4"), MINTRL_CASES)
def test_published_track_record(
    what: str, periods: int, sr: float, benchmark: float, g3: float, g4: float
) -> None:
    """The minimum track record is the published one once its bars are counted in years."""
    row = _published(what)
    root = math.sqrt(periods)
    found = min_track_record(sr / root, g3, g4, benchmark / root)
    assert found.value is not None
    assert found.value / periods == pytest.approx(row["computed"], rel=1e-12)
    assert found.value / periods == pytest.approx(row["published"], abs=5e-3)


@pytest.mark.parametrize("case", TRADE_LISTS)
@pytest.mark.parametrize("name", TRADE_FIGURES)
def test_trade_list(
    case: str, name: str, account: Account, trades_of: Callable[..., Trades]
) -> None:
    """The trade statistics of every list are those worked out by hand, null where those are."""
    listed = TRADE_LISTS[case]
    want = listed["recommended"][TRADE_FIGURES[name]]
    metrics = account([1.0, 1.0], trades=trades_of(listed["pnl"]))
    found = metrics.values[name]
    assert found == (None if want is None else pytest.approx(want, rel=1e-12))
    assert (name in metrics.reasons) == (want is None)


@pytest.mark.parametrize("case", [case for case in TRADE_LISTS if case != "none"])
def test_best_and_worst(case: str, account: Account, trades_of: Callable[..., Trades]) -> None:
    """Best and worst trade are the largest and smallest profits of a list."""
    listed = TRADE_LISTS[case]
    metrics = account([1.0, 1.0], trades=trades_of(listed["pnl"]))
    assert metrics.values["best_trade"] == max(listed["pnl"])
    assert metrics.values["worst_trade"] == min(listed["pnl"])
    if listed["pyfolio"]["Largest winning trade"] is not None:
        assert metrics.values["best_trade"] == listed["pyfolio"]["Largest winning trade"]
