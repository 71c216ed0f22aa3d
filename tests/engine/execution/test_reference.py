"""The bar loop against a slow one in plain Python, written from the definitions alone."""

import math
from dataclasses import dataclass, field, fields

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings, strategies as st

from engine.config import Component, ExecutionConfig
from engine.execution import load_kernel, simulate
from engine.execution.slippage import slippage_models
from engine.records import Candles, Execution, Fills, Trades

DAY_MS = 86_400_000
YEAR_MS = 365.25 * DAY_MS
MONEY = {"commission", "slippage", "borrow", "pnl", "realized_pnl"}
WARNINGS = {"ruin", "order_exceeds_volume", "order_skipped", "order_unfilled", "negative_cash"}
EVENTS = {"carry", "reversal", "no_lot", "borrow", "banded", "replaced", "flatten"}
SETTINGS = settings(max_examples=300, deadline=None, derandomize=True)
Row = tuple[float, ...]


@dataclass
class Trip:
    """One round trip while it is being made."""

    side: int
    entry_bar: int
    qty: float = 0.0
    raised: list[tuple[float, float]] = field(default_factory=list)
    lowered: list[tuple[float, float]] = field(default_factory=list)
    realized: float = 0.0
    commission: float = 0.0
    slippage: float = 0.0
    borrow: float = 0.0
    mae: float = 0.0
    mfe: float = 0.0
    exit_bar: int = -1
    at_close: bool = False
    unrealized: float | None = None

    def see(self, price: float, average: float) -> None:
        """Widen the excursions by a price."""
        if average > 0:
            move = self.side * (price / average - 1)
            self.mae, self.mfe = min(self.mae, move), max(self.mfe, move)


@dataclass
class Case:
    """Everything that one simulation needs."""

    candles: Candles
    weights: list[float]
    config: ExecutionConfig


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


def mean_price(parts: list[tuple[float, float]]) -> float:
    return sum(q * x for q, x in parts) / sum(q for q, _ in parts)


