"""Round trips, borrow, ruin and the last bar, worked by hand from 1,000 of cash."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.records import Execution

Run = Callable[..., Execution]


def near(value: object) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def codes(result: Execution) -> list[str]:
    return [warning.code for warning in result.warnings]


def test_a_reversal_is_one_fill_and_two_trades(run: Run) -> None:
    """A fill through zero closes one trade, opens the next and splits its costs by quantity."""
    # Bar 1 buys 1050 / 10.5 = 100 at 8 * 1.25 = 10: slippage 200, commission 50, cash 0.
    # E_1 = 100 * 10 = 1000, so W = -3 orders -300: bar 2 sells 400 at 16 * 0.75 = 12,
    # slippage 1600, commission 200; a quarter of both closes, the rest opens.
    result = run(
        [10.5, (8.0, 10.0, 8.0, 10.0), (16.0, 16.0, 12.0, 12.0)],
        [1, -3, -3],
        initial_cash=1_050.0,
        commission_per_share=0.5,
        slippage_bps=2_500.0,
    )
    fills, trades = result.fills, result.trades
    assert fills.qty.tolist() == near([100, 400])
    assert fills.position_after.tolist() == near([100, -300])
    assert fills.entry_after.tolist() == near([10, 12])
    assert fills.realized_pnl.tolist() == near([0, 200])  # (12 - 10) * 100
    assert fills.commission.tolist() == near([50, 200])
    assert trades.side.tolist() == [1, -1]
    assert trades.qty.tolist() == near([100, 300])
    assert trades.entry_bar.tolist() == [1, 2]
    assert trades.exit_bar.tolist() == [2, 2]
    assert trades.bars_held.tolist() == [1, 1]  # the second ends at the last close
    assert trades.entry_price.tolist() == near([10, 12])
    assert trades.exit_price.tolist() == near([12, 12])
    assert trades.commission.tolist() == near([50 + 50, 150])
    assert trades.slippage.tolist() == near([200 + 400, 1_200])
    assert trades.pnl.tolist() == near([200 - 100, -150])
    assert trades.return_.tolist() == near([100 / 1_000, -150 / 3_600])
    assert trades.open.tolist() == [False, True]
    assert result.curve.equity.tolist() == near([1_050, 1_000, 1_050 + 100 - 150])


def test_a_cover_at_the_entry_price_makes_nothing(run: Run) -> None:
    """What a fill at the average price realizes is 0, and not -0."""
    result = run([10.0, 10.0, 10.0, 10.0], [-1, 0, 0, 0])
    assert result.fills.side.tolist() == [-1, 1]
    assert not np.signbit(result.fills.realized_pnl).any()


def test_borrow_over_a_weekend_belongs_to_the_trade_held_before_the_fill(run: Run) -> None:
    """From Friday to Monday a short pays three days on Friday's close, even when Monday ends it."""
    # Thursday 1 January 1970 orders -100; Friday fills at 10 and closes at 8: E = 1200.
    # A rate of 0.36525 a year is 0.001 a day: 0.003 * 100 * 8 = 2.4 due on Monday.
    # Friday orders W = 1: 1200 / 8 = 150; on Monday 250 are bought at 12.
    result = run(
        [10, (10.0, 10.0, 8.0, 8.0), 12, 12],
        [-1, 1, 1, 1],
        days=[0, 1, 4, 5],
        borrow_bps=3_652.5,
    )
    assert result.fills.qty.tolist() == near([100, 250])
    assert result.trades.borrow.tolist() == near([2.4, 0])
    assert result.trades.pnl.tolist() == near([-200 - 2.4, 0])
    assert result.trades.commission.tolist() == [0, 0]
    # 1000 + 100 * 10 - 2.4 - 250 * 12
    assert result.curve.cash.tolist() == near([1_000, 2_000, -1_002.4, -1_002.4])
    assert result.curve.equity.tolist() == near([1_000, 1_200, 797.6, 797.6])


def test_a_short_pays_borrow_on_every_bar_after_its_entry(run: Run) -> None:
    """Each bar charges the time since the bar before, at the close before."""
    result = run([10, 10, 5, 5], [-1, -1, -1, -1], days=[0, 2, 3, 13], borrow_bps=3_652.5)
    # 100 units: 1 day at 10 is 1, then 10 days at 5 are 5.
    assert result.curve.cash.tolist() == near([1_000, 2_000, 1_999, 1_994])
    assert result.trades.borrow.tolist() == near([6])
    assert result.trades.pnl.tolist() == near([500 - 6])


