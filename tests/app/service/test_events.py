"""``GET /runs/{id}/events``, and what every stored event looks like."""

import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import transitions
from app.creation import create
from app.data_dir import DataDir
from app.database import open_database
from app.fault_points import FaultPoints
from app.run_job import RunJob
from app.transitions import NewRun
from app.writer import Event, Writer
from engine.records import RunWarning

Server = Any
FAST = {"symbol": "SPX", "provider": "sample", "plot": False}
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
RUN_ID = "ab" * 10
WARNED: dict[str, Any] = {"message": "so", "data": {"code": "so"}}


class ByHand:
    """A run whose every step the test takes itself, through a writer."""

    def __init__(self, writer: Writer, run_id: str = RUN_ID) -> None:
        self.writer, self.run_id, self.attempt = writer, run_id, 0
        self.queue()

    def queue(self) -> None:
        new = NewRun(self.run_id, (self.run_id * 4)[:64], "SPX", FAST, "c" * 64, "code")
        self.do(create(new, None, queue_limit=32, is_there=lambda _: True))
        claimed = self.do(transitions.claim)
        assert claimed.run_id == self.run_id
        self.attempt = claimed.attempt

    def do(self, work: Callable[..., Any]) -> Any:
        return self.writer.submit(work).result(30)

    def note(self, kind: str, n: int = 1, **fields: Any) -> None:
        work = transitions.note(self.run_id, self.attempt, kind, **fields)
        for each in [self.writer.submit(work) for _ in range(n)]:
            each.result(30)

    def complete(self) -> None:
        end = transitions.complete(
            self.run_id, self.attempt, metrics={}, validation=None, manifest_hash="d" * 64
        )
        assert self.do(end)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """Give a writer on a database of its own; what it publishes is in its ``told``."""
    told: list[Event] = []
    opened = open_database(tmp_path / "studio.db")
    writer = Writer(opened.connection, lambda events, _: told.extend(events), FaultPoints())
    writer.told = told  # type: ignore[attr-defined]  # for the tests
    yield writer
    writer.close()


def data_lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: ")]


def test_a_cursor_gives_exactly_the_events_after_it(server: Server) -> None:
    """Whatever the cursor, a flush holds every later event once, in order, and nothing else."""
    run_id = server.completed()["run_id"]
    every = server.get(f"/runs/{run_id}/events").body.split(b"\n\n")[:-1]
    for after in range(len(every) + 1):
        wanted = b"".join(block + b"\n\n" for block in every[after:])
        assert server.get(f"/runs/{run_id}/events?after_id={after}").body == wanted
        header = {"Last-Event-ID": str(after)}
        assert server.get(f"/runs/{run_id}/events", header).body == wanted


def test_the_header_wins(server: Server) -> None:
    """Where query and header disagree, ``Last-Event-ID`` is the cursor."""
    run_id = server.completed()["run_id"]
    n = len(server.events(run_id))
    answer = server.get(f"/runs/{run_id}/events?after_id=1", {"Last-Event-ID": str(n - 1)})
    assert [event["seq"] for event in data_lines(answer.body)] == [n]
    answer = server.get(f"/runs/{run_id}/events?after_id={n - 1}", {"Last-Event-ID": "0"})
    assert len(data_lines(answer.body)) == n


def test_nothing_new_is_an_empty_answer(server: Server) -> None:
    """After the last event a flush is a 200 with an empty body, of the same type."""
    run_id = server.completed()["run_id"]
    n = len(server.events(run_id))
    answer = server.get(f"/runs/{run_id}/events?after_id={n}")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers.get_content_type() == "text/event-stream"


