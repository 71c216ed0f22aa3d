"""The job of peers.py in the peers: run by the Python of their own environment, never by ours.

``serve PEER FILE`` takes a turn for every line on stdin and answers with time and outcome;
``peak PEER FILE`` prints by how many MB one job makes a process grow. FILE is an .npz of candles.
Imports, compilation and the conversion of candles to frames come before anything that is counted.
"""

import gc
import importlib
import importlib.metadata
import json
import math
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

FAST, SLOW, FRACTION, CASH = 20, 50, 0.95, 100_000.0
COMMISSION, SLIPPAGE = 5e-4, 2e-4
WARM_UP_BARS = 400
TURN_S = 0.1
# backtesting.py trades whole units only: with prices this small a unit is 1e-8 of a share.
UNIT = 1e-8


@dataclass(frozen=True)
class Job:
    """What is timed, and how its result is read afterwards, which is not."""

    run: Callable[[], Any]
    read: Callable[[Any], dict[str, float]]


def sides(fast: Any, slow: Any) -> Any:
    """Return (n,) 1 where the fast average is above the slow one, -1 below, 0 before both are."""
    return (fast > slow).astype(np.float64) - (fast < slow)


def vectorbt_job(candles: dict[str, Any], engine: str, *, all_statistics: bool) -> Job:
    """Return the job by ``Portfolio.from_orders``; ``engine`` is ``numba`` or ``rust``."""
    vbt = importlib.import_module("vectorbt")
    pandas = importlib.import_module("pandas")
    vbt.settings["engine"] = "auto" if engine == "rust" else engine
    vbt.settings.returns["year_freq"] = "252 days"
    index = pandas.DatetimeIndex(candles["ts"].astype("M8[ms]"))
    opening = pandas.Series(candles["open"], index)
    close = pandas.Series(candles["close"], index)
    average = vbt.generic.nb.rolling_mean_1d_nb

    def run() -> Any:
        prices = close.to_numpy()
        side = sides(average(prices, FAST), average(prices, SLOW))
        size = np.full(len(side), np.nan)
        turned = np.flatnonzero(np.diff(side)) + 1
        turned = turned[turned < len(side) - 2]
        size[turned + 2] = FRACTION * side[turned]  # seen one bar later, filled at the next open
        portfolio = vbt.Portfolio.from_orders(
            close,
            size,
            size_type="targetpercent",
            price=opening,
            val_price=-np.inf,  # the close before: what the order was sized by
            fees=COMMISSION,
            slippage=SLIPPAGE,
            init_cash=CASH,
            freq="1d",
            engine=engine,
        )
        if all_statistics:
            return portfolio, portfolio.stats()
        figures = (portfolio.total_return(), portfolio.sharpe_ratio(), portfolio.max_drawdown())
        return portfolio, figures

    def read(result: Any) -> dict[str, float]:
        portfolio = result[0]
        return {
            "final_equity": portfolio.final_value(),
            "total_return": portfolio.total_return(),
            "sharpe": portfolio.sharpe_ratio(),
            "max_drawdown": portfolio.max_drawdown(),
            "closed_trades": portfolio.trades.closed.count(),
        }

    return Job(run, read)


def backtesting_job(candles: dict[str, Any]) -> Job:
    """Return the job by ``Backtest.run``."""
    backtesting = importlib.import_module("backtesting")
    pandas = importlib.import_module("pandas")
    columns = {name.title(): candles[name] * UNIT for name in ("open", "high", "low", "close")}
    index = pandas.DatetimeIndex(candles["ts"].astype("M8[ms]"))
    frame = pandas.DataFrame(columns | {"Volume": candles["volume"] / UNIT}, index=index)

    def init(self: Any) -> None:
        close = self.data.Close.s
        side = sides(close.rolling(FAST).mean().to_numpy(), close.rolling(SLOW).mean().to_numpy())
        # A plain list rather than an indicator, which the library would slice at every bar.
        self.seen = [0.0, *side[:-1].tolist()]  # one bar later, as ours
        self.side = 0.0

    def step(self: Any) -> None:
        side = self.seen[len(self.data) - 1]
        if side in (0.0, self.side):
            return
        self.side = side
        units = int(side * FRACTION * self.equity / self.data.Close[-1]) - self.position.size
        (self.buy if units > 0 else self.sell)(size=abs(units))

    strategy = type("Crossing", (backtesting.Strategy,), {"init": init, "next": step})

    def run() -> Any:
        # It charges the whole spread at the entry of a trade and nothing of it at the exit.
        terms = {"cash": CASH, "spread": 2 * SLIPPAGE, "commission": COMMISSION}
        return backtesting.Backtest(frame, strategy, trade_on_close=False, **terms).run()

    def read(result: Any) -> dict[str, float]:
        return {
            "final_equity": result["Equity Final [$]"],
            "total_return": result["Return [%]"] / 100,
            "sharpe": result["Sharpe Ratio"],
            "max_drawdown": result["Max. Drawdown [%]"] / 100,
            "closed_trades": result["# Trades"],
        }

    return Job(run, read)


