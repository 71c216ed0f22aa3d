"""Other units of price, quantity and time change a run's units and nothing else.

By powers of two every product, sum and root of the run scales without rounding, so the results are
compared to the byte: prices by 2^a and quantities by 2^b make money 2^(a + b). By other factors
each operation rounds anew; equity then agrees to 1e-9 of the equity and cash in play, where no whole
lots are asked for (a rounding could move one). Shifts of time are whole numbers; ``periods_per_year``
is given, as it is what the times would decide.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import given, strategies as st

from engine.metrics.definitions import METRICS
from engine.records import BacktestResult, Candles, EquityCurve, Fills, Trades
from tests.proof.random_runs import DAY_MS, MANY, Array, Case, cases, columns

PRICES = ("open", "high", "low", "close", "vwap")
# How the columns of fills, trades and the curve scale: by powers of price and of quantity.
UNITS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("base_price", "price", "entry_after", "entry_price", "exit_price"), (1, 0)),
    **dict.fromkeys(("qty", "position", "position_after"), (0, 1)),
    **dict.fromkeys(("commission", "slippage", "realized_pnl", "pnl", "borrow"), (1, 1)),
    **dict.fromkeys(("cash", "equity"), (1, 1)),
    **dict.fromkeys(("return_", "mae", "mfe", "side", "bar", "at_close", "open"), (0, 0)),
    **dict.fromkeys(("ts", "entry_bar", "exit_bar", "entry_ts", "exit_ts", "bars_held"), (0, 0)),
}
TERMS: Mapping[str, tuple[int, int]] = {
    "initial_cash": (1, 1),
    "commission_min": (1, 1),
    "commission_per_share": (1, 0),
    "lot_size": (0, 1),
}
POWERS = st.integers(-6, 6)


def in_units(case: Case, price: float, quantity: float) -> Case:
    """Return the case in other units of price and quantity."""

    def scaled(values: Any, powers: tuple[int, int]) -> Any:
        return values * price ** powers[0] * quantity ** powers[1]

    candles = case.candles
    changed = {
        name: scaled(x, (1, 0)) for name in PRICES if (x := getattr(candles, name)) is not None
    }
    if candles.volume is not None:
        changed["volume"] = scaled(candles.volume, (0, 1))
    terms = {name: scaled(case.execution[name], powers) for name, powers in TERMS.items()}
    return case.on(candles.having(changed)).having(**terms)


def records(result: BacktestResult) -> list[Any]:
    """Return what a run traded and held."""
    execution = result.execution
    return [execution.fills, execution.trades, execution.curve]


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics by their dotted name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": x for inner, x in value.items()}
        else:
            found[name] = value
    return found


@given(cases(), POWERS, POWERS)
@MANY
def test_powers_of_two(case: Case, price_power: int, quantity_power: int) -> None:
    """Prices and quantities in other units give the same run in those units, to the byte."""
    price, quantity = 2.0**price_power, 2.0**quantity_power
    ours, theirs = case.run(), in_units(case, price, quantity).run()
    assert ours.signals.tobytes() == theirs.signals.tobytes()
    assert ours.weights.tobytes() == theirs.weights.tobytes()
    for one, other in zip(records(ours), records(theirs), strict=True):
        for entry in dataclasses.fields(one):
            by_price, by_quantity = UNITS[entry.name]
            column: Array = getattr(one, entry.name)
            if by_price or by_quantity:
                column = column * price**by_price * quantity**by_quantity
            assert column.tobytes() == getattr(other, entry.name).tobytes(), entry.name
    found = flat(theirs.metrics.values)
    for name, value in flat(ours.metrics.values).items():
        in_money = value is not None and METRICS[name].unit == "currency"
        assert found[name] == (value * price * quantity if in_money else value), name
    assert ours.metrics.monthly_returns == theirs.metrics.monthly_returns
    assert [w.code for w in ours.warnings] == [w.code for w in theirs.warnings]


@given(cases(lot_size=0.0), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
@MANY
def test_any_factor(case: Case, price: float, quantity: float) -> None:
    """Prices and quantities in any other units give the same equity but for rounding."""
    ours, theirs = case.run().execution, in_units(case, price, quantity).run().execution
    assert ours.fills.bar.tolist() == theirs.fills.bar.tolist()
    assert ours.fills.side.tolist() == theirs.fills.side.tolist()
    in_play = np.abs(ours.curve.cash).max() + np.abs(ours.curve.equity).max()
    expected = ours.curve.equity * price * quantity
    np.testing.assert_allclose(
        theirs.curve.equity, expected, rtol=0, atol=1e-9 * in_play * price * quantity
    )


def later(candles: Candles, by_ms: int) -> Candles:
    """Return the same bars at other times."""
    return candles.having({"ts": candles.ts + by_ms})


def assert_only_later(ours: BacktestResult, theirs: BacktestResult, by_ms: int) -> None:
    """Check that times differ by ``by_ms`` and that nothing else differs."""
    for name, series in ours.features.items():
        assert series.tobytes() == theirs.features[name].tobytes()
    assert ours.signals.tobytes() == theirs.signals.tobytes()
    assert ours.weights.tobytes() == theirs.weights.tobytes()
    for one, other in zip(records(ours), records(theirs), strict=True):
        before, after = columns(one), columns(other)
        for name in before:
            if name.endswith("ts"):
                assert (getattr(other, name) - getattr(one, name) == by_ms).all()
            else:
                assert before[name] == after[name], name
    assert ours.metrics.values == theirs.metrics.values
    assert ours.metrics.benchmark == theirs.metrics.benchmark
    assert ours.metrics.drawdown.tobytes() == theirs.metrics.drawdown.tobytes()


@given(cases(), st.integers(-1_000, 2_500))
@MANY
def test_weeks(case: Case, weeks: int) -> None:
    """Whole weeks later or earlier, only the times are others: gaps and warnings stay too."""
    by_ms = 7 * weeks * DAY_MS
    ours, theirs = case.run(), case.on(later(case.candles, by_ms)).run()
    assert_only_later(ours, theirs, by_ms)
    assert ours.data_quality == theirs.data_quality
    assert ours.warnings == theirs.warnings
    assert (ours.candles.gap_flag == theirs.candles.gap_flag).all()  # type: ignore[union-attr]  # a run has flags


@given(cases(), st.integers(-2_000_000_000_000, 2_000_000_000_000))
@MANY
def test_milliseconds(case: Case, by_ms: int) -> None:
    """Any other time of day or date leaves what was traded and earned."""
    assert_only_later(case.run(), case.on(later(case.candles, by_ms)).run(), by_ms)


def test_every_column_has_a_unit() -> None:
    """The table of units names each column of fills, trades and curve."""
    kinds = (Fills, Trades, EquityCurve)
    assert set(UNITS) == {entry.name for kind in kinds for entry in dataclasses.fields(kind)}
