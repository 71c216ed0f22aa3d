"""Return statistics of an equity curve: growth, volatility, ratios, moments."""

import functools
import math
from dataclasses import dataclass
from statistics import NormalDist
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.blocks import blocks
from engine.kernels import view_for
from engine.metrics.measured import Measured, null
from engine.records import freeze

if TYPE_CHECKING:
    from engine.records import Floats, Integers

Z_95 = NormalDist().inv_cdf(0.95)


def per_bar_returns(equity: "Floats", initial: float) -> "Floats":
    """Return r (n,), r_t = E_t / E_{t-1} - 1 with E_{-1} the initial cash; 0 where E_{t-1} ≤ 0."""
    returns = np.empty(len(equity))
    with np.errstate(over="ignore"):  # what is infinite makes the statistics null
        if initial > 0 and equity.min() > 0:  # the usual case
            np.divide(equity[:1], initial, out=returns[:1])
            for part in blocks(len(equity) - 1):
                np.divide(equity[1:][part], equity[:-1][part], out=returns[1:][part])
                returns[1:][part] -= 1.0
            returns[:1] -= 1.0
            return returns
        before = np.concatenate([[initial], equity[:-1]])
        np.divide(equity, before, out=returns, where=before > 0)
        return np.where(before > 0, returns - 1.0, 0.0)


def rf_per_bar(annual: float, periods: float) -> float:
    """Return the risk-free return of one bar, (1 + annual)^(1 / P) - 1."""
    return math.pow(1.0 + annual, 1.0 / periods) - 1.0 if annual else 0.0


@dataclass(frozen=True, slots=True)
class ReturnStatistics:
    """Moments of n per-bar returns and of their excess over ``rf`` per bar.

    ``std`` has ddof 1 and is exactly 0 where all returns are equal. ``downside`` is
    sqrt(mean(min(r - rf, 0)²)) over all n. ``skewness`` and ``kurtosis`` (raw) are population
    moments.
    """

    n: int
    mean_excess: float
    std: Measured
    skewness: Measured
    kurtosis: Measured
    downside: Measured


def return_statistics(returns: "Floats", rf: float, kernel: ModuleType) -> ReturnStatistics:
    """Return the statistics of ``returns`` (n,), n ≥ 1."""
    view, found, n = view_for(kernel), kernel.Moments(), len(returns)
    kernel.moments(view(returns), rf, found)
    downside = Measured(math.sqrt(found.below / n)).finite()
    return ReturnStatistics(n, found.mean - rf, *_moments(found, n), downside)


def _moments(found: Any, n: int) -> tuple[Measured, Measured, Measured]:
    """Return standard deviation, skewness and kurtosis."""
    std = _std(n, found.least, found.most, found.sum2)
    if std.value is None:
        return std, std, std
    m2 = found.sum2 / n
    if std.value == 0 or m2 * m2 == 0:  # or too small to have a shape
        return std, null("zero_volatility"), null("zero_volatility")
    if not math.isfinite(m2 * m2):
        return std, null("overflow"), null("overflow")
    skewness = found.sum3 / n / (m2 * math.sqrt(m2))
    kurtosis = found.sum4 / n / (m2 * m2)
    return std, Measured(skewness).finite(), Measured(kurtosis).finite()


def _std(n: int, least: float, most: float, squares: float) -> Measured:
    """Return the standard deviation (ddof 1) of returns whose squared deviations add up so."""
    if n < 2:
        return null("fewer_than_2_bars")
    if most == least:
        return Measured(0.0)
    return Measured(math.sqrt(squares / (n - 1))).finite()


def cagr(final: float, initial: float, n: int, periods: float) -> Measured:
    """Return (E_{n-1} / E_{-1})^(P / n) - 1; -1 where the final equity is not positive."""
    if final <= 0:
        return Measured(-1.0)
    try:
        return Measured(math.pow(final / initial, periods / n) - 1.0)
    except OverflowError:
        return null("overflow")


def sharpe(stats: ReturnStatistics, periods: float) -> Measured:
    """Return mean(r - rf) / std(r - rf, ddof 1) √P (Sharpe 1994)."""
    per_bar = sharpe_per_bar(stats)
    return per_bar if per_bar.value is None else Measured(per_bar.value * math.sqrt(periods))


def sharpe_per_bar(stats: ReturnStatistics) -> Measured:
    """Return the Sharpe ratio of one bar, not annualised."""
    return _ratio(stats.mean_excess, stats.std)


