"""Small cases that can be worked out in full, and the exact error of a bootstrapped mean."""

import csv
import functools
import itertools
import json
import math
import operator
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from engine.validation.block_length import block_lengths
from engine.validation.market import Shuffle, load_kernel
from engine.validation.resampling import Resampler, Scheme
from engine.validation.scoring import p_value, quantiles

ORACLE = Path(__file__).parents[2] / "oracle"
MICRO = json.loads((ORACLE / "micro.json").read_text())
INCREMENTS: list[int] = MICRO["increments_1e-3"]
SURELY = 4.5  # standard errors: one in 150,000 where the errors are normal


def timing(x: Sequence[int]) -> int:
    """Return T = Σ sign(x_{t-1}) x_t."""
    return sum((a > 0) * b - (a < 0) * b for a, b in itertools.pairwise(x))


def scores_of_orders() -> list[int]:
    """Return T of all orders of the increments, the observed one first."""
    return [timing(order) for order in itertools.permutations(INCREMENTS)]


def test_the_p_value_of_all_orders() -> None:
    """Against the 719 other orders, p is the share of all 720 that do at least as well."""
    observed, *others = scores_of_orders()
    assert observed == MICRO["T_observed"]
    assert len(others) + 1 == MICRO["n_orders"]
    p = p_value(float(observed), np.array(others, dtype=np.float64))
    assert p.value == pytest.approx(MICRO["p_full_enumeration"], rel=1e-15)
    assert p.value == pytest.approx(MICRO["count_ge"] / 720, rel=1e-15)


def test_the_other_side_of_all_orders() -> None:
    """Turned round, p is the share of orders that do no better, and both shares count the ties."""
    observed, *others = scores_of_orders()
    p = p_value(-float(observed), -np.array(others, dtype=np.float64))
    assert p.value == pytest.approx(MICRO["p_lower"], rel=1e-15)
    assert p.value == pytest.approx(MICRO["count_le"] / 720, rel=1e-15)


def test_the_best_of_all_orders() -> None:
    """The best order has the least p there is, shared with the orders that tie with it."""
    scores = scores_of_orders()
    best = timing(MICRO["best_order"])
    assert best == max(scores) == MICRO["T_best"]
    scores.remove(best)
    p = p_value(float(best), np.array(scores, dtype=np.float64))
    assert p.value == pytest.approx(MICRO["p_best"], rel=1e-15)


def decided(choices: Sequence[int]) -> list[float]:
    """Return the numbers that make Fisher and Yates choose as told, position 1 first."""
    return [0.0, *((j + 0.5) / (i + 2) for i, j in enumerate(choices))]


@pytest.mark.parametrize("choice", ["auto", "interpreted"])
def test_every_order_can_be_drawn_and_none_twice(choice: str) -> None:
    """The 720 ways to decide a shuffle of six give the 720 orders, for gaps and bars apart."""
    ways = list(itertools.product(*(range(i + 1) for i in range(1, 6))))
    uniforms = np.array([[*decided(a), *decided(b)] for a, b in zip(ways, ways[::-1], strict=True)])
    gaps, bars = np.empty((720, 6), dtype=np.int64), np.empty((720, 6), dtype=np.int64)
    shuffle = Shuffle.within(np.zeros(6, dtype=np.int64))
    shuffle.draw(uniforms, (gaps, bars), 720, choice, lambda: None)
    assert {tuple(row) for row in gaps.tolist()} == set(itertools.permutations(range(6)))
    assert gaps.tolist() == bars[::-1].tolist()
    scores = [timing([INCREMENTS[j] for j in row]) for row in bars.tolist()]
    assert sum(score >= MICRO["T_observed"] for score in scores) == MICRO["count_ge"]
    assert Fraction(sum(scores), 720) == Fraction(MICRO["mean_T_exact"])


def test_the_sum_is_the_same_in_every_order() -> None:
    """The sum of the increments has no p: every order gives it, but for rounding."""
    assert sum(INCREMENTS) == MICRO["sum_is_invariant"]
    # One after the other: from Python 3.12 on, sum() keeps what rounding takes.
    orders = itertools.permutations([x * 1e-3 for x in INCREMENTS])
    sums = [functools.reduce(operator.add, order) for order in orders]
    assert len(set(sums)) > 1  # rounding tells them apart; the engine must not
    p = p_value(sums[0], np.array(sums[1:]))
    assert (p.value, p.reason) == (None, "statistic_invariant")


def test_shuffled_trades_are_refused() -> None:
    """The order of finished trades cannot change the total return, so there is no p."""
    growth = MICRO["trade_shuffle"]["growth"]
    totals = [math.prod(order) - 1.0 for order in itertools.permutations(growth)]
    exact = {math.prod(map(Fraction, order)) for order in itertools.permutations(map(str, growth))}
    assert len(exact) == MICRO["trade_shuffle"]["distinct_products_over_24_orders_exact"]
    assert len(set(totals)) > 1
    for i, observed in enumerate(totals):
        p = p_value(observed, np.array(totals[:i] + totals[i + 1 :]))
        assert (p.value, p.reason) == (None, "statistic_invariant")