def vectorbt_batch_job(candles: dict[str, Any], *, sharpe: bool) -> Job:
    """Return the job on many markets at once, a column each; open and close (n_bars, n_markets)."""
    vbt = importlib.import_module("vectorbt")
    pandas = importlib.import_module("pandas")
    vbt.settings["engine"] = "numba"
    vbt.settings.returns["year_freq"] = "252 days"
    index = pandas.DatetimeIndex(candles["ts"].astype("M8[ms]"))
    opening = pandas.DataFrame(candles["open"], index)
    close = pandas.DataFrame(candles["close"], index)
    average = vbt.generic.nb.rolling_mean_nb

    def run() -> Any:
        prices = close.to_numpy()
        side = sides(average(prices, FAST), average(prices, SLOW))
        size = np.full(side.shape, np.nan)
        turned = np.diff(side, axis=0)[:-2] != 0
        size[3:][turned] = FRACTION * side[1:-2][turned]  # as in vectorbt_job
        portfolio = vbt.Portfolio.from_orders(
            close,
            size,
            size_type="targetpercent",
            price=opening,
            val_price=-np.inf,
            fees=COMMISSION,
            slippage=SLIPPAGE,
            init_cash=CASH,
            freq="1d",
        )
        return portfolio, portfolio.sharpe_ratio() if sharpe else portfolio.total_return()

    def read(result: Any) -> dict[str, float]:
        return {"mean_final_equity": float(result[0].final_value().mean())}

    return Job(run, read)


BATCH_PEERS: dict[str, Callable[[dict[str, Any]], Job]] = {
    "vectorbt_sharpe": lambda candles: vectorbt_batch_job(candles, sharpe=True),
    "vectorbt_return": lambda candles: vectorbt_batch_job(candles, sharpe=False),
}
PEERS: dict[str, Callable[[dict[str, Any]], Job]] = {
    "vectorbt": lambda candles: vectorbt_job(candles, "numba", all_statistics=False),
    "vectorbt_rust": lambda candles: vectorbt_job(candles, "rust", all_statistics=False),
    "vectorbt_all_statistics": lambda candles: vectorbt_job(candles, "numba", all_statistics=True),
    "vectorbt_rust_all_statistics": lambda candles: vectorbt_job(
        candles, "rust", all_statistics=True
    ),
    "backtesting": backtesting_job,
}


def read_candles(path: Path) -> dict[str, Any]:
    """Return the arrays of an .npz file by name."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def plain(outcome: dict[str, float]) -> dict[str, float | None]:
    """Return an outcome as JSON has it: Python's numbers, null for what is not finite."""
    return {k: float(v) if math.isfinite(v) else None for k, v in outcome.items()}


def turn(job: Job) -> dict[str, Any]:
    """Return the median milliseconds of runs in a row, the first not counted, and the outcome.

    Two at least, and so many as fill ``TURN_S``: after another's turn the caches are cold and the
    system may have taken the memory back, which would be charged to whoever comes next.
    """
    times: list[float] = []
    result = None
    gc.collect()
    gc.freeze()  # what is there already is not walked again, which would empty the caches
    gc.disable()
    while len(times) < 2 or sum(times) < TURN_S:
        result = None  # the next run does not find its memory taken
        gc.collect()  # vectorbt leaves cycles behind; whose run they would slow down is chance
        start = time.perf_counter()
        result = job.run()
        times.append(time.perf_counter() - start)
    gc.enable()
    gc.unfreeze()
    return {"ms": statistics.median(times[1:]) * 1e3, "outcome": plain(job.read(result))}


def serve(job: Job, requests: Iterable[str], answers: IO[str]) -> None:
    """Take a turn for every request and answer it on one line."""
    for _ in requests:
        answers.write(json.dumps(turn(job)) + "\n")
        answers.flush()


def status_kb(name: str) -> int:
    """Return a figure of /proc/self/status in kB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def peak_growth_mb(run: Callable[[], object]) -> float | None:
    """Return by how many MB the peak of ``run`` exceeds what was held; null where unknown."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    reset.write_text("5", encoding="ascii")  # the peak starts anew
    before = status_kb("VmRSS")
    run()
    return round((status_kb("VmHWM") - before) / 1024, 1)


def versions() -> dict[str, str]:
    """Return the versions that decide how fast the peers are."""
    names = ("vectorbt", "vectorbt-rust", "backtesting", "numba", "numpy", "pandas")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version()} | found


def main(arguments: list[str]) -> None:
    """Carry out one command; only answers go to stdout, whatever a library prints."""
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr
    if arguments[0] == "versions":
        answers.write(json.dumps(versions()) + "\n")
        return
    command, peer, path = arguments
    candles = read_candles(Path(path))
    make = (PEERS | BATCH_PEERS)[peer]
    make({name: column[:WARM_UP_BARS] for name, column in candles.items()}).run()
    job = make(candles)
    if command == "peak":
        answers.write(json.dumps(peak_growth_mb(job.run)) + "\n")
    else:
        serve(job, sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
