"""The engine beside vectorbt and backtesting.py: one job, one run, turn by turn, medians as JSON.

The job: averages of 20 and 50 closes, long above, short below, 95 % of equity at each crossing,
5 bps commission, 2 bps slippage, no digest, no causality check. The peers live in an environment of
their own, build/peers-env, made on first use. Where they differ from the engine:

- The engine sees an average one bar late and fills at the open after that. Neither peer has that
  lag, so both are handed the side one bar late; then all three fill at the same opens.
- vectorbt: ``from_orders`` with a target percentage at the crossings only, valued at the close
  before, as the engine sizes its orders: equal but for rounding.
- backtesting.py: whole units only, so prices come scaled by 1e-8; its spread is charged at the
  entry of a trade and not at the exit, so it is 4 bps: nearly equal. Its Sharpe ratio is another
  one: of daily closes, geometric, by 252 or 365 days a year.
- The engine's time includes all of its metrics and trades, and under ``…_with_benchmark`` the
  equity and the metrics of buy and hold; backtesting.py's all of its own; vectorbt's total return,
  Sharpe ratio and drawdown only, and its ``stats()`` under ``…_all_statistics``.
"""

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.execution import load_kernel
from engine.kernels import is_compiled
from engine.plan import make_plan
from engine.records import Candles

if TYPE_CHECKING:  # the names by which a type checker finds them from the repository's root
    from scripts.bench import peer_jobs, perf_run
else:
    import peer_jobs
    import perf_run

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "peers_requirements.txt"
ENVIRONMENT = HERE.parents[1] / "build" / "peers-env"
OURS = "studio"
OURS_AND_BENCHMARK = "studio_with_benchmark"
COUNTED = (
    "from candles in memory (ours: arrays; the peers': frames, made before) to statistics; not "
    "counted: imports, compilation, conversion, the first run of a turn, garbage collection"
)
Timed = Callable[[], dict[str, Any]]


class PeersUnavailableError(Exception):
    """The peers' environment cannot be made or does not run."""


def made_environment(place: Path = ENVIRONMENT, requirements: Path = REQUIREMENTS) -> Path:
    """Return the Python of the peers' environment, made where it is missing or out of date."""
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    mark, wanted = place / "installed.txt", requirements.read_text(encoding="utf-8")
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return python
    print(f"Making {place} (a minute or two, once) ...", file=sys.stderr)
    shutil.rmtree(place, ignore_errors=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "-r", str(requirements)]
    for command in ([sys.executable, "-m", "venv", str(place)], pip):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(place, ignore_errors=True)
            said = (done.stderr or done.stdout).strip().splitlines()
            message = (
                "The peers' environment could not be installed, so there is nothing to compare "
                f"with (is this machine offline?): {said[-1] if said else 'no reason was given'}"
            )
            raise PeersUnavailableError(message)
    mark.write_text(wanted, encoding="utf-8")
    return python


def market(n_bars: int) -> Candles:
    """Return the random walk of perf_run at a tenth of its size, with a slow wave on it.

    A million bars of the bare walk end at a price of 1e-17 and the costs at an equity of 1e-8,
    where all three compare rounding; the wave earns about what trading costs.
    """
    walk = perf_run.random_walk(n_bars)
    wave = np.exp(0.0075 * np.sin(np.arange(n_bars) * (2 * np.pi / 400)))
    close = 100.0 * (walk.close / 100.0) ** 0.1 * wave
    opening = np.concatenate([[100.0], close[:-1]])
    reach = (walk.high / np.maximum(walk.open, walk.close)) ** 0.1
    return dataclasses.replace(
        walk,
        open=opening,
        high=np.maximum(opening, close) * reach,
        low=np.minimum(opening, close) / reach,
        close=close,
    )


def write_candles(candles: Candles, path: Path) -> None:
    """Write the arrays that the peers read."""
    names = ("ts", "open", "high", "low", "close", "volume")
    np.savez(path, **{name: getattr(candles, name) for name in names})


def studio_job(candles: Candles, *, benchmark: bool = False) -> peer_jobs.Job:
    """Return the engine's job, with the metrics of buy and hold or without."""
    plan = make_plan(perf_run.JOB)

    def read(metrics: Any) -> dict[str, float]:
        values = metrics.values
        return {
            "final_equity": peer_jobs.CASH * (1.0 + values["total_return"]),
            "total_return": values["total_return"],
            "sharpe": values["sharpe"],
            "max_drawdown": values["max_drawdown"],
            "closed_trades": values["trade_count"],
        }

    return peer_jobs.Job(lambda: perf_run.engine_job(plan, candles, benchmark=benchmark), read)


def peer_command(python: Path, *arguments: object) -> list[str]:
    """Return the command that runs peer_jobs.py in the peers' environment."""
    return [str(python), str(HERE / "peer_jobs.py"), *map(str, arguments)]


