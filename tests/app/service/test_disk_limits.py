"""A real limit on the size of files, which a server meets as it would a full disk."""

import contextlib
import resource
import sqlite3
from collections.abc import Iterator
from typing import Any

from asked_runs import FAST
from disk_checks import SLOW, assert_whole, status, wait_until
from server_checks import Start, names

from engine.records import STAGES


@contextlib.contextmanager
def limited(server: Any, size: int) -> Iterator[None]:
    """Let no file of a server's process grow beyond ``size`` bytes."""
    infinity = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, infinity)


def test_a_limit_that_sqlite_meets(spawn: Start) -> None:
    """Where SQLite itself can write no more, requests are refused; lifted, everything goes on."""
    server = spawn()
    done = server.completed(seed=1)
    run_id = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(run_id, "running")
    with limited(server, 4096):
        for seed in range(3):
            answer = server.post("/runs", FAST | {"seed": seed + 10})
            assert (answer.status, answer.code) == (507, "STORAGE_FULL")
            assert answer.json["error"]["retryable"] is True
        assert server.get(f"/runs/{run_id}").json["status"] == "running"
        assert server.get(f"/runs/{done['run_id']}/verify").json["ok"]
    run = server.wait_for(run_id)
    assert run["status"] in {"completed", "failed"}
    if run["status"] == "failed":  # this machine was slow, and the limit met the artifacts too
        assert run["error"]["code"] == "STORAGE_FULL"
        server.post("/runs", SLOW)
        assert server.wait_for(run_id)["status"] == "completed"
    assert_whole(server, run_id, server.get(f"/runs/{run_id}").json["attempt"])
    assert server.completed(seed=10)["attempt"] == 1
    assert server.end() == 0


def test_a_limit_that_everything_meets(spawn: Start) -> None:
    """A run whose artifacts find no room fails once that can be stored, and leaves nothing."""
    server = spawn()
    server.completed(seed=1)
    kept = names(server.data_dir / "runs")
    run_id = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(run_id, "running")
    tmp = server.data_dir / "tmp"
    before = tmp.stat().st_mtime_ns
    with limited(server, 4096):
        # The attempt to publish comes and goes.
        wait_until(lambda: tmp.stat().st_mtime_ns != before and not names(tmp))
        assert server.get(f"/runs/{run_id}").json["status"] == "running"
        assert status(server.data_dir, run_id) == "running"
    run = server.wait_for(run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "STORAGE_FULL")
    events = server.events(run_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [e.data["stage"] for e in events if e.type == "stage"] == list(STAGES)
    assert names(tmp) == []
    assert names(server.data_dir / "runs") == kept
    with contextlib.closing(sqlite3.connect(server.data_dir / "studio.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    server.post("/runs", SLOW)
    assert server.wait_for(run_id)["status"] == "completed"


def test_a_stop_on_a_full_disk(spawn: Start) -> None:
    """A stop does not wait for space, and the next start goes on with the run as after a crash."""
    server = spawn()
    run_id = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(run_id, "running")
    with limited(server, 4096):
        server.process.terminate()
        assert server.process.wait(5.0) == 0
        assert status(server.data_dir, run_id) == "running"
        server = spawn()
    assert server.wait_for(run_id)["status"] == "completed"
    assert_whole(server, run_id, attempt=2)
    assert [event.type for event in server.events(run_id)].count("requeued") == 1


def test_a_full_log_disturbs_nothing(spawn: Start) -> None:
    """Where only the log can grow no more, runs complete, and later lines are there again."""
    server = spawn()
    log = server.data_dir / "logs/studio.log"
    with log.open("ab") as file:
        file.write(b"\n" * 4_000_000)
    size = log.stat().st_size
    with limited(server, size):
        run = server.completed(seed=1)
        assert server.get(f"/runs/{run['run_id']}/verify").json["ok"]
        assert log.stat().st_size == size
    run = server.completed(seed=2)
    assert run["run_id"] in log.read_text(encoding="utf-8")
    assert server.end() == 0
