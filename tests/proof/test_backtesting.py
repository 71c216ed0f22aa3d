"""Fills, trades and equity against those of backtesting.py, for the same decisions on real data.

Both are given the shipped candles and hold, after each crossing of two moving averages, the whole
equity. What was brought into line, so that all that is left to differ is arithmetic:

- Decisions: each makes its own, the engine by TA-Lib and ``dual_sma``, the other by the rolling
  means of pandas. The engine sees an average one bar late, so the other side is delayed by one bar.
- Sizing: trunc(equity / close) whole units at the close of the decision, long or short:
  backtesting.py trades whole units only, the engine has ``lot_size`` 1. An account of 1e9 makes a
  unit about a millionth of it.
- Fills: at the next open, in full. backtesting.py refuses an order that a gap makes dearer than the
  equity, which the engine fills; half a margin lets it fill.
- Commission: a fraction of quantity times fill price and an amount a unit, on every fill. A
  reversal is one fill of the engine and two of backtesting.py; both rates are linear in the
  quantity, so the sums agree. (A minimum would not, and its spread is charged at entries only, so
  slippage is not compared here.)
- The end: the engine's ``auto_flatten_end`` closes at the last close. backtesting.py closes at an
  open, so one more bar is added for it, all four prices of which are the last close.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtesting import Backtest, Strategy

from engine.pipeline import run
from engine.records import BacktestResult, Candles

# backtesting.py asks pandas by a name that pandas 3.1 deprecates; it does what it did.
pytestmark = pytest.mark.filterwarnings(
    "ignore:DatetimeIndex.dayofweek is deprecated:DeprecationWarning:backtesting"
)

CASH = 1e9
REL = 1e-9
COSTS: dict[str, dict[str, float]] = {
    "free": {},
    "5 bps": {"commission_bps": 5.0},
    "2 bps and 1.5 a unit": {"commission_bps": 2.0, "commission_per_share": 1.5},
}
WINDOWS = ((20, 50), (5, 30))


@dataclass(frozen=True)
class Both:
    """The same job in the engine, flattened at the end and not, and in backtesting.py."""

    flattened: BacktestResult
    held: BacktestResult
    theirs: Mapping[str, Any]


def studio(
    symbol: str, windows: tuple[int, int], costs: Mapping[str, float], **kind: bool
) -> BacktestResult:
    """Return the engine's run."""
    fast, slow = windows
    params = {"fast": fast, "slow": slow, "long_only": kind["long_only"]}
    config = {
        "symbol": symbol,
        "provider": "sample",
        "strategy": {"name": "dual_sma", "params": params},
        "risk": {"name": "fixed_fraction", "params": {"fraction": 1.0}},
        "execution": {
            "initial_cash": CASH,
            "lot_size": 1.0,
            "auto_flatten_end": kind["flatten"],
            **costs,
        },
        "plot": False,
    }
    return run(config)


def sides(close: pd.Series, windows: tuple[int, int], *, long_only: bool) -> list[float]:
    """Return what is held after each bar: the crossing of the bar before, 0 before the first."""
    fast, slow = (close.rolling(n).mean().to_numpy() for n in windows)
    side = (fast > slow).astype(float) - (0.0 if long_only else 1.0) * (fast < slow)
    return [0.0, *side[:-1].tolist()]


def backtesting(
    candles: Candles, windows: tuple[int, int], costs: Mapping[str, float], *, long_only: bool
) -> Mapping[str, Any]:
    """Return the results of backtesting.py on the candles and the bar that it closes at."""
    names = ("open", "high", "low", "close")
    columns = {name.title(): np.append(getattr(candles, name), candles.close[-1]) for name in names}
    ts = np.append(candles.ts, candles.ts[-1] + 86_400_000)
    held = sides(pd.Series(candles.close), windows, long_only=long_only)

    class Crossing(Strategy):  # type: ignore[misc]  # it ships no types
        """Trades to the whole equity where the side changes."""

        def init(self) -> None:
            self.side = 0.0

        def next(self) -> None:
            t = len(self.data) - 1
            if t == len(candles) - 1:
                self.position.close()
            elif t < len(candles) and held[t] != self.side:
                self.side = held[t]
                target = int(self.side * self.equity / self.data.Close[-1])
                units = target - self.position.size
                (self.buy if units > 0 else self.sell)(size=abs(units))

    def commission(units: float, price: float) -> float:
        rate = costs.get("commission_bps", 0.0) / 1e4
        return abs(units) * (costs.get("commission_per_share", 0.0) + rate * price)

    frame = pd.DataFrame(columns, index=pd.DatetimeIndex(ts.astype("M8[ms]")))
    terms = {"cash": CASH, "margin": 0.5, "commission": commission}
    found: Mapping[str, Any] = Backtest(frame, Crossing, **terms).run()
    return found


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((symbol, windows, costs, long_only), id=f"{symbol} {windows} {costs} {kind}")
        for symbol in ("SPX", "IXIC")
        for windows in WINDOWS
        for costs in COSTS
        for long_only, kind in ((True, "long only"), (False, "long and short"))
        if windows == WINDOWS[0] or costs == "5 bps"
    ],
)
def both(request: pytest.FixtureRequest) -> Both:
    symbol, windows, named, long_only = request.param
    costs = COSTS[named]
    flattened, held = (
        studio(symbol, windows, costs, long_only=long_only, flatten=flatten)
        for flatten in (True, False)
    )
    theirs = backtesting(flattened.candles, windows, costs, long_only=long_only)
    return Both(flattened, held, theirs)