def peer_environment() -> dict[str, str]:
    """Return the environment of a peer: none of our paths, no progress bar."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | {"TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"}


def answer_of(name: str, line: str, errors: Any) -> Any:
    """Return a peer's answer.

    Raises
        PeersUnavailableError with the last thing that it said where it gave none.
    """
    if line:
        return json.loads(line)
    errors.seek(0)
    said = errors.read().strip().splitlines()
    message = f"{name} did not do the job: {said[-1] if said else 'it gave no reason'}"
    raise PeersUnavailableError(message)


@contextmanager
def timed_peer(python: Path, peer: str, path: Path) -> Iterator[Timed]:
    """Yield what asks a peer, in a process of its own, for a turn."""
    command = peer_command(python, "serve", peer, path)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=peer_environment(),
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        asks, answers = process.stdin, process.stdout

        def once() -> dict[str, Any]:
            try:
                asks.write("turn\n")
                asks.flush()
            except BrokenPipeError:
                pass  # what it said before it ended follows
            answer: dict[str, Any] = answer_of(peer, answers.readline(), errors)
            return answer

        try:
            yield once
        finally:
            process.stdin.close()


def peer_figure(python: Path, *arguments: object) -> Any:
    """Return the one line of JSON that a command of peer_jobs.py prints."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        done = subprocess.run(
            peer_command(python, *arguments),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=peer_environment(),
            check=False,
        )
        return answer_of(" ".join(map(str, arguments[:2])), done.stdout, errors)


def studio_peak(path: Path) -> Any:
    """Return by how many MB one job makes a fresh process of ours grow."""
    code = f"import peers; peers.print_peak({str(path)!r})"
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def print_peak(path: str) -> None:
    """Print by how many MB the job makes this process grow, after a small one to warm up."""
    plan = make_plan(perf_run.JOB)
    perf_run.engine_job(plan, market(peer_jobs.WARM_UP_BARS))
    stored = peer_jobs.read_candles(Path(path))
    candles = Candles(symbol="BENCH", timeframe="1m", **stored)
    print(json.dumps(peer_jobs.peak_growth_mb(lambda: perf_run.engine_job(plan, candles))))


def turn_by_turn(contenders: Mapping[str, Timed], runs: int) -> dict[str, list[dict[str, Any]]]:
    """Return ``runs`` turns of each, ABAB so that all drift, after a round that does not count."""
    rounds = [{name: once() for name, once in contenders.items()} for _ in range(runs + 1)]
    return {name: [answers[name] for answers in rounds[1:]] for name in contenders}


def side_by_side(
    answers: Mapping[str, list[dict[str, Any]]], peaks: Mapping[str, float | None]
) -> dict[str, Any]:
    """Return medians, ratios to ours, peaks and outcomes of one size."""
    medians = {name: statistics.median(a["ms"] for a in given) for name, given in answers.items()}
    outcomes = {name: given[-1]["outcome"] for name, given in answers.items()}
    ours = outcomes[OURS]["final_equity"]
    return {
        "ms": {name: round(ms, 3) for name, ms in medians.items()},
        "ratio_to_studio": {
            name: round(ms / medians[OURS], 2) for name, ms in medians.items() if name != OURS
        },
        "peak_extra_mb": dict(peaks),
        "final_equity_beside_ours": {
            name: None if (equity := outcome["final_equity"]) is None else equity / ours - 1.0
            for name, outcome in outcomes.items()
            if name != OURS
        },
        "outcome": outcomes,
    }


def left_out(before: Mapping[str, Any] | None, factor: float, patience_s: float) -> dict[str, str]:
    """Return the peers that a smaller size lets expect over ``patience_s`` a run, and why."""
    reasons = {}
    for name, ms in (before or {"ms": {}})["ms"].items():
        seconds = 0.0 if ms is None else ms * factor / 1e3
        if ms is None:
            reasons[name] = "left out at the size before"
        elif name != OURS and seconds > patience_s:
            reasons[name] = (
                f"a run would take about {seconds:.0f} s, more than --patience {patience_s:g}"
            )
    return reasons


def measured_size(python: Path, n_bars: int, runs: int, skipped: Mapping[str, str]) -> Any:
    """Return the figures of one size; null, with the reason, for the peers that are skipped."""
    candles = market(n_bars)
    names = [name for name in peer_jobs.PEERS if name not in skipped]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "candles.npz"
        write_candles(candles, path)
        with ExitStack() as stack:
            ours, and_benchmark = studio_job(candles), studio_job(candles, benchmark=True)
            contenders: dict[str, Timed] = {
                OURS: lambda: peer_jobs.turn(ours),
                OURS_AND_BENCHMARK: lambda: peer_jobs.turn(and_benchmark),
            }
            for name in names:
                contenders[name] = stack.enter_context(timed_peer(python, name, path))
            answers = turn_by_turn(contenders, runs)
        peaks = {OURS: studio_peak(path)}
        peaks |= {name: peer_figure(python, "peak", name, path) for name in names}
    figures = side_by_side(answers, peaks)
    for name in skipped:
        for part in ("ms", "ratio_to_studio", "peak_extra_mb", "final_equity_beside_ours"):
            figures[part][name] = None
    return figures | ({"left_out": dict(skipped)} if skipped else {})


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--runs", type=int, default=7, help="turns of each, at least 5")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds a run may take")
    options = parser.parse_args()
    runs = max(5, options.runs)
    sizes: dict[str, Any] = {}
    try:
        python = made_environment()
        versions = peer_figure(python, "versions")
        before, last = None, 1
        for n in perf_run.SIZES:
            skipped = left_out(before, n / last, options.patience)
            before, last = measured_size(python, n, runs, skipped), n
            sizes[str(n)] = before
    except PeersUnavailableError as error:
        sys.exit(str(error))
    kernel = "compiled" if is_compiled(load_kernel("auto")) else "interpreted"
    figures = {
        "counted": COUNTED,
        "runs": runs,
        "kernel": kernel,
        "versions": versions,
        "sizes": sizes,
    }
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
