"""A market turned upside down turns long into short and leaves every profit as it was.

A price p becomes 2c - p, which makes of a fall the same rise, in currency. The rules that are
symmetric about it: crossings of moving averages without a threshold, long and short; a constant
size; costs by the unit or by the fill; fills at the open, the middle or a given vwap. Sizes are
fractions of equity over price, which are not symmetric, so the orders are of large whole lots, of
which the same number fits at every price near c. (Rates on the value, borrow on the price, the
volatility of returns and a threshold relative to the price are not symmetric, and are left out.)

Prices and costs are few binary digits long, so nothing rounds and the results are compared to the
byte; the averages round, but two that differ do so by more than that.
"""

import dataclasses
from typing import Any

import numpy as np
from hypothesis import given, strategies as st

from engine.records import Candles
from tests.proof.random_runs import DAY_MS, MANY, MONDAY_MS, Array, Case, Raw, cases

CENTRE = 64.0
STEP = 2.0**-10
LOT = 1000.0
LOTS_OF_CASH = 2.5
# What has another sign or lies as far below the centre as above it, or is relative to such a price.
TURNED = {"side", "position_after", "price", "base_price", "entry_after"}
TURNED |= {"entry_price", "exit_price", "return_", "mae", "mfe"}


def near(n_bars: int, seed: int, *, vwap: bool, volume: bool) -> Candles:
    """Return bars on a grid within a tenth of a percent of the centre."""
    rng = np.random.default_rng(seed)
    levels = np.cumsum(rng.integers(-24, 25, (n_bars, 2)).ravel())
    # A walk that is thrown back at both ends.
    levels = np.abs((levels + 64) % 256 - 128) - 64
    open_, close = levels[::2], levels[1::2]
    high = np.maximum(open_, close) + rng.integers(0, 9, n_bars)
    low = np.minimum(open_, close) - rng.integers(0, 9, n_bars)
    prices: list[Array] = [CENTRE + x * STEP for x in (open_, high, low, close, low + 1)]
    opens, highs, lows, closes, vwaps = prices
    volumes = np.where(rng.random(n_bars) < 0.2, 0.0, 1e6) if volume else None
    ts = MONDAY_MS + np.arange(n_bars, dtype=np.int64) * DAY_MS
    return Candles("X", "1d", ts, opens, highs, lows, closes, volumes, vwaps if vwap else None)


def mirrored(candles: Candles) -> Candles:
    """Return the market upside down: its highs are the lows."""
    turned: dict[str, Any] = {
        "open": 2 * CENTRE - candles.open,
        "high": 2 * CENTRE - candles.low,
        "low": 2 * CENTRE - candles.high,
        "close": 2 * CENTRE - candles.close,
    }
    if candles.vwap is not None:
        turned["vwap"] = 2 * CENTRE - candles.vwap
    return candles.having(turned)


@st.composite
def symmetric(draw: st.DrawFn) -> Case:
    """Draw a case of symmetric rules."""
    fill_price = draw(st.sampled_from(("open_next", "mid_next", "vwap_next")))
    # Without a vwap column its stand-in is a third of a sum, which rounds.
    vwap = fill_price == "vwap_next" or draw(st.booleans())
    market = st.builds(
        near,
        st.integers(2, 60),
        st.integers(0, 2**32 - 1),
        vwap=st.just(vwap),
        volume=st.booleans(),
    )
    case = draw(
        cases(
            market,
            strategy="dual_sma",
            slippage=None,
            fill_price=fill_price,
            commission_per_share=draw(st.sampled_from((0.0, 0.25))),
            commission_min=draw(st.sampled_from((0.0, 128.0))),
            commission_bps=0.0,
            slippage_bps=0.0,
            borrow_bps=0.0,
            lot_size=LOT,
        )
    )
    fraction = draw(st.sampled_from((0.25, 1.0)))
    sizes = [
        {"name": "fixed_fraction", "params": {"fraction": fraction}},
        # p - (1 - p) / 1 = 0.25 at p = 0.625
        {"name": "kelly_fraction", "params": {"p_win": 0.625, "base_fraction": 4 * fraction}},
    ]
    changes: Raw = {"risk": draw(st.sampled_from(sizes))}
    crossing = case.config["strategy"]["params"] | {"threshold_bp": 0.0, "long_only": False}
    changes["strategy"] = {"name": "dual_sma", "params": crossing}
    cash = LOTS_OF_CASH * LOT * CENTRE / fraction
    return Case(case.candles, case.config | changes).having(initial_cash=cash)


def unturned(record: Any) -> dict[str, list[Any]]:
    """Return the columns that are the same upside down, 0 and -0 being the same."""
    return {
        entry.name: getattr(record, entry.name).tolist()
        for entry in dataclasses.fields(record)
        if entry.name not in TURNED
    }


@given(symmetric())
@MANY
def test_mirrored(case: Case) -> None:
    """Upside down, every long is a short with the same bars, quantity, costs and profit."""
    ours, theirs = case.run(), case.on(mirrored(case.candles)).run()
    assert theirs.signals.tolist() == (-ours.signals).tolist()
    assert theirs.weights.tolist() == (-ours.weights).tolist()
    one, other = ours.execution, theirs.execution
    assert one.curve.equity.tobytes() == other.curve.equity.tobytes()
    assert (one.curve.position + other.curve.position == 0).all()
    assert set(one.fills.qty.tolist()) <= {2 * LOT, 4 * LOT}
    for mine, upside_down in ((one.fills, other.fills), (one.trades, other.trades)):
        assert unturned(mine) == unturned(upside_down)
        assert (mine.side == -upside_down.side).all()
    for name in ("price", "base_price"):
        assert (getattr(one.fills, name) + getattr(other.fills, name) == 2 * CENTRE).all()
    assert (one.trades.entry_price + other.trades.entry_price == 2 * CENTRE).all()
    for side, opposite in (("long", "short"), ("short", "long")):
        assert ours.metrics.values[side] == theirs.metrics.values[opposite]
    for name in ("total_return", "sharpe", "max_drawdown", "expectancy", "win_rate", "exposure"):
        assert ours.metrics.values[name] == theirs.metrics.values[name], name
    assert dataclasses.astuple(ours.periods_per_year) == dataclasses.astuple(
        theirs.periods_per_year
    )