class SlowAccount:
    """The six steps of a bar, one method each, over plain numbers."""

    def __init__(self, case: Case) -> None:
        candles, self.config = case.candles, case.config
        self.weights, self.n = case.weights, len(candles)
        self.ts: list[int] = candles.ts.tolist()
        self.open, self.high, self.low, self.close = (
            [float(price) for price in column]
            for column in (candles.open, candles.high, candles.low, candles.close)
        )
        self.volume = None if candles.volume is None else candles.volume.tolist()
        self.vwap = None if candles.vwap is None else candles.vwap.tolist()
        self.cash, self.pos, self.average = case.config.initial_cash, 0.0, 0.0
        self.pending: float | None = None
        self.last = 0.0
        self.ruined = False
        self.fills: list[Row] = []
        self.trips: list[Trip] = []
        self.curve: list[tuple[float, float, float]] = []
        self.events: set[str] = set()

    def run(self) -> "SlowAccount":
        """Go through all bars and return the account."""
        for t in range(self.n):
            self.charge_borrow(t)
            if self.pending is not None:
                self.fill_pending(t, self.pending)
            if self.pos != 0:
                self.trips[-1].see(self.low[t], self.average)
                self.trips[-1].see(self.high[t], self.average)
            equity = self.cash + self.pos * self.close[t]
            if self.cash < 0 and abs(self.last) <= 1 and not self.ruined:
                self.events.add("negative_cash")
            if equity <= 0 and not self.ruined:
                self.ruin(t)
            if t < self.n - 1 and not self.ruined:
                self.decide(t, equity)
            if t == self.n - 1:
                equity = self.end(t, equity)
            self.curve.append((self.pos, self.cash, equity))
        return self

    def charge_borrow(self, t: int) -> None:
        """Step 1."""
        if self.pos < 0 and t > 0:
            years = (self.ts[t] - self.ts[t - 1]) / YEAR_MS
            fee = self.config.borrow_bps / 1e4 * years * abs(self.pos) * self.close[t - 1]
            self.cash -= fee
            self.trips[-1].borrow += fee
            self.events.add("borrow" if fee > 0 else "free_borrow")

    def fill_pending(self, t: int, pending: float) -> None:
        """Step 2."""
        if self.volume is not None and self.volume[t] == 0 and self.config.zero_volume != "fill":
            if self.config.zero_volume == "skip":
                self.pending = None
            if pending != self.pos:
                self.events.add("carry" if self.pending is not None else "order_skipped")
            return
        self.pending = None
        if pending != self.pos:
            self.execute(t, pending, self.base_price(t), at_close=False)

    def base_price(self, t: int) -> float:
        """Return B of an order that fills on bar t."""
        if self.config.fill_price == "open_next":
            return self.open[t]
        if self.config.fill_price == "mid_next":
            return (self.high[t] + self.low[t]) / 2
        if self.vwap is not None:
            return float(self.vwap[t])
        return (self.high[t] + self.low[t] + self.close[t]) / 3

    def adapter_fraction(self, t: int, qty: float) -> float:
        """Return the slippage model's part of the price."""
        model = self.config.slippage_model
        if model is None:
            return 0.0
        if model.name == "spread_pct":
            return float(str(model.params["spread_pct"])) / 2
        assert self.volume is not None
        share = min(qty / self.volume[t], 1.0) if self.volume[t] > 0 else 1.0
        return float(str(model.params["participation_pct"])) * share

    def execute(self, t: int, target: float, base: float, *, at_close: bool) -> None:
        """Trade to ``target`` with slippage and commission."""
        q = target - self.pos
        side, c = sign(q), self.config
        fraction = self.adapter_fraction(t, abs(q))
        price = max(0.0, base * (1 + side * fraction) * (1 + side * c.slippage_bps / 1e4))
        by_size = c.commission_per_share * abs(q) + c.commission_bps / 1e4 * abs(q) * price
        if self.volume is not None and 0 < self.volume[t] < abs(q):
            self.events.add("order_exceeds_volume")
        self.book(t, target, base, price, max(c.commission_min, by_size), at_close=at_close)

    def book(
        self, t: int, target: float, base: float, price: float, commission: float, *, at_close: bool
    ) -> None:
        """Enter a fill into cash, position and round trips."""
        before, q = self.pos, target - self.pos
        slippage, realized = abs(q) * abs(price - base), 0.0
        self.cash -= q * price + commission
        self.pos = target
        share = 0.0
        if before != 0 and sign(q) != sign(before):
            crossed = sign(target) == sign(q)
            closed = abs(before) if crossed else abs(q)
            share = abs(before) / abs(q) if crossed else 1.0
            realized = (price - self.average) * closed * sign(before)
            trip = self.trips[-1]
            trip.realized += realized
            trip.lowered.append((closed, price))
            self.add_costs(share * commission, share * slippage)
            if target == 0 or crossed:
                trip.see(price, self.average)
                trip.exit_bar, trip.at_close = t, at_close
                self.average = 0.0
        if sign(target) == sign(q):
            self.enter(t, price, abs(target) if sign(before) != sign(q) else abs(q), abs(before))
            self.add_costs((1 - share) * commission, (1 - share) * slippage)
        numbers = (abs(q), base, price, commission, slippage, realized, target, self.average)
        self.fills.append((t, self.ts[t], sign(q), *numbers, at_close))
        self.events.add("reversal" if before * target < 0 else "fill")

    def enter(self, t: int, price: float, raised: float, before: float) -> None:
        """Open a round trip or add to the present one."""
        if not self.trips or self.trips[-1].exit_bar >= 0:
            self.trips.append(Trip(sign(self.pos), t))
            before = 0.0
        trip = self.trips[-1]
        whole = before + raised
        self.average = price if before == 0 else (before * self.average + raised * price) / whole
        trip.raised.append((raised, price))
        trip.qty = max(trip.qty, abs(self.pos))

    def add_costs(self, commission: float, slippage: float) -> None:
        """Charge the present round trip."""
        self.trips[-1].commission += commission
        self.trips[-1].slippage += slippage

    def ruin(self, t: int) -> None:
        """Step 4."""
        self.ruined, self.pending = True, None
        self.events.add("ruin")
        if self.pos != 0:
            self.book(t, 0.0, self.close[t], self.close[t], 0.0, at_close=True)

    def decide(self, t: int, equity: float) -> None:
        """Step 5."""
        weight, lot = self.weights[t], self.config.lot_size
        moved = abs(weight - self.last) > max(self.config.rebalance_band, 1e-12)
        if sign(weight) == sign(self.last) and not moved:
            self.events.update({"banded"} if weight != self.last else ())
            return
        units = weight * equity / self.close[t]
        if lot > 0:
            self.events.update({"no_lot"} if 0 < abs(units) < lot else ())
            units = math.trunc(units / lot) * lot
        self.events.update({"replaced"} if self.pending is not None else ())
        self.pending, self.last = units, weight

    def end(self, t: int, equity: float) -> float:
        """Step 6; returns the final equity."""
        if self.pending is not None and self.pending != self.pos:
            self.events.add("order_unfilled")
        if self.config.auto_flatten_end and self.pos != 0:
            self.events.add("flatten")
            self.execute(t, 0.0, self.close[t], at_close=True)
            equity = self.cash
        if self.pos != 0:
            trip = self.trips[-1]
            trip.exit_bar, trip.at_close = t, True
            trip.unrealized = (self.close[t] - self.average) * self.pos
        return equity

    def trade_row(self, trip: Trip) -> Row:
        """Return a round trip in the order of the engine's ``Trades``."""
        still_open = trip.unrealized is not None
        pnl = trip.realized - trip.commission - trip.borrow + (trip.unrealized or 0.0)
        invested = sum(q * x for q, x in trip.raised)
        exit_price = self.close[-1] if still_open else mean_price(trip.lowered)
        bars = (trip.entry_bar, trip.exit_bar)
        prices = (mean_price(trip.raised), exit_price)
        gain = (pnl, pnl / invested if invested > 0 else math.nan)
        costs = (trip.commission, trip.slippage, trip.borrow)
        held = trip.exit_bar - trip.entry_bar + trip.at_close
        head = (*bars, *(self.ts[t] for t in bars), trip.side, trip.qty)
        return (*head, *prices, *gain, *costs, held, trip.mae, trip.mfe, still_open)


