"""Orders and their prices, worked by hand: 1,000 of cash at a close of 10 orders 100 units."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.records import Execution

Run = Callable[..., Execution]
WIDE = (20.0, 24.0, 18.0, 24.0)  # a bar whose four prices lead to four different fills


def near(value: object) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def codes(result: Execution) -> list[str]:
    return [warning.code for warning in result.warnings]


def test_an_order_is_sized_at_the_close_and_filled_at_the_next_open(run: Run) -> None:
    """A weight known at bar 0 buys at the open of bar 1 what bar 0's close can pay for."""
    result = run([(8.0, 16.0, 8.0, 10.0), WIDE, WIDE], [1, 1, 1])
    # 1 * 1000 / 10 = 100 units; cash 1000 - 100 * 20 = -1000; equity -1000 + 100 * 24 = 1400.
    assert result.fills.bar.tolist() == [1]
    assert result.fills.ts.tolist() == [86_400_000]
    assert result.fills.side.tolist() == [1]
    assert result.fills.qty.tolist() == [100]
    assert result.fills.base_price.tolist() == result.fills.price.tolist() == [20]
    assert result.fills.at_close.tolist() == [False]
    assert result.curve.position.tolist() == [0, 100, 100]
    assert result.curve.cash.tolist() == [1_000, -1_000, -1_000]
    assert result.curve.equity.tolist() == [1_000, 1_400, 1_400]


@pytest.mark.parametrize(
    ("fill_price", "vwap", "expected"),
    [
        ("open_next", [1, 19.5, 1], 20.0),
        ("mid_next", [1, 19.5, 1], 21.0),  # (24 + 18) / 2
        ("vwap_next", None, 22.0),  # (24 + 18 + 24) / 3
        ("vwap_next", [1, 19.5, 1], 19.5),
    ],
)
def test_the_base_price_is_the_one_asked_for(
    run: Run, fill_price: str, vwap: list[float] | None, expected: float
) -> None:
    """The open, the middle of the range, or the average price with or without its column."""
    result = run([10, WIDE, WIDE], [1, 1, 1], fill_price=fill_price, vwap=vwap)
    assert result.fills.base_price.tolist() == [expected]
    assert result.fills.price.tolist() == [expected]
    assert result.curve.cash[1] == 1_000 - 100 * expected


@pytest.mark.parametrize(
    ("per_share", "bps", "minimum", "expected"),
    [
        (0.25, 0, 0, 25),  # 0.25 * 100 units
        (0, 50, 0, 5),  # half a percent of 100 * 10
        (0.25, 50, 0, 30),  # both are added
        (0.25, 50, 29, 30),  # a minimum below the sum does nothing
        (0.25, 50, 40, 40),  # a minimum above it replaces it
    ],
)
def test_the_commission_is_the_sum_of_its_parts_or_the_minimum(
    run: Run, per_share: float, bps: float, minimum: float, expected: float
) -> None:
    """Commission per unit and per money are added, and the minimum holds for each fill."""
    costs = {"commission_per_share": float(per_share), "commission_bps": float(bps)}
    result = run([10, 10, 10], [1, 1, 1], commission_min=float(minimum), **costs)
    assert result.fills.commission.tolist() == near([expected])
    assert result.curve.cash[1] == near(-expected)


def test_commission_by_money_is_charged_on_the_fill_price(run: Run) -> None:
    """Commission in basis points counts the price with slippage, not the base price."""
    result = run([10, 10, 10], [1, 1, 1], commission_bps=100.0, slippage_bps=2_500.0)
    assert result.fills.commission.tolist() == near([12.5])  # 1 % of 100 * 10 * 1.25


def test_slippage_bps_moves_both_sides_against_the_trader(run: Run) -> None:
    """A purchase costs 1 percent more and a sale brings 1 percent less than the base price."""
    result = run([10, 10, 10], [1, 0, 0], slippage_bps=100.0)
    assert result.fills.side.tolist() == [1, -1]
    assert result.fills.base_price.tolist() == [10, 10]
    assert result.fills.price.tolist() == near([10.1, 9.9])
    assert result.fills.slippage.tolist() == near([10, 10])  # 100 * 0.1 each
    assert result.curve.equity.tolist() == near([1_000, 990, 980])


def test_spread_pct_costs_half_of_the_spread_on_both_sides(run: Run) -> None:
    """A spread of 2 percent moves each fill by 1 percent."""
    result = run([10, 10, 10], [-1, 0, 0], model=("spread_pct", {"spread_pct": 0.02}))
    assert result.fills.side.tolist() == [-1, 1]
    assert result.fills.price.tolist() == near([9.9, 10.1])
    assert result.fills.slippage.tolist() == near([10, 10])