def test_a_long_pays_no_borrow(run: Run) -> None:
    """Only a position below zero borrows, even where cash is negative."""
    result = run([10, 10, 10], [2, 2, 2], borrow_bps=10_000.0)
    assert result.curve.equity.tolist() == [1_000, 1_000, 1_000]
    assert result.trades.borrow.tolist() == [0]


@pytest.mark.parametrize("zero_volume", ["carry", "skip"])
def test_flattening_pays_costs_at_the_last_close_whatever_the_volume(
    run: Run, zero_volume: str
) -> None:
    """The end closes the position from the close, with slippage and commission, without volume."""
    # Bar 1 buys 100 at 10 * 1.25 with 50 of commission: cash 1000 - 1250 - 50 = -300.
    # The end sells at 12 * 0.75 = 9 with 50 of commission: cash -300 + 900 - 50 = 550.
    result = run(
        [10, 10, (10.0, 13.0, 9.0, 12.0)],
        [1, 1, 1],
        volume=[5e3, 5e3, 0],
        fill_price="mid_next",
        zero_volume=zero_volume,
        commission_per_share=0.5,
        slippage_bps=2_500.0,
        auto_flatten_end=True,
    )
    assert result.fills.bar.tolist() == [1, 2]
    assert result.fills.at_close.tolist() == [False, True]
    assert result.fills.base_price.tolist() == [10, 12]
    assert result.fills.price.tolist() == near([12.5, 9])
    assert result.fills.commission.tolist() == near([50, 50])
    assert result.fills.slippage.tolist() == near([250, 300])
    assert result.curve.position.tolist() == [0, 100, 0]
    assert result.curve.equity.tolist() == near([1_000, 700, 550])
    assert result.trades.pnl.tolist() == near([-450])
    assert result.trades.open.tolist() == [False]
    assert result.trades.bars_held.tolist() == [2]


def test_no_ruin_is_declared_by_the_costs_of_the_last_fill(run: Run) -> None:
    """Flattening may leave a debt, and that is not ruin."""
    result = run([10, 10, 10], [1, 1, 1], commission_min=600.0, auto_flatten_end=True)
    assert result.curve.equity.tolist() == [1_000, 400, -200]
    assert "ruin" not in codes(result)


def test_ruin_closes_at_the_close_without_costs_and_ends_trading(run: Run) -> None:
    """Equity at or below zero sells at the close for nothing, and the debt stays as it is."""
    # Bar 1 buys 200 at 10 with 100 of commission: cash -1100, equity 900.
    # Bar 2 closes at 4: equity -1100 + 800 = -300.
    result = run(
        [10, 10, (9.0, 11.0, 3.0, 4.0), 40, 40],
        [2, 2, 1, -1, 0],
        commission_per_share=0.5,
        borrow_bps=100.0,
        auto_flatten_end=True,
    )
    fills, trades = result.fills, result.trades
    assert fills.bar.tolist() == [1, 2]
    assert fills.side.tolist() == [1, -1]
    assert fills.at_close.tolist() == [False, True]
    assert (fills.base_price[1], fills.price[1]) == (4, 4)
    assert (fills.commission[1], fills.slippage[1]) == (0, 0)
    assert fills.realized_pnl[1] == 200 * (4 - 10)
    assert result.curve.position.tolist() == [0, 200, 0, 0, 0]
    assert result.curve.equity.tolist() == [1_000, 900, -300, -300, -300]
    assert result.curve.cash.tolist() == [1_000, -1_100, -300, -300, -300]
    assert trades.pnl.tolist() == [-1_300]
    assert trades.exit_bar.tolist() == [2]
    assert trades.bars_held.tolist() == [2]
    assert trades.open.tolist() == [False]
    assert (trades.mae[0], trades.mfe[0]) == near((3 / 10 - 1, 11 / 10 - 1))
    assert codes(result).count("ruin") == 1


def test_equity_of_exactly_zero_is_ruin(run: Run) -> None:
    """Nothing left is ruin too."""
    result = run([10, 10, 5, 50], [2, 2, 2, 2])
    assert result.curve.equity.tolist() == [1_000, 1_000, 0, 0]
    assert "ruin" in codes(result)


