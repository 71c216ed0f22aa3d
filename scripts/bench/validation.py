"""How fast the validation tests are, beside vectorbt on as many markets. Prints medians as JSON.

Ours draws, shuffles and rebuilds each market with high, low and volume, then runs the whole engine
and the Sharpe ratio over it. vectorbt is handed the same markets, ready made, as 1,000 columns of
open and close, and does averages, orders, simulation and one statistic for all of them at once.
Turn by turn in one run; a test's time is that of a run with it less that of the run without.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.execution import Markets, load_kernel
from engine.kernels import is_compiled
from engine.pipeline import PreparedRun, RunContext, prepare
from engine.plan import make_plan
from engine.records import Candles
from engine.rerun import Rerun
from engine.streams import generator
from engine.validation import ThreadMapper
from engine.validation.market import Market

if TYPE_CHECKING:  # as in peers.py
    from scripts.bench import peer_jobs, peers, perf_run
    from scripts.bench.held import Held
else:
    import peer_jobs
    import peers
    import perf_run
    from held import Held

N_BARS, N_MARKETS, LONG = 2_500, 1_000, 1_000_000
TESTS: dict[str, dict[str, Any]] = {
    "permutation_1000x2500_s": {"permutation": {"n": N_MARKETS}},
    "bootstrap_10000x2500_s": {"block_bootstrap": {"n": 10_000}},
    "monte_carlo_500x2500_s": {"monte_carlo": {"n": 500}},
}
LONG_TESTS = {"permutation": {"n": 8}, "block_bootstrap": {"n": 8}, "monte_carlo": {"n": 8}}


def candles_of(n_bars: int) -> Candles:
    """Return the market of peers.py."""
    return peers.market(n_bars)


def prepared(candles: Candles, validation: Mapping[str, Any], mapper: ThreadMapper) -> PreparedRun:
    """Return the job of peers.py with validation tests."""
    context = RunContext(provider=Held(candles), mapper=mapper)
    raw = {**perf_run.JOB, "validation": dict(validation), "plot": False}
    return prepare(raw | {"symbol": "BENCH", "timeframe": candles.timeframe}, context)


def seconds(run: PreparedRun) -> float:
    """Return how long a run takes from candles in memory to its result, no artifacts.

    As a peer's turn is timed: the median of runs in a row, the first not counted.
    """
    ms: float = peer_jobs.turn(peer_jobs.Job(run.execute, lambda _: {}))["ms"]
    return ms / 1e3


def write_markets(candles: Candles, path: Path) -> float:
    """Write the markets that vectorbt gets; return our mean final equity over them."""
    plan = make_plan({**perf_run.JOB, "symbol": "BENCH", "timeframe": candles.timeframe})
    engine, first_bar = Rerun(plan, 252.0), 50
    n_moves = len(candles) - 1 - first_bar
    rng = generator(0, "bench")
    orders = (np.array([rng.permutation(n_moves) for _ in range(N_MARKETS)]) for _ in range(2))
    markets = Market(candles, first_bar).rebuild(*orders)
    finals = []
    for each in markets:
        equity = np.empty((1, len(each)))
        weights = engine.weights(each)[None, :]
        engine.bar_loop().replay(Markets.of(each), weights, equity, lambda: None)
        finals.append(float(equity[0, -1]))
    columns: dict[str, Any] = {
        name: np.stack([getattr(m, name) for m in markets], 1) for name in ("open", "close")
    }
    np.savez(path, ts=candles.ts, **columns)
    return statistics.fmean(finals)


def beside_vectorbt(runs: int, threads: int) -> dict[str, Any]:
    """Return the times of our tests and of vectorbt's batches, turn by turn."""
    python, candles = peers.made_environment(), candles_of(N_BARS)
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        path = Path(place) / "markets.npz"
        ours = write_markets(candles, path)
        mapper = stack.enter_context(ThreadMapper(threads))
        bare = prepared(candles, {}, mapper)
        tests = {name: prepared(candles, test, mapper) for name, test in TESTS.items()}
        batches = {
            name: stack.enter_context(peers.timed_peer(python, name, path))
            for name in peer_jobs.BATCH_PEERS
        }
        times: dict[str, list[float]] = {name: [] for name in (*tests, *batches)}
        for _ in range(runs + 1):
            for name, run in tests.items():
                times[name].append(seconds(run) - seconds(bare))
            for name, once in batches.items():
                answer = once()
                times[name].append(answer["ms"] / 1e3)
        theirs = answer["outcome"]["mean_final_equity"]
    figures: dict[str, Any] = {name: statistics.median(x[1:]) for name, x in times.items()}
    own = figures["permutation_1000x2500_s"]
    ratios = {name: round(figures[name] / own, 2) for name in batches}
    return {name: round(x, 4) for name, x in figures.items()} | {
        "ratio_to_permutation": ratios,
        "mean_final_equity_beside_ours": theirs / ours - 1.0,
        "versions": peers.peer_figure(python, "versions"),
    }


def peak_extra_mb(n_bars: int, threads: int, validation: Mapping[str, Any]) -> float:
    """Return by how much more a fresh process grows with the tests than without them."""
    grown = []
    for tests in (validation, {}):
        code = f"import validation; validation.print_peak({n_bars}, {threads}, {json.dumps(tests)})"
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        grown.append(float(done.stdout))
    return round(grown[0] - grown[1], 1)


def print_peak(n_bars: int, threads: int, validation: Mapping[str, Any]) -> None:
    """Print by how many MB a run makes this process grow, after a small one to warm up."""
    with ThreadMapper(threads) as mapper:
        small = {name: {**test, "n": 2} for name, test in validation.items()}
        prepared(candles_of(200), small, mapper).execute()
        run = prepared(candles_of(n_bars), validation, mapper)
        print(peer_jobs.peak_growth_mb(run.execute))


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--runs", type=int, default=7, help="turns of each, at least 5")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    runs, threads = max(5, options.runs), options.threads
    try:
        figures = beside_vectorbt(runs, threads)
    except peers.PeersUnavailableError as error:
        sys.exit(str(error))
    peaks = {name: peak_extra_mb(N_BARS, threads, test) for name, test in TESTS.items()}
    figures |= {
        "runs": runs,
        "threads": threads,
        "kernel": "compiled" if is_compiled(load_kernel("auto")) else "interpreted",
        "peak_extra_mb": max(peaks.values()),
        "peak_extra_mb_long": {
            "bars": LONG,
            "allowed": 64 + 12 * 8 * LONG * threads / 1e6,
            "measured": {
                name: peak_extra_mb(LONG, threads, {name: test})
                for name, test in LONG_TESTS.items()
            },
        },
    }
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
