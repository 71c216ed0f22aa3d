"""Rebuilt markets against left-to-right multiplication in plain Python."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.records import Candles
from engine.validation.market import Market

PRICES = ("open", "high", "low", "close")
SHAPES: list[dict[str, Any]] = [
    {"n_bars": 60},
    {"n_bars": 60, "vwap": True, "move": 0.3},
    {"n_bars": 41, "volume": "unknown"},
    {"n_bars": 90, "volume": "sometimes 0", "vwap": True},
]


def shuffled(m: int, seed: int, rows: int = 3) -> tuple[Any, Any]:
    """Return orders of the gaps and of the bars, (rows, m) each."""
    rng = np.random.default_rng(seed)
    gaps, bars = (np.array([rng.permutation(m) for _ in range(rows)]) for _ in range(2))
    return gaps, bars


@pytest.fixture(params=range(len(SHAPES)))
def original(request: pytest.FixtureRequest, candles: Callable[..., Candles]) -> Candles:
    shape = dict(SHAPES[request.param])
    return candles(shape.pop("n_bars"), 100 + request.param, **shape)


@pytest.mark.parametrize("w", [0, 8, 38])
def test_every_price_is_the_plain_one(original: Candles, w: int, plain: Any) -> None:
    """Each price of each rebuilt market is the product of the moves that came before it."""
    bars = plain.bars(original)
    gaps, orders = shuffled(len(original) - 1 - w, seed=w)
    rebuilt = Market(original, w).rebuild(gaps, orders)
    assert len(rebuilt) == len(gaps)
    for candles, gap_order, bar_order in zip(rebuilt, gaps, orders, strict=True):
        expected = bars.rebuilt(w, gap_order.tolist(), bar_order.tolist())
        for name in PRICES:
            np.testing.assert_allclose(
                getattr(candles, name), getattr(expected, name), 1e-12, 0, err_msg=name
            )
        for name in ("volume", "vwap"):
            if getattr(expected, name) is None:
                assert getattr(candles, name) is None
            else:
                np.testing.assert_allclose(
                    getattr(candles, name), getattr(expected, name), 1e-12, 0, err_msg=name
                )


@pytest.mark.parametrize("w", [0, 8, 38])
def test_what_a_shuffle_keeps(original: Candles, w: int) -> None:
    """Bars up to w and all times stay to the bit, the last close to 1e-9, and bars stay valid."""
    gaps, orders = shuffled(len(original) - 1 - w, seed=50 + w)
    for candles in Market(original, w).rebuild(gaps, orders):
        for name in (*PRICES, "volume", "vwap"):
            before, after = getattr(original, name), getattr(candles, name)
            if before is None:
                assert after is None
            else:
                assert before[: w + 1].tobytes() == after[: w + 1].tobytes()
        assert candles.ts.tobytes() == original.ts.tobytes()
        assert candles.close[-1] == pytest.approx(original.close[-1], rel=1e-9)
        assert (candles.high >= np.maximum(candles.open, candles.close)).all()
        assert (candles.low <= np.minimum(candles.open, candles.close)).all()
        assert (candles.symbol, candles.timeframe) == (original.symbol, original.timeframe)


@pytest.mark.parametrize("w", [0, 8])
def test_the_moves_are_the_same_ones(original: Candles, w: int) -> None:
    """Sorted, the gaps and the moves within bars are those of the original, volumes with them."""
    gaps, orders = shuffled(len(original) - 1 - w, seed=90 + w)
    for candles in Market(original, w).rebuild(gaps, orders):
        for of in (opening_gaps, within_bars):
            np.testing.assert_allclose(of(candles, w), of(original, w), 1e-9, 1e-9)
        if original.volume is not None:
            assert candles.volume is not None
            moved, kept = by_move(candles, w), by_move(original, w)
            assert candles.volume[moved].tobytes() == original.volume[kept].tobytes()


def opening_gaps(candles: Candles, w: int) -> Any:
    return np.sort(candles.open[w + 1 :] / candles.close[w:-1])


def within_bars(candles: Candles, w: int) -> Any:
    after = by_move(candles, w)
    names = ["high", "low", "close"] + ["vwap"] * (candles.vwap is not None)
    return np.array([getattr(candles, name)[after] / candles.open[after] for name in names])


def by_move(candles: Candles, w: int) -> Any:
    """Return the bars after w from the one that fell most to the one that rose most."""
    moves = candles.close / candles.open
    return w + 1 + np.argsort(moves[w + 1 :])


def test_the_order_of_nothing_changes_nothing(original: Candles) -> None:
    """Moves left in their places give the original prices back."""
    same = np.arange(len(original) - 1)[None, :]
    (candles,) = Market(original, 0).rebuild(same, same)
    for name in PRICES:
        np.testing.assert_allclose(getattr(candles, name), getattr(original, name), 1e-12, 0)


def test_gaps_and_bars_are_shuffled_apart(candles: Callable[..., Candles], plain: Any) -> None:
    """A gap goes where the first orders send it, the bar's own move where the second do."""
    bars = plain.bars(candles(5, 3))
    market = Market(candles(5, 3), 1)
    (rebuilt,) = market.rebuild(np.array([[2, 0, 1]]), np.array([[1, 2, 0]]))
    # Bar 2 opens with the gap of bar 4 and moves as bar 3 did.
    opened = bars.close[1] * (bars.open[4] / bars.close[3])
    assert rebuilt.open[2] == pytest.approx(opened, rel=1e-14)
    assert rebuilt.close[2] == pytest.approx(opened * bars.close[3] / bars.open[3], rel=1e-14)
    assert rebuilt.low[2] == pytest.approx(opened * bars.low[3] / bars.open[3], rel=1e-14)
    assert rebuilt.volume is not None
    assert bars.volume is not None
    assert rebuilt.volume.tolist() == [
        *bars.volume[:2],
        bars.volume[3],
        bars.volume[4],
        bars.volume[2],
    ]


def test_a_bar_without_wicks_stays_one(candles: Callable[..., Candles]) -> None:
    """Where high and low are open and close, rounding never leaves one of them outside."""
    walk = candles(400, 4, vwap=True)
    high, low = np.maximum(walk.open, walk.close), np.minimum(walk.open, walk.close)
    gaps, orders = shuffled(399, seed=5, rows=5)
    for bare in Market(replace(walk, high=high, low=low), 0).rebuild(gaps, orders):
        np.testing.assert_allclose(bare.high, np.maximum(bare.open, bare.close), 1e-14, 0)
        assert (bare.high >= np.maximum(bare.open, bare.close)).all()
        assert (bare.low <= np.minimum(bare.open, bare.close)).all()
