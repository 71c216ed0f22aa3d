"""The real server, on a free port: in this process where its code is to be measured, or its own."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from asked_runs import FAST, WAIT_S, Done, Held, Serve, finish
from contract_check import CHECKER
from followed_streams import Follow, Follower

from app.fault_points import FaultPoints
from app.server import Server, Started
from app.settings import read_settings
from engine.plugins import REGISTRIES

# About a second and a half of replicates, which notice a cancel at once.
SLOW = FAST | {"validation": {"permutation": {"n": 20_000}}}


@dataclass(frozen=True)
class Answer:
    """A response as it came."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body as JSON, which must hold neither NaN nor infinity."""
        return json.loads(self.body, parse_constant=_no_constant)

    @property
    def code(self) -> str:
        """Return the code of an error, whose envelope must be whole."""
        error = self.json["error"]
        assert set(error) <= {"code", "message", "details", "retryable"}
        assert isinstance(error["message"], str)
        assert isinstance(error["retryable"], bool)
        return str(error["code"])


def _no_constant(word: str) -> Any:
    raise AssertionError(word)


@dataclass(frozen=True)
class StreamEvent:
    """A frame of a stream."""

    id: int | None
    type: str
    data: dict[str, Any]


@dataclass
class Client:
    """Speaks HTTP to one server; it remembers every answer, for the test that reads them all."""

    port: int
    token: str
    data_dir: Path
    answers: list[Answer] = field(default_factory=list)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = "ours",  # noqa: S107  # a word that stands for it
    ) -> Answer:
        """Send one request on a connection of its own; ``body`` is JSON unless it is bytes."""
        sent = dict(headers or {})
        if token is not None:
            known = {"ours": self.token}
            sent.setdefault("Authorization", f"Bearer {known.get(token, token)}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        self.answers.append(answer)
        CHECKER.check(method, path, answer.status, answer.headers, answer.body)
        return answer

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET with the token."""
        return self.call("GET", path, headers=headers)

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """POST with the token."""
        return self.call("POST", path, {} if body is None else body, headers)

    def new_run(self, **changes: Any) -> str:
        """Ask for a quick run that is like no other but for equal ``changes``; return its id."""
        answer = self.post("/runs", FAST | changes)
        assert answer.status in {200, 201}, answer.body
        return str(answer.json["run_id"])

    def wait_for(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """Return the run once it is in one of the states; any end where none is named."""
        wanted = statuses or ("completed", "failed", "cancelled")
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            run: dict[str, Any] = self.get(f"/runs/{run_id}").json
            if run.get("status") in wanted:
                return run
            time.sleep(0.02)
        raise AssertionError(f"{run_id} is {run.get('status')}, not {wanted}")

    def completed(self, **changes: Any) -> dict[str, Any]:
        """Return a quick run that has completed."""
        run = self.wait_for(self.new_run(**changes))
        assert run["status"] == "completed", run
        return run

    def events(self, run_id: str, after: int = 0) -> list[StreamEvent]:
        """Return every stored event after one, by the flush."""
        answer = self.get(f"/runs/{run_id}/events?after_id={after}")
        assert answer.status == 200, answer.body
        return list(frames(answer.body))

    def socket(self) -> socket.socket:
        """Return a bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)


def frames(raw: bytes) -> Iterator[StreamEvent]:
    """Yield the events of a stream's bytes; comments and ``retry`` are passed over."""
    for block in raw.decode().split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":")
        )
        if "event" in fields:
            number = fields.get("id")
            data = json.loads(fields["data"])
            yield StreamEvent(None if number is None else int(number), fields["event"], data)


