"""The block bootstrap against resampling, statistics and intervals in plain Python."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from engine.records import BacktestResult, Candles
from engine.streams import generator
from engine.validation.block_length import optimal_block_lengths
from engine.validation.market import load_kernel
from engine.validation.resampling import Resampler, Scheme


def plain_stationary(new_block: Sequence[bool], starts: Sequence[int]) -> list[int]:
    """Return the positions: a new block begins at its start, any other bar follows the one before."""
    n, taken = len(new_block), iter(starts)
    positions: list[int] = []
    for begins in new_block:
        positions.append(next(taken) if begins else (positions[-1] + 1) % n)
    return positions


def plain_blocks(starts: Sequence[int], length: int, n: int) -> list[int]:
    """Return the positions of blocks of one length, the last cut at n."""
    positions = [(start + step) % n for start in starts for step in range(length)]
    return positions[:n]


def plain_positions(scheme: str, length: float, n: int, seed: int, replicate: int) -> list[int]:
    """Return which return stands at each bar of a replicate."""
    g = generator(seed, "block_bootstrap", replicate)
    if scheme == "stationary":
        u = g.random(n).tolist()
        new_block = [t == 0 or u[t] * length < 1 for t in range(n)]
        starts = [math.floor(u[0] * n)]
        starts += [math.floor(u[t] * length * n) for t in range(1, n) if new_block[t]]
        return plain_stationary(new_block, starts)
    size = int(length)
    n_starts = n if scheme == "circular" else n - size + 1
    u = g.random(math.ceil(n / size)).tolist()
    return plain_blocks([math.floor(each * n_starts) for each in u], size, n)


@dataclass
class Studentised:
    """A ratio per bar, with population moments, and its standard error."""

    ratio: float
    error: float


def studentised(x: Sequence[float]) -> Studentised | None:
    """Return S and SE of excess returns, None where they are not defined."""
    n = len(x)
    m = math.fsum(x) / n
    variance = math.fsum((value - m) ** 2 for value in x) / n
    if max(x) == min(x):
        return None
    s = math.sqrt(variance)
    ratio = m / s
    z = [(value - m) / s for value in x]
    psi = [value - ratio / 2 * (value**2 - 1) for value in z]
    centre = math.fsum(psi) / n
    psi = [value - centre for value in psi]
    lags = math.floor(4 * (n / 100) ** (2 / 9))

    def gamma(k: int) -> float:
        """Return the autocovariance at lag k."""
        return math.fsum(psi[t] * psi[t - k] for t in range(k, n)) / n

    long_run = gamma(0) + 2 * math.fsum((1 - k / (lags + 1)) * gamma(k) for k in range(1, lags + 1))
    return Studentised(ratio, math.sqrt(long_run / n)) if long_run > 0 else None


def max_drawdown(returns: Sequence[float]) -> float:
    """Return the deepest fall below a peak, the beginning being one."""
    value = peak = 1.0
    deepest = 0.0
    for r in returns:
        value *= 1 + r
        peak = max(peak, value)
        deepest = min(deepest, value / peak - 1)
    return deepest if abs(deepest) > 1e-12 else 0.0


@dataclass
class Expected:
    """What the document should say."""

    estimate: float
    studentized: list[float]
    percentile: list[float]
    total_return: list[float]
    band: list[float]
    undefined: int


def expected_of(result: BacktestResult, length: float, plain: Any) -> Expected:
    """Return the intervals of a run; Sharpe ratios over the replicates that have one."""
    config, periods = result.config, result.periods_per_year.value
    test = config.validation.block_bootstrap
    assert test is not None
    r, rf = plain.run_returns(result), plain.risk_free(config, periods)
    n, half = len(r), (1 - test.confidence) / 2
    scale = math.sqrt(periods) * math.sqrt((n - 1) / n)
    run = studentised([value - rf for value in r])
    assert run is not None
    ratios, tilted, logs, drawdowns = [], [], [], []
    for i in range(test.n):
        sample = [r[t] for t in plain_positions(test.scheme, length, n, config.seed, i)]
        if (star := studentised([value - rf for value in sample])) is not None:
            ratios.append(star.ratio * scale)
            tilted.append((star.ratio - run.ratio) / star.error)
        logs.append(math.fsum(math.log1p(value) for value in sample) / n)
        drawdowns.append(max_drawdown(sample))
    low, high = (plain.quantile(tilted, q) for q in (half, 1 - half))
    return Expected(
        estimate=run.ratio * scale,
        studentized=[(run.ratio - q * run.error) * scale for q in (high, low)],
        percentile=[plain.quantile(ratios, q) for q in (half, 1 - half)],
        total_return=[math.exp(n * plain.quantile(logs, q)) - 1 for q in (half, 1 - half)],
        band=[plain.quantile(drawdowns, q) for q in (0.05, 0.5, 0.95)],
        undefined=test.n - len(ratios),
    )


def automatic_length(x: Sequence[float]) -> tuple[float, float]:
    """Return b of the stationary and the circular bootstrap by Politis & White, corrected 2009."""
    n = len(x)
    mean = math.fsum(x) / n
    eps = [value - mean for value in x]
    k_n = max(5, int(math.log10(n)))
    most = math.ceil(math.sqrt(n)) + k_n
    covariance, correlation = [], []
    for lag in range(most + 1):
        product = math.fsum(eps[t] * eps[t - lag] for t in range(lag, n))
        squares = [math.fsum(e * e for e in part) for part in (eps[lag + 1 :], eps[: n - lag - 1])]
        covariance.append(product / n)
        correlation.append(abs(product) / math.sqrt(squares[0] * squares[1]))
    threshold = 2 * math.sqrt(math.log10(n) / n)
    small = [value < threshold for value in correlation]
    found = [lag for lag in range(most - k_n + 1) if all(small[lag : lag + k_n])]
    m = min(2 * max(found[0], 1), most) if found else most
    g, spectrum = 0.0, covariance[0]
    for lag in range(1, m + 1):
        window = min(1.0, 2 * (1 - lag / m))
        g += 2 * window * lag * covariance[lag]
        spectrum += 2 * window * covariance[lag]
    highest = math.ceil(min(3 * math.sqrt(n), n / 3))
    lengths = [(2 * g**2 / (c * spectrum**2)) ** (1 / 3) * n ** (1 / 3) for c in (2, 4 / 3)]
    return min(max(lengths[0], 1.0), highest), min(max(lengths[1], 1.0), highest)


def assert_document(document: Any, expected: Expected, result: BacktestResult, plain: Any) -> None:
    """Compare every interval, and the estimates with the run's own metrics."""
    values = result.metrics.values
    assert document["sharpe"]["undefined"] == expected.undefined
    assert document["sharpe"]["estimate"] == plain.near(expected.estimate)
    assert document["sharpe"]["estimate"] == plain.near(values["sharpe"])
    assert document["sharpe"]["studentized"] == plain.near(expected.studentized)
    assert document["sharpe"]["percentile"] == plain.near(expected.percentile)
    assert document["total_return"]["estimate"] == plain.near(values["total_return"])
    assert document["total_return"]["interval"] == plain.near(expected.total_return)
    assert document["max_drawdown"]["estimate"] == plain.near(values["max_drawdown"])
    assert document["max_drawdown"]["band"] == plain.near(expected.band)


