"""What it takes to import many rows: the time, the server's memory, and health checks meanwhile.

Prints JSON. Each run starts a server of its own; the health checks come from another process.
"""

import argparse
import contextlib
import http.client
import io
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from scripts.bench.served import Served, serving
    from scripts.bench.service import percentiles
else:
    from served import serving
    from service import percentiles

START = np.datetime64("2015-01-01T00:00", "ms")
MINUTE = np.timedelta64(1, "m")
KINDS = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def market(n_rows: int) -> dict[str, Any]:
    """Return one-minute bars: a random walk in cents, with whole volumes."""
    rng = np.random.default_rng(1)
    close = np.exp(np.cumsum(rng.normal(0.0, 2e-4, n_rows))) * 100.0
    opened = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0.0, 1e-4, n_rows)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0.0, 1e-4, n_rows)))
    prices = {"open": opened, "high": high, "low": low, "close": close}
    return {
        "time": START + MINUTE * np.arange(n_rows),
        **{name: values.round(2) for name, values in prices.items()},
        "volume": rng.integers(1, 10_000, n_rows),
    }


def as_csv(bars: dict[str, Any]) -> bytes:
    """Return the bars as an exchange writes them."""
    times = (str(time)[:19].replace("T", " ") for time in bars["time"])
    columns = [bars[name].tolist() for name in bars if name != "time"]
    rows = (",".join(map(str, row)) for row in zip(times, *columns, strict=True))
    return "\n".join(["Date,Open,High,Low,Close,Volume", *rows, ""]).encode()


def as_parquet(bars: dict[str, Any]) -> bytes:
    """Return the bars as a data frame is saved."""
    file = io.BytesIO()
    pq.write_table(pa.table(bars), file)
    return file.getvalue()


def peak_mb(pid: int) -> float:
    """Return the most memory in MB that a process has had."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [line] = [line for line in text.splitlines() if line.startswith("VmHWM:")]
    return round(int(line.split()[1]) / 1024, 1)


def ask_health(port: int, ready: Event, done: Event, times_ms: Any) -> None:
    """Ask for ``/health`` every 5 ms until it is over, and send how long each answer took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    found = []
    with contextlib.closing(connection):
        while not done.is_set():
            start = time.perf_counter()
            connection.request("GET", "/health")
            connection.getresponse().read()
            found.append(1e3 * (time.perf_counter() - start))
            ready.set()
            time.sleep(0.005)
    times_ms.send(found)


@contextlib.contextmanager
def asking(port: int, times_ms: list[float]) -> Iterator[None]:
    """Have health checks made meanwhile; their times are put into the list at the end."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=ask_health, args=(port, ready, done, theirs))
    process.start()
    theirs.close()  # or its end would not be seen
    try:
        assert ready.wait(30), "no health check was made"
        yield
        done.set()
        times_ms += ours.recv()
    finally:
        done.set()
        process.join()


def put(server: "Served", body: bytes, kind: str) -> int:
    """Send a file of candles and return how many bars came of it."""
    headers = server.headers | {"Content-Type": KINDS[kind]}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    with contextlib.closing(connection):
        connection.request("PUT", "/datasets/BENCH/1m", body, headers)
        answer = connection.getresponse()
        listed = json.loads(answer.read())
    assert answer.status == 201, listed
    return int(listed["bars"])


def measure(body: bytes, kind: str, n_rows: int) -> dict[str, Any]:
    """Return what one import into a new server takes."""
    times_ms: list[float] = []
    with serving() as server:
        server.call("GET", "/datasets")  # the engine is there
        time.sleep(0.5)
        before = peak_mb(server.pid)
        with asking(server.port, times_ms):
            start = time.perf_counter()
            bars = put(server, body, kind)
            seconds = time.perf_counter() - start
        assert bars == n_rows, bars
        peak = peak_mb(server.pid)
    health = percentiles(times_ms)
    return {
        "seconds": round(seconds, 3),
        "peak_mb": peak,
        "peak_extra_mb": round(peak - before, 1),
        "health_p50_ms": health["p50"],
        "health_p99_ms": health["p99"],
        "health_max_ms": health["max"],
    }


def main() -> None:
    """Measure both kinds and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    bars = market(options.rows)
    figures: dict[str, Any] = {"rows": options.rows, "runs": options.runs}
    for kind, body in (("csv", as_csv(bars)), ("parquet", as_parquet(bars))):
        runs = [measure(body, kind, options.rows) for _ in range(options.runs)]
        medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        figures[kind] = {"file_mb": round(len(body) / 1e6, 1), **medians}
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
