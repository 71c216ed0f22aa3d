"""What visitors of a server do in ``soak.py``: every kind of request, drawn from a seed."""

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from scripts.crash import GONE, WAIT_S, Server
from scripts.soak_candles import candle_file

SYMBOLS = tuple(f"SOAK{n}" for n in range(8))
MOST_ROWS, MOST_LINGERING, PAUSE_S = 4_000, 6, 0.25
BYTES = {"Content-Type": "application/octet-stream"}
RUN = {"symbol": "SPX", "provider": "sample", "plot": False}
TESTS: tuple[dict[str, Any], ...] = (
    {"permutation": {"n": 400}},
    {"permutation": {"n": 300, "method": "shift"}, "walk_forward": {"folds": 4}},
    {"block_bootstrap": {"n": 500}},
    {"monte_carlo": {"n": 200, "noise_bps": 5.0}},
)
LONG = {"permutation": {"n": 20_000}}
INDICATORS = [{"name": "sma", "params": {"timeperiod": 12}}, {"name": "rsi"}]
# Method, path, body, headers and the status that is right for it.
BAD: tuple[tuple[str, str, bytes | None, dict[str, str], int], ...] = (
    ("POST", "/runs", b"{", {"Content-Type": "application/json"}, 400),
    ("POST", "/runs", b'{"symbol": 3}', {"Content-Type": "application/json"}, 422),
    ("POST", "/runs", b" " * 300_000, {"Content-Type": "application/json"}, 413),
    ("POST", "/runs", b"{}", {"Content-Type": "text/plain"}, 415),
    ("GET", "/runs?limit=many", None, {}, 400),
    ("GET", "/runs", None, {"Authorization": "Bearer nobody"}, 401),
    ("GET", "/runs", None, {"Host": "example.org"}, 403),
    ("GET", "/nothing", None, {}, 404),
    ("GET", f"/runs/{'0' * 20}", None, {}, 404),
    ("PUT", "/health", None, {}, 405),
    ("PUT", "/datasets/SOAKBAD/1d", b"PAR1 and rubbish", {"Content-Type": "text/csv"}, 422),
    ("GET", "/candles?symbol=SPX&provider=sample&start=never", None, {}, 400),
)


@dataclass
class Shared:
    """What all visitors know; ``down`` is set while the server is killed and started again."""

    server: Server
    counts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    asked: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=100))
    runs: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    lingering: deque[socket.socket] = field(default_factory=deque)
    down: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    streams: int = 0

    def count(self, what: str) -> None:
        """Count something that was done."""
        with self.lock:
            self.counts[what] += 1

    def fail(self, what: str) -> None:
        """Note what should not have happened."""
        with self.lock:
            self.failures.append(what)

    def leave_streams(self, most: int = 0) -> None:
        """Hang up on the oldest of the streams that nobody reads."""
        with self.lock:
            while len(self.lingering) > most:
                self.lingering.popleft().close()


class Visitor(threading.Thread):
    """Does one thing after another; whoever holds ``busy`` keeps it from beginning the next.

    One of a ``crowd`` makes no pauses, and leaves when that has left.
    """

    def __init__(self, shared: Shared, seed: int, crowd: threading.Event | None = None) -> None:
        super().__init__(name=f"visitor-{seed}", daemon=True)
        self.random = random.Random(seed)  # noqa: S311  # choices, not secrets
        self.busy = threading.Lock()
        self.shared = shared
        self.pause_s = PAUSE_S if crowd is None else 0.0
        self.stop = shared.stop if crowd is None else crowd

    def run(self) -> None:
        """Go through every action once, whatever the time; draw them until told to stop."""
        first = list(ACTIONS)
        self.random.shuffle(first)
        while first or not self.stop.is_set():
            with self.busy:
                if not self.shared.down.is_set():
                    name = first[-1] if first else self.random.choice(DRAWN)
                    if self.act(name) and first:
                        first.pop()
            time.sleep(self.random.uniform(0.0, 2 * self.pause_s))

    def act(self, name: str) -> bool:
        """Do one thing, and note what goes wrong; False where a kill came between."""
        try:
            ACTIONS[name](self)
        except GONE as fault:
            if self.shared.down.is_set():
                self.shared.count("cut_off_by_a_kill")
                return False
            self.shared.fail(f"{name}: {fault!r}")
        except Exception as fault:  # noqa: BLE001  # whatever it is, it is a finding
            self.shared.fail(f"{name}: {fault!r}")
        else:
            self.shared.count(name)
        return True

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        right: Collection[int] = (200,),
    ) -> tuple[int, bytes]:
        """Send a request on a connection of its own; note an answer that is not right."""
        server = self.shared.server
        sent = {"Authorization": f"Bearer {server.token}"}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)
        with contextlib.closing(connection):
            # What is too large is refused, and the line closed, before all of it was sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, sent | dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read()
        with self.shared.lock:
            self.shared.statuses[str(answer.status)] += 1
        if answer.status not in right:
            self.shared.fail(f"{method} {path}: {answer.status} {content[:300]!r}")
        return answer.status, content

    def post_run(self, right: Collection[int] = (200, 201, 429), **changes: Any) -> str | None:
        """Ask for a run; None where it is refused, as a full queue may."""
        config = RUN | changes
        status, content = self.ask("POST", "/runs", config, right=right)
        if status not in {200, 201}:
            return None
        run_id: str = json.loads(content)["run_id"]
        self.shared.runs.append(run_id)
        self.shared.asked.append(config)
        return run_id

    def new_seed(self) -> int:
        """Return a seed that no run has had."""
        return self.random.getrandbits(50)

    def a_run(self) -> str:
        """Return a run that was asked for lately; it may be at work, or gone already."""
        return self.random.choice(list(self.shared.runs) or ["0" * 20])

    @contextlib.contextmanager
    def streaming(self, run_id: str, after: int) -> Iterator[http.client.HTTPResponse]:
        """Open a run's stream."""
        server = self.shared.server
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)
        headers = {"Authorization": f"Bearer {server.token}", "Last-Event-ID": str(after)}
        with contextlib.closing(connection):
            connection.request("GET", f"/runs/{run_id}/events/stream", headers=headers)
            with self.shared.lock:
                self.shared.streams += 1
            try:
                yield connection.getresponse()
            finally:
                with self.shared.lock:
                    self.shared.streams -= 1


