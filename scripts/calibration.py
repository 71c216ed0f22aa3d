"""Whether the validation tests are calibrated: their level, power, coverage and Monte Carlo error.

Markets and returns are made of seeded streams, and the product's own code judges them: whole runs
for the permutation, the bootstrap's own test for the intervals. The long form takes some minutes.
"""

import argparse
import dataclasses
import json
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import __version__
from engine.config import BlockBootstrapConfig
from engine.metrics import measure
from engine.pipeline import RunContext, run
from engine.plan import make_plan
from engine.records import Candles
from engine.rerun import Rerun
from engine.streams import generator
from engine.validation import MappedReplicates, Subject, ThreadMapper, validation_tests
from scripts.bench.held import Held

if TYPE_CHECKING:
    from engine.records import Floats

ROOT_SEED = 1
DAY_MS = 86_400_000
PERIODS = 252.0
LEVEL = 0.05
# Each tail of the band that a calibrated test leaves once in a thousand studies.
TAIL = (1, 2000)
KOLMOGOROV = math.sqrt(-math.log(0.001 / 2) / 2)

BARS = 400
PERMUTATIONS = 99
MOVE = 0.01
GAP = 0.1 * MOVE
DRIFT = 0.001
GARCH_ALPHA, GARCH_BETA = 0.1, 0.85
MOMENTUM = 0.6
TRUE_SHARPE = 0.1
RETURNS = 1000
CONFIDENCE = 0.95

# Long where the last move that is known was up, short where it was down.
LAST_MOVE = {"fast": 1, "slow": 2}
CROSSING = {"fast": 5, "slow": 20}
COSTS = {"commission_bps": 5.0, "slippage_bps": 2.0}
CONSTANTS = {
    "bars": BARS,
    "confidence": CONFIDENCE,
    "costs": COSTS,
    "drift": DRIFT,
    "gap": GAP,
    "garch": [GARCH_ALPHA, GARCH_BETA],
    "level": LEVEL,
    "momentum": MOMENTUM,
    "move": MOVE,
    "permutations": PERMUTATIONS,
    "returns": RETURNS,
    "root_seed": ROOT_SEED,
    "strategies": {"null": CROSSING, "power": LAST_MOVE},
    "true_sharpe_per_bar": TRUE_SHARPE,
}


@dataclass(frozen=True)
class Sizes:
    """How much is drawn; LEVEL (null_permutations + 1) is whole, or no test had that level."""

    null_runs: int
    null_permutations: int
    power_runs: int
    seeds: int
    phis: tuple[float, ...]
    series: int
    replicates: int


LONG = Sizes(2000, PERMUTATIONS, 1000, 1000, (0.3, 0.0, -0.2), 2000, 999)
SHORT = Sizes(400, 19, 100, 100, (0.3,), 400, 299)


def market(gaps: "Floats", moves: "Floats", rng: np.random.Generator) -> Candles:
    """Return daily candles: O_t = C_{t-1} (1 + gap_t), C_t = O_t (1 + move_t), C_{-1} = 100.

    High and low lie up to 0.5 % outside of open and close; the volume is anything.
    """
    n = len(moves)
    close: Any = 100.0 * np.cumprod((1.0 + gaps) * (1.0 + moves))
    opening = close / (1.0 + moves)
    return Candles(
        symbol="CALIBRATION",
        timeframe="1d",
        ts=np.arange(n, dtype=np.int64) * DAY_MS,
        open=opening,
        high=np.maximum(opening, close) * (1.0 + 0.005 * rng.random(n)),
        low=np.minimum(opening, close) / (1.0 + 0.005 * rng.random(n)),
        close=close,
        volume=1e6 * (1.0 + rng.random(n)),
    )


def random_walk(rng: np.random.Generator, n_bars: int, drift: float = 0.0) -> Candles:
    """Return a market of independent gaps and independent moves: exchangeable by construction."""
    gaps, moves = GAP * rng.standard_normal(n_bars), MOVE * rng.standard_normal(n_bars)
    return market(gaps, drift + moves, rng)