def test_the_headers_of_a_flush(server: Server) -> None:
    """The ETag names run, creation, cursor, last event and status; caches must ask again."""
    run = server.completed()
    run_id, n = run["run_id"], len(server.events(run["run_id"]))
    path = f"/runs/{run_id}/events?after_id=3"
    answer = server.get(path)
    assert answer.headers.get_content_type() == "text/event-stream"
    assert answer.headers.get_content_charset() == "utf-8"
    # Created as it was queued: a first attempt.
    assert answer.headers["ETag"] == f'"{run_id}-{run["queued_ts"]}-3-{n}-completed"'
    assert answer.headers["Cache-Control"] == "private, no-cache"
    vary = {word.strip() for each in answer.headers.get_all("Vary") for word in each.split(",")}
    assert vary == {"Origin", "Last-Event-ID"}


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_known_flush_is_not_sent_again(server: Server, form: str) -> None:
    """``If-None-Match`` with the ETag gets a 304 without a body, with the ETag."""
    run_id = server.completed()["run_id"]
    path = f"/runs/{run_id}/events?after_id=2"
    etag = server.get(path).headers["ETag"]
    answer = server.get(path, {"If-None-Match": form.format(etag)})
    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
    assert "Last-Event-ID" in answer.headers["Vary"]
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_the_cursor_is_part_of_the_etag(server: Server) -> None:
    """The ETag of one cursor is not that of another, given either way."""
    run_id = server.completed()["run_id"]
    etag = server.get(f"/runs/{run_id}/events?after_id=1").headers["ETag"]
    known = {"If-None-Match": etag}
    assert server.get(f"/runs/{run_id}/events?after_id=2", known).status == 200
    assert server.get(f"/runs/{run_id}/events", known | {"Last-Event-ID": "3"}).status == 200
    assert server.get(f"/runs/{run_id}/events", known | {"Last-Event-ID": "1"}).status == 304


def test_new_events_change_the_etag(server: Server) -> None:
    """What a client knows of a run at work is out of date with the next event."""
    run = ByHand(server.server._writer)
    first = server.get(f"/runs/{RUN_ID}/events")
    assert first.headers["ETag"].endswith('-0-2-running"')
    run.note("warning", message="so", data={"code": "so"})
    answer = server.get(f"/runs/{RUN_ID}/events", {"If-None-Match": first.headers["ETag"]})
    assert (answer.status, len(data_lines(answer.body))) == (200, 3)
    assert answer.headers["ETag"].endswith('-0-3-running"')
    run.do(transitions.ask_to_cancel(RUN_ID))
    assert server.get(f"/runs/{RUN_ID}/events").headers["ETag"].endswith('-0-3-cancelling"')


@pytest.mark.parametrize("cursor", ["", "-1", "+1", "1.0", "x", "1e1", "%C2%B2", "%D9%A1", "1 2"])
def test_a_cursor_that_is_no_number(server: Server, cursor: str) -> None:
    """What is not a whole number from 0 on is refused, in the query and in the header."""
    ByHand(server.server._writer)
    for suffix in ("", "/stream"):
        path = f"/runs/{RUN_ID}/events{suffix}"
        answer = server.get(f"{path}?after_id={cursor.replace(' ', '%20')}")
        assert (answer.status, answer.code) == (400, "INVALID_QUERY")
        answer = server.get(path, {"Last-Event-ID": cursor})
        assert (answer.status, answer.code) == (400, "INVALID_QUERY")


def test_a_cursor_that_is_given_twice(server: Server) -> None:
    """Two values for the cursor are no cursor."""
    ByHand(server.server._writer)
    answer = server.get(f"/runs/{RUN_ID}/events?after_id=1&after_id=1")
    assert (answer.status, answer.code) == (400, "INVALID_QUERY")


@pytest.mark.parametrize("cursor", ["3", "4", str(1 << 53), "9" * 18, "9" * 30, "9" * 5000])
def test_a_cursor_beyond_the_last_event(server: Server, cursor: str) -> None:
    """A whole number beyond the last event is ahead, however large it is."""
    ByHand(server.server._writer)
    for suffix in ("", "/stream"):
        path = f"/runs/{RUN_ID}/events{suffix}"
        answer = server.get(f"{path}?after_id={cursor}")
        assert (answer.status, answer.code) == (409, "EVENT_ID_AHEAD")
        answer = server.get(path, {"Last-Event-ID": cursor})
        assert (answer.status, answer.code) == (409, "EVENT_ID_AHEAD")


