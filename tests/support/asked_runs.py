"""Runs that tests ask a server for: what they ask, how, and what they wait for."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Server = Any
Serve = Callable[..., Any]
WAIT_S = 30.0
FAST: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "plot": False}
LONG = FAST | {"validation": {"permutation": {"n": 100_000}}}
NOBODY = "0123456789abcdef0123"
JSON = {"Content-Type": "application/json"}
SECRET = b"the content of another file"


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@dataclass
class Held:
    """A server with one worker, which runs a strategy that waits."""

    server: Server
    gate: Path
    config: dict[str, Any]
    run_id: str


def raw(server: Server, body: bytes, **headers: str) -> Any:
    return server.call("POST", "/runs", body, JSON | headers)


def keyed(server: Server, key: str, body: Any) -> Any:
    return server.post("/runs", body, {"Idempotency-Key": key})


def n_runs(server: Server) -> int:
    return len(server.get("/runs?limit=200").json["runs"])


def write_candles(server: Server, name: str, n: int = 40, low: float = 1.0) -> Path:
    rows = [
        f"2024-{1 + i // 28:02}-{1 + i % 28:02},100,103,{low},{100 + i % 3},9" for i in range(n)
    ]
    folder: Path = server.data_dir / "candles"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}_1d.csv"
    path.write_text("\n".join(["Date,Open,High,Low,Close,Volume", *rows, ""]), encoding="utf-8")
    return path


def database(server: Server, sql: str, *values: Any) -> list[Any]:
    connection = sqlite3.connect(server.data_dir / "studio.db", timeout=10)
    try:
        with connection:
            return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


@dataclass
class Done:
    """A completed run, its server and its directory."""

    server: Server
    run_id: str
    folder: Path

    def get(self, name: str, method: str = "GET", **headers: str) -> Any:
        """Ask for an artifact; an underscore of a header's name stands for a hyphen."""
        sent = {header.replace("_", "-"): value for header, value in headers.items()}
        return self.server.call(method, f"/runs/{self.run_id}/artifact/{name}", headers=sent)

    def ask(self, path: str) -> Any:
        """Ask for something else of the run."""
        return self.server.get(f"/runs/{self.run_id}/{path}")

    def bytes(self, name: str) -> bytes:
        """Return a file as it lies on the disk."""
        return (self.folder / name).read_bytes()

    def manifest(self) -> Any:
        """Return the manifest on the disk."""
        return json.loads(self.bytes("manifest.json"))

    def etag(self, name: str) -> str:
        """Return the ETag that a file should have."""
        return f'"{hashlib.sha256(self.bytes(name)).hexdigest()}"'


def finish(server: Server, **changes: Any) -> Done:
    run_id = server.completed(**changes)["run_id"]
    return Done(server, run_id, server.data_dir / "runs" / run_id)
