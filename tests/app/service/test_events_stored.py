"""What every stored event looks like, and when it is stored."""

import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asked_runs import FAST, Server
from events_by_hand import RUN_ID, ByHand, data_lines

from app import transitions
from app.data_dir import DataDir
from app.database import open_database
from app.fault_points import FaultPoints
from app.run_job import RunJob
from app.writer import Event, Writer
from engine.records import RunWarning

SLOW = FAST | {"validation": {"permutation": {"n": 20_000}}}
STAGES = [
    "data_loading",
    "feature_compute",
    "strategy",
    "risk_sizing",
    "execution",
    "metrics",
    "validation",
    "artifacts",
]
TYPES = {
    "queued",
    "stage",
    "progress",
    "validation_progress",
    "warning",
    "completed",
    "failed",
    "cancelled",
    "requeued",
}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """Give a writer on a database of its own; what it publishes is in its ``told``."""
    told: list[Event] = []
    opened = open_database(tmp_path / "studio.db")
    writer = Writer(opened.connection, lambda events, _: told.extend(events), FaultPoints())
    writer.told = told  # type: ignore[attr-defined]  # for the tests
    yield writer
    writer.close()


def check_envelope(event: dict[str, Any], run_id: str) -> None:
    """Assert that an event has the fields of the page, of their types, and no others."""
    assert {"run_id", "seq", "ts", "type", "attempt"} <= event.keys()
    assert event.keys() <= {
        "run_id", "seq", "ts", "type", "attempt", "stage", "progress", "message", "data",
    }  # fmt: skip
    assert event["run_id"] == run_id
    assert event["type"] in TYPES
    for name in ("seq", "ts", "attempt"):
        assert type(event[name]) is int
    assert event.get("stage", STAGES[0]) in STAGES
    assert 0 <= event.get("progress", 0.0) <= 1
    assert isinstance(event.get("progress", 0.0), float)
    assert isinstance(event.get("message", ""), str)
    assert isinstance(event.get("data", {}), dict)


def test_the_envelope(server: Server) -> None:
    """Each event of a run has the envelope's fields, its time, and no other field."""
    before = time.time_ns() // 1_000_000
    run_id = server.completed(start="2018-06-01")["run_id"]
    after = time.time_ns() // 1_000_000
    events = data_lines(server.get(f"/runs/{run_id}/events").body)
    assert {"queued", "stage", "warning", "completed"} <= {e["type"] for e in events}
    for event in events:
        check_envelope(event, run_id)
    times = [event["ts"] for event in events]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= after


def test_the_eight_stages(server: Server) -> None:
    """A run without any validation still begins each of the eight stages once, in order."""
    run_id = server.completed()["run_id"]
    stages = [event.data for event in server.events(run_id) if event.type == "stage"]
    assert [event["stage"] for event in stages] == STAGES
    progress = [event["progress"] for event in stages]
    assert progress == sorted(progress)


