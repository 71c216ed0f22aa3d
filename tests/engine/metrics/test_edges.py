"""What is null and why, and that nothing but finite numbers and null ever comes out."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from engine.errors import DataError
from engine.metrics import HEADLINE, REASONS
from engine.metrics.measured import Measured
from engine.metrics.returns import min_track_record, probabilistic_sharpe
from engine.records import Metrics, Trades

Account = Callable[..., Metrics]

# Equity from an initial 1, then metrics with their value, or the reason why there is none.
CASES: list[tuple[list[float], dict[str, float | str]]] = [
    ([2.0], {"volatility": "fewer_than_2_bars", "sharpe": "fewer_than_2_bars"}),
    ([2.0], {"psr": "fewer_than_2_bars", "skewness": "fewer_than_2_bars"}),
    ([2.0, 1.0], {"psr": "fewer_than_3_bars"}),
    # Doubling is exact, so all returns are the same number.
    ([2.0, 4.0, 8.0], {"volatility": 0.0, "sharpe": "zero_volatility"}),
    ([2.0, 4.0, 8.0], {"skewness": "zero_volatility", "kurtosis": "zero_volatility"}),
    ([2.0, 4.0, 8.0], {"psr": "zero_volatility", "min_track_record_bars": "zero_volatility"}),
    ([2.0, 4.0, 8.0], {"sortino": "no_downside", "calmar": "no_drawdown", "max_drawdown": 0.0}),
    ([0.5, 0.25, 0.125], {"volatility": 0.0, "sharpe": "zero_volatility", "sortino": -(252**0.5)}),
    ([1.0, 2.0, 1.0, 0.5], {"min_track_record_bars": "sharpe_not_positive"}),
    # Returns of 1, −1/2, 1, −3/4, … whose mean is exactly 0.
    (
        [1.5, 0.75, 0.75],
        {"sharpe": 0.0, "min_track_record_bars": "sharpe_not_positive", "psr": 0.5},
    ),
    ([0.5, 0.0, 0.0], {"cagr": -1.0, "total_return": -1.0, "max_drawdown": -1.0}),
    ([0.5, -1.0, -1.0], {"cagr": -1.0, "total_return": -2.0, "max_drawdown": -2.0}),
    ([0.5, -1.0, -1.0], {"calmar": -0.5}),
    # 10^(252 / 1) is representable, 20^252 is not.
    ([10.0], {"cagr": 1e252}),
    ([20.0], {"cagr": "overflow", "calmar": "no_drawdown"}),
    ([0.5, 400.0], {"cagr": "overflow", "calmar": "overflow"}),
    ([1.0, 1.0], {"win_rate": "no_trades", "payoff_ratio": "no_trades"}),
    ([1.0, 1.0], {"profit_factor": "no_trades", "expectancy": "no_trades"}),
    ([1.0, 1.0], {"best_trade": "no_trades", "worst_trade": "no_trades"}),
    ([1.0, 1.0], {"avg_bars_held": "no_trades", "trade_count": 0, "open_trades": 0}),
    ([1.0, 1.0], {"longest_win_streak": 0, "longest_loss_streak": 0, "turnover": 0.0}),
    ([1.0, 1.0], {"total_commission": 0.0, "total_slippage": 0.0, "total_borrow": 0.0}),
    ([1.0, 1.0], {"avg_drawdown": 0.0, "avg_drawdown_duration_bars": 0.0}),
]
TRADE_CASES: list[tuple[list[float], dict[str, float | str]]] = [
    ([5.0], {"payoff_ratio": "no_losses", "profit_factor": "no_losses", "win_rate": 1.0}),
    ([-5.0], {"payoff_ratio": "no_wins", "profit_factor": 0.0, "win_rate": 0.0}),
    ([0.0], {"profit_factor": "no_losses", "win_rate": 0.0, "trade_count": 1}),
    ([0.0, 5.0, -2.0], {"payoff_ratio": 2.5, "profit_factor": 2.5, "win_rate": 1 / 3}),
]


def _check(metrics: Metrics, name: str, want: float | str) -> None:
    if isinstance(want, str):
        assert metrics.values[name] is None
        assert metrics.reasons[name] == want
    else:
        assert metrics.values[name] == pytest.approx(want, rel=1e-11, abs=1e-15)
        assert name not in metrics.reasons


def _rows(
    cases: Sequence[tuple[list[float], dict[str, float | str]]],
) -> list[tuple[list[float], str, float | str]]:
    return [(given_, name, want) for given_, table in cases for name, want in table.items()]


@pytest.mark.parametrize(("equity", "name", "want"), _rows(CASES))
def test_edge(equity: list[float], name: str, want: float | str, account: Account) -> None:
    """An undefined metric is null with its reason, and a limiting case has its stated value."""
    _check(account(equity), name, want)


@pytest.mark.parametrize(("pnl", "name", "want"), _rows(TRADE_CASES))
def test_trade_edge(
    pnl: list[float],
    name: str,
    want: float | str,
    account: Account,
    trades_of: Callable[..., Trades],
) -> None:
    """A ratio of wins to losses is null where one side is missing; break-even is neither."""
    _check(account([1.0], trades=trades_of(pnl)), name, want)


def test_break_even_is_a_trade(account: Account, trades_of: Callable[..., Trades]) -> None:
    """Where the only trade broke even there is no payoff ratio, but not for want of a trade."""
    metrics = account([1.0], trades=trades_of([0.0]))
    assert metrics.values["payoff_ratio"] is None
    assert metrics.reasons["payoff_ratio"] != "no_trades"


@pytest.mark.parametrize("side", ["long", "short"])
def test_side_without_trades(side: str, account: Account) -> None:
    """A side that never traded has no win rate, and a profit of 0."""
    metrics = account([1.0])
    assert metrics.values[side] == {"trade_count": 0, "win_rate": None, "pnl": 0.0}
    assert metrics.reasons[f"{side}.win_rate"] == "no_trades"


def test_two_rising_bars_have_a_track_record(account: Account) -> None:
    """The minimum track record is defined for two bars, where the skewness is 0 and g4 is 1."""
    per_bar = 0.25 / (0.5 / math.sqrt(2))
    values = account([1.5, 1.5]).values
    assert values["min_track_record_bars"] == pytest.approx(
        1 + (1.6448536269514722 / per_bar) ** 2, rel=1e-9
    )


@pytest.mark.parametrize(("benchmark_sr", "defined"), [(0.0, True), (0.1, False), (0.2, False)])
def test_track_record_needs_to_beat_its_benchmark(benchmark_sr: float, *, defined: bool) -> None:
    """No track record is long enough for a Sharpe ratio that is not above the benchmark's."""
    found = min_track_record(0.1, 0.0, 3.0, benchmark_sr)
    assert (found.value is not None) == defined
    assert found.reason == (None if defined else "sharpe_not_positive")