def quick_run(visitor: Visitor) -> None:
    """Ask for a run without tests, a few with the plot."""
    visitor.post_run(seed=visitor.new_seed(), plot=visitor.random.random() < 0.05)


def validating_run(visitor: Visitor) -> None:
    """Ask for a run with one of the tests."""
    tests = visitor.random.choice(TESTS)
    visitor.post_run(seed=visitor.new_seed(), validation=tests, indicators=INDICATORS)


def same_run(visitor: Visitor) -> None:
    """Ask for what was asked for before, with and without a key."""
    shared = visitor.shared
    config = visitor.random.choice(list(shared.asked) or [RUN])
    keyed = {"Idempotency-Key": f"key-{visitor.random.randrange(10**9)}"}
    headers = keyed if visitor.random.random() < 0.5 else {}
    right = {200, 201, 404, 409, 422, 429} if config["symbol"] in SYMBOLS else {200, 201, 409, 429}
    visitor.ask("POST", "/runs", config, headers, right)


def cancelled_run(visitor: Visitor) -> None:
    """Ask for a long run and cancel it at any moment, twice."""
    run_id = visitor.post_run(seed=visitor.new_seed(), validation=LONG)
    if run_id is not None:
        time.sleep(visitor.random.uniform(0.0, 1.0))
        for _ in range(2):
            visitor.ask("POST", f"/runs/{run_id}/cancel", {}, right={200, 202, 404, 409})


def new_candles(visitor: Visitor, *, parquet: bool) -> bytes:
    """Return a file of any size, like no other."""
    rows = visitor.random.randint(50, MOST_ROWS)
    return candle_file(rows, visitor.new_seed(), parquet=parquet)


def imported(visitor: Visitor, *, parquet: bool) -> None:
    """Import new candles under one of few names, and run on them."""
    symbol = visitor.random.choice(SYMBOLS)
    content = new_candles(visitor, parquet=parquet)
    status, _ = visitor.ask("PUT", f"/datasets/{symbol}/1h", content, BYTES, {200, 201, 409})
    if status != 409:
        visitor.ask("GET", f"/candles?symbol={symbol}&timeframe=1h&limit=10", right={200, 404})
        own = {"symbol": symbol, "timeframe": "1h", "provider": "local"}
        visitor.post_run({200, 201, 404, 409, 429}, **own, seed=visitor.new_seed())


def csv_import(visitor: Visitor) -> None:
    """Import a CSV file of any size."""
    imported(visitor, parquet=False)


def parquet_import(visitor: Visitor) -> None:
    """Import a Parquet file of any size."""
    imported(visitor, parquet=True)


def deleted_dataset(visitor: Visitor) -> None:
    """Remove a data set, which may be in use or not there."""
    symbol = visitor.random.choice(SYMBOLS)
    visitor.ask("DELETE", f"/datasets/{symbol}/1h", right={204, 404, 409})
    visitor.ask("GET", "/datasets")


def preset(visitor: Visitor) -> None:
    """Keep a preset, run with it, look at it, and remove it."""
    name = f"soak-{visitor.random.randrange(20)}"
    config = {"execution": {"slippage_bps": float(visitor.random.randrange(20))}}
    visitor.ask("POST", "/presets", {"name": name, "config": config}, right={200, 201})
    changes = {"preset_ref": name, "seed": visitor.new_seed()}
    visitor.ask("POST", "/runs", RUN | changes, right={200, 201, 404, 429})
    visitor.ask("GET", f"/presets/{name}", right={200, 404})
    visitor.ask("GET", "/presets")
    visitor.ask("DELETE", f"/presets/{name}", right={204, 404})