@pytest.mark.parametrize("scheme", ["stationary", "circular", "moving"])
@pytest.mark.parametrize(
    ("length", "confidence", "risk_free"), [(1.0, 0.95, 0.0), (7.0, 0.8, 0.04), (30.0, 0.5, 0.0)]
)
def test_intervals_are_the_plain_ones(
    scheme: str,
    length: float,
    confidence: float,
    risk_free: float,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
    plain: Any,
) -> None:
    """Given a block length, both Sharpe intervals, total return and band are the plain ones."""
    test = {"n": 25, "scheme": scheme, "block_length": length, "confidence": confidence}
    result = backtest(
        candles(131, 21),
        validation={"block_bootstrap": test},
        execution={"slippage_bps": 5},
        risk_free_annual=risk_free,
        seed=3,
    )
    document = result.validation["block_bootstrap"].document
    assert document["scheme"] == scheme
    assert (document["n"], document["confidence"]) == (25, confidence)
    assert document["block_length"] == length
    assert_document(document, expected_of(result, length, plain), result, plain)


def test_a_length_between_two_is_kept_by_the_stationary_scheme(
    backtest: Callable[..., Any], candles: Callable[..., Candles], plain: Any
) -> None:
    """A mean block length need not be whole."""
    result = backtest(
        candles(90, 22), validation={"block_bootstrap": {"n": 15, "block_length": 3.7}}
    )
    document = result.validation["block_bootstrap"].document
    assert document["block_length"] == 3.7
    assert_document(document, expected_of(result, 3.7, plain), result, plain)