def test_the_least_equity_is_not_ruin(run: Run) -> None:
    """An account with anything left holds on, and may recover."""
    # 200 units and a cash of -1000: 200 * 5.0025 leaves 0.5.
    result = run([10, 10, 5.0025, 10], [2, 2, 2, 2])
    assert result.curve.equity.tolist() == near([1_000, 1_000, 0.5, 1_000])
    assert len(result.fills) == 1
    assert codes(result) == []


def test_ruin_cancels_the_waiting_order(run: Run) -> None:
    """An order carried into the bar of ruin is never filled, and is not called unfilled."""
    # Bar 1 orders a smaller position; bar 2 has no volume and its close ruins the account.
    result = run([10, 10, 4, 4, 4], [2, 0.5, 0.5, 0.5, 0.5], volume=[5e3, 5e3, 0, 5e3, 5e3])
    assert result.fills.bar.tolist() == [1, 2]
    assert result.fills.position_after.tolist() == [200, 0]
    assert "order_unfilled" not in codes(result)


def test_ruin_by_costs_alone_has_no_position_to_close(run: Run) -> None:
    """An account that costs empty while it is flat records no fill of nothing."""
    # 1000 - 600 on bar 1, then - 600 on bar 2, which leaves it flat.
    result = run([10, 10, 10, 10], [1, 0, 1, 1], commission_min=600.0)
    assert result.fills.bar.tolist() == [1, 2]
    assert result.curve.equity.tolist() == [1_000, 400, -200, -200]
    assert "ruin" in codes(result)


@pytest.mark.parametrize("auto_flatten_end", [False, True])
def test_one_bar_is_too_short_for_an_order(run: Run, *, auto_flatten_end: bool) -> None:
    """A single bar leaves the cash untouched and warns of nothing."""
    result = run([10], [1], auto_flatten_end=auto_flatten_end)
    assert len(result.fills) == len(result.trades) == 0
    assert result.curve.position.tolist() == [0]
    assert result.curve.cash.tolist() == result.curve.equity.tolist() == [1_000]
    assert codes(result) == []


def test_a_trade_open_at_the_end_is_valued_at_the_last_close(run: Run) -> None:
    """An open trade says so, and its pnl is the unrealised one."""
    result = run([10, 10, 11, (12.0, 14.0, 9.0, 13.0)], [1, 1, 1, 0])
    trades = result.trades
    assert trades.open.tolist() == [True]
    assert trades.exit_bar.tolist() == [3]
    assert trades.exit_ts.tolist() == [3 * 86_400_000]
    assert trades.exit_price.tolist() == [13]
    assert trades.pnl.tolist() == [300]
    assert trades.return_.tolist() == near([0.3])
    assert trades.bars_held.tolist() == [3]
    assert (trades.mae[0], trades.mfe[0]) == near((9 / 10 - 1, 14 / 10 - 1))
    assert result.curve.position.tolist() == [0, 100, 100, 100]


@pytest.mark.parametrize(("weight", "mae", "mfe"), [(0.5, -0.2, 0.5), (-0.5, -0.5, 0.2)])
def test_excursions_count_the_exit_price_and_no_more_of_its_bar(
    run: Run, weight: float, mae: float, mfe: float
) -> None:
    """An exit at the open counts with its price, while the rest of its bar does not."""
    # In at 10; bars 1 and 2 reach from 8 to 14; out at 15 on a bar that reaches from 1 to 30.
    bars = [10, (10.0, 12.0, 9.0, 11.0), (11.0, 14.0, 8.0, 10.0), (15.0, 30.0, 1.0, 15.0), 15]
    result = run(bars, [weight, weight, 0, 0, 0])
    assert result.trades.exit_price.tolist() == [15]
    assert result.trades.bars_held.tolist() == [2]
    assert (result.trades.mae[0], result.trades.mfe[0]) == near((mae, mfe))


@pytest.mark.parametrize(("weight", "mae", "mfe"), [(0.5, -0.9, 2), (-0.5, -2, 0.9)])
def test_excursions_count_the_whole_bar_of_an_exit_at_the_close(
    run: Run, weight: float, mae: float, mfe: float
) -> None:
    """A trade flattened at the close lived through the high and low of that bar."""
    bars = [10, (10.0, 12.0, 9.0, 11.0), (11.0, 30.0, 1.0, 10.0)]
    result = run(bars, [weight] * 3, auto_flatten_end=True)
    assert (result.trades.mae[0], result.trades.mfe[0]) == near((mae, mfe))


