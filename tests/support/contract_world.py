"""A server in which every answer of the contract can be had, and the requests that have them all."""

import contextlib
import functools
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from contract_check import CHECKER

from app.fault_points import FOREVER, _Fault
from app.operations import Operation

CSV = b"date,open,high,low,close,volume\n" + b"".join(
    b"2024-01-%02d,10,12,9,%d,100\n" % (day, 10 + day % 2) for day in range(1, 29)
)
AS_CSV = {"Content-Type": "text/csv"}
DATASET = "/datasets/ACME/1d"
NO_RUN = "0" * 20
Act = Callable[["World"], Any]


class World:
    """A server with a run that has completed, one that waits, a data set and a preset."""

    def __init__(self, server: Any, plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.gate, self.patch = server, plugin.gate, monkeypatch
        self.call = server.call
        self._runs: dict[str, str] = {}

    @functools.cached_property
    def done(self) -> str:
        """Return a run that has completed."""
        return str(self.server.completed()["run_id"])

    @functools.cached_property
    def failed(self) -> str:
        """Return a run that has failed."""
        run = self.server.wait_for(self.server.new_run(strategy={"name": "broken"}))
        assert run["status"] == "failed"
        return str(run["run_id"])

    @functools.cached_property
    def live(self) -> str:
        """Return a run that goes on until the gate is opened."""
        run_id = self.server.new_run(**self.waits)
        self.server.wait_for(run_id, "running")
        return str(run_id)

    waits: dict[str, Any] = {"symbol": "ACME", "provider": "local", "strategy": {"name": "waits"}}  # noqa: RUF012  # never changed

    def get(self, path: str, **headers: str) -> Any:
        """GET with headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("GET", path, headers=named)

    def put(self, path: str = DATASET, content: bytes = CSV) -> Any:
        """Import a file."""
        return self.call("PUT", path, content, AS_CSV)

    def disk_is_full(self) -> None:
        """Let nothing be stored any more."""
        self.server.server._faults._faults["group_commit"] = [_Fault("enospc", 1, FOREVER)]

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Let the server think that it stops."""
        services, runs = self.server.server._services, self.server.server._runs
        services.closing = runs.closing = True
        yield
        services.closing = runs.closing = False


def path_of(operation: Operation, world: World) -> str:
    known = {"run_id": world.done, "symbol": "ACME", "timeframe": "1d"}
    known["name"] = "mine" if "presets" in operation.path else "metrics.json"
    return operation.path.format(**known)


def body_of(operation: Operation) -> dict[str, Any]:
    kind = {"Content-Type": operation.takes[0]} if operation.takes else {}
    return {"body": b"{}" if operation.takes else None, "headers": kind}


def ask(
    world: World, operation: Operation, suffix: str = "", *, known: bool = True, **headers: str
) -> Any:
    sent = body_of(operation)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    path = path_of(operation, world) + suffix
    return world.call(
        operation.method,
        path,
        sent["body"],
        sent["headers"] | named,
        token="ours" if known else None,
    )


@dataclass(frozen=True)
class Raw:
    """What came back on a bare connection."""

    status: int
    code: str


def malformed(world: World, operation: Operation) -> Any:
    """Send a request that is no HTTP, and check the answer as the client does."""
    path = path_of(operation, world)
    with world.server.socket() as line:
        host = f"Host: 127.0.0.1:{world.server.port}\r\n"
        line.sendall(f"{operation.method} {path} HTTP/1.1\r\n{host}no colon\r\n\r\n".encode())
        raw = b""
        while part := line.recv(65_536):
            raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    got = Raw(int(head.split()[1]), json.loads(body)["error"]["code"])
    CHECKER.check(operation.method, path, got.status, {}, body)
    return got


def broken(world: World, operation: Operation) -> Any:
    module, _, name = operation.handler.partition(".")
    handler = getattr(importlib.import_module(f"app.handlers.{module}"), name)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("nobody expected this")

    path_of(operation, world)  # made before anything fails
    world.patch.setattr(handler, operation.method.lower(), fail)
    return ask(world, operation)


LARGE = b"x" * 10_000
GENERAL: dict[str, Callable[[World, Operation], Any]] = {
    "INVALID_REQUEST": malformed,
    "INVALID_QUERY": lambda world, each: ask(world, each, "?nonsense=1"),
    "FORBIDDEN_HOST": lambda world, each: ask(world, each, Host="evil.example"),
    "FORBIDDEN_ORIGIN": lambda world, each: ask(world, each, Origin="https://evil.example"),
    "UNAUTHORIZED": lambda world, each: ask(world, each, known=False),
    "UNSUPPORTED_MEDIA_TYPE": lambda world, each: ask(world, each, Content_Encoding="gzip"),
    "PAYLOAD_TOO_LARGE": lambda world, each: world.call(
        each.method, path_of(each, world), LARGE, body_of(each)["headers"]
    ),
    "INTERNAL_ERROR": broken,
}
