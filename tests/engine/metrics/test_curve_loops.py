"""Drawdowns, calendar returns and streaks against slow loops written from the definitions."""

import itertools
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from engine.metrics import kernel
from engine.metrics.drawdown import drawdowns
from engine.metrics.returns import return_statistics, sharpe, sortino
from engine.records import Metrics, Trades

Account = Callable[..., Metrics]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Small whole numbers, so that peaks are met again exactly and equity passes through zero.
LEVELS = st.lists(st.integers(-3, 12).map(float), min_size=1, max_size=40)
PNL = st.lists(st.sampled_from([-30.0, -10.0, -1.0, 0.0, 1.0, 5.0, 40.0]), max_size=25)
RETURNS = st.lists(st.floats(-0.9, 2.0).map(lambda r: round(r, 4)), min_size=2, max_size=50)


def _episodes(equity: Sequence[float], initial: float) -> list[tuple[float, int]]:
    """Return depth and duration in bars of each drawdown."""
    peak, start, depth = initial, -1, 0.0
    found = []
    inside = False
    for t, value in enumerate(equity):
        peak = max(peak, value)
        fall = value / peak - 1
        if fall < -1e-12:
            if not inside:
                inside, start, depth = True, t - 1, 0.0
            depth = min(depth, fall)
        elif inside:
            found.append((depth, t - start))
            inside = False
    if inside:
        found.append((depth, len(equity) - 1 - start))
    return found


def _settled(equity: list[float]) -> list[float]:
    """Return the equity as a run leaves it: what it was once it is not above zero."""
    end = next((t for t, value in enumerate(equity) if value <= 0), len(equity) - 1)
    return equity[: end + 1] + [equity[end]] * (len(equity) - end - 1)


@settings(deadline=None)
@given(equity=LEVELS)
def test_drawdown_episodes(equity: list[float], account: Account) -> None:
    """Depths and durations of all drawdowns are those a loop over the bars finds."""
    found = _episodes(equity, 5.0)
    values = account(equity, initial=5.0).values
    _, falls = drawdowns(np.array(equity), 5.0, kernel)
    assert falls.n_episodes == len(found)
    depths = [depth for depth, _ in found]
    durations = [duration for _, duration in found]
    assert values["max_drawdown"] == pytest.approx(min(depths, default=0.0), rel=1e-12)
    assert values["max_drawdown_duration_bars"] == max(durations, default=0)
    count = max(1, len(found))
    assert values["avg_drawdown"] == pytest.approx(math.fsum(depths) / count, rel=1e-12)
    assert values["avg_drawdown_duration_bars"] == pytest.approx(sum(durations) / count)


@pytest.mark.parametrize(("fall", "n_episodes"), [(0.5e-12, 0), (2e-12, 1)])
def test_rounding_is_no_drawdown(fall: float, n_episodes: int, account: Account) -> None:
    """A fall of at most 1e-12 of the peak is no drawdown, and a larger one is."""
    equity = [1.0, 1.0 - fall, 1.0]
    _, falls = drawdowns(np.array(equity), 1.0, kernel)
    assert falls.n_episodes == n_episodes
    assert (account(equity).values["max_drawdown"] == 0) == (n_episodes == 0)
    assert (account(equity).values["calmar"] is None) == (n_episodes == 0)


def test_drawdown_curve(account: Account) -> None:
    """The curve of drawdowns is below the highest equity so far, the initial cash included."""
    drawdown = account([8.0, 12.0, 9.0, -3.0], initial=10.0).drawdown
    assert drawdown.tolist() == pytest.approx([-0.2, 0.0, -0.25, -1.25])