@pytest.mark.parametrize(("weight", "out"), [(1, 12), (-1, 8)])
def test_a_trade_that_only_wins_has_no_adverse_excursion(
    run: Run, weight: float, out: float
) -> None:
    """An excursion that would have the wrong sign is 0, without a sign of its own."""
    result = run([10, 10, 10, out, out], [weight, weight, 0, 0, 0])
    assert result.trades.mae.tolist() == [0]
    assert not np.signbit(result.trades.mae).any()
    assert result.trades.mfe.tolist() == near([0.2])


def test_a_short_sold_for_nothing_has_no_return(run: Run) -> None:
    """What a price of 0 would divide is undefined or 0, while the pnl counts."""
    result = run([10, 10, 12], [-0.5, -0.5, -0.5], slippage_bps=10_000.0)
    assert result.fills.price.tolist() == [0]
    assert np.isnan(result.trades.return_).tolist() == [True]
    assert (result.trades.mae[0], result.trades.mfe[0]) == (0, 0)
    assert result.trades.pnl.tolist() == [-600]


def test_a_trade_that_adds_and_reduces_keeps_its_average_cost(run: Run) -> None:
    """Purchases move the average entry, sales realise against it, and both are weighted."""
    bars = [10, (10.0, 10.0, 9.0, 10.0), (20.0, 20.0, 12.0, 20.0), 25, 30, 30]
    # Bar 1 buys 50 at 10. Bar 2 adds 50 at 20: average 15, cash -500, E = 1500.
    # W = 0.8 at 20 is 60: bar 3 sells 40 at 25, cash 500, E = 2000. Bar 4 sells 60 at 30.
    result = run(bars, [0.5, 1, 0.8, 0, 0, 0])
    fills, trades = result.fills, result.trades
    assert fills.qty.tolist() == near([50, 50, 40, 60])
    assert fills.position_after.tolist() == near([50, 100, 60, 0])
    assert fills.entry_after.tolist() == near([10, 15, 15, 0])
    assert fills.realized_pnl.tolist() == near([0, 0, 400, 900])
    assert len(trades) == 1
    assert trades.qty.tolist() == near([100])
    assert trades.entry_price.tolist() == near([15])
    assert trades.exit_price.tolist() == near([28])  # (40 * 25 + 60 * 30) / 100
    assert trades.pnl.tolist() == near([1_300])
    assert trades.return_.tolist() == near([1_300 / 1_500])
    assert trades.bars_held.tolist() == [3]
    # Bar 1's low against 10 is -0.1; bar 2's against the average after its fill, 12 / 15 - 1.
    assert trades.mae.tolist() == near([-0.2])
    assert trades.mfe.tolist() == near([1.0])
    assert result.curve.equity.tolist() == near([1_000, 1_000, 1_500, 2_000, 2_300, 2_300])


def test_a_second_trade_starts_from_flat_with_its_own_numbers(run: Run) -> None:
    """After going flat the next trade owes nothing to the one before."""
    result = run([10, 10, 20, 20, 40, 40], [1, 0, 1, 0, 0, 0], commission_min=1.0)
    # 100 from 10 to 20: cash 1998. W = 1 at 20: 99.9 from 20 to 40 less 1 and 1.
    assert result.trades.entry_bar.tolist() == [1, 3]
    assert result.trades.entry_price.tolist() == [10, 20]
    assert result.trades.commission.tolist() == near([2, 2])
    assert result.trades.pnl.tolist() == near([998, 99.9 * 20 - 2])


def test_negative_cash_is_warned_of_where_the_target_did_not_ask_for_it(run: Run) -> None:
    """A gap over a full weight borrows money unasked, while a weight of 2 asked for it."""
    (warning,) = run([10, 11, 11], [1, 1, 1]).warnings
    assert (warning.code, warning.count) == ("negative_cash", 2)
    assert "negative_cash" not in codes(run([10, 10, 10], [1, 1, 1]))
    assert "negative_cash" not in codes(run([10, 10, 10], [2, 2, 2]))