@pytest.mark.parametrize(("g3", "defined"), [(0.9, True), (1.0, False), (1.1, False)])
def test_psr_needs_a_positive_radicand(g3: float, *, defined: bool) -> None:
    """The probability is null where the estimated variance of the Sharpe ratio is not positive."""
    # 1 - g3 · 1 + (1 - 1) / 4 · 1 is 0 at g3 = 1.
    found = probabilistic_sharpe(1.0, 10, g3, 1.0)
    assert (found.value is not None) == defined
    assert found.reason == (None if defined else "radicand_not_positive")


@pytest.mark.parametrize(("n", "warned"), [(251, True), (252, False)])
def test_short_sample(n: int, account: Account, *, warned: bool) -> None:
    """Less than a year of bars warns that the annual figures are extrapolated."""
    metrics = account([1.0] * n)
    assert [warning.code for warning in metrics.warnings] == ["short_sample"] * warned


@pytest.mark.parametrize(("n", "words"), [(1, "1 bar is less"), (2, "2 bars are less")])
def test_short_sample_in_words(n: int, words: str, account: Account) -> None:
    """The warning speaks of one bar in the singular."""
    (warning,) = account([1.0] * n).warnings
    assert warning.message.startswith(f"{words} than a year of 252")


@pytest.mark.parametrize(
    ("close", "name", "want"),
    [
        ([2.0, 3.0, 1.5], "total_return", -0.25),
        ([2.0, 3.0, 1.5], "max_drawdown", -0.5),
        ([2.0, 3.0, 1.5], "cagr", 0.75**84 - 1),
        ([2.0, 3.0, 1.5], "sharpe", 0.0),
        ([2.0, 2.0, 2.0], "sharpe", "zero_volatility"),
        ([2.0], "sharpe", "fewer_than_2_bars"),
        ([2.0, 900.0], "cagr", "overflow"),
    ],
)
def test_benchmark(close: list[float], name: str, want: float | str, account: Account) -> None:
    """The benchmark holds the initial cash in the market from the first close, at no cost."""
    metrics = account([50.0] * len(close), initial=50.0, close=close)
    assert metrics.benchmark_equity.tolist() == [50.0 * price / close[0] for price in close]
    if isinstance(want, str):
        assert metrics.benchmark[name] is None
        assert metrics.reasons[f"benchmark.{name}"] == want
    else:
        assert metrics.benchmark[name] == pytest.approx(want, rel=1e-11, abs=1e-15)


