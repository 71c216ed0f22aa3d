"""How fast a run is: candles to metrics, the loop alone, whole processes, through the server.

Prints JSON: medians of at least five runs each, in milliseconds, seconds and megabytes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import ExecutionConfig
from engine.execution import BarLoop, load_kernel, simulate
from engine.features import IndicatorInput
from engine.kernels import is_compiled
from engine.metrics import measure, measure_account
from engine.plan import RunPlan, make_plan
from engine.records import Candles, Metrics
from engine.targets import compute_targets

if TYPE_CHECKING:
    from scripts.bench.peer_jobs import peak_growth_mb
    from scripts.bench.service import api_cached_ms
else:
    from peer_jobs import peak_growth_mb
    from service import api_cached_ms

SIZES = (6_000, 100_000, 1_000_000)
JOB = {
    "symbol": "BENCH",
    "provider": "sample",
    "strategy": {"name": "dual_sma", "params": {"fast": 20, "slow": 50}},
    "risk": {"name": "fixed_fraction", "params": {"fraction": 0.95}},
    "execution": {"commission_bps": 5, "slippage_bps": 2},
}


def random_walk(n_bars: int) -> Candles:
    """Return a seeded random walk of 1 % a bar with a believable range around each bar."""
    rng = np.random.Generator(np.random.Philox(7))
    close: Any = 100.0 * np.cumprod(1.0 + 0.01 * rng.standard_normal(n_bars))
    opening = np.concatenate([[100.0], close[:-1]])
    spread = 1.0 + 0.005 * rng.random(n_bars)
    daily = n_bars <= 6_000
    return Candles(
        symbol="BENCH",
        timeframe="1d" if daily else "1m",
        ts=np.arange(n_bars, dtype=np.int64) * (86_400_000 if daily else 60_000),
        open=opening,
        high=np.maximum(opening, close) * spread,
        low=np.minimum(opening, close) / spread,
        close=close,
        volume=np.full(n_bars, 1e9),
    )


def engine_job(plan: RunPlan, candles: Candles, *, benchmark: bool = False) -> Metrics:
    """Go from candles in memory to metrics, with those of buy and hold or without."""
    targets = compute_targets(plan, IndicatorInput(candles, 252.0))
    execution = loop_job(targets.weights, candles, plan.config.execution)
    if benchmark:
        return measure(
            candles, execution, initial_cash=100_000.0, periods=252.0, risk_free_annual=0.0
        )
    return measure_account(candles, execution, initial_cash=100_000.0, periods=252.0, rf=0.0)


def loop_job(weights: Any, candles: Candles, config: ExecutionConfig) -> Any:
    """Run the simulator alone."""
    return simulate(
        candles,
        weights,
        config,
        None,
        check_cancelled=lambda: None,
        report_progress=lambda _: None,
    )


def median_ms(job: Callable[[], Any], runs: int) -> float:
    """Return the median time of ``runs`` calls after one that does not count."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        job()
        times.append((time.perf_counter() - start) * 1e3)
    return round(statistics.median(times[1:]), 3)


def bars_ms(candles: Candles, runs: int) -> float:
    """Return the median time of the bare loop over all bars, prepared arrays in, arrays out."""
    n = len(candles)
    weights = np.where(np.arange(n) // 25 % 2, 0.95, -0.95)
    config = ExecutionConfig(commission_bps=5.0, slippage_bps=2.0)
    loop = BarLoop(config, None, load_kernel("auto"))
    position, cash, equity, borrow = (np.zeros(n) for _ in range(4))

    def job() -> None:
        loop.run(candles, weights, (position, cash, equity, borrow), lambda _: None)

    return median_ms(job, runs)


def peak_extra_mb(n_bars: int) -> float:
    """Return by how much a fresh process grows beyond its candles while it runs the job."""
    code = f"import perf_run; perf_run.print_peak({n_bars})"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return float(done.stdout)


def print_peak(n_bars: int) -> None:
    """Print by how many MB this process's peak memory exceeds what it held before the job."""
    plan = make_plan(JOB)
    engine_job(plan, random_walk(200))
    candles = random_walk(n_bars)
    print(peak_growth_mb(lambda: engine_job(plan, candles)))


NO_VALIDATION = ["--set", "validation={}"]


def process_s(arguments: list[str], runs: int) -> float:
    """Return the median wall time of ``studio run`` on the sample in a fresh process."""
    times = []
    with tempfile.TemporaryDirectory() as place:
        for turn in range(runs + 1):
            command = [sys.executable, "-m", "app", "run", "--out", f"{place}/{turn}", *arguments]
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - start)
    return round(statistics.median(times[1:]), 3)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    runs = max(5, options.runs)
    plan = make_plan(JOB)
    data = {n: random_walk(n) for n in SIZES}
    figures = {
        "kernel": "compiled" if is_compiled(load_kernel("auto")) else "interpreted",
        "engine_ms": {
            str(n): median_ms(lambda c=candles: engine_job(plan, c), runs)  # type: ignore[misc]  # bound per size
            for n, candles in data.items()
        },
        "with_benchmark_ms": {
            str(n): median_ms(lambda c=candles: engine_job(plan, c, benchmark=True), runs)  # type: ignore[misc]  # bound per size
            for n, candles in data.items()
        },
        "loop_ms": {str(n): bars_ms(candles, runs) for n, candles in data.items()},
        "peak_extra_mb": {str(n): peak_extra_mb(n) for n in SIZES},
        "cold_process_s": process_s([*NO_VALIDATION, "--no-plot"], runs),
        "cold_process_plot_s": process_s(NO_VALIDATION, runs),
        "cold_process_all_s": process_s([], runs),
        "api_cached_ms": api_cached_ms(10 * runs),
    }
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