def garch_walk(rng: np.random.Generator, n_bars: int) -> Candles:
    """Return a market whose volatility clusters: s²_{t+1} = ω + α m_t² + β s_t², move m_t = s_t z.

    Gaps share the bar's volatility. MOVE² is the variance in the long run, ω = MOVE² (1 - α - β).
    """
    variance, scale = MOVE * MOVE, np.empty(n_bars)
    shocks = rng.standard_normal(n_bars)
    for t, shock in enumerate(shocks.tolist()):
        scale[t] = math.sqrt(variance)
        after = GARCH_ALPHA * shock * shock + GARCH_BETA
        variance = MOVE * MOVE * (1.0 - GARCH_ALPHA - GARCH_BETA) + variance * after
    return market(GAP / MOVE * scale * rng.standard_normal(n_bars), scale * shocks, rng)


def autoregression(rng: np.random.Generator, n: int, phi: float) -> "Floats":
    """Return x_t = φ x_{t-1} + e_t (n,), normal, of variance 1 from the first value on."""
    draws = rng.standard_normal(n).tolist()
    x, scale = [draws[0]], math.sqrt(1.0 - phi * phi)
    for draw in draws[1:]:
        x.append(phi * x[-1] + scale * draw)
    return np.array(x)


def momentum_walk(rng: np.random.Generator, n_bars: int) -> Candles:
    """Return a market whose moves are an AR(1) with φ = MOMENTUM, its gaps independent."""
    moves = MOVE * autoregression(rng, n_bars, MOMENTUM)
    return market(GAP * rng.standard_normal(n_bars), moves, rng)


def expected_z(n_returns: int) -> float:
    """Return the z-score S √n that trading LAST_MOVE on ``momentum_walk`` should have.

    What is known at the close of bar u - 2 is decided upon at bar u - 1 and filled at the open of
    bar u: a double lag, so that sign(r_{u-2}) earns the move m_u. With r = m + g, q² the variance
    of a gap g over that of a move m, all normal, Cov(r_{u-2}, m_u) = φ² σ², so
        E y = E[sign(r_{u-2}) m_u] = √(2/π) φ² σ / √(1 + q²),
    while the gap meets the side before it and earns nothing, E y² = σ² (1 + q²), and per bar
        S = E y / √(E y² - (E y)²) = k / √(1 - k²), k = √(2/π) φ² / (1 + q²).
    φ = 0.6 and q = 0.1 give S = 0.2966 and z = 5.91 over 397 returns. The y are correlated in turn,
    so z deviates by about 1.25 rather than 1, and a one-sided test at 5 % has a power of about
    Φ((5.91 - 1.64) / 1.25) > 0.999. Costs are none; left out is that a run holds units, whose
    weight drifts between two crossings, and terms of m²: together a few per cent of z.
    """
    k = math.sqrt(2.0 / math.pi) * MOMENTUM**2 / (1.0 + (GAP / MOVE) ** 2)
    return k / math.sqrt(1.0 - k * k) * math.sqrt(n_returns)


@dataclass(frozen=True)
class Case:
    """Markets, one for each number, and how they are traded."""

    name: str
    make: Callable[[np.random.Generator, int], Candles]
    params: Mapping[str, Any]
    costs: Mapping[str, float]

    def p_value(self, number: int, seed: int, n: int, mapper: ThreadMapper) -> Any:
        """Return what the permutation of bars says of a whole run over market ``number``."""
        candles = self.make(generator(ROOT_SEED, f"calibration/{self.name}", number), BARS)
        config = {
            "symbol": candles.symbol,
            "strategy": {"name": "dual_sma", "params": dict(self.params)},
            "execution": {"periods_per_year": PERIODS, **self.costs},
            "validation": {"permutation": {"n": n}},
            "plot": False,
            "seed": seed,
        }
        result = run(config, RunContext(provider=Held(candles), mapper=mapper))
        return result.validation["permutation"].document


