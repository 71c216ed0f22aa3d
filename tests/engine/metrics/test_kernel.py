"""The passes over curves: the same bits in both guises, and sums that long curves do not spoil."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from engine.kernels import in_guise, is_compiled, view_for
from engine.metrics import kernel as imported

NOISE = 1e-12
LENGTHS = (1, 2, 255, 256, 257, 512, 2_000)
FALLS = ("n", "deepest", "depths", "longest", "bars")
MOMENTS = ("mean", "least", "most", "sum2", "sum3", "sum4", "below")
EXPOSURE = ("total", "most", "n_held")


def curves(seed: int, n: int) -> dict[str, Any]:
    """Return a position, a price and an equity that may fall below 0, and returns."""
    rng = np.random.Generator(np.random.Philox(seed))
    returns = 0.02 * rng.standard_normal(n)
    close = 50.0 * np.cumprod(1.0 + returns)
    position = np.repeat(rng.integers(-2, 3, n), 3)[:n].astype(np.float64)
    equity = 100.0 + np.cumsum(rng.normal(0.05, 1.0, n)) * rng.choice([1.0, 20.0])
    if seed % 4 == 0:  # what leaves the finite numbers is told apart later, by its reason
        returns[rng.integers(n)] = rng.choice([np.inf, -np.inf, np.nan, 1e200])
    return {"returns": returns, "close": close, "position": position, "equity": equity}


def all_found(kernel: ModuleType, given: dict[str, Any], rf: float) -> list[Any]:
    """Return every figure and curve that the passes find."""
    view = view_for(kernel)
    falls, moments, exposure = kernel.Falls(), kernel.Moments(), kernel.Exposure()
    drawdown = np.empty(len(given["equity"]))
    kernel.drawdowns(view(given["equity"]), 100.0, NOISE, view(drawdown), falls)
    kernel.moments(view(given["returns"]), rf, moments)
    kernel.exposure(*(view(given[name]) for name in ("position", "close", "equity")), exposure)
    pairs = ((falls, FALLS), (moments, MOMENTS), (exposure, EXPOSURE))
    return [*drawdown.tolist(), *(getattr(found, name) for found, names in pairs for name in names)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("n", LENGTHS)
def test_both_guises_agree(seed: int, n: int) -> None:
    """Compiled and interpreted give the same bits, of what is not finite too."""
    compiled, interpreted = imported, in_guise(imported, "interpreted")
    assert is_compiled(compiled)
    assert not is_compiled(interpreted)
    given = curves(seed, n)
    for rf in (0.0, 3e-4):
        found = [all_found(kernel, given, rf) for kernel in (compiled, interpreted)]
        assert np.array(found[0]).tobytes() == np.array(found[1]).tobytes()


def test_nothing_is_written_where_nothing_is_asked_for() -> None:
    """Without room for the curve the falls are the same."""
    equity = curves(1, 500)["equity"]
    found = []
    for room in (np.empty(500), np.empty(0)):
        falls = imported.Falls()
        imported.drawdowns(equity, 100.0, NOISE, room, falls)
        found.append([getattr(falls, name) for name in FALLS])
    assert found[0] == found[1]
    assert found[0][0] > 3


def test_sums_of_a_million() -> None:
    """A million returns far from 0 add up to what exact sums of them give."""
    rng = np.random.Generator(np.random.Philox(5))
    returns = 1.0 + 1e-3 * rng.standard_normal(1_000_000)
    found = imported.Moments()
    imported.moments(returns, 1.0, found)
    values = returns.tolist()
    mean = math.fsum(values) / len(values)
    assert found.mean == pytest.approx(mean, rel=1e-14)
    assert found.sum2 == pytest.approx(math.fsum((r - mean) ** 2 for r in values), rel=1e-12)
    assert found.sum4 == pytest.approx(math.fsum((r - mean) ** 4 for r in values), rel=1e-12)
    assert found.below == pytest.approx(
        math.fsum(min(r - 1.0, 0.0) ** 2 for r in values), rel=1e-12
    )
    assert (found.least, found.most) == (min(values), max(values))


def test_exposure_of_hand() -> None:
    """Half, all, twice the equity, none, and a bar whose equity is gone: it held something."""
    position = np.array([1.0, -2.0, 4.0, 0.0, 3.0])
    close = np.array([50.0, 50.0, 50.0, 50.0, 50.0])
    equity = np.array([100.0, 100.0, 100.0, 100.0, -1.0])
    found = imported.Exposure()
    imported.exposure(position, close, equity, found)
    assert (found.total, found.most, found.n_held) == (3.5, 2.0, 4)
