"""Runs that a crash interrupted: what the next start makes of each of them."""

import os
import signal
import subprocess
import sys

import pytest
from asked_runs import FAST, WAIT_S
from server_checks import SLOW, Start, assert_gapless, change, crash, names, rows, stages

from engine.records import STAGES


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
