"""A server of its own process for the benchmarks, and what they ask of it."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RUN = {"symbol": "SPX", "provider": "sample", "plot": False}
WAIT_S = 60.0


class Served:
    """One server and one connection that is kept open."""

    def __init__(self, pid: int, port: int, headers: dict[str, str]) -> None:
        self.pid = pid
        self.port = port
        self.headers = headers
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)

    def another(self) -> "Served":
        """Return the same server on a connection of its own."""
        return Served(self.pid, self.port, self.headers)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request; return the status and the JSON that came back."""
        sent = None if body is None else json.dumps(body)
        headers = self.headers | ({} if body is None else {"Content-Type": "application/json"})
        self._connection.request(method, path, sent, headers)
        answer = self._connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw else None

    def new_run(self, **changes: Any) -> str:
        """Ask for a run and return its id, as soon as the queue takes it."""
        while True:
            status, answer = self.call("POST", "/runs", RUN | changes)
            if status != 429:
                break
            time.sleep(0.01)
        assert status in {200, 201}, answer
        return str(answer["run_id"])

    def wait(self, run_id: str) -> dict[str, Any]:
        """Follow a run's stream to its end, then return the run."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        with contextlib.closing(connection):
            connection.request("GET", f"/runs/{run_id}/events/stream", headers=self.headers)
            connection.getresponse().read()
        run: dict[str, Any] = self.call("GET", f"/runs/{run_id}")[1]
        assert run["status"] == "completed", run
        return run

    def status(self) -> dict[str, float]:
        """Return resident memory in MB, open handles and threads."""
        place = Path(f"/proc/{self.pid}")
        lines = (place / "status").read_text(encoding="ascii").splitlines()
        values = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        return {
            "rss_mb": round(int(values["VmRSS"].split()[0]) / 1024, 1),
            "handles": len(list((place / "fd").iterdir())),
            "threads": int(values["Threads"]),
        }


@contextlib.contextmanager
def serving(**settings: Any) -> Iterator[Served]:
    """Serve on a free port and a new data directory; ``settings`` go into the environment."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as place:
        data_dir = Path(place)
        environment = {f"STUDIO_{name.upper()}": str(value) for name, value in settings.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", place],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            until = time.monotonic() + WAIT_S
            while not (data_dir / "server.json").exists():
                assert process.poll() is None, "the server did not start"
                assert time.monotonic() < until, "the server did not start in time"
                time.sleep(0.001)
            runtime = json.loads((data_dir / "server.json").read_text(encoding="utf-8"))
            token = (data_dir / "token").read_text(encoding="ascii").strip()
            port = int(runtime["url"].rpartition(":")[2])
            server = Served(process.pid, port, {"Authorization": f"Bearer {token}"})
            with contextlib.closing(server):
                yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(WAIT_S)