# Random walks are exchangeable, so the level is exact, whatever the drift, the costs and the sides.
# Under GARCH the moves are not. But an account that always holds ±1 earns side times sign times
# |move|; the side is known before, the sign is a fair coin whatever all |moves| are, and so is
# their product. Given the |moves|, the observed Sharpe ratio has the law of Σ ±|m_t| / √Σ m_t²,
# which their order does not change: it is that of each permuted one. What is left is that all
# share the signs, and that weights drift between two crossings: a long and short strategy without
# costs should nearly keep the level. A long-only one has no such argument.
NULLS = (
    Case("random_walk", random_walk, CROSSING, COSTS),
    Case("garch", garch_walk, CROSSING, {}),
    Case(
        "drift_long_only",
        lambda rng, n_bars: random_walk(rng, n_bars, DRIFT),
        {**CROSSING, "long_only": True},
        COSTS,
    ),
)
PLANTED = Case("momentum", momentum_walk, LAST_MOVE, {})


def binomial_band(runs: int) -> tuple[int, int]:
    """Return the counts beyond which Binomial(runs, 5 %) lies once in 2,000, on either side.

    P(X < low) and P(X > high) are at most TAIL, in whole numbers: P(X = k) 20^runs =
    C(runs, k) 19^(runs - k).
    """
    bound = 20**runs * TAIL[0] // TAIL[1]
    low, below = 0, 19**runs
    while below <= bound:
        low += 1
        below += math.comb(runs, low) * 19 ** (runs - low)
    high, above = runs, 1
    while above <= bound:
        high -= 1
        above += math.comb(runs, high) * 19 ** (runs - high)
    return low, high


def level_figures(p_values: Sequence[float | None], n: int) -> dict[str, Any]:
    """Return how p-values from ``n`` permutations lie on their grid 1 / (n + 1) … 1.

    The distance is max_k |share of p ≤ k / (n + 1) - k / (n + 1)|; its bound is that of continuous
    values, which is wide for a grid.
    """
    ranks = np.array([round(p * (n + 1)) for p in p_values if p is not None])
    runs = len(ranks)
    grid = np.arange(1, n + 2)
    shares = (ranks[:, None] <= grid).mean(axis=0)
    low, high = binomial_band(runs)
    rejections = int((ranks <= round(LEVEL * (n + 1))).sum())
    return {
        "runs": runs,
        "without_p_value": len(p_values) - runs,
        "rejections": rejections,
        "rejection_rate": rejections / runs,
        "rejections_band": [low, high],
        "kolmogorov_distance": round(float(np.abs(shares - grid / (n + 1)).max()), 5),
        "kolmogorov_bound": round(KOLMOGOROV / math.sqrt(runs), 5),
    }


def null_study(case: Case, sizes: Sizes, mapper: ThreadMapper) -> dict[str, Any]:
    """Return how often the permutation rejects at 5 % where there is nothing to find."""
    n = sizes.null_permutations
    found = [case.p_value(i, i, n, mapper) for i in range(sizes.null_runs)]
    return level_figures([document["p_value"] for document in found], n)


def power_study(sizes: Sizes, mapper: ThreadMapper) -> dict[str, Any]:
    """Return how often the permutation rejects at 5 % where the past does tell the future."""
    n, runs = PERMUTATIONS, sizes.power_runs
    found = [PLANTED.p_value(i, i, n, mapper) for i in range(runs)]
    n_returns = BARS - found[0]["scored_from"]
    z = [document["observed"] * math.sqrt(n_returns / PERIODS) for document in found]
    rejections = sum(round(document["p_value"] * (n + 1)) <= LEVEL * (n + 1) for document in found)
    return {
        "runs": runs,
        "power": rejections / runs,
        "z_expected": round(expected_z(n_returns), 4),
        "z_mean": round(statistics.mean(z), 4),
        "z_deviation": round(statistics.stdev(z), 4),
    }


def error_study(sizes: Sizes, mapper: ThreadMapper) -> dict[str, Any]:
    """Return how far p-values of one run differ by the seed, beside the error that they report."""
    found = [NULLS[0].p_value(0, seed, PERMUTATIONS, mapper) for seed in range(sizes.seeds)]
    deviation = statistics.stdev(document["p_value"] for document in found)
    reported = math.sqrt(statistics.mean(document["p_value_error"] ** 2 for document in found))
    return {
        "seeds": sizes.seeds,
        "p_value_mean": round(statistics.mean(document["p_value"] for document in found), 5),
        "deviation": round(deviation, 5),
        "reported_error": round(reported, 5),
        "ratio": round(deviation / reported, 4),
    }