@pytest.mark.parametrize("scheme", ["stationary", "circular", "moving"])
@pytest.mark.parametrize("n_bars", [40, 150])
def test_the_automatic_length_is_used(
    scheme: str,
    n_bars: int,
    backtest: Callable[..., Any],
    candles: Callable[..., Candles],
    plain: Any,
) -> None:
    """Without a length the data's own is taken, whole where blocks have one length."""
    test = {"n": 15, "scheme": scheme}
    result = backtest(candles(n_bars, 23), validation={"block_bootstrap": test})
    stationary, circular = automatic_length(plain.run_returns(result))
    whole = max(1, math.floor(circular + 0.5))
    length = stationary if scheme == "stationary" else float(whole)
    document = result.validation["block_bootstrap"].document
    assert document["block_length"] == pytest.approx(length, rel=1e-9)
    assert_document(document, expected_of(result, length, plain), result, plain)


def autoregressive(n: int, weight: float) -> list[float]:
    """Return a series in which each value remembers the last."""
    rng = np.random.default_rng(n)
    values = [0.0]
    for shock in rng.standard_normal(n - 1).tolist():
        values.append(weight * values[-1] + 0.01 * shock)
    return values


SERIES = {
    "short": autoregressive(16, -0.6),
    "remembers": autoregressive(250, 0.5),
    "alternates": autoregressive(400, -0.6),
    "at most": autoregressive(300, -0.95),
    "at least": autoregressive(300, 0.0),
}


@pytest.mark.parametrize("name", SERIES)
def test_automatic_lengths_are_the_plain_ones(name: str) -> None:
    """Both lengths are those of the plain reading."""
    lengths = optimal_block_lengths(np.array(SERIES[name]))
    stationary, circular = automatic_length(SERIES[name])
    assert lengths.stationary == pytest.approx(stationary, rel=1e-9)
    assert lengths.circular == pytest.approx(circular, rel=1e-9)


def test_both_ends_of_the_range_are_reached() -> None:
    """The series include one whose length is 1, and one with the longest that is allowed."""
    assert automatic_length(SERIES["at least"]) == (1.0, 1.0)
    assert automatic_length(SERIES["at most"]) == (52.0, 52.0)  # 3 √300 = 51.96
    assert 1 < automatic_length(SERIES["remembers"])[0] < 48


def test_a_constant_series_has_blocks_of_one() -> None:
    """Where all returns are one value there is nothing to keep together."""
    lengths = optimal_block_lengths(np.full(50, 0.01))
    assert (lengths.stationary, lengths.circular) == (1.0, 1.0)


def engine_positions(scheme: Scheme, uniforms: Sequence[float]) -> list[int]:
    """Return the positions that the engine makes of the numbers of one replicate."""
    room = Resampler(scheme, 1, load_kernel())
    assert room.uniforms.shape == (1, len(uniforms))
    room.uniforms[0] = uniforms
    room.measure(np.linspace(-0.01, 0.02, scheme.n), np.empty(0), 0.0, np.empty((1, 4)))
    positions: list[int] = room.bars[0].tolist()
    return positions