class InProcess(Client):
    """A server in a thread of this process."""

    server: Server
    started: Started
    loop: asyncio.AbstractEventLoop


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., InProcess]]:
    """Start servers in this process, each on its own loop; they are stopped after the test.

    Keyword arguments are settings; ``faults`` is what STUDIO_FAULT would say.
    """
    stops: list[Callable[[], None]] = []

    def start(faults: str = "", **settings: Any) -> InProcess:
        flags = {"data_dir": tmp_path / "data", "port": 0, **settings}
        server = Server(read_settings(flags, {}), None, FaultPoints({"STUDIO_FAULT": faults}))
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="loop", daemon=True)
        thread.start()
        started = asyncio.run_coroutine_threadsafe(server.start(), loop).result(WAIT_S)
        client = InProcess(server.port, started.token.token, Path(flags["data_dir"]))
        client.server, client.started, client.loop = server, started, loop
        stopped = threading.Event()

        def stop() -> None:
            if not stopped.is_set():
                stopped.set()
                asyncio.run_coroutine_threadsafe(server.stop(), loop).result(WAIT_S)
                loop.call_soon_threadsafe(loop.stop)
                thread.join(WAIT_S)
                loop.close()

        client.stop = stop  # type: ignore[attr-defined]  # for tests that stop it themselves
        stops.append(stop)
        return client

    yield start
    for stop in stops:
        stop()


STRATEGIES = """
import time
from pathlib import Path
import numpy as np
from engine.registry import Params
from engine.strategy import strategies

@strategies.register("waits", Params)
class Waits:
    \"\"\"Goes on, whatever else happens, once a file is there.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view):
        while not Path(GATE).exists():
            time.sleep(0.005)
        return np.ones(len(view.candles), dtype=int)

@strategies.register("broken", Params)
class Broken:
    \"\"\"Raises.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view): raise RuntimeError("no idea")

@strategies.register("interrupts", Params)
class Interrupts(Broken):
    \"\"\"Raises what only a person's Ctrl-C should.\"\"\"
    def signals(self, view): raise KeyboardInterrupt

@strategies.register("foresight", Params)
class Foresight:
    \"\"\"Knows the last close from the first bar on.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view):
        close = np.nan_to_num(view.candles.close)
        return np.where(close < close[-1], 1, -1)
"""


@dataclass(frozen=True)
class Plugin:
    """Strategies that a test needs; ``waits`` goes on once there is a file at ``gate``."""

    path: Path
    gate: Path


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Plugin]:
    """Return a plugin for servers of this process; its strategies go when the test has ended."""
    made = Plugin(tmp_path / "strategies.py", tmp_path / "gate")
    text = STRATEGIES.replace("GATE", repr(str(made.gate)))
    made.path.write_text(text, encoding="utf-8")
    yield made
    made.gate.touch()
    for registry in REGISTRIES.values():
        for name in [name for name in registry if registry.source(name)]:
            registry.remove(name)


@pytest.fixture
def server(serve: Callable[..., InProcess]) -> InProcess:
    """Start one server with the defaults, on a free port."""
    return serve()


@dataclass
class OwnProcess(Client):
    """A server in a process of its own."""

    process: "subprocess.Popen[str]" = field(kw_only=True)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return how the process ended."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Callable[..., OwnProcess]]:
    """Start servers as processes of their own, as a user does; what is left is killed.

    Keyword arguments are environment variables; ``expect`` False returns one that may not start.
    """
    processes: list[subprocess.Popen[str]] = []

    def start(*flags: str, data_dir: Path = tmp_path / "data", **environment: str) -> OwnProcess:
        runtime = data_dir / "server.json"
        runtime.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--port", "0", *flags],
            cwd=tmp_path,
            env=os.environ | {"STUDIO_DATA_DIR": str(data_dir)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        processes.append(process)
        until = time.monotonic() + WAIT_S
        while not runtime.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.005)
        url = json.loads(runtime.read_text(encoding="utf-8"))["url"]
        token = (data_dir / "token").read_text(encoding="ascii").strip()
        return OwnProcess(int(url.rpartition(":")[2]), token, data_dir, process=process)

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def follow() -> Iterator[Follow]:
    """Open streams; what is still open at the end is closed."""
    with contextlib.ExitStack() as opened:

        def open_one(*arguments: Any) -> Follower:
            follower = Follower(*arguments)
            opened.callback(follower.leave)
            return follower

        yield open_one


@pytest.fixture
def held(serve: Serve, plugin: Any) -> Held:
    """Hold a run in the middle, deaf to a cancel, until its gate is opened."""
    server = serve(plugins=(plugin.path,), workers=1)
    config = FAST | {"strategy": {"name": "waits"}}
    run_id = server.post("/runs", config).json["run_id"]
    server.wait_for(run_id, "running")
    return Held(server, plugin.gate, config, run_id)


@pytest.fixture
def done(server: InProcess) -> Done:
    """Complete a quick run."""
    return finish(server)
