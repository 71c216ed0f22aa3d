"""How the service bears load: streams, health checks, new runs, and 2,000 runs in a row.

Prints JSON. Clients run in a process of their own, so that they do not wait for the server's
interpreter; on a machine with few cores they still share its processors.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import multiprocessing
import re
import resource
import statistics
import tempfile
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scripts.bench.served import serving
else:
    from served import serving

# A test that only tells, ten times a second, how far it has come.
TICKER = '''
import time
from engine.plugins import REGISTRIES
from engine.records import ValidationReport
from engine.registry import Params
from pydantic import Field


class TickerParams(Params):
    seconds: float = Field(20.0, gt=0)


@REGISTRIES["validation"].register("ticker", TickerParams)
class Ticker:
    """Says ten times a second how far it has come."""

    def __init__(self, params):
        self.params = params

    def run(self, subject, replicates):
        n = int(10 * self.params.seconds)
        for i in range(n):
            time.sleep(0.1005)
            replicates.check_cancelled()
            replicates.report(i + 1, n)
        return ValidationReport({"n": n})
'''
STAMP = re.compile(rb'"seq":\d+,"ts":(\d+),"type":"validation_progress"')
HEAVY = {"permutation": {"n": 100_000}, "block_bootstrap": {"n": 100_000}}


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50, p99 and the largest, to a hundredth."""
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 2),
        "p99": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 2),
        "max": round(ordered[-1], 2),
        "n": len(ordered),
    }


class _Follower(asyncio.Protocol):
    """Notes how old each event is when it arrives."""

    def __init__(self, request: bytes, ages_ms: list[float]) -> None:
        self._request = request
        self._ages_ms = ages_ms

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.time() * 1e3
        self._ages_ms += [now - int(stamp) for stamp in STAMP.findall(data)]


def follow(port: int, requests: list[bytes], warm_up_s: float, seconds: float) -> list[float]:
    """Hold a stream for each request and return the ages in ms of all events that came."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))

    async def all_of_them() -> list[float]:
        loop = asyncio.get_running_loop()
        ages_ms: list[float] = []
        made = [
            await loop.create_connection(lambda r=r: _Follower(r, ages_ms), "127.0.0.1", port)  # type: ignore[misc]  # bound per request
            for r in requests
        ]
        await asyncio.sleep(warm_up_s)
        ages_ms.clear()
        await asyncio.sleep(seconds)
        found = list(ages_ms)
        for transport, _ in made:
            transport.close()
        return found

    return asyncio.run(all_of_them())


def sse(clients: int, seconds: float) -> dict[str, Any]:
    """Return how late events reach many streams of two runs, and what the streams cost."""
    with tempfile.TemporaryDirectory() as place:
        plugin = Path(place) / "ticker.py"
        plugin.write_text(TICKER, encoding="utf-8")
        with serving(max_streams=clients + 100, workers=2, plugins=plugin) as server:
            warm_up_s = min(3.0, 2.0 * seconds)
            whole = {"validation": {"ticker": {"seconds": seconds + warm_up_s + 10.0}}}
            runs = [server.new_run(seed=seed, **whole) for seed in (1, 2)]
            before = server.status()
            requests = [
                (
                    f"GET /runs/{runs[i % 2]}/events/stream HTTP/1.1\r\n"
                    f"Host: 127.0.0.1:{server.port}\r\n"
                    f"Authorization: {server.headers['Authorization']}\r\n\r\n"
                ).encode()
                for i in range(clients)
            ]
            context = multiprocessing.get_context("spawn")
            with futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                work = pool.submit(follow, server.port, requests, warm_up_s, seconds)
                time.sleep(warm_up_s + 0.8 * seconds)
                during = server.status()
                ages_ms = work.result()
            for run_id in runs:
                server.call("POST", f"/runs/{run_id}/cancel", {})
    expected = clients * 10 * seconds
    return {
        **percentiles(ages_ms),
        "share_of_events": round(len(ages_ms) / expected, 3),
        "memory_mb": round(during["rss_mb"] - before["rss_mb"], 1),
    }


def health(port: int, seconds: float) -> list[float]:
    """Return how long ``/health`` took, asked again and again on one connection, in ms."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    times, until = [], time.perf_counter() + seconds
    with contextlib.closing(connection):
        while (start := time.perf_counter()) < until:
            connection.request("GET", "/health")
            connection.getresponse().read()
            times.append(1e3 * (time.perf_counter() - start))
            time.sleep(0.005)
    return times


def health_under_load(seconds: float) -> dict[str, float]:
    """Return how long ``/health`` takes while two runs validate as hard as they can."""
    with serving(workers=2) as server:
        runs = [server.new_run(seed=seed, validation=HEAVY) for seed in (1, 2)]
        while any(server.call("GET", f"/runs/{r}")[1]["stage"] != "validation" for r in runs):
            time.sleep(0.01)
        context = multiprocessing.get_context("spawn")
        with futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            times = pool.submit(health, server.port, seconds).result()
        for run_id in runs:
            assert server.call("POST", f"/runs/{run_id}/cancel", {})[0] == 202, "it ended too soon"
    return percentiles(times)


def create_per_s(n: int) -> float:
    """Return how many different runs a second eight clients can ask for."""
    with serving(queue_limit=10 * n, workers=1) as server:
        server.wait(server.new_run())
        seeds = iter(range(1, n + 1))
        lock = threading.Lock()

        def client() -> None:
            with contextlib.closing(server.another()) as mine:
                while True:
                    with lock:
                        seed = next(seeds, None)
                    if seed is None:
                        return
                    mine.new_run(seed=seed)

        threads = [threading.Thread(target=client) for _ in range(8)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return round(n / (time.perf_counter() - start), 1)


def many_runs(first: int, last: int) -> dict[str, Any]:
    """Return memory, handles and threads after ``first`` and after ``last`` different runs."""
    found: dict[str, Any] = {}
    with serving(workers=2) as server:
        for n in range(1, last + 1):
            run_id = server.new_run(seed=n)
            if n in {first, last}:
                server.wait(run_id)
                time.sleep(1.0)
                found[str(n)] = server.status()
    return found


def api_cached_ms(runs: int) -> float:
    """Return the median time from POST to ``completed`` of runs whose candles are cached."""
    times = []
    with serving(workers=1) as server:
        server.wait(server.new_run())
        for seed in range(1, runs + 1):
            start = time.perf_counter()
            server.wait(server.new_run(seed=seed))
            times.append(1e3 * (time.perf_counter() - start))
    return round(statistics.median(times), 2)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each measurement of load")
    parser.add_argument("--creates", type=int, default=500)
    parser.add_argument("--runs", type=int, default=2000, help="for memory; compared at a tenth")
    options = parser.parse_args()
    figures = {
        f"sse_{options.clients}": sse(options.clients, options.seconds),
        "health_under_load_ms": health_under_load(options.seconds),
        "create_per_s": create_per_s(options.creates),
        "api_cached_ms": api_cached_ms(max(10, options.creates // 10)),
        "runs": many_runs(max(1, options.runs // 10), options.runs),
    }
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