def test_headline_names(account: Account) -> None:
    """Every headline figure is one of the metrics."""
    assert set(HEADLINE) <= set(account([1.0]).values)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_measured_is_finite(value: float) -> None:
    """A number that has left the finite ones becomes null for overflow."""
    assert Measured(value).finite() == Measured(None, "overflow")
    assert Measured(1e308).finite() == Measured(1e308)


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{name}.")
        else:
            yield f"{prefix}{name}", value


def _assert_finite_or_explained(metrics: Metrics) -> None:
    found = dict(_numbers(metrics.values)) | dict(_numbers(metrics.benchmark, "benchmark."))
    assert {name for name, value in found.items() if value is None} == set(metrics.reasons)
    assert set(metrics.reasons.values()) <= set(REASONS)
    assert all(math.isfinite(value) for value in found.values() if value is not None)
    tables = (metrics.monthly_returns, metrics.yearly_returns)
    assert all(v is None or math.isfinite(v) for table in tables for v in table.values())
    assert np.isfinite(metrics.drawdown).all()
    assert np.isfinite(metrics.benchmark_equity).all()


def _curves(magnitudes: st.SearchStrategy[float]) -> st.SearchStrategy[list[float]]:
    return st.lists(
        magnitudes | magnitudes.map(lambda x: -x) | st.just(0.0), min_size=1, max_size=8
    )


ORDINARY = st.floats(1e-12, 1e12)
# Up to where a run that overflows is refused as a whole.
EXTREME = st.floats(5e-324, 1e308) | st.sampled_from([5e-324, 1e-300, 1e-160, 1e80, 1e160, 1e308])
PERIODS = st.sampled_from([1.0, 52.0, 252.0, 525_600.0, 1e7])


@settings(deadline=None)
@given(equity=_curves(ORDINARY), periods=PERIODS, initial=ORDINARY)
def test_finite(equity: list[float], periods: float, initial: float, account: Account) -> None:
    """Every metric of any curve within ordinary sizes is a finite number or null with a reason."""
    _assert_finite_or_explained(account(equity, initial=initial, periods=periods))


@settings(max_examples=300, deadline=None)
@given(equity=_curves(EXTREME), periods=PERIODS, initial=st.floats(5e-324, 1e15))
def test_finite_at_extremes(
    equity: list[float], periods: float, initial: float, account: Account
) -> None:
    """The most extreme curves are refused, or every metric is finite or null with a reason."""
    with contextlib.suppress(DataError):
        _assert_finite_or_explained(account(equity, initial=initial, periods=periods))


@settings(deadline=None)
@given(close=st.lists(EXTREME, min_size=1, max_size=6))
def test_finite_benchmark_at_extremes(close: list[float], account: Account) -> None:
    """The benchmark of the most extreme prices is refused, or finite or null with a reason."""
    with contextlib.suppress(DataError):
        _assert_finite_or_explained(account([1.0] * len(close), close=close))


def test_a_benchmark_beyond_finite_numbers_is_refused(account: Account) -> None:
    """A curve that leaves the finite numbers ends the run with the name and the bar."""
    with pytest.raises(DataError, match="the benchmark is no longer a finite number at bar 1"):
        account([1.0, 1.0], close=[5e-324, 1.0])


def test_a_drawdown_beyond_finite_numbers_is_refused(account: Account) -> None:
    """A debt that is too large to be told as a share of the peak is refused too."""
    with pytest.raises(DataError, match="the drawdown is no longer a finite number at bar 2"):
        account([1e-10, 1e-11, -1e300, -1.0], initial=1e-10)


@pytest.mark.parametrize("periods", [1.0, 52.0, 1e7])
def test_finite_risk_free_rate(periods: float, account: Account) -> None:
    """The largest risk-free rate is converted to any number of periods a year."""
    _assert_finite_or_explained(account([1.0, 2.0, 1.0], periods=periods, risk_free_annual=10.0))
