"""All metrics of a run, under their names."""

import dataclasses
import math
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.kernels import in_guise, view_for
from engine.metrics import kernel as imported_kernel
from engine.metrics.benchmark import buy_and_hold
from engine.metrics.drawdown import DrawdownStatistics, drawdowns, refuse_overflow
from engine.metrics.measured import Measured, null
from engine.metrics.returns import (
    ReturnStatistics,
    cagr,
    calendar_returns,
    min_track_record,
    per_bar_returns,
    probabilistic_sharpe,
    return_statistics,
    rf_per_bar,
    sharpe,
    sharpe_per_bar,
    sortino,
)
from engine.metrics.trades import side_statistics, trade_statistics
from engine.records import Candles, Execution, Metrics, RunWarning

if TYPE_CHECKING:
    from engine.records import Floats

# What summary.json and the table of a run show.
HEADLINE = (
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "psr",
    "min_track_record_bars",
    "exposure",
    "turnover",
    "trade_count",
    "win_rate",
    "profit_factor",
    "total_commission",
    "total_slippage",
    "total_borrow",
)


def measure(
    candles: Candles,
    execution: Execution,
    *,
    initial_cash: float,
    periods: float,
    risk_free_annual: float,
) -> Metrics:
    """Return every metric of a run and of buy and hold; ``periods`` bars make a year.

    Equity and returns are net of all costs; the benchmark's have none.

    Raises
        DataError where drawdown or benchmark leave the range of finite numbers.
    """
    rf = rf_per_bar(risk_free_annual, periods)
    account = measure_account(candles, execution, initial_cash=initial_cash, periods=periods, rf=rf)
    equity, measured = buy_and_hold(
        candles.close, initial_cash, periods, rf, in_guise(imported_kernel, _choice(execution))
    )
    return dataclasses.replace(
        account,
        reasons={**account.reasons, **dict(_reasons(measured, "benchmark."))},
        benchmark={name: _value(m) for name, m in measured.items()},
        benchmark_equity=equity,
    )


@np.errstate(over="ignore", invalid="ignore")  # what overflows is null, and says so
def measure_account(
    candles: Candles, execution: Execution, *, initial_cash: float, periods: float, rf: float
) -> Metrics:
    """Return the metrics of a run alone, without a benchmark; ``rf`` is of one bar.

    Raises
        DataError where the drawdown leaves the range of finite numbers.
    """
    kernel = in_guise(imported_kernel, _choice(execution))
    equity = execution.curve.equity
    stats = return_statistics(per_bar_returns(equity, initial_cash), rf, kernel)
    drawdown, falls = drawdowns(equity, initial_cash, kernel)
    if not math.isfinite(falls.max_drawdown):
        refuse_overflow("drawdown", drawdown)
    measured = {
        **_growth(equity, falls, initial_cash, periods, stats),
        **_activity(candles, execution, periods, kernel),
        **_trading(execution),
        **_confidence(stats),
    }
    values = {name: _value(m) for name, m in measured.items()}
    reasons = dict(_reasons(measured))
    for name, side in (("long", 1), ("short", -1)):
        by_side = side_statistics(execution.trades, side)
        values[name] = {key: _value(m) for key, m in by_side.items()}
        reasons |= dict(_reasons(by_side, f"{name}."))
    monthly, yearly = calendar_returns(candles.ts, equity, initial_cash)
    return Metrics(
        values=values,
        reasons=reasons,
        monthly_returns=monthly,
        yearly_returns=yearly,
        drawdown=drawdown,
        warnings=tuple(_short_sample(len(candles), periods)),
    )


def _choice(execution: Execution) -> str:
    """Return which guise of a kernel goes with that of the bar loop."""
    return "interpreted" if execution.kernel == "interpreted" else "auto"


def _growth(
    equity: "Floats",
    falls: DrawdownStatistics,
    initial: float,
    periods: float,
    stats: ReturnStatistics,
) -> dict[str, Measured]:
    n, final = len(equity), float(equity[-1])
    growth = cagr(final, initial, n, periods)
    volatility = stats.std
    if volatility.value is not None:
        volatility = Measured(volatility.value * math.sqrt(periods))
    if falls.max_drawdown == 0:
        calmar = null("no_drawdown")
    elif growth.value is None:
        calmar = growth
    else:
        calmar = Measured(growth.value / -falls.max_drawdown)
    return {
        "total_return": Measured(final / initial - 1.0),
        "cagr": growth,
        "volatility": volatility,
        "sharpe": sharpe(stats, periods),
        "sortino": sortino(stats, periods),
        "max_drawdown": Measured(falls.max_drawdown),
        "calmar": calmar,
        "avg_drawdown": Measured(falls.avg_drawdown),
        "avg_drawdown_duration_bars": Measured(falls.avg_duration_bars),
        "max_drawdown_duration_bars": Measured(falls.max_duration_bars),
    }


def _activity(
    candles: Candles, execution: Execution, periods: float, kernel: ModuleType
) -> dict[str, Measured]:
    fills, equity = execution.fills, execution.curve.equity
    n = len(candles)
    held = execution.curve.position
    at_close = np.flatnonzero(fills.at_close)
    if len(at_close):  # what a bar held is what it held before a fill at its close
        held = held.copy()
        held[fills.bar[at_close]] = -fills.side[at_close] * fills.qty[at_close]
    exposure = kernel.Exposure()
    kernel.exposure(*map(view_for(kernel), (held, candles.close, equity)), exposure)
    at_fill = equity[fills.bar]
    traded = np.divide(
        fills.qty * fills.price, at_fill, out=np.zeros(len(fills)), where=at_fill > 0
    )
    return {
        "turnover": Measured(float(traded.sum()) * periods / n),
        "exposure": Measured(exposure.n_held / n),
        "avg_gross_exposure": Measured(exposure.total / n),
        "max_gross_exposure": Measured(exposure.most),
    }


def _trading(execution: Execution) -> dict[str, Measured]:
    trades, fills = execution.trades, execution.fills
    closed = ~trades.open
    return {
        **trade_statistics(trades.pnl[closed], trades.bars_held[closed]),
        "open_trades": Measured(int(np.count_nonzero(trades.open))),
        "total_commission": Measured(float(fills.commission.sum())),
        "total_slippage": Measured(float(fills.slippage.sum())),
        "total_borrow": Measured(float(trades.borrow.sum())),
    }


def _confidence(stats: ReturnStatistics) -> dict[str, Measured]:
    per_bar = sharpe_per_bar(stats)
    sr, g3, g4 = per_bar.value, stats.skewness.value, stats.kurtosis.value
    if sr is None or g3 is None or g4 is None:
        undefined = stats.kurtosis if g4 is None else per_bar
        psr = track_record = undefined
    else:
        few = stats.n < 3
        psr = null("fewer_than_3_bars") if few else probabilistic_sharpe(sr, stats.n, g3, g4)
        track_record = min_track_record(sr, g3, g4)
    return {
        "skewness": stats.skewness,
        "kurtosis": stats.kurtosis,
        "psr": psr,
        "min_track_record_bars": track_record,
    }


def _value(measured: Measured) -> Any:
    return measured.finite().value


def _reasons(measured: dict[str, Measured], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, m in measured.items():
        reason = m.finite().reason
        if reason is not None:
            yield f"{prefix}{name}", reason


def _short_sample(n: int, periods: float) -> Iterator[RunWarning]:
    if n < periods:
        bars = "1 bar is" if n == 1 else f"{n} bars are"
        message = f"{bars} less than a year of {periods:g}: annual figures are extrapolated"
        yield RunWarning("short_sample", message)