def artifacts(visitor: Visitor) -> None:
    """Download what a run has made, whole, in part and converted.

    Meanwhile others may remove the run, and ask for it again.
    """
    run_id = visitor.a_run()
    right = {200, 404, 409}
    status, content = visitor.ask("GET", f"/runs/{run_id}/artifacts", right=right)
    if status != 200:
        return
    for entry in json.loads(content)["files"]:
        path = f"/runs/{run_id}/artifact/{entry['name']}"
        visitor.ask("GET", path, headers={"Range": "bytes=0-99"}, right=right | {206})
        visitor.ask("GET", path, right=right)
    for name in ("equity.csv", "equity.json"):
        visitor.ask("GET", f"/runs/{run_id}/artifact/{name}", right=right)
    visitor.ask("GET", f"/runs/{run_id}/verify", right=right)


def report(visitor: Visitor) -> None:
    """Read a run's report."""
    visitor.ask("GET", f"/runs/{visitor.a_run()}/report", right={200, 404, 409})


def chart(visitor: Visitor) -> None:
    """Look at candles, with indicators and without."""
    where = f"symbol=SPX&provider=sample&limit={visitor.random.randint(1, 2000)}"
    where += f"&start={visitor.random.randint(1990, 2005)}-01-01"
    visitor.ask("GET", f"/candles?{where}")
    period = visitor.random.randint(2, 60)
    named = quote(json.dumps([{"name": "ema", "params": {"timeperiod": period}}]))
    visitor.ask("GET", f"/features?{where}&indicators={named}")


def lists(visitor: Visitor) -> None:
    """Look at whatever there is to look at."""
    visitor.ask("GET", "/health")
    visitor.ask("GET", "/catalog")
    page = json.loads(visitor.ask("GET", "/runs?limit=10")[1])
    if page["next_cursor"]:
        visitor.ask("GET", f"/runs?limit=10&cursor={page['next_cursor']}")
    run_id = visitor.a_run()
    visitor.ask("GET", f"/runs/{run_id}", right={200, 404})
    visitor.ask("GET", f"/runs/{run_id}/events", right={200, 404})


def deleted_run(visitor: Visitor) -> None:
    """Remove a run, which may be at work or gone."""
    visitor.ask("DELETE", f"/runs/{visitor.a_run()}", right={204, 404, 409})


def resumed_stream(visitor: Visitor) -> None:
    """Follow a run over connections that are dropped after a few events; none may be missing."""
    run_id = visitor.post_run(seed=visitor.new_seed(), validation=visitor.random.choice(TESTS))
    seen: list[int] = []
    while run_id is not None:
        patience = visitor.random.randint(1, 8)
        with visitor.streaming(run_id, len(seen)) as answer:
            if answer.status != 200:
                if answer.status not in {204, 404}:  # another visitor may have removed it
                    visitor.shared.fail(f"a stream answers {answer.status}")
                return
            for line in answer:
                if line.startswith(b"id: "):
                    seen.append(int(line[4:]))
                    patience -= 1
                    if patience == 0:
                        break
        if seen != list(range(1, len(seen) + 1)):
            visitor.shared.fail(f"the stream of {run_id} gives {seen}")
            return


def lingering_stream(visitor: Visitor) -> None:
    """Open a stream and never read it; some of these stay for a while."""
    shared = visitor.shared
    request = f"GET /runs/{visitor.a_run()}/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    request += f"Authorization: Bearer {shared.server.token}\r\n\r\n"
    line = socket.create_connection(("127.0.0.1", shared.server.port), WAIT_S)
    line.sendall(request.encode())
    with shared.lock:
        shared.lingering.append(line)
    shared.leave_streams(MOST_LINGERING)


def bad_request(visitor: Visitor) -> None:
    """Ask for what cannot be, in words and in rubbish."""
    method, path, body, headers, status = visitor.random.choice(BAD)
    visitor.ask(method, path, body, headers, {status})
    port = visitor.shared.server.port
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as line:
        line.sendall(visitor.random.randbytes(40) + b"\r\n\r\n")
        line.recv(1000)


ACTIONS: dict[str, Callable[[Visitor], None]] = {
    each.__name__: each
    for each in (
        quick_run, validating_run, same_run, cancelled_run, csv_import, parquet_import,
        deleted_dataset, preset, artifacts, report, chart, lists, deleted_run, resumed_stream,
        lingering_stream, bad_request,
    )
}  # fmt: skip
RARELY = {"deleted_dataset", "deleted_run"}
# What draws: the rare ones once, the others three times.
DRAWN = [name for name in ACTIONS for _ in range(1 if name in RARELY else 3)]