def their_fills(trades: pd.DataFrame) -> list[tuple[int, int, float, float]]:
    """Return bar, side, quantity and price of each fill, an exit and an entry at a bar as one."""
    legs = pd.concat(
        [
            pd.DataFrame({"bar": trades.EntryBar, "q": trades.Size, "price": trades.EntryPrice}),
            pd.DataFrame({"bar": trades.ExitBar, "q": -trades.Size, "price": trades.ExitPrice}),
        ]
    )
    fills = []
    for bar, at in legs.groupby("bar"):
        assert (at.price == at.price.iloc[0]).all()
        q = float(at.q.sum())
        fills.append((int(str(bar)), 1 if q > 0 else -1, abs(q), float(at.price.iloc[0])))
    return fills


def test_fills(both: Both) -> None:
    """Every fill has the same bar, side, quantity and price, the price to the bit."""
    ours, n_bars = both.flattened.execution.fills, len(both.flattened.candles)
    theirs = their_fills(both.theirs["_trades"])
    assert len(theirs) > 60
    bars = np.where(ours.at_close, ours.bar + 1, ours.bar)
    columns = (bars, ours.side, ours.qty, ours.price)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == theirs
    assert ours.at_close.tolist() == [bar == n_bars for bar, *_ in theirs]


def test_trades(both: Both) -> None:
    """Every closed trade has the same bars, prices, quantity, costs, profit and return."""
    ours, n_bars = both.flattened.execution.trades, len(both.flattened.candles)
    theirs = both.theirs["_trades"].sort_values("EntryBar")
    assert not ours.open.any()
    assert ours.entry_bar.tolist() == theirs.EntryBar.tolist()
    assert ours.exit_bar.tolist() == np.minimum(theirs.ExitBar, n_bars - 1).tolist()
    assert ours.side.tolist() == np.sign(theirs.Size).tolist()
    for name, expected in {
        "qty": theirs.Size.abs(),
        "entry_price": theirs.EntryPrice,
        "exit_price": theirs.ExitPrice,
        "commission": theirs.Commission,
        "return_": theirs.ReturnPct,
    }.items():
        # A return is a difference of prices near 1, so its error is one of 1.
        absolute = REL if name == "return_" else 0.0
        found = getattr(ours, name)
        np.testing.assert_allclose(found, expected, rtol=REL, atol=absolute, err_msg=name)
    # A profit is a difference of values, and rounds as they do.
    value = float((ours.qty * ours.entry_price).max())
    np.testing.assert_allclose(ours.pnl, theirs.PnL, rtol=REL, atol=1e-12 * value)


def test_equity(both: Both) -> None:
    """Equity is the same after every bar, held to the end or closed there."""
    theirs = both.theirs["_equity_curve"].Equity.to_numpy()
    held, flattened = (result.execution.curve.equity for result in (both.held, both.flattened))
    np.testing.assert_allclose(held, theirs[:-1], rtol=REL)
    assert flattened[-1] == pytest.approx(theirs[-1], rel=REL)
    assert flattened[:-1].tobytes() == held[:-1].tobytes()
    assert abs(held[-1] / CASH - 1.0) > 0.01


def test_statistics(both: Both) -> None:
    """What both count and measure over the trades and the curve is the same."""
    theirs, ours = both.theirs, dict(both.flattened.metrics.values)
    trades = theirs["_trades"]
    assert ours["trade_count"] == theirs["# Trades"]
    assert ours["win_rate"] == pytest.approx(theirs["Win Rate [%]"] / 100, rel=REL)
    assert ours["best_trade"] == pytest.approx(trades.PnL.max(), rel=REL)
    assert ours["worst_trade"] == pytest.approx(trades.PnL.min(), rel=REL)
    assert ours["total_return"] == pytest.approx(theirs["Return [%]"] / 100, rel=REL)
    assert ours["total_commission"] == pytest.approx(theirs.get("Commissions [$]", 0.0), rel=REL)
    # Its curve ends one bar after ours, at the same equity: no drawdown is deeper for that.
    assert ours["max_drawdown"] == pytest.approx(theirs["Max. Drawdown [%]"] / 100, rel=REL)
    # Its Kelly criterion is made of the win rate and the payoff ratio.
    win_rate, payoff = ours["win_rate"], ours["payoff_ratio"]
    assert win_rate - (1 - win_rate) / payoff == pytest.approx(theirs["Kelly Criterion"], rel=1e-8)