@pytest.mark.parametrize("length", [1.0, 5.0, 7.3])
@pytest.mark.parametrize("seed", range(4))
def test_stationary_positions(seed: int, length: float) -> None:
    """A block goes on, around the end, until the next begins."""
    rng = np.random.default_rng(seed)
    new_block = (rng.random(40) < 1 / length).tolist()
    new_block[0] = True
    starts = rng.integers(0, 40, size=sum(new_block)).tolist()
    begun = iter(starts)
    # In the middle of what means each start; where no block begins, far from where one would.
    uniforms = [
        (next(begun) + 0.5) / 40 / (length if t else 1) if begins else (1 + 1 / length) / 2
        for t, begins in enumerate(new_block)
    ]
    expected = plain_stationary(new_block, starts)
    assert engine_positions(Scheme("stationary", length, 40), uniforms) == expected


@pytest.mark.parametrize("name", ["circular", "moving"])
@pytest.mark.parametrize(("length", "n"), [(1, 10), (3, 10), (5, 10), (10, 10), (7, 24)])
def test_block_positions(name: str, length: int, n: int) -> None:
    """Blocks of one length follow one another, around the end if they may, and the last is cut."""
    n_starts = n if name == "circular" else n - length + 1
    starts = np.random.default_rng(length).integers(0, n_starts, size=-(-n // length)).tolist()
    expected = plain_blocks(starts, length, n)
    uniforms = [(start + 0.5) / n_starts for start in starts]
    assert engine_positions(Scheme(name, length, n), uniforms) == expected


def test_total_ruin_has_no_interval(
    backtest: Callable[..., Any], candles: Callable[..., Candles], plain: Any
) -> None:
    """A return of -1 or below has no logarithm, so the total return has no interval."""
    levered = {"name": "fixed_fraction", "params": {"fraction": 50.0, "max_leverage": 50.0}}
    result = backtest(
        candles(80, 24, move=0.1),
        risk=levered,
        validation={"block_bootstrap": {"n": 5, "block_length": 4}},
    )
    assert min(plain.run_returns(result)) <= -1
    document = result.validation["block_bootstrap"].document
    assert document["total_return"]["interval"] is None
    assert document["total_return"]["estimate"] == pytest.approx(
        result.metrics.values["total_return"], rel=1e-12
    )


def flat_for_long(
    backtest: Callable[..., Any], candles: Callable[..., Candles], slow: int
) -> BacktestResult:
    """Return a run that does nothing for its first ``slow`` bars of 60, in long blocks."""
    test = {"n": 40, "scheme": "moving", "block_length": 25}
    strategy = {"name": "dual_sma", "params": {"fast": 2, "slow": slow}}
    made: BacktestResult = backtest(
        candles(60, 25), strategy=strategy, validation={"block_bootstrap": test}
    )
    return made


def test_a_few_undefined_replicates_are_left_out(
    backtest: Callable[..., Any], candles: Callable[..., Candles], plain: Any
) -> None:
    """At most 5 % of replicates that hold flat bars alone are counted and left out."""
    result = flat_for_long(backtest, candles, 30)
    expected = expected_of(result, 25, plain)
    assert 0 < expected.undefined <= 2
    document = result.validation["block_bootstrap"].document
    assert_document(document, expected, result, plain)


def test_too_many_undefined_replicates_leave_no_interval(
    backtest: Callable[..., Any], candles: Callable[..., Candles], plain: Any
) -> None:
    """Where more than 5 % of the replicates hold flat bars alone, there is no Sharpe interval."""
    result = flat_for_long(backtest, candles, 56)
    expected = expected_of(result, 25, plain)
    assert expected.undefined > 2
    document = result.validation["block_bootstrap"].document
    assert document["sharpe"]["studentized"] is None
    assert document["sharpe"]["percentile"] is None
    assert document["sharpe"]["undefined"] == expected.undefined
    assert document["sharpe"]["estimate"] == plain.near(expected.estimate)
    assert document["total_return"]["interval"] == plain.near(expected.total_return)
    assert document["max_drawdown"]["band"] == plain.near(expected.band)