def test_the_model_and_slippage_bps_multiply(run: Run) -> None:
    """The model's part and the flat part are factors of the price, not a sum."""
    model = ("spread_pct", {"spread_pct": 0.5})
    result = run([10, 10, 10], [1, 1, 1], model=model, slippage_bps=2_000.0)
    assert result.fills.price.tolist() == near([15.0])  # 10 * 1.25 * 1.2; a sum would be 14.5


def test_participation_moves_the_price_by_the_share_of_the_volume(run: Run) -> None:
    """An order for a quarter of the volume pays a quarter of the impact."""
    model = ("participation_rate", {"participation_pct": 0.1})
    result = run([10, 10, 10], [1, 0, 0], volume=[1, 400, 200], model=model)
    # Buying 100 of 400: 10 * (1 + 0.1 / 4); selling 100 of 200: 10 * (1 - 0.1 / 2).
    assert result.fills.qty.tolist() == [100, 100]
    assert result.fills.price.tolist() == near([10.25, 9.5])
    assert "order_exceeds_volume" not in codes(result)


def test_participation_without_volume_on_the_bar_pays_the_whole_impact(run: Run) -> None:
    """A fill on a bar of volume 0 counts as an order of the bar's whole volume."""
    model = ("participation_rate", {"participation_pct": 0.1})
    result = run([10, 10, 10], [1, 1, 1], volume=[9, 0, 9], model=model, zero_volume="fill")
    assert result.fills.price.tolist() == near([11.0])
    assert "order_exceeds_volume" not in codes(result)


@pytest.mark.parametrize(("volume", "warned"), [(50.0, True), (99.0, True), (100.0, False)])
def test_an_order_larger_than_the_volume_fills_whole_with_a_warning(
    run: Run, volume: float, *, warned: bool
) -> None:
    """The impact stops growing at the bar's volume, the quantity stays, a warning says so."""
    model = ("participation_rate", {"participation_pct": 0.1})
    result = run([10, 10, 10], [1, 1, 1], volume=[9, volume, 9], model=model)
    assert result.fills.qty.tolist() == [100]
    assert result.fills.price.tolist() == near([11.0])
    assert ("order_exceeds_volume" in codes(result)) is warned


def test_the_volume_is_watched_without_a_model(run: Run) -> None:
    """Each fill larger than its bar's volume is counted, whatever the slippage."""
    result = run([10, 10, 10], [1, 0, 0], volume=[9, 99, 99])
    found = [warning for warning in result.warnings if warning.code == "order_exceeds_volume"]
    assert [warning.count for warning in found] == [2]


def test_a_sale_never_brings_less_than_nothing(run: Run) -> None:
    """The fill price stops at 0 where the slippage is larger than the price."""
    model = ("participation_rate", {"participation_pct": 2.0})
    result = run([10, 10, 10], [1, 0, 0], volume=[9, 1e9, 0], model=model, zero_volume="fill")
    assert result.fills.price[1] == 0.0
    assert result.fills.slippage[1] == near(100 * 10)


def test_a_carried_order_waits_for_the_next_bar_with_volume(run: Run) -> None:
    """The order keeps its quantity over two empty bars and fills at the third bar's open."""
    result = run([10, 11, 12, 13, 14], [1] * 5, volume=[5e3, 0, 0, 5e3, 5e3])
    assert result.fills.bar.tolist() == [3]
    assert result.fills.price.tolist() == [13]
    assert result.fills.qty.tolist() == [100]
    assert codes(result) == ["negative_cash"]  # 1000 - 100 * 13


def test_a_newer_order_replaces_the_carried_one(run: Run) -> None:
    """A target that changes while an order waits leaves only the newer order."""
    result = run([10, 10, 12, 12], [1, -0.5, -0.5, -0.5], volume=[5e3, 0, 5e3, 5e3])
    assert result.fills.bar.tolist() == [2]
    assert result.fills.side.tolist() == [-1]
    assert result.fills.qty.tolist() == [50]  # 0.5 * 1000 / 10, sized on the empty bar


def test_a_carried_order_can_be_withdrawn(run: Run) -> None:
    """A target that returns to 0 while its order waits leaves nothing to do."""
    result = run([10, 10, 12, 12], [1, 0, 0, 0], volume=[5e3, 0, 5e3, 5e3])
    assert len(result.fills) == 0
    assert codes(result) == []


def test_a_skipped_order_returns_only_with_a_new_target(run: Run) -> None:
    """An order dropped on an empty bar is not repeated until the target changes."""
    result = run(
        [10] * 6, [1, 1, 1, 0.5, 0.5, 0.5], volume=[5e3, 0, 5e3, 5e3, 5e3, 5e3], zero_volume="skip"
    )
    assert result.fills.bar.tolist() == [4]
    assert result.fills.qty.tolist() == [50]
    assert "order_unfilled" not in codes(result)


