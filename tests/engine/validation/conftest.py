"""A slow, plain reading of how a run trades and is measured, and runs on candles made here."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.config import ExecutionConfig, RunConfig
from engine.pipeline import RunContext, run
from engine.records import BacktestResult, Candles
from scripts.bench.held import Held

DAY_MS = 86_400_000
YEAR_MS = 365.25 * DAY_MS
Slip = Callable[[int, float], float]


@dataclass
class Bars:
    """Candles as plain lists."""

    ts: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float] | None
    vwap: list[float] | None

    @classmethod
    def of(cls, candles: Candles) -> "Bars":
        """Return the bars of candles."""
        columns = (candles.open, candles.high, candles.low, candles.close)
        extra = (candles.volume, candles.vwap)
        prices = [[float(x) for x in column] for column in columns]
        known = [None if column is None else [float(x) for x in column] for column in extra]
        return cls([int(t) for t in candles.ts], *prices, *known)

    def __len__(self) -> int:
        return len(self.ts)

    def part(self, start: int, stop: int) -> "Bars":
        """Return the bars from ``start`` up to, not including, ``stop``."""
        columns = (self.ts, self.open, self.high, self.low, self.close, self.volume, self.vwap)
        cut: list[Any] = [None if column is None else column[start:stop] for column in columns]
        return Bars(*cut)

    def rebuilt(self, w: int, gap_order: Sequence[int], bar_order: Sequence[int]) -> "Bars":
        """Return the market whose moves after bar ``w`` come in another order."""
        first = w + 1
        new = self.part(0, first)
        for j in range(len(self) - first):
            gap, bar = first + int(gap_order[j]), first + int(bar_order[j])
            opened = new.close[-1] * (self.open[gap] / self.close[gap - 1])
            high, low, close = (
                opened * (column[bar] / self.open[bar])
                for column in (self.high, self.low, self.close)
            )
            new.ts.append(self.ts[first + j])
            new.open.append(opened)
            new.close.append(close)
            new.high.append(max(high, opened, close))
            new.low.append(min(low, opened, close))
            if self.volume is not None and new.volume is not None:
                new.volume.append(self.volume[bar])
            if self.vwap is not None and new.vwap is not None:
                new.vwap.append(opened * (self.vwap[bar] / self.open[bar]))
        return new


@dataclass
class Account:
    """What a plain simulation leaves behind; a fill is (bar, quantity, base, configured, price)."""

    position: list[float] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    fills: list[tuple[int, float, float, float, float]] = field(default_factory=list)
    trade_count: int = 0


class Simulation:
    """The six steps of each bar; ``slip`` turns (number of the fill, s_base) into its s."""

    def __init__(
        self,
        bars: Bars,
        weights: Sequence[float],
        config: ExecutionConfig,
        slip: Slip | None = None,
    ) -> None:
        self.bars, self.weights, self.config, self.slip = bars, weights, config, slip
        self.cash, self.pos, self.last = config.initial_cash, 0.0, 0.0
        self.pending: float | None = None
        self.ruined = False
        self.account = Account()

    def run(self) -> Account:
        """Go through all bars."""
        bars, n = self.bars, len(self.bars)
        for t in range(n):
            if self.pos < 0 and t > 0:
                years = (bars.ts[t] - bars.ts[t - 1]) / YEAR_MS
                rate = self.config.borrow_bps / 1e4
                self.cash -= rate * years * abs(self.pos) * bars.close[t - 1]
            self.fill_pending(t)
            equity = self.cash + self.pos * bars.close[t]
            if equity <= 0 and not self.ruined:
                self.ruined, self.pending = True, None
                self.book(t, 0.0, bars.close[t], bars.close[t], bars.close[t], 0.0)
            if t < n - 1 and not self.ruined:
                self.decide(t, equity)
            if t == n - 1 and self.config.auto_flatten_end:
                self.execute(t, 0.0, bars.close[t])
                equity = self.cash + self.pos * bars.close[t]
            self.account.position.append(self.pos)
            self.account.equity.append(equity)
        return self.account

    def fill_pending(self, t: int) -> None:
        """Step 2."""
        volume = self.bars.volume
        if self.pending is None:
            return
        if volume is not None and volume[t] == 0 and self.config.zero_volume != "fill":
            if self.config.zero_volume == "skip":
                self.pending = None
            return
        target, self.pending = self.pending, None
        self.execute(t, target, self.base_price(t))

    def base_price(self, t: int) -> float:
        """Return B of an order that fills on bar t."""
        bars = self.bars
        if self.config.fill_price == "open_next":
            return bars.open[t]
        if self.config.fill_price == "mid_next":
            return (bars.high[t] + bars.low[t]) / 2
        if bars.vwap is not None:
            return bars.vwap[t]
        return (bars.high[t] + bars.low[t] + bars.close[t]) / 3

    def adapter_fraction(self, t: int, qty: float) -> float:
        """Return a of an order of ``qty`` units."""
        model = self.config.slippage_model
        if model is None:
            return 0.0
        if model.name == "spread_pct":
            return float(model.params["spread_pct"]) / 2
        assert self.bars.volume is not None
        volume = self.bars.volume[t]
        return float(model.params["participation_pct"]) * (
            1.0 if volume == 0 else min(qty / volume, 1.0)
        )

    def execute(self, t: int, target: float, base: float) -> None:
        """Trade to ``target`` with slippage and commission."""
        q, c = target - self.pos, self.config
        if q == 0:
            return
        side = 1 if q > 0 else -1
        a = self.adapter_fraction(t, abs(q))
        configured = max(0.0, base * (1 + side * a) * (1 + side * c.slippage_bps / 1e4))
        price = configured
        if self.slip is not None:
            s = self.slip(len(self.account.fills), abs(configured / base - 1))
            price = max(0.0, base * (1 + side * s))
        by_size = c.commission_per_share * abs(q) + c.commission_bps / 1e4 * abs(q) * price
        self.book(t, target, base, configured, price, max(c.commission_min, by_size))

    def book(
        self, t: int, target: float, base: float, configured: float, price: float, paid: float
    ) -> None:
        """Enter a fill, and count the round trip that it ends."""
        before, q = self.pos, target - self.pos
        if q == 0:
            return
        self.account.fills.append((t, q, base, configured, price))
        self.account.trade_count += before != 0 and before * target <= 0
        self.cash -= q * price + paid
        self.pos = target

    def decide(self, t: int, equity: float) -> None:
        """Step 5."""
        weight, lot = self.weights[t], self.config.lot_size
        turned = (weight > 0) - (weight < 0) != (self.last > 0) - (self.last < 0)
        if turned or abs(weight - self.last) > max(self.config.rebalance_band, 1e-12):
            units = weight * equity / self.bars.close[t]
            self.pending = math.trunc(units / lot) * lot if lot > 0 else units
            self.last = weight


def moving_average(close: list[float], length: int) -> list[float | None]:
    """Return what a strategy sees at each bar: the mean of the closes before it."""
    n = len(close)
    return [None if t < length else math.fsum(close[t - length : t]) / length for t in range(n)]


def realized_vol(close: list[float], length: int, periods: float) -> list[float | None]:
    """Return the annual deviation of the close returns before each bar."""
    seen: list[float | None] = []
    for t in range(len(close)):
        if t < length + 1:
            seen.append(None)
            continue
        r = [close[s] / close[s - 1] - 1 for s in range(t - length, t)]
        seen.append(deviation(r) * math.sqrt(periods))
    return seen


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation, ddof 1; exactly 0 where all values are one."""
    if max(values) == min(values):
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (len(values) - 1))