@pytest.mark.parametrize("row", MICRO["pvalue_formula"])
def test_p_values_by_formula(row: dict[str, Any]) -> None:
    """With b of m replicates at least as good, p is (b + 1) / (m + 1); half of them ties."""
    b, m = row["b"], row["m"]
    better = [1.0 if i % 2 else 2.0 for i in range(b)]
    replicates = np.array(better + [0.5] * (m - b))
    assert p_value(1.0, replicates).value == pytest.approx(row["p"], rel=1e-15)


def test_a_tie_is_a_matter_of_the_last_digits() -> None:
    """Within 1e-12 of the observed figure, and for large ones in proportion, it is a tie."""
    for observed in (0.5, 40.0):
        room = 1e-12 * max(1.0, observed)
        tied = np.array([-3.0, observed - 0.5 * room])
        short = np.array([-3.0, observed - 2.0 * room])
        assert p_value(observed, tied).value == pytest.approx(2 / 3, rel=1e-15)
        assert p_value(observed, short).value == pytest.approx(1 / 3, rel=1e-15)


@pytest.fixture(params=["auto", "interpreted"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    return load_kernel(request.param)


def bars_of(scheme: Scheme, uniforms: Sequence[float], kernel: ModuleType) -> list[int]:
    """Return the bars of the replicate that some numbers decide."""
    room = Resampler(scheme, 1, kernel)
    room.uniforms[0] = uniforms
    room.measure(np.linspace(-0.01, 0.02, scheme.n), np.empty(0), 0.0, np.empty((1, 4)))
    bars: list[int] = room.bars[0].tolist()
    return bars


def test_stationary_bars(kernel: ModuleType) -> None:
    """Blocks begin where the flags say, at the starts given, and go on in a circle between."""
    case = MICRO["stationary_bootstrap_indices"]
    flags, starts, length = case["new_block_flags"], case["starts_used_when_flag"], 4.0
    uniforms = [
        (start + 0.5) / 10 / (length if t else 1.0) if flag else 0.5
        for t, (flag, start) in enumerate(zip(flags, starts, strict=True))
    ]
    assert bars_of(Scheme("stationary", length, 10), uniforms, kernel) == case["indices"]


def test_the_first_bar_begins_a_block_in_any_case(kernel: ModuleType) -> None:
    """However large its number, the first bar begins a block, anywhere in the sample."""
    for first, bar in ((0.0, 0), (0.35, 3), (math.nextafter(1.0, 0.0), 9)):
        uniforms = [first, *[0.9] * 9]
        expected = [(bar + t) % 10 for t in range(10)]
        assert bars_of(Scheme("stationary", 3.0, 10), uniforms, kernel) == expected


@pytest.mark.parametrize("name", ["circular", "moving"])
def test_bars_of_blocks_of_one_length(name: str, kernel: ModuleType) -> None:
    """Blocks begin at the starts given; the last one is cut where the sample is full."""
    case = MICRO[f"{name}_block"]
    n_starts = 10 if name == "circular" else 7
    uniforms = [(start + 0.5) / n_starts for start in case["starts"]]
    assert bars_of(Scheme(name, case["L"], 10), uniforms, kernel) == case["indices"]


def test_the_last_start(kernel: ModuleType) -> None:
    """The largest number there is begins a block at the last bar at which one may begin."""
    largest = [math.nextafter(1.0, 0.0)] * 3
    assert bars_of(Scheme("circular", 4, 10), largest, kernel)[:5] == [9, 0, 1, 2, 9]
    assert bars_of(Scheme("moving", 4, 10), largest, kernel)[:5] == [6, 7, 8, 9, 6]


def test_quantiles_are_of_type_7() -> None:
    """Between two order statistics a quantile is interpolated as R does by default."""
    values = np.random.default_rng(0).permutation(np.arange(1.0, 1000.0))
    expected = MICRO["quantile_type7"]["q025_q975"]
    assert quantiles(values, (0.025, 0.975)) == pytest.approx(expected, rel=1e-14)


def test_the_percentile_interval_is_made_of_quantiles() -> None:
    """Both ends are quantiles of the replicates themselves, not of their distance from it."""
    case = MICRO["ci_conventions"]
    ends = quantiles(np.arange(1, 1000) / 100, (0.025, 0.975))
    assert ends == pytest.approx(case["percentile"], rel=1e-14)
    basic = [2 * case["theta_hat"] - end for end in ends[::-1]]
    assert basic == pytest.approx(case["basic"], rel=1e-14)


@pytest.mark.parametrize("row", MICRO["ppw_ar1_theory"])
def test_block_lengths_of_an_autoregression(row: dict[str, Any]) -> None:
    """With the autocovariances of an AR(1) in closed form both lengths are the known ones."""
    phi, n = row["phi"], row["n"]
    variance = 1 / (1 - phi**2)
    weighted = 2 * variance * phi / (1 - phi) ** 2  # Σ |k| φ^|k| over both signs
    spectral_0 = variance * (1 + phi) / (1 - phi)
    lengths = block_lengths(weighted, spectral_0, n)
    assert lengths.stationary == pytest.approx(row["b_SB"], rel=1e-12)
    assert lengths.circular == pytest.approx(row["b_CB"], rel=1e-12)


def stationary_variance(x: Sequence[float], length: float) -> float:
    """Return the exact variance of the mean of stationary resamples, by its closed form."""
    n, mean = len(x), math.fsum(x) / len(x)

    def circular(k: int) -> float:
        """Return C(k), around the end."""
        return math.fsum((x[t] - mean) * (x[(t + k) % n] - mean) for t in range(n)) / n

    weights = [(1 - k / n) * (1 - 1 / length) ** k for k in range(1, n)]
    terms = [weight * circular(k) for k, weight in enumerate(weights, start=1)]
    return (circular(0) + 2 * math.fsum(terms)) / n


def block_moments(x: Sequence[float], name: str, length: int) -> tuple[float, float]:
    """Return exact mean and variance of the mean of resamples in independent blocks."""
    n = len(x)
    starts = range(n if name == "circular" else n - length + 1)
    sizes = [min(length, n - done) for done in range(0, n, length)]
    mean = variance = 0.0
    for size in sizes:
        sums = [math.fsum(x[(start + i) % n] for i in range(size)) for start in starts]
        centre = math.fsum(sums) / len(sums)
        mean += centre / n
        variance += math.fsum((each - centre) ** 2 for each in sums) / len(sums) / n**2
    return mean, variance


def replicated_means(x: Sequence[float], scheme: Scheme, n: int, seed: int) -> Any:
    """Return the means of n replicates, from their bars, having seen that the engine's agree."""
    returns, rng = np.array(x), np.random.default_rng(seed)
    room, means = Resampler(scheme, 1000, load_kernel()), []
    for _ in range(n // 1000):
        figures = np.empty((1000, 4))
        rng.random(out=room.uniforms)
        room.measure(returns, returns, 0.0, figures)  # the mean “log return” is then the mean
        means.append(returns[room.bars].mean(axis=1))
        np.testing.assert_allclose(figures[:, 2], means[-1], 1e-12, 1e-15)
    return np.concatenate(means)


def assert_moments(means: Any, mean: float, variance: float) -> None:
    """Compare with exact moments, within what so many replicates can tell.

    Of n replicates with kurtosis κ, the mean errs by σ / √n and the deviation by
    σ √((κ - 1) / 4n), to first order.
    """
    sigma, n = math.sqrt(variance), len(means)
    kurtosis = float(((means - mean) ** 4).mean()) / variance**2
    error = sigma * math.sqrt((kurtosis - 1) / (4 * n))
    assert SURELY * error < 0.02 * sigma  # fine enough to tell one formula from another
    assert abs(float(means.mean()) - mean) < SURELY * sigma / math.sqrt(n)
    assert abs(float(means.std()) - sigma) < SURELY * error


def hand12() -> list[float]:
    with (ORACLE / "hand12.csv").open() as file:
        return [float(row["ret"]) for row in csv.DictReader(file)]


def remembering(n: int) -> list[float]:
    """Return an AR(1) in which each value keeps 0.4 of the last."""
    values = [0.0]
    for shock in np.random.default_rng(77).standard_normal(n - 1).tolist():
        values.append(0.4 * values[-1] + 0.01 * shock + 0.0004)
    return values


def series() -> Iterator[tuple[str, list[float], float, int]]:
    """Yield series by name, a length of their blocks, and how many replicates to draw."""
    yield "hand12", hand12(), 5.0, 200_000
    yield "remembering", remembering(250), 9.3, 40_000


@pytest.mark.parametrize(
    ("x", "length", "n"), [pytest.param(*row, id=name) for name, *row in series()]
)
def test_the_stationary_error_of_the_mean(x: list[float], length: float, n: int) -> None:
    """Many replicates' means spread as the closed form says, around the sample's own mean."""
    means = replicated_means(x, Scheme("stationary", length, len(x)), n, seed=5)
    assert_moments(means, math.fsum(x) / len(x), stationary_variance(x, length))


def test_the_exact_error_of_hand12() -> None:
    """The closed form gives the figure that was worked out for the twelve returns."""
    error = math.sqrt(stationary_variance(hand12(), 5))
    assert error == pytest.approx(0.007989925445793175, rel=1e-13)


@pytest.mark.parametrize("name", ["circular", "moving"])
@pytest.mark.parametrize(
    ("x", "length", "n"), [pytest.param(*row, id=name) for name, *row in series()]
)
def test_the_error_of_the_mean_in_blocks(name: str, x: list[float], length: float, n: int) -> None:
    """Means of independent blocks spread as the sums of all blocks that there are."""
    means = replicated_means(x, Scheme(name, float(int(length)), len(x)), n, seed=6)
    assert_moments(means, *block_moments(x, name, int(length)))