def test_fill_trades_on_a_bar_without_volume(run: Run) -> None:
    """With ``fill`` an empty bar is a bar like any other."""
    result = run([10, 11, 12], [1, 1, 1], volume=[5e3, 0, 5e3], zero_volume="fill")
    assert result.fills.bar.tolist() == [1]
    assert result.fills.price.tolist() == [11]


@pytest.mark.parametrize("zero_volume", ["carry", "skip", "fill"])
def test_every_bar_is_tradable_where_the_volume_is_unknown(run: Run, zero_volume: str) -> None:
    """Unknown volume is not zero volume."""
    assert run([10, 11, 12], [1, 1, 1], zero_volume=zero_volume).fills.bar.tolist() == [1]


@pytest.mark.parametrize(
    ("weight", "lot", "expected"),
    [(1, 30, [90]), (-1, 30, [-90]), (1, 100, [100]), (1, 101, []), (-1, 101, []), (1, 0, [100])],
)
def test_lots_truncate_toward_zero(
    run: Run, weight: float, lot: float, expected: list[float]
) -> None:
    """A desired position of 100 units becomes whole lots, long and short alike."""
    result = run([10, 10, 10], [weight] * 3, lot_size=float(lot))
    assert result.fills.position_after.tolist() == expected


def test_a_short_that_truncates_to_nothing_is_plain_zero(run: Run) -> None:
    """Going flat from below leaves 0, never minus 0."""
    # -100 is one lot of 60; -50 is none.
    result = run([10] * 4, [-1, -0.5, -0.5, -0.5], lot_size=60.0)
    assert result.fills.position_after.tolist() == [-60, 0]
    assert not np.signbit(result.fills.position_after[1])
    assert not np.signbit(result.curve.position[2:]).any()


def test_targets_within_the_band_of_the_last_order_do_not_trade(run: Run) -> None:
    """A target is compared with the last one ordered, and must leave the band to trade."""
    # Band 1/8: 9/16 and 10/16 lie within 8/16 +- 2/16; 11/16 does not; 13/16 is on its edge.
    weights = [8 / 16, 9 / 16, 10 / 16, 11 / 16, 13 / 16, 13 / 16]
    result = run([10] * 6, weights, rebalance_band=1 / 8)
    assert result.fills.bar.tolist() == [1, 4]
    assert result.fills.position_after.tolist() == [50, 68.75]


def test_a_change_of_sign_trades_within_the_band(run: Run) -> None:
    """Going flat and going to the other side are ordered however small the change."""
    weights = [1 / 16, -1 / 16, 0, 1 / 16, 1 / 16]
    result = run([10] * 5, weights, rebalance_band=0.5)
    assert result.fills.position_after.tolist() == [6.25, -6.25, 0, 6.25]


def test_a_target_that_moves_by_rounding_does_not_trade(run: Run) -> None:
    """Without a band a change of at most 1e-12 is no change."""
    result = run([10] * 4, [0.5, 0.5 + 5e-13, 0.5 + 5e-12, 0.5])
    assert result.fills.bar.tolist() == [1, 3]


def test_a_drifting_weight_never_trades(run: Run) -> None:
    """A price that doubles moves the held weight and leaves the order book empty."""
    result = run([10, 10, 20, 40, 20, 5], [0.5] * 6)
    assert result.fills.bar.tolist() == [1]
    assert result.curve.position.tolist() == [0, 50, 50, 50, 50, 50]


def test_an_order_still_waiting_at_the_end_is_warned_of(run: Run) -> None:
    """An order whose only bar has no volume is dropped with a warning."""
    result = run([10, 10, 10], [0, 1, 1], volume=[5e3, 5e3, 0])
    assert len(result.fills) == 0
    assert codes(result) == ["order_unfilled"]


def test_an_unfilled_exit_is_warned_of_although_the_end_flattens(run: Run) -> None:
    """An order to close that finds no volume is dropped with a warning, then the end flattens."""
    volume = [5e3, 5e3, 5e3, 0]
    result = run([10] * 4, [1, 1, 0, 0], volume=volume, auto_flatten_end=True)
    assert result.fills.at_close.tolist() == [False, True]
    assert codes(result) == ["order_unfilled"]


@pytest.mark.parametrize("flatten", [False, True])
def test_an_order_for_the_held_position_is_never_unfilled(run: Run, *, flatten: bool) -> None:
    """An order whose lots are those held asks for nothing, flattened at the end or not."""
    # 0.5 * 1000 / 10 and 0.75 * 1000 / 10 are both one lot of 50.
    result = run(
        [10] * 4,
        [0.5, 0.5, 0.75, 0],
        volume=[5e3, 5e3, 5e3, 0],
        lot_size=50.0,
        auto_flatten_end=flatten,
    )
    assert result.fills.bar.tolist() == ([1, 3] if flatten else [1])
    assert codes(result) == []