def target_weights(bars: Bars, config: RunConfig, periods: float) -> tuple[list[float], int]:
    """Return W of dual_sma under its sizing model, and w, the first bar with every feature."""
    p, risk = config.strategy.params, config.risk
    k, signal, weights = p["threshold_bp"] / 1e4, 0, []
    read = [moving_average(bars.close, p["fast"]), moving_average(bars.close, p["slow"])]
    if risk.name == "volatility_target":
        read.append(realized_vol(bars.close, risk.params["lookback"], periods))
    for t in range(len(bars)):
        fast, slow = read[0][t], read[1][t]
        if fast is None or slow is None:
            signal = 0
        elif fast > slow * (1 + k) * (1 + 1e-9):
            signal = 1
        elif fast < slow * (1 - k) * (1 - 1e-9):
            signal = 0 if p["long_only"] else -1
        if risk.name == "fixed_fraction":
            size = risk.params["fraction"]
        else:
            vol, r = read[2][t], risk.params
            scaled = 0.0 if vol is None else r["target_vol"] / max(vol, r["min_vol"])
            size = min(r["max_leverage"], r["base_fraction"] * scaled)
        weights.append(signal * size)
    return weights, min(t for t in range(len(bars)) if all(x[t] is not None for x in read))


def returns_of(equity: Sequence[float], initial: float) -> list[float]:
    """Return r, 0 where the equity before was not positive."""
    before = [initial, *equity[:-1]]
    return [e / b - 1 if b > 0 else 0.0 for e, b in zip(equity, before, strict=True)]


def risk_free(config: RunConfig, periods: float) -> float:
    """Return the risk-free return of one bar."""
    return float((1 + config.risk_free_annual) ** (1 / periods) - 1)