@settings(deadline=None)
@given(
    equity=LEVELS.map(_settled),
    start=st.integers(0, 4 * 365),
    steps=st.lists(st.integers(1, 400), min_size=40, max_size=40),
)
def test_calendar_returns(
    equity: list[float], start: int, steps: list[int], account: Account
) -> None:
    """Monthly and yearly returns are the per-bar returns compounded within each UTC period."""
    # Every other step is an hour, so that some months hold many bars.
    hours = itertools.accumulate(
        (24 * step if i % 3 else 1 for i, step in enumerate(steps)), initial=24 * start
    )
    times = [EPOCH + timedelta(hours=hour) for hour, _ in zip(hours, equity, strict=False)]
    metrics = account(
        equity, initial=5.0, ts=[(time - EPOCH) // timedelta(milliseconds=1) for time in times]
    )
    before = 5.0
    months: dict[str, float] = {}
    years: dict[str, float] = {}
    for time, value in zip(times, equity, strict=True):
        growth = value / before if before > 0 else 1.0
        before = value
        for label, periods in ((f"{time:%Y-%m}", months), (f"{time:%Y}", years)):
            periods[label] = periods.get(label, 1.0) * growth
    for found, want in ((metrics.monthly_returns, months), (metrics.yearly_returns, years)):
        assert list(found) == list(want)
        assert list(found.values()) == pytest.approx(
            [growth - 1 for growth in want.values()], rel=1e-9, abs=1e-12
        )


def test_calendar_labels(account: Account) -> None:
    """A bar belongs to the month and year in which it opens in UTC."""
    last_moment = datetime(2019, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    times = [last_moment, last_moment + timedelta(milliseconds=1), last_moment + timedelta(days=32)]
    metrics = account(
        [11.0, 22.0, 11.0],
        initial=10.0,
        ts=[(time - EPOCH) // timedelta(milliseconds=1) for time in times],
    )
    assert dict(metrics.monthly_returns) == pytest.approx(
        {"2019-12": 0.1, "2020-01": 1.0, "2020-02": -0.5}
    )
    assert dict(metrics.yearly_returns) == pytest.approx({"2019": 0.1, "2020": 0.0})


def test_calendar_returns_after_ruin(account: Account) -> None:
    """Months after a debt have a return of 0, for nothing can be earned on it."""
    month = 31 * 86_400_000
    metrics = account([5.0, -2.0, -2.0, -2.0], initial=10.0, ts=[0, month, 2 * month, 13 * month])
    assert list(metrics.monthly_returns.values()) == pytest.approx([-0.5, -1.4, 0.0, 0.0])
    assert list(metrics.yearly_returns.values()) == pytest.approx([-1.2, 0.0])


@settings(deadline=None)
@given(pnl=PNL)
def test_streaks(pnl: list[float], account: Account, trades_of: Callable[..., Trades]) -> None:
    """The longest streaks are the longest unbroken runs of wins and of losses."""
    values = account([1.0], trades=trades_of(pnl)).values
    for name, sign in (("longest_win_streak", 1), ("longest_loss_streak", -1)):
        longest = current = 0
        for profit in pnl:
            current = current + 1 if profit * sign > 0 else 0
            longest = max(longest, current)
        assert values[name] == longest


@settings(deadline=None)
@given(pnl=PNL, data=st.data())
def test_trade_statistics(
    pnl: list[float], data: st.DataObject, account: Account, trades_of: Callable[..., Trades]
) -> None:
    """Statistics by side and in total leave a trade that is still open out of everything."""
    n = len(pnl)
    sides = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=n, max_size=n))
    held = data.draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    still_open = data.draw(st.booleans()) and n > 0
    flags = [False] * (n - 1) + [still_open] if n else []
    trades = trades_of(pnl, side=sides, is_open=flags, bars_held=held)
    values = account([1.0], trades=trades).values
    closed = n - still_open
    rows = list(zip(pnl, sides, held, strict=True))[:closed]
    assert values["trade_count"] == closed
    assert values["open_trades"] == still_open
    if closed:
        assert values["avg_bars_held"] == pytest.approx(sum(row[2] for row in rows) / closed)
        assert values["expectancy"] == pytest.approx(sum(row[0] for row in rows) / closed)
    for name, side in (("long", 1), ("short", -1)):
        own = [row[0] for row in rows if row[1] == side]
        wins = sum(profit > 0 for profit in own)
        assert values[name]["trade_count"] == len(own)
        assert values[name]["pnl"] == pytest.approx(sum(own))
        assert values[name]["win_rate"] == (pytest.approx(wins / len(own)) if own else None)


@settings(deadline=None)
@given(returns=RETURNS, rf=st.sampled_from([0.0, 0.0003, -0.0002]))
def test_moments(
    returns: list[float], rf: float, plain_statistics: Callable[..., dict[str, float | None]]
) -> None:
    """Volatility, ratios and moments of any returns equal plain sums."""
    stats = return_statistics(np.array(returns), rf, kernel)
    want = plain_statistics(returns, rf, 365.0)
    assert stats.std.value is not None
    found = {
        "volatility": stats.std.value * math.sqrt(365.0),
        "sharpe": sharpe(stats, 365.0).value,
        "sortino": sortino(stats, 365.0).value,
        "skewness": stats.skewness.value,
        "kurtosis": stats.kurtosis.value,
    }
    for name, value in want.items():
        expected = None if value is None else pytest.approx(value, rel=1e-7, abs=1e-9)
        assert found[name] == expected, name