class Judge:
    """Asks the product's block bootstrap about given returns: the account of a run earned them."""

    def __init__(self, n: int, replicates: int, mapper: ThreadMapper) -> None:
        self.candles = market(np.zeros(n), np.zeros(n), generator(ROOT_SEED, "calibration/idle"))
        self.weights = np.zeros(n)
        self.engine = Rerun(make_plan({"symbol": self.candles.symbol}), PERIODS)
        self.idle = self.engine.simulate(self.candles, self.weights, flatten=False)
        self.replicates = MappedReplicates(mapper, lambda: None, lambda *_: None)
        self.tests = {
            scheme: validation_tests.build(
                "block_bootstrap",
                BlockBootstrapConfig(n=replicates, block_length=length, confidence=CONFIDENCE),
            )
            for scheme, length in (("automatic", None), ("iid", 1.0))
        }

    def intervals(self, returns: "Floats", seed: int) -> dict[str, Mapping[str, Any]]:
        """Return what each test says of ``returns`` (n,)."""
        cash = self.engine.execution.initial_cash
        equity: Any = cash * np.cumprod(1.0 + returns)
        curve = dataclasses.replace(self.idle.curve, equity=equity)
        execution = dataclasses.replace(self.idle, curve=curve)
        subject = Subject(
            candles=self.candles,
            weights=self.weights,
            execution=execution,
            metrics=measure(
                self.candles, execution, initial_cash=cash, periods=PERIODS, risk_free_annual=0.0
            ),
            first_bar=0,
            periods=PERIODS,
            rf=0.0,
            statistic="sharpe",
            seed=seed,
            calendar=None,
            engine=self.engine,
        )
        return {s: test.run(subject, self.replicates).document for s, test in self.tests.items()}


def coverage_study(phi: float, sizes: Sizes, mapper: ThreadMapper) -> dict[str, Any]:
    """Return how often intervals of 95 % hold the true Sharpe ratio of AR(1) returns."""
    judge, truth = Judge(RETURNS, sizes.replicates, mapper), TRUE_SHARPE * math.sqrt(PERIODS)
    rows: dict[str, list[Any]] = {"automatic": [], "iid": []}
    for i in range(sizes.series):
        rng = generator(ROOT_SEED, f"calibration/returns/{phi}", i)
        returns = MOVE * (TRUE_SHARPE + autoregression(rng, RETURNS, phi))
        for scheme, document in judge.intervals(returns, i).items():
            rows[scheme].append(document)
    figures: dict[str, Any] = {"series": sizes.series}
    for scheme, documents in rows.items():
        length = statistics.mean(document["block_length"] for document in documents)
        figures[scheme] = {"block_length_mean": round(length, 2)}
        for kind in ("studentized", "percentile"):
            ends = [document["sharpe"][kind] for document in documents]
            held = sum(low <= truth <= high for low, high in ends)
            width = statistics.mean(high - low for low, high in ends)
            figures[scheme][f"{kind}_coverage"] = held / sizes.series
            figures[scheme][f"{kind}_width_mean"] = round(width, 4)
    return figures


def calibrate(sizes: Sizes) -> dict[str, Any]:
    """Return the figures of all studies with what decided them, as JSON values."""
    with ThreadMapper(portion=PERMUTATIONS + 1) as mapper:  # small runs are soonest in one portion
        studies = {
            "permutation_null": {case.name: null_study(case, sizes, mapper) for case in NULLS},
            "permutation_power": power_study(sizes, mapper),
            "p_value_error": error_study(sizes, mapper),
            "sharpe_coverage": {str(phi): coverage_study(phi, sizes, mapper) for phi in sizes.phis},
        }
    return {"constants": CONSTANTS, "sizes": dataclasses.asdict(sizes), "studies": studies}


def main() -> None:
    """Run all studies, and print the figures or write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write there instead")
    parser.add_argument("--short", action="store_true", help="about twenty seconds")
    options = parser.parse_args()
    command = " ".join(["python", "scripts/calibration.py", *sys.argv[1:]])
    found = {"command": command, "version": __version__}
    found |= calibrate(SHORT if options.short else LONG)
    text = json.dumps(found, indent=2, sort_keys=True)
    if options.json is None:
        print(text)
    else:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