def sharpe(returns: Sequence[float], rf: float, periods: float) -> float | None:
    """Return the annual Sharpe ratio, None where it is not defined."""
    if len(returns) < 2 or (spread := deviation(returns)) == 0:
        return None
    return (math.fsum(returns) / len(returns) - rf) / spread * math.sqrt(periods)


def total_return(returns: Sequence[float]) -> float:
    return math.prod(1 + r for r in returns) - 1


def quantile(values: Sequence[float], q: float) -> float:
    """Return the type 7 quantile."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = min(math.floor(place), len(ordered) - 2) if len(ordered) > 1 else 0
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def distribution(values: Sequence[float]) -> dict[str, float]:
    """Return the mean and the three quantiles that the documents give."""
    quantiles = {f"p{q}": quantile(values, q / 100) for q in (5, 50, 95)}
    return {"mean": math.fsum(values) / len(values), **quantiles}


def near(value: Any) -> Any:
    """Return what equals a value but for the rounding of its sums; only None equals None."""
    return None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)


def assert_histogram(histogram: dict[str, list[float]], values: Sequence[float]) -> None:
    """Check that every value was counted, in at most 64 bins from the least to the greatest."""
    edges, counts = histogram["edges"], histogram["counts"]
    assert len(edges) == len(counts) + 1 <= 65
    assert sum(counts) == len(values)
    assert edges == sorted(edges)
    slack = 1e-9 * max(1.0, *map(abs, values))
    assert edges[0] <= min(values) + slack
    assert edges[-1] >= max(values) - slack
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        surely = sum(low + slack < x < high - slack for x in values)
        perhaps = sum(low - slack <= x <= high + slack for x in values)
        assert surely <= count <= perhaps


def run_returns(result: BacktestResult) -> list[float]:
    """Return the per-bar returns that a run itself reports."""
    equity = result.execution.curve.equity.tolist()
    return returns_of(equity, result.config.execution.initial_cash)


def statistic(result: BacktestResult, returns: Sequence[float]) -> float:
    """Return the run's statistic of some returns; undefined counts as 0."""
    if result.config.validation.statistic == "total_return":
        return total_return(returns)
    periods = result.periods_per_year.value
    return sharpe(returns, risk_free(result.config, periods), periods) or 0.0


def candles(
    n_bars: int, seed: int, *, move: float = 0.02, volume: str = "known", vwap: bool = False
) -> Candles:
    """Return weekdays of a random walk with gaps; ``volume`` is known, unknown or sometimes 0."""
    rng = np.random.default_rng(seed)
    gaps, moves = rng.uniform(-move / 4, move / 4, n_bars), rng.uniform(-move, move, n_bars)
    close = np.full(n_bars, 50.0) * np.cumprod((1 + gaps) * (1 + moves))
    open_ = close / (1 + moves)
    high = np.maximum(open_, close) * (1 + rng.uniform(0, move / 2, n_bars))
    low = np.minimum(open_, close) * (1 - rng.uniform(0, move / 2, n_bars))
    units = rng.integers(20_000, 200_000, n_bars).astype(np.float64)
    if volume == "sometimes 0":
        units[rng.random(n_bars) < 0.3] = 0.0
    days = np.array([t for t in range(4, 2 * n_bars + 14) if t % 7 not in (2, 3)], dtype=np.int64)
    return Candles(
        "X",
        "1d",
        days[:n_bars] * DAY_MS,
        open_,
        high,
        low,
        close,
        volume=None if volume == "unknown" else units,
        vwap=low + 0.4 * (high - low) if vwap else None,
    )


def backtest(of: Candles, context: RunContext | None = None, **config: Any) -> BacktestResult:
    """Return the run of a configuration on candles; dual_sma(3, 8) unless told otherwise."""
    strategy = {"name": "dual_sma", "params": {"fast": 3, "slow": 8}}
    raw = {"symbol": of.symbol, "timeframe": of.timeframe, "strategy": strategy, "plot": False}
    return run(raw | config, replace(context or RunContext(), provider=Held(of)))


@pytest.fixture(scope="session")
def plain() -> SimpleNamespace:
    """Return the plain reading."""
    return SimpleNamespace(
        near=near,
        bars=Bars.of,
        target_weights=target_weights,
        simulate=lambda *account: Simulation(*account).run(),
        returns=lambda account, config: returns_of(account.equity, config.initial_cash),
        run_returns=run_returns,
        risk_free=risk_free,
        deviation=deviation,
        sharpe=sharpe,
        total_return=total_return,
        statistic=statistic,
        quantile=quantile,
        distribution=distribution,
        assert_histogram=assert_histogram,
    )


@pytest.fixture(name="candles", scope="session")
def candles_fixture() -> Callable[..., Candles]:
    return candles


@pytest.fixture(name="backtest", scope="session")
def backtest_fixture() -> Callable[..., BacktestResult]:
    return backtest
