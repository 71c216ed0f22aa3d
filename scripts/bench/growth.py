"""How cost grows: runs from 1,000 to 1,000,000 bars, tests from 10 to 10,000 replicates.

Prints JSON: medians in milliseconds, and how steep the last factor of ten is (1 is proportional to
the size; n log n would be 1.08 there). With --picture it draws them as well.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.data import FileProvider, import_dataset
from engine.execution import load_kernel
from engine.kernels import is_compiled
from engine.pipeline import RunContext, prepare
from engine.plan import make_plan
from engine.validation import ThreadMapper

if TYPE_CHECKING:  # as in peers.py
    from scripts.bench import import_rows, peers, perf_run, validation
    from scripts.bench.held import Held
else:
    import import_rows
    import peers
    import perf_run
    import validation
    from held import Held

BARS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
REPLICATES = (10, 30, 100, 300, 1_000, 3_000, 10_000)
N_BARS = 2_500
TESTS: dict[str, dict[str, Any]] = {
    "permutation of bars": {"permutation": {}},
    "permutation by shifts": {"permutation": {"method": "shift"}},
    "block bootstrap": {"block_bootstrap": {}},
    "monte carlo": {"monte_carlo": {}},
}
Times = dict[str, dict[int, float]]


def bars_jobs(n_bars: int, place: Path) -> dict[str, Callable[[], Any]]:
    """Return what is done with that many bars, by name; ``place`` is an empty directory."""
    candles = peers.market(n_bars)
    plan = make_plan(perf_run.JOB)
    raw = {**perf_run.JOB, "symbol": "BENCH", "timeframe": candles.timeframe, "plot": False}
    context = RunContext(provider=Held(candles))
    file = place / "BENCH_1m.csv"
    file.write_bytes(import_rows.as_csv(import_rows.market(n_bars)))
    numbers = iter(range(1_000_000))

    def whole() -> None:
        prepare(raw, context).execute(place / f"run{next(numbers)}", place)

    def imported() -> None:
        import_dataset(place, FileProvider(file).read("BENCH", "1m", "refuse"), file.name)

    return {
        "candles to metrics": lambda: perf_run.engine_job(plan, candles),
        "whole run with artifacts": whole,
        "import of a CSV": imported,
    }


def growth_of_bars(runs: int) -> Times:
    """Return the times of each job by the number of bars."""
    found: Times = {}
    for n_bars in BARS:
        with tempfile.TemporaryDirectory() as place:
            for name, job in bars_jobs(n_bars, Path(place)).items():
                found.setdefault(name, {})[n_bars] = perf_run.median_ms(job, runs)
    return found


def growth_of_replicates(runs: int) -> Times:
    """Return what each test adds to a run, by the number of replicates."""
    found: Times = {}
    candles = validation.candles_of(N_BARS)
    with ThreadMapper(1) as mapper:
        bare = perf_run.median_ms(validation.prepared(candles, {}, mapper).execute, 5 * runs)
        for name, test in TESTS.items():
            for n in REPLICATES:
                asked = {title: {**options, "n": n} for title, options in test.items()}
                run = validation.prepared(candles, asked, mapper)
                found.setdefault(name, {})[n] = perf_run.median_ms(run.execute, runs) - bare
    return found


def steepness(times: Mapping[int, float]) -> float:
    """Return the slope of log time over log size in the last factor of ten."""
    last = max(times)
    sizes = [n for n in times if n * 10 >= last and times[n] > 0]
    slope, _ = np.polyfit(np.log(sizes), np.log([times[n] for n in sizes]), 1)
    return float(slope)


def draw(figures: Mapping[str, Times], path: Path) -> None:
    """Draw times over sizes, both logarithmic, beside a line that is proportional."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # only where a picture is asked for

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for axes, (unit, found) in zip(figure.subplots(1, 2), figures.items(), strict=True):
        for name, times in found.items():
            axes.plot(list(times), list(times.values()), marker="o", markersize=3, label=name)
        sizes = sorted(next(iter(found.values())))
        least = min(times[sizes[-1]] for times in found.values()) / sizes[-1] / 2
        straight = [least * n for n in sizes]
        axes.plot(sizes, straight, color="0.6", linestyle=":", label="proportional")
        curved = [least * n * math.log(n) / math.log(sizes[-1]) for n in sizes]
        axes.plot(sizes, curved, color="0.6", linestyle="--", label="n log n")
        axes.set(xscale="log", yscale="log", xlabel=unit, ylabel="milliseconds")
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure everything, print it and draw it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--runs", type=int, default=5, help="of each, at least 3")
    parser.add_argument("--picture", type=Path, help="where to draw them, such as growth.svg")
    options = parser.parse_args()
    runs = max(3, options.runs)
    found = {"bars": growth_of_bars(runs), "replicates": growth_of_replicates(runs)}
    if options.picture is not None:
        draw(found, options.picture)
    figures = {
        "kernel": "compiled" if is_compiled(load_kernel("auto")) else "interpreted",
        "runs": runs,
        "ms": {unit: _rounded(times) for unit, times in found.items()},
        "steepness": {
            name: round(steepness(times), 2)
            for each in found.values()
            for name, times in each.items()
        },
    }
    print(json.dumps(figures, indent=None if options.json else 2))


def _rounded(found: Times) -> dict[str, dict[str, float]]:
    return {
        name: {str(n): round(ms, 3) for n, ms in times.items()} for name, times in found.items()
    }


if __name__ == "__main__":
    main()