def test_leading_zeros_are_still_a_number(server: Server) -> None:
    """``007`` and a long row of zeros are whole numbers."""
    ByHand(server.server._writer).note("warning", 8, **WARNED)
    for cursor, seq in (("007", 8), ("0" * 40, 1)):
        answer = server.get(f"/runs/{RUN_ID}/events?after_id={cursor}")
        assert (answer.status, data_lines(answer.body)[0]["seq"]) == (200, seq)


@pytest.mark.parametrize("run_id", ["ab" * 10, "x", "..%2f", "%00", "%ff", "AB" * 10, "a" * 5000])
def test_no_such_run(server: Server, run_id: str) -> None:
    """A name that is no run's is not found."""
    for suffix in ("", "/stream"):
        answer = server.get(f"/runs/{run_id}/events{suffix}")
        assert (answer.status, answer.code) == (404, "RUN_NOT_FOUND")


def test_head_of_a_flush(server: Server) -> None:
    """HEAD answers as GET does, without the body; also to a cursor that is wrong."""
    run_id = server.completed()["run_id"]
    path = f"/runs/{run_id}/events"
    head, get = server.call("HEAD", path), server.get(path)
    assert (head.status, head.body) == (200, b"")
    for name in ("ETag", "Content-Type", "Cache-Control", "Vary"):
        assert head.headers[name] == get.headers[name]
    for query, status in (("after_id=x", 400), ("after_id=99", 409)):
        head = server.call("HEAD", f"{path}?{query}")
        assert (head.status, head.body) == (status, b"")
    assert server.call("HEAD", path, headers={"If-None-Match": get.headers["ETag"]}).status == 304


@pytest.mark.parametrize("n", [255, 256, 257, 513, 1500])
def test_more_events_than_a_page(server: Server, n: int) -> None:
    """However many there are, a flush holds all of them."""
    ByHand(server.server._writer).note("warning", n - 2, message="ü" * 50, data={"code": "so"})
    for after in (0, 1, n // 2, n - 1):
        answer = server.get(f"/runs/{RUN_ID}/events?after_id={after}")
        assert [each["seq"] for each in data_lines(answer.body)] == list(range(after + 1, n + 1))


def test_a_flush_of_a_run_at_work(server: Server) -> None:
    """A flush does not wait for a run: it sends what is there, without heartbeats, and ends."""
    ByHand(server.server._writer)
    answer = server.get(f"/runs/{RUN_ID}/events")
    assert [each["type"] for each in data_lines(answer.body)] == ["queued", "stage"]
    assert b"heartbeat" not in answer.body
    assert server.get(f"/runs/{RUN_ID}/events?heartbeat_ms=250").status == 400


def test_a_flush_holds_what_its_etag_says(server: Server) -> None:
    """Events that come while a flush is sent are left to the next one: its ETag ends before."""
    run = ByHand(server.server._writer)
    run.note("warning", 300, **WARNED)
    log = server.server._events
    page = log.page

    def slow_page(*arguments: Any) -> Any:
        run.note("warning", 1, **WARNED)
        return page(*arguments)

    log.page = slow_page
    answer = server.get(f"/runs/{RUN_ID}/events")
    last = int(answer.headers["ETag"].split("-")[3])
    assert data_lines(answer.body)[-1]["seq"] == last


def test_the_frame(server: Server) -> None:
    """A frame is ``id``, ``event`` and ``data``, one line each, and the id is the event's seq."""
    run_id = server.completed()["run_id"]
    body = server.get(f"/runs/{run_id}/events").body.decode()
    assert body.endswith("\n\n")
    for block in body.removesuffix("\n\n").split("\n\n"):
        number, kind, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert number == f"id: {event['seq']}"
        assert kind == f"event: {event['type']}"


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
