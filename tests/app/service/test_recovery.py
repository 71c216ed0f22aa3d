"""What a start finds: a damaged database, directories of nobody, runs that were interrupted."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.database import SCHEMA_VERSION, open_for_reading
from engine.records import STAGES

Start = Callable[..., Any]
WAIT_S = 30.0
FAST = {"symbol": "SPX", "provider": "sample", "plot": False}
SLOW = FAST | {"validation": {"permutation": {"n": 10_000}}}
STOP_S, LEFT_BEHIND_S = 2.0, 2.5  # what the pages promise

CSV = """Date,Open,High,Low,Close,Volume
2024-01-01,100,101,99,100,1000
2024-01-02,100,103,100,102,1000
2024-01-03,102,104,101,103,1000
2024-01-04,103,103,98,99,1000
"""
LOCAL = {"symbol": "TEST", "plot": False, "strategy": {"params": {"fast": 1, "slow": 2}}}

PLUGIN = """
import time
from pathlib import Path
import numpy as np
from engine.registry import Params
from engine.strategy import strategies

@strategies.register("mine", Params)
class Mine:
    \"\"\"Mine.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view):
        if Path(SLOW).exists():
            time.sleep(4.0)
        return np.ones(len(view.candles), dtype=int)
"""
MINE = FAST | {"strategy": {"name": "mine"}}


def write_plugin(folder: Path, more: str = "") -> Path:
    path = folder / "mine.py"
    source = PLUGIN.replace("SLOW", repr(str(folder / "slow")))
    path.write_text(source + more, encoding="utf-8")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows(data_dir: Path, sql: str) -> list[Any]:
    with contextlib.closing(open_for_reading(data_dir / "studio.db")) as connection:
        return [tuple(row) for row in connection.execute(sql)]


def change(data_dir: Path, sql: str, *parameters: Any) -> None:
    """Change the database of a server that does not run."""
    with contextlib.closing(sqlite3.connect(data_dir / "studio.db", isolation_level=None)) as db:
        db.execute(sql, parameters)


def assert_gapless(server: Any, run_id: str) -> list[str]:
    """Return the types of a run's events, which must be numbered without a gap."""
    events = server.events(run_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [event.data["seq"] for event in events] == [event.id for event in events]
    return [event.type for event in events]


def stages(server: Any, run_id: str, attempt: int) -> list[str]:
    return [
        event.data["stage"]
        for event in server.events(run_id)
        if event.type == "stage" and event.data["attempt"] == attempt
    ]


def stderr_of(server: Any) -> str:
    """Stop a server and return what it wrote on standard error."""
    server.process.terminate()
    return str(server.process.communicate(timeout=WAIT_S)[1])


def refused(data_dir: Path, *flags: str) -> tuple[int, str, str]:
    """Return how a server that must not start ends, and what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve", "--port", "0", *flags],
        env=os.environ | {"STUDIO_DATA_DIR": str(data_dir)},
        cwd=data_dir.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=WAIT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def crash(server: Any) -> None:
    server.process.kill()
    server.process.wait(WAIT_S)


# Damaged and foreign databases


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(100_000))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [garbage, cut])
def test_a_corrupt_database(spawn: Start, damage: Callable[[Path], None]) -> None:
    """It is set aside and named, and its completed runs are back with all that they had."""
    first = spawn()
    validated = FAST | {"validation": {"permutation": {"n": 50}}, "plot": True}
    ids = [first.post("/runs", config).json["run_id"] for config in (FAST, validated)]
    before = {run_id: first.wait_for(run_id, "completed") for run_id in ids}
    assert first.end() == 0
    path = first.data_dir / "studio.db"
    damage(path)
    damaged = path.read_bytes()
    path.with_name("studio.db-wal").write_bytes(b"stale")

    second = spawn()
    for run_id, run in before.items():
        found = second.get(f"/runs/{run_id}").json
        same = ("hash", "status", "config", "metrics", "validation", "candle_digest", "manifest_hash", "code_version", "error", "progress")  # fmt: skip
        assert {name: found[name] for name in same} == {name: run[name] for name in same}
        assert abs(found["finished_ts"] - run["finished_ts"]) < 5000
        manifest = second.get(f"/runs/{run_id}/artifacts").json
        assert manifest["manifest_hash"] == run["manifest_hash"]
        for entry in manifest["files"]:
            artifact = second.get(f"/runs/{run_id}/artifact/{entry['name']}")
            assert (artifact.status, len(artifact.body)) == (200, entry["size"])
        assert second.get(f"/runs/{run_id}/verify").json["ok"]
        assert assert_gapless(second, run_id)[-1] == "completed"
        stream = second.get(f"/runs/{run_id}/events/stream")
        assert b"event: completed" in stream.body
    assert {run["run_id"] for run in second.get("/runs").json["runs"]} == set(ids)
    again = second.post("/runs", FAST)
    assert (again.status, again.json["reused"], again.json["run_id"]) == (200, True, ids[0])
    assert second.completed(seed=9)["attempt"] == 1

    said = stderr_of(second)
    (name,) = re.findall(r"studio\.db\.corrupt-\w+", said)
    assert "damaged" in said
    assert "taken in from their directories: 2." in said
    assert str(second.data_dir) not in said
    assert (second.data_dir / name).read_bytes() == damaged
    assert (second.data_dir / f"{name}-wal").read_bytes() == b"stale"
    third = spawn()
    assert len(third.get("/runs").json["runs"]) == 3
    assert stderr_of(third) == ""


def test_retention_holds_for_what_is_taken_in(spawn: Start) -> None:
    """Of more directories than are kept, the newest come back."""
    first = spawn()
    ids = [first.completed(seed=seed)["run_id"] for seed in range(4)]
    assert first.end() == 0
    for n, run_id in enumerate(ids):
        os.utime(first.data_dir / "runs" / run_id / "manifest.json", (2e9 + n, 2e9 + n))
    garbage(first.data_dir / "studio.db")
    second = spawn(STUDIO_RETENTION="2")
    assert [run["run_id"] for run in second.get("/runs").json["runs"]] == [ids[3], ids[2]]
    assert names(second.data_dir / "runs") == sorted(ids[2:])


def test_a_newer_programs_database(spawn: Start) -> None:
    """The start is refused with 6 and a sentence, and everything stays as it is."""
    first = spawn()
    run_id = first.completed()["run_id"]
    assert first.end() == 0
    change(first.data_dir, "PRAGMA user_version = 77")
    before = (first.data_dir / "studio.db").read_bytes()
    code, out, err = refused(first.data_dir)
    assert (code, out) == (6, "")
    assert "newer Studio" in err
    assert "77" in err
    assert err.count("\n") == 1
    assert (first.data_dir / "studio.db").read_bytes() == before
    assert names(first.data_dir / "runs") == [run_id]
    assert names(first.data_dir / "orphans") == []
    assert not (first.data_dir / "server.json").exists()
    change(first.data_dir, f"PRAGMA user_version = {SCHEMA_VERSION}")
    assert spawn().get(f"/runs/{run_id}/verify").json["ok"]


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_something_else_in_the_databases_place(spawn: Start, kind: str) -> None:
    """It is named and left where it is; a person should decide."""
    first = spawn()
    assert first.end() == 0
    path = first.data_dir / "studio.db"
    path.rename(path.with_name("real.db"))
    if kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("real.db")
    code, out, err = refused(first.data_dir)
    assert (code, out) == (4, "")
    assert "studio.db in the data directory is not a regular file" in err
    assert path.is_dir() or path.is_symlink()


# Directories


def test_what_is_no_run_goes_to_orphans(spawn: Start) -> None:
    """Whatever is no verified run is moved aside whole, and nothing else is touched."""
    first = spawn()
    kept = first.completed(seed=1)["run_id"]
    changed, renamed = (first.completed(seed=seed)["run_id"] for seed in (2, 3))
    assert first.end() == 0
    runs, orphans = first.data_dir / "runs", first.data_dir / "orphans"
    for run_id in (changed, renamed):
        change(first.data_dir, "DELETE FROM runs WHERE run_id = ?", run_id)
        change(first.data_dir, "DELETE FROM events WHERE run_id = ?", run_id)
    metrics = runs / changed / "metrics.json"
    metrics.write_bytes(metrics.read_bytes() + b" ")
    (runs / renamed).rename(runs / ("f" * 20))
    (runs / "stray file").write_text("a note", encoding="utf-8")
    (runs / "empty").mkdir()
    os.mkfifo(runs / "fifo")
    (runs / ("a" * 20)).symlink_to(runs / kept)
    (runs / "nowhere").symlink_to("/nowhere")
    (runs / os.fsdecode(b"\xff\n")).write_bytes(b"")
    (orphans / "empty").write_text("of an earlier start", encoding="utf-8")
    expected = set(names(runs)) - {kept}

    second = spawn()
    assert names(runs) == [kept]
    assert second.get(f"/runs/{kept}/verify").json["ok"]
    assert [run["run_id"] for run in second.get("/runs").json["runs"]] == [kept]
    found = names(orphans)
    assert {name.split(".")[0] for name in found} == expected
    assert len(found) == len(expected) + 1
    assert (orphans / "empty").read_text(encoding="utf-8") == "of an earlier start"
    assert (orphans / changed / "metrics.json").read_bytes().endswith(b" ")
    assert (orphans / changed / "equity.parquet").is_file()
    assert (orphans / ("a" * 20)).is_symlink()
    assert (orphans / "stray file").read_text(encoding="utf-8") == "a note"
    assert second.post("/runs", FAST | {"seed": 2}).status == 201
    assert second.wait_for(changed)["status"] == "completed"
    said = stderr_of(second)
    assert "orphans" in said
    assert "Traceback" not in said


def test_a_fifo_among_a_runs_files_keeps_nobody_waiting(spawn: Start) -> None:
    """A directory whose configuration is no regular file does not verify, at once."""
    first = spawn()
    run_id = first.completed()["run_id"]
    other = first.completed(seed=1)["run_id"]
    for each in (run_id, other):
        config = first.data_dir / "runs" / each / "config.json"
        config.unlink()
        os.mkfifo(config)
    assert not first.get(f"/runs/{run_id}/verify").json["ok"]
    assert first.end() == 0
    change(first.data_dir, "DELETE FROM runs")
    change(first.data_dir, "DELETE FROM events")
    second = spawn()
    assert names(second.data_dir / "orphans") == sorted([run_id, other])


def test_a_completed_run_whose_directory_has_gone(spawn: Start) -> None:
    """It is listed without its files, and asked for again it is made again."""
    first = spawn()
    run_id = first.completed()["run_id"]
    assert first.end() == 0
    shutil.rmtree(first.data_dir / "runs" / run_id)
    second = spawn()
    assert second.get(f"/runs/{run_id}").json["status"] == "completed"
    assert second.get(f"/runs/{run_id}/artifacts").status == 404
    assert not second.get(f"/runs/{run_id}/verify").json["ok"]
    again = second.post("/runs", FAST)
    assert (again.status, again.json["attempt"], again.json["run_id"]) == (201, 2, run_id)
    second.wait_for(run_id, "completed")
    assert_gapless(second, run_id)
    assert second.get(f"/runs/{run_id}/verify").json["ok"]


def test_rubbish_in_tmp_goes(spawn: Start) -> None:
    """``tmp/`` is empty after a start, whatever lay there."""
    first = spawn()
    assert first.end() == 0
    tmp = first.data_dir / "tmp"
    (tmp / "a.partial").mkdir()
    (tmp / "a.partial" / "file").touch()
    (tmp / "link").symlink_to(first.data_dir / "runs")
    os.mkfifo(tmp / "fifo")
    spawn()
    assert names(tmp) == []
    assert (first.data_dir / "runs").is_dir()


# One server, one port


def test_a_second_server(spawn: Start) -> None:
    """It names the first one's address and process, changes nothing, and exits 6."""
    first = spawn()
    code, out, err = refused(first.data_dir)
    assert (code, out) == (6, "")
    assert f"http://127.0.0.1:{first.port}" in err
    assert f"pid {first.process.pid}" in err
    assert err.count("\n") == 1
    assert json.loads((first.data_dir / "server.json").read_bytes())["pid"] == first.process.pid
    assert first.get("/health").status == 200


def test_a_port_that_is_taken(tmp_path: Path, spawn: Start) -> None:
    """The start is refused with 6 and a sentence, and the directory is free again."""
    data_dir = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = refused(data_dir, "--port", str(port))
    assert (code, out) == (6, "")
    assert f"Port {port} cannot be used" in err
    assert "--port" in err
    assert err.count("\n") == 1
    assert not (data_dir / "server.json").exists()
    assert spawn().get("/health").status == 200


# Runs that were interrupted


def test_the_queue_keeps_its_order(spawn: Start) -> None:
    """After a crash the run at work comes first again, then the queue as it was."""
    first = spawn("--workers", "1")
    ids = [first.post("/runs", SLOW).json["run_id"]]
    ids += [first.post("/runs", FAST | {"seed": seed}).json["run_id"] for seed in range(4)]
    first.wait_for(ids[0], "running")
    queued = rows(
        first.data_dir, "SELECT run_id, place, queued_ts FROM runs WHERE status = 'queued'"
    )
    crash(first)
    second = spawn("--workers", "1")
    for run_id in ids:
        assert second.wait_for(run_id)["status"] == "completed"
    found = [second.get(f"/runs/{run_id}").json for run_id in ids]
    assert [run["attempt"] for run in found] == [2, 1, 1, 1, 1]
    starts = [run["started_ts"] for run in found]
    assert starts == sorted(starts)
    assert [assert_gapless(second, run_id).count("requeued") for run_id in ids] == [1, 0, 0, 0, 0]
    assert stages(second, ids[0], 2) == list(STAGES)
    after = rows(second.data_dir, "SELECT run_id, place, queued_ts FROM runs")
    assert set(queued) <= set(after)


def test_requeued_runs_do_not_fill_the_queue(spawn: Start) -> None:
    """What a crash has put back leaves all of the queue's places to requests."""
    first = spawn("--workers", "1", STUDIO_QUEUE_LIMIT="1")
    run_id = first.post("/runs", SLOW).json["run_id"]
    first.wait_for(run_id, "running")
    crash(first)
    second = spawn("--workers", "1", STUDIO_QUEUE_LIMIT="1")
    assert second.post("/runs", FAST).status == 201


@pytest.mark.parametrize(("crashes", "ends"), [(3, "completed"), (4, "failed")])
def test_the_fifth_crash_in_a_row(spawn: Start, crashes: int, ends: str) -> None:
    """A run that was at work in five crashes is failed as interrupted, and leaves nothing."""
    first = spawn()
    run_id = first.post("/runs", SLOW).json["run_id"]
    first.wait_for(run_id, "running")
    crash(first)
    change(first.data_dir, "UPDATE runs SET crashes = ?", crashes)
    second = spawn()
    run = second.wait_for(run_id)
    assert run["status"] == ends
    types = assert_gapless(second, run_id)
    assert types.count("requeued") == (ends == "completed")
    assert types[-1] == ends
    if ends == "failed":
        assert run["error"]["code"] == "INTERRUPTED"
        assert "5 times in a row" in run["error"]["message"]
        assert run["attempt"] == 1
        again = second.post("/runs", SLOW)
        assert (again.status, again.json["attempt"]) == (201, 2)
        assert rows(second.data_dir, "SELECT crashes FROM runs") == [(0,)]
        assert second.wait_for(run_id)["status"] == "completed"


def test_five_real_crashes(spawn: Start) -> None:
    """A run that takes the process down with it does so five times and no more."""
    first = spawn(STUDIO_FAULT="running:kill")
    run_id = first.post("/runs", FAST).json["run_id"]
    first.process.wait(WAIT_S)
    for attempt in range(2, 6):
        assert rows(first.data_dir, "SELECT status, attempt FROM runs") == [
            ("running", attempt - 1)
        ]
        # It may die before it is seen to listen.
        with subprocess.Popen(
            [
                sys.executable,
                "-m",
                "app",
                "serve",
                "--port",
                "0",
                "--data-dir",
                str(first.data_dir),
            ],
            env=os.environ | {"STUDIO_FAULT": "running:kill"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.wait(WAIT_S) == -signal.SIGKILL
    last = spawn(STUDIO_FAULT="running:kill")
    run = last.get(f"/runs/{run_id}").json
    assert (run["status"], run["error"]["code"], run["attempt"]) == ("failed", "INTERRUPTED", 5)
    assert assert_gapless(last, run_id).count("requeued") == 4
    assert names(last.data_dir / "runs") == []


def test_a_run_that_was_to_be_cancelled(spawn: Start) -> None:
    """A wish to cancel survives the crash."""
    first = spawn()
    run_id = first.post("/runs", SLOW).json["run_id"]
    first.wait_for(run_id, "running")
    crash(first)
    change(first.data_dir, "UPDATE runs SET status = 'cancelling'")
    second = spawn()
    run = second.get(f"/runs/{run_id}").json
    assert (run["status"], run["attempt"]) == ("cancelled", 1)
    types = assert_gapless(second, run_id)
    assert (types[-1], types.count("requeued")) == ("cancelled", 0)


def test_a_cancelled_run_publishes_nothing(spawn: Start) -> None:
    """A directory that was renamed before the wish to cancel was seen goes at the next start."""
    first = spawn(STUDIO_FAULT="renamed:kill:1")
    run_id = first.post("/runs", FAST).json["run_id"]
    first.process.wait(WAIT_S)
    assert names(first.data_dir / "runs") == [run_id]
    change(first.data_dir, "UPDATE runs SET status = 'cancelling'")
    second = spawn()
    assert second.get(f"/runs/{run_id}").json["status"] == "cancelled"
    assert names(second.data_dir / "runs") == names(second.data_dir / "orphans") == []


def test_a_published_run_is_taken_as_it_is(spawn: Start) -> None:
    """A crash between publishing and storing costs an attempt, and the files stay or are equal."""
    first = spawn(STUDIO_FAULT="renamed:kill:1")
    run_id = first.post("/runs", FAST).json["run_id"]
    first.process.wait(WAIT_S)
    second = spawn()
    assert second.wait_for(run_id)["status"] == "completed"
    assert second.get(f"/runs/{run_id}").json["attempt"] == 2
    assert second.get(f"/runs/{run_id}/verify").json["ok"]
    assert names(second.data_dir / "orphans") == names(second.data_dir / "tmp") == []


def test_a_torn_directory_of_a_queued_run(spawn: Start) -> None:
    """Files that do not verify in the place of a run that goes on are set aside, not reused."""
    first = spawn(STUDIO_FAULT="renamed:kill:1")
    run_id = first.post("/runs", FAST).json["run_id"]
    first.process.wait(WAIT_S)
    (first.data_dir / "runs" / run_id / "fills.parquet").write_bytes(b"")
    second = spawn()
    assert second.wait_for(run_id)["status"] == "completed"
    assert second.get(f"/runs/{run_id}/verify").json["ok"]
    assert names(second.data_dir / "orphans") == [run_id]


@pytest.mark.parametrize("moved", [False, True])
def test_a_removal_that_had_begun(spawn: Start, *, moved: bool) -> None:
    """A hidden run is gone after the start: row, events, keys and files."""
    first = spawn()
    headers = {"Idempotency-Key": "once"}
    run_id = first.post("/runs", FAST, headers).json["run_id"]
    first.wait_for(run_id)
    assert first.end() == 0
    change(first.data_dir, "UPDATE runs SET status = 'deleting'")
    if moved:
        (first.data_dir / "runs" / run_id).rename(first.data_dir / "tmp" / run_id)
    second = spawn()
    assert second.get(f"/runs/{run_id}").status == 404
    for table in ("runs", "events", "idempotency_keys"):
        assert rows(second.data_dir, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608  # our own names
    for folder in ("runs", "tmp", "orphans"):
        assert names(second.data_dir / folder) == []
    again = second.post("/runs", FAST, headers)
    assert (again.status, again.json["attempt"]) == (201, 1)


# Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_in_mid_run(spawn: Start, number: int) -> None:
    """The server ends in time with 0 and leaves no runtime file; the run goes on at the next start."""
    first = spawn()
    run_id = first.post("/runs", SLOW).json["run_id"]
    first.wait_for(run_id, "running")
    first.process.send_signal(number)
    assert first.process.wait(STOP_S) == 0
    assert not (first.data_dir / "server.json").exists()
    assert names(first.data_dir / "tmp") == []
    (stored,) = rows(first.data_dir, "SELECT status, attempt, crashes FROM runs")
    assert stored == ("queued", 2, 0)
    assert first.process.communicate()[1] == ""
    second = spawn()
    run = second.wait_for(run_id)
    assert (run["status"], run["attempt"]) == ("completed", 2)
    assert assert_gapless(second, run_id).count("requeued") == 1
    assert stages(second, run_id, 2) == list(STAGES)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_right_after_the_start(spawn: Start, number: int) -> None:
    """A server that still loads the engine stops as well."""
    server = spawn()
    assert server.end(number) == 0
    assert not (server.data_dir / "server.json").exists()


def test_stops_do_not_count_as_crashes(spawn: Start) -> None:
    """A crash after a stop is the first in a row again."""
    first = spawn()
    run_id = first.post("/runs", SLOW).json["run_id"]
    first.wait_for(run_id, "running")
    crash(first)
    change(first.data_dir, "UPDATE runs SET crashes = 3")
    second = spawn()
    second.wait_for(run_id, "running")
    assert rows(second.data_dir, "SELECT crashes FROM runs") == [(4,)]
    assert second.end() == 0
    assert rows(second.data_dir, "SELECT crashes FROM runs") == [(0,)]


def test_a_job_that_does_not_notice_the_stop(spawn: Start, tmp_path: Path) -> None:
    """It is left behind, the process ends all the same, and the run goes on at the next start."""
    plugin = write_plugin(tmp_path)
    (tmp_path / "slow").touch()
    first = spawn("--plugins", str(plugin))
    run_id = first.post("/runs", MINE).json["run_id"]
    until_stage(first, run_id, "strategy")
    first.process.terminate()
    assert first.process.wait(LEFT_BEHIND_S) == 0
    assert not (first.data_dir / "server.json").exists()
    assert rows(first.data_dir, "SELECT status, attempt, crashes FROM runs") == [("queued", 2, 0)]
    (tmp_path / "slow").unlink()
    second = spawn("--plugins", str(plugin))
    run = second.wait_for(run_id)
    assert (run["status"], run["attempt"]) == ("completed", 2)
    assert assert_gapless(second, run_id).count("requeued") == 1


def until_stage(server: Any, run_id: str, stage: str) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if server.get(f"/runs/{run_id}").json["stage"] == stage:
            return
        waiting.wait(0.01)
    raise AssertionError(stage)


# What has changed meanwhile


def queued_behind(server: Any, config: dict[str, Any]) -> str:
    """Return a run that waits behind one at work."""
    slow = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(slow, "running")
    answer = server.post("/runs", config)
    assert answer.status == 201, answer.body
    assert answer.json["status"] == "queued"
    return str(answer.json["run_id"])


def assert_failed(server: Any, run_id: str, code: str) -> None:
    run = server.wait_for(run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", code)
    assert run["error"]["message"]
    assert assert_gapless(server, run_id)[-1] == "failed"
    assert names(server.data_dir / "tmp") == []
    assert run_id not in names(server.data_dir / "runs")


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_candles_that_change_in_the_queue(serve: Start, how: str) -> None:
    """A run whose candles are no longer those of its hash ends with DATA_CHANGED."""
    server = serve(workers=1)
    csv = server.data_dir / "candles" / "TEST_1d.csv"
    csv.write_text(CSV, encoding="utf-8")
    run_id = queued_behind(server, LOCAL)
    if how == "replaced":
        csv.write_text(CSV.replace("103,1000", "103.5,1000"), encoding="utf-8")
    else:
        csv.unlink()
    assert_failed(server, run_id, "DATA_CHANGED")
    csv.write_text(CSV, encoding="utf-8")
    again = server.post("/runs", LOCAL)
    assert (again.status, again.json["run_id"], again.json["attempt"]) == (201, run_id, 2)
    assert server.wait_for(run_id)["status"] == "completed"


def test_a_file_that_is_touched_is_no_change(serve: Start) -> None:
    """The content counts, not the date."""
    server = serve(workers=1)
    csv = server.data_dir / "candles" / "TEST_1d.csv"
    csv.write_text(CSV, encoding="utf-8")
    run_id = queued_behind(server, LOCAL)
    csv.unlink()
    csv.write_text(CSV, encoding="utf-8")
    assert server.wait_for(run_id)["status"] == "completed"


@pytest.mark.parametrize("how", ["changed", "left out"])
def test_a_plugin_that_changes_in_the_queue(spawn: Start, tmp_path: Path, how: str) -> None:
    """A run that was asked for with other code ends with CODE_CHANGED."""
    plugin = write_plugin(tmp_path)
    first = spawn("--plugins", str(plugin), "--workers", "1")
    run_id = queued_behind(first, MINE)
    assert first.end() == 0
    write_plugin(tmp_path, "# changed\n")
    second = spawn(*(["--plugins", str(plugin)] if how == "changed" else []))
    assert_failed(second, run_id, "CODE_CHANGED")


def test_another_version_of_the_program(spawn: Start) -> None:
    """What was asked of an older program is not answered by a newer one."""
    first = spawn("--workers", "1")
    run_id = queued_behind(first, FAST)
    assert first.end() == 0
    change(first.data_dir, "UPDATE runs SET code_version = '0.0.1'")
    second = spawn()
    assert_failed(second, run_id, "CODE_CHANGED")