SMALL_MOVES = st.floats(-0.04, 0.04)
BIG_MOVES = st.sampled_from((0.0, 0.25, -0.25, 1.2, -0.6))
MOVES = st.one_of(*[SMALL_MOVES] * 15, BIG_MOVES)
WICKS = st.sampled_from((0.0, 0.001, 0.02, 0.3))
VOLUMES = st.sampled_from((1e5, 1e5, 1e5, 0.0, 0.0, 1.0, 37.5))
STEPS_MS = st.sampled_from((DAY_MS, DAY_MS, 3 * DAY_MS, 90 * DAY_MS, 60_000))
WEIGHTS = st.one_of(
    st.none(),  # the previous one
    st.sampled_from((0.0, 0.0, 1.0, -1.0, 0.5, 0.55, -0.5, 1e-6, 5.0, -3.0)),
    st.integers(-1_500, 1_500).map(lambda thousandths: thousandths / 1_000),
)
SLIPPAGE = st.one_of(
    st.none(),
    st.sampled_from((0.0, 0.001, 0.2)).map(
        lambda spread: Component(name="spread_pct", params={"spread_pct": spread})
    ),
    st.sampled_from((0.0, 0.1, 0.7)).map(
        lambda pct: Component(name="participation_rate", params={"participation_pct": pct})
    ),
)
CONFIGS = st.builds(
    ExecutionConfig,
    initial_cash=st.sampled_from((1_000.0, 100_000.0)),
    fill_price=st.sampled_from(("open_next", "mid_next", "vwap_next")),
    commission_per_share=st.sampled_from((0.0, 0.0, 0.013)),
    commission_bps=st.sampled_from((0.0, 0.0, 7.0)),
    commission_min=st.sampled_from((0.0, 0.0, 3.0)),
    slippage_bps=st.sampled_from((0.0, 0.0, 11.0)),
    slippage_model=SLIPPAGE,
    borrow_bps=st.sampled_from((0.0, 90.0, 5_000.0)),
    zero_volume=st.sampled_from(("carry", "skip", "fill")),
    lot_size=st.sampled_from((0.0, 0.0, 0.5, 7.0, 400.0)),
    rebalance_band=st.sampled_from((0.0, 0.0, 0.1, 1.0)),
    auto_flatten_end=st.booleans(),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw candles, target weights and a configuration that fit together."""
    config = draw(CONFIGS)
    n = draw(st.integers(1, 60))
    bars = draw(st.lists(st.tuples(MOVES, MOVES, WICKS, WICKS, STEPS_MS), min_size=n, max_size=n))
    needs_volume = config.slippage_model is not None and (
        config.slippage_model.name == "participation_rate"
    )
    volumes = draw(st.lists(VOLUMES, min_size=n, max_size=n))
    with_volume = needs_volume or draw(st.sampled_from((True, True, True, False)))
    with_vwap = draw(st.booleans())
    rows: list[tuple[float, ...]] = []
    ts, close = [1_600_000_000_000], draw(st.sampled_from((0.8, 10.0, 137.0)))
    for gap, move, up, down, step in bars:
        opened = max(0.01, close * (1 + gap))
        close = max(0.01, opened * (1 + move))
        high, low = max(opened, close) * (1 + up), min(opened, close) * (1 - down)
        rows.append((opened, high, low, close, low + 0.3 * (high - low)))
        ts.append(ts[-1] + step)
    o, h, low_column, c, vwap = (np.array(column) for column in zip(*rows, strict=True))
    candles = Candles(
        "TEST",
        "1d",
        np.array(ts[:n], dtype=np.int64),
        o,
        h,
        low_column,
        c,
        volume=np.array(volumes) if with_volume else None,
        vwap=vwap if with_vwap else None,
    )
    weights: list[float] = []
    for weight in draw(st.lists(WEIGHTS, min_size=n, max_size=n)):
        weights.append((weights[-1] if weights else 0.0) if weight is None else weight)
    return Case(candles, weights, config)


def engine_run(case: Case) -> Execution:
    model = None
    if (chosen := case.config.slippage_model) is not None:
        params = slippage_models.check(chosen.name, chosen.params, "slippage_model")
        model = slippage_models.build(chosen.name, params)
    return simulate(
        case.candles,
        np.array(case.weights),
        case.config,
        model,
        check_cancelled=lambda: None,
        report_progress=lambda _: None,
        kernel=load_kernel("auto"),
    )


def assert_rows(records: Fills | Trades, rows: list[Row], absolute: float) -> None:
    """Compare counts exactly, prices and quantities to 1e-12 relative, money to ``absolute``."""
    assert len(records) == len(rows)
    for place, name in enumerate(entry.name for entry in fields(records)):
        actual, expected = getattr(records, name), [row[place] for row in rows]
        if actual.dtype != np.float64:
            np.testing.assert_array_equal(actual, expected, err_msg=name)
        tolerance = absolute if name in MONEY else 1e-15
        np.testing.assert_allclose(actual, expected, 1e-12, tolerance, err_msg=name)


@given(cases())
@SETTINGS
def test_the_loop_agrees_with_the_slow_one(case: Case) -> None:
    """The account agrees bit by bit; fills and round trips within the rounding of their sums."""
    slow, result = SlowAccount(case).run(), engine_run(case)
    curve, cash = result.curve, case.config.initial_cash
    for account, expected in zip(
        (curve.position, curve.cash, curve.equity), zip(*slow.curve, strict=True), strict=True
    ):
        np.testing.assert_array_equal(account, expected)
    # Sums that pass through more than a thousand times the initial cash round accordingly.
    tolerance = max(1e-9 * cash, 1e-12 * max(np.abs(curve.cash) + np.abs(curve.equity)))
    assert_rows(result.fills, slow.fills, tolerance)
    assert_rows(result.trades, [slow.trade_row(trip) for trip in slow.trips], tolerance)
    assert abs(curve.equity[-1] - cash - math.fsum(result.trades.pnl)) <= tolerance


@given(cases())
@SETTINGS
def test_the_loop_warns_like_the_slow_one(case: Case) -> None:
    """The warnings are those whose causes the slow loop met."""
    assert {warning.code for warning in engine_run(case).warnings} == (
        SlowAccount(case).run().events & WARNINGS
    )


@pytest.mark.parametrize("event", sorted(EVENTS | WARNINGS))
def test_the_random_cases_reach_every_event(event: str) -> None:
    """Each thing that the loop must handle happens among the random cases."""
    often = settings(SETTINGS, phases=[Phase.generate], max_examples=3000)
    found = find(cases(), lambda case: event in SlowAccount(case).run().events, settings=often)
    assert event in SlowAccount(found).run().events
