"""``GET /runs/{id}/events``: every stored event after a cursor, at once."""

import json
from typing import Any

import pytest
from asked_runs import Server
from events_by_hand import RUN_ID, ByHand, data_lines

from app import transitions

WARNED: dict[str, Any] = {"message": "so", "data": {"code": "so"}}


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