def test_numbers_run_on_through_attempts(server: Server) -> None:
    """A run that is cancelled and asked for again numbers its events on, without a gap."""
    run_id = server.post("/runs", SLOW).json["run_id"]
    for attempt in (1, 2):
        server.wait_for(run_id, "running")
        assert server.post(f"/runs/{run_id}/cancel").status == 202
        server.wait_for(run_id, "cancelled")
        again = server.post("/runs", SLOW)
        assert (again.status, again.json["run_id"], again.json["attempt"]) == (
            201, run_id, attempt + 1,
        )  # fmt: skip
    server.wait_for(run_id, "completed")
    events = server.events(run_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [e.data["attempt"] for e in events if e.type == "queued"] == [1, 2, 3]
    ends = [(e.type, e.data["attempt"]) for e in events if e.type in {"cancelled", "completed"}]
    assert ends == [("cancelled", 1), ("cancelled", 2), ("completed", 3)]
    attempts = [event.data["attempt"] for event in events]
    assert attempts == sorted(attempts)


def test_progress_of_a_validation(server: Server) -> None:
    """A long test says which it is and how many of its replicates are done, ten times a second."""
    started = time.monotonic()
    run_id = server.wait_for(server.post("/runs", SLOW).json["run_id"], "completed")["run_id"]
    took_ms = 1000 * (time.monotonic() - started)
    events = [e.data for e in server.events(run_id) if "progress" in e.type]
    assert len(events) <= took_ms / 100
    told = [e for e in events if e["type"] == "validation_progress"]
    assert told
    for event in told:
        check_envelope(event, run_id)
        assert event["stage"] == "validation"
        assert event["data"].keys() == {"test", "completed", "total"}
        assert event["data"]["test"] == "permutation"
        assert 0 <= event["data"]["completed"] <= event["data"]["total"] == 20_000
    done = [event["data"]["completed"] for event in told]
    assert done == sorted(done)
    progress = [event["progress"] for event in events]
    assert progress == sorted(progress)


def test_progress_at_most_every_100_ms(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a run and its tests report, one report in 100 ms is stored for both."""
    run = ByHand(writer)
    clock = [1000.0]
    monkeypatch.setattr("app.run_job.time.monotonic", lambda: clock[0])
    claimed: Any = transitions.Claimed(RUN_ID, "", run.attempt, "{}", "", "")
    nothing: Any = None
    job = RunJob(
        nothing, claimed, nothing, DataDir(Path("x")), writer, FaultPoints(), lambda text: text
    )
    stored_at: list[int] = []
    for ms in range(0, 1000, 7):
        clock[0] = 1000.0 + ms / 1000
        if ms % 2:
            job.progress(ms / 1000)
        else:
            job.validation("permutation", ms, 1000)
        run.do(lambda _: None)
        if len(writer.told) - 2 > len(stored_at):  # type: ignore[attr-defined]  # as above
            stored_at.append(ms)
    assert len(stored_at) == 9
    assert all(late - early >= 100 for early, late in itertools.pairwise(stored_at))


def test_a_warning_has_its_code(writer: Writer) -> None:
    """A warning event carries the sentence, the stage, and code and count as its data."""
    run = ByHand(writer)
    claimed: Any = transitions.Claimed(RUN_ID, "", run.attempt, "{}", "", "")
    nothing: Any = None
    job = RunJob(
        nothing, claimed, nothing, DataDir(Path("x")), writer, FaultPoints(), lambda text: text
    )
    job.warning(RunWarning("ruin", "All is lost."))
    job.warning(RunWarning("gaps", "Bars are missing.", 3))
    run.do(lambda _: None)
    told: list[Event] = writer.told  # type: ignore[attr-defined]  # as above
    first, second = (json.loads(event.body) for event in told[-2:])
    for event in (first, second):
        check_envelope(event, RUN_ID)
        assert (event["type"], event["stage"]) == ("warning", "data_loading")
    assert (first["message"], first["data"]) == ("All is lost.", {"code": "ruin"})
    assert second["data"] == {"code": "gaps", "count": 3}


def test_the_warnings_of_a_real_run(server: Server) -> None:
    """What a short run's summary warns of has come as events, with the same codes."""
    run = server.completed(start="2018-06-01")
    warned = [e.data for e in server.events(run["run_id"]) if e.type == "warning"]
    path = f"/runs/{run['run_id']}/artifact/summary.json"
    listed = [warning["code"] for warning in server.get(path).json["warnings"]]
    assert listed
    assert sorted(event["data"]["code"] for event in warned) == sorted(listed)


def test_a_failed_run_says_why(serve: Callable[..., Server]) -> None:
    """The last event of a run that fails has its code and sentence, those of the run's error."""
    server = serve(faults="artifact_write:enospc")
    run = server.wait_for(server.new_run(), "failed")
    last = server.events(run["run_id"])[-1]
    assert (last.type, last.data["data"]) == ("failed", {"code": "STORAGE_FULL"})
    assert run["error"] == {"code": "STORAGE_FULL", "message": last.data["message"]}


def test_a_full_log_still_ends(writer: Writer) -> None:
    """Beyond 9,900 events progress is dropped; stages, warnings and the end still fit."""
    run = ByHand(writer)
    run.note("progress", 10_100, progress=0.5)
    run.note("validation_progress", 50, progress=0.6, data={})
    run.note("warning", 20, message="so", data={"code": "so"})
    for stage in STAGES[1:]:
        run.do(transitions.begin_stage(RUN_ID, run.attempt, stage, 0.7))
    run.complete()
    told: list[Event] = writer.told  # type: ignore[attr-defined]  # as above
    assert [event.seq for event in told] == list(range(1, 9_900 + 20 + 7 + 1 + 1))
    tail = [event.type for event in told[9_900:]]
    assert tail == ["warning"] * 20 + ["stage"] * 7 + ["completed"]
    row = run.do(lambda t: tuple(t.row("SELECT status, progress, last_seq FROM runs")))
    assert row == ("completed", 1.0, 9_928)


def test_state_and_event_are_one(writer: Writer) -> None:
    """A transition that loses its race stores neither a state nor an event."""
    run = ByHand(writer)
    told: list[Event] = writer.told  # type: ignore[attr-defined]  # as above
    run.complete()
    n = len(told)
    assert not run.do(transitions.fail(RUN_ID, run.attempt, "INTERNAL_ERROR", "late"))
    assert not run.do(transitions.confirm_cancel(RUN_ID, run.attempt))
    run.note("progress", 3, progress=0.1)
    run.do(transitions.begin_stage(RUN_ID, run.attempt, "metrics", 0.1))
    assert len(told) == n


def test_nothing_is_announced_before_it_is_stored(tmp_path: Path) -> None:
    """Whoever hears of an event can read it from the database."""
    opened = open_database(tmp_path / "studio.db")
    found: list[bool] = []

    def hear(events: list[Event], _: list[str]) -> None:
        with sqlite3.connect(tmp_path / "studio.db") as reader:
            for event in events:
                row = reader.execute("SELECT body FROM events WHERE seq = ?", (event.seq,))
                found.append(row.fetchone() == (event.body,))
        reader.close()

    writer = Writer(opened.connection, hear, FaultPoints())
    ByHand(writer).complete()
    writer.close()
    assert found == [True, True, True]
