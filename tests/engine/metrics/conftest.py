"""Builders of what the metrics read, and the curves with known figures."""

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.metrics import measure
from engine.records import Candles, EquityCurve, Execution, Fills, Metrics, Trades

ORACLE = Path(__file__).parents[2] / "oracle"
DAY_MS = 86_400_000


def oracle_returns(name: str) -> list[float]:
    """Return the per-bar returns of a file in ``tests/oracle``."""
    with (ORACLE / f"{name}.csv").open(encoding="utf-8") as file:
        return [float(row["ret"]) for row in csv.DictReader(file)]


def compounded(returns: Sequence[float]) -> list[float]:
    """Return the equity after each return, 1 before the first."""
    equity = [1.0]
    for r in returns:
        equity.append(equity[-1] * (1.0 + r))
    return equity[1:]


def flat_candles(ts: Sequence[int], close: Sequence[float] | None = None) -> Candles:
    """Return bars that open, trade and close at one price each."""
    price = np.ones(len(ts)) if close is None else np.array(close, dtype=np.float64)
    return Candles("X", "1d", np.array(ts, dtype=np.int64), price, price, price, price)


def no_fills() -> Fills:
    """Return the fills of a run that never traded."""
    whole, real = np.empty(0, dtype=np.int64), np.empty(0)
    flags = np.empty(0, dtype=np.bool_)
    return Fills(whole, whole, whole, real, real, real, real, real, real, real, real, flags)


def trades_of(
    pnl: Sequence[float],
    *,
    side: Sequence[int] | None = None,
    is_open: Sequence[bool] | None = None,
    bars_held: Sequence[int] | None = None,
) -> Trades:
    """Return round trips of which only pnl, side, duration and openness are told."""
    n = len(pnl)
    whole, real = np.zeros(n, dtype=np.int64), np.zeros(n)
    return Trades(
        entry_bar=whole,
        exit_bar=whole,
        entry_ts=whole,
        exit_ts=whole,
        side=np.array([1] * n if side is None else side, dtype=np.int64),
        qty=real,
        entry_price=real,
        exit_price=real,
        pnl=np.array(pnl, dtype=np.float64),
        return_=real,
        commission=real,
        slippage=real,
        borrow=real,
        bars_held=np.array([1] * n if bars_held is None else bars_held, dtype=np.int64),
        mae=real,
        mfe=real,
        open=np.array([False] * n if is_open is None else is_open, dtype=np.bool_),
    )


def account(
    equity: Sequence[float],
    *,
    initial: float = 1.0,
    periods: float = 252.0,
    risk_free_annual: float = 0.0,
    ts: Sequence[int] | None = None,
    close: Sequence[float] | None = None,
    trades: Trades | None = None,
) -> Metrics:
    """Return the metrics of an equity curve that came about without fills."""
    n = len(equity)
    values = np.array(equity, dtype=np.float64)
    curve = EquityCurve(position=np.zeros(n), cash=values.copy(), equity=values)
    held = trades_of([]) if trades is None else trades
    execution = Execution(curve, no_fills(), held, (), "interpreted")
    stamps = [t * DAY_MS for t in range(n)] if ts is None else ts
    return measure(
        flat_candles(stamps, close),
        execution,
        initial_cash=initial,
        periods=periods,
        risk_free_annual=risk_free_annual,
    )


def plain_statistics(
    returns: Sequence[float], rf: float, periods: float
) -> dict[str, float | None]:
    """Return the statistics of returns from their definitions, in plain Python."""
    n = len(returns)
    mean = math.fsum(returns) / n
    excess = math.fsum(r - rf for r in returns) / n
    downside = math.sqrt(math.fsum(min(r - rf, 0.0) ** 2 for r in returns) / n)
    sortino = excess * periods / (downside * math.sqrt(periods)) if downside else None
    if n < 2:
        names = ("volatility", "sharpe", "skewness", "kurtosis")
        return {**dict.fromkeys(names), "sortino": sortino}
    if max(returns) == min(returns):
        undefined = ("sharpe", "skewness", "kurtosis")
        return {**dict.fromkeys(undefined), "volatility": 0.0, "sortino": sortino}
    std = math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (n - 1))
    m2, m3, m4 = (math.fsum((r - mean) ** k for r in returns) / n for k in (2, 3, 4))
    return {
        "volatility": std * math.sqrt(periods),
        "sharpe": excess / std * math.sqrt(periods),
        "sortino": sortino,
        "skewness": m3 / m2**1.5,
        "kurtosis": m4 / m2**2,
    }


@pytest.fixture(name="oracle_returns", scope="session")
def oracle_returns_fixture() -> Callable[[str], list[float]]:
    return oracle_returns


@pytest.fixture(name="compounded", scope="session")
def compounded_fixture() -> Callable[[Sequence[float]], list[float]]:
    return compounded


@pytest.fixture(name="trades_of", scope="session")
def trades_of_fixture() -> Callable[..., Trades]:
    return trades_of


@pytest.fixture(name="account", scope="session")
def account_fixture() -> Callable[..., Metrics]:
    return account


@pytest.fixture(name="plain_statistics", scope="session")
def plain_statistics_fixture() -> Callable[..., dict[str, float | None]]:
    return plain_statistics