def sharpe_of_returns(returns: "Floats", rf: float, periods: float) -> Measured:
    """Return the annual Sharpe ratio of ``returns`` (n,) where no other moment is needed."""
    mean = float(returns.mean())
    squares = 0.0
    for part in blocks(len(returns)):
        deviation = returns[part] - mean
        deviation *= deviation
        squares += float(deviation.sum())
    std = _std(len(returns), float(returns.min()), float(returns.max()), squares)
    per_bar = _ratio(mean - rf, std)
    return per_bar if per_bar.value is None else Measured(per_bar.value * math.sqrt(periods))


def _ratio(mean_excess: float, std: Measured) -> Measured:
    if std.value is None:
        return std
    return null("zero_volatility") if std.value == 0 else Measured(mean_excess / std.value)


def sortino(stats: ReturnStatistics, periods: float) -> Measured:
    """Return mean(r - rf) P / (downside deviation √P), the deviation over all bars."""
    if stats.downside.value is None:
        return stats.downside
    if stats.downside.value == 0:
        return null("no_downside")
    return Measured(stats.mean_excess * periods / (stats.downside.value * math.sqrt(periods)))


def _sharpe_variance(sr: float, skewness: float, kurtosis: float) -> float:
    """Return 1 - g3 SR + (g4 - 1) / 4 SR², n - 1 times the variance of the estimate."""
    return 1.0 - skewness * sr + (kurtosis - 1.0) / 4.0 * (sr * sr)


def probabilistic_sharpe(
    sr: float, n: int, skewness: float, kurtosis: float, benchmark_sr: float = 0.0
) -> Measured:
    """Return the probability that the true Sharpe ratio exceeds ``benchmark_sr``.

    Φ((SR - SR*) √(n - 1) / √(1 - g3 SR + (g4 - 1) / 4 SR²)), ratios per bar.
    Source: Bailey & López de Prado (2012), The Sharpe Ratio Efficient Frontier.
    """
    variance = _sharpe_variance(sr, skewness, kurtosis)
    if variance <= 0:
        return null("radicand_not_positive")
    z = (sr - benchmark_sr) * math.sqrt(n - 1) / math.sqrt(variance)
    return Measured(0.5 * math.erfc(-z / math.sqrt(2.0)))


def min_track_record(
    sr: float, skewness: float, kurtosis: float, benchmark_sr: float = 0.0
) -> Measured:
    """Return how many bars it takes to believe, at 95 %, that the ratio exceeds the benchmark.

    1 + (1 - g3 SR + (g4 - 1) / 4 SR²) (z_0.95 / (SR - SR*))².
    Source: Bailey & López de Prado (2012), equation for MinTRL.
    """
    if sr <= benchmark_sr:
        return null("sharpe_not_positive")
    variance = _sharpe_variance(sr, skewness, kurtosis)
    if variance <= 0:
        return null("radicand_not_positive")
    ratio = Z_95 / (sr - benchmark_sr)
    return Measured(1.0 + variance * (ratio * ratio))


def calendar_returns(
    ts: "Integers", equity: "Floats", initial: float
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return compounded returns by month (``2001-07``) and by year (``2001``), in UTC."""
    calendar = _calendar(*(ts[[0, -1]].astype("M8[ms]").astype("M8[M]").astype(int).tolist()))
    bounds = np.searchsorted(ts, calendar.begins)
    ends = np.append(bounds[1:], len(ts))
    traded = np.flatnonzero(ends > bounds)
    at_end = equity[ends[traded] - 1]
    years = calendar.years[traded]
    last = np.append(np.flatnonzero(years[1:] != years[:-1]), len(years) - 1)
    months = [calendar.months[k] for k in traded.tolist()]
    by_year = _named([months[k][: -len("-07")] for k in last.tolist()], at_end[last], initial)
    return _named(months, at_end, initial), by_year


def _named(names: list[str], at_end: "Floats", initial: float) -> dict[str, float | None]:
    """Return by name what was earned in each period, from the equity at its end."""
    returns = per_bar_returns(at_end, initial)
    values: list[float | None] = returns.tolist()
    for k in np.flatnonzero(~np.isfinite(returns)).tolist():
        values[k] = None
    return dict(zip(names, values, strict=True))


@dataclass(frozen=True, eq=False)
class _Calendar:
    """Months in a row: their names, the year of each, and when it begins, epoch ms."""

    months: list[str]
    years: "Integers"
    begins: "Integers"


@functools.lru_cache(maxsize=32)
def _calendar(first: int, last: int) -> _Calendar:
    """Return the months from ``first`` to ``last`` since 1970.

    They are kept: run after run is on the same candles, and names are slow to make.
    """
    months = np.arange(first, last + 1).astype("M8[M]")
    years = months.astype("M8[Y]").astype(np.int64)
    begins = months.astype("M8[ms]").astype(np.int64)
    freeze(years)
    freeze(begins)
    return _Calendar(np.datetime_as_string(months).tolist(), years, begins)
