"""``GET /runs/{id}/events/stream``: a run as it happens, heartbeats, and how many may follow."""

import json
import time
from collections.abc import Callable

import pytest
from asked_runs import Server, until
from followed_streams import MIDDLING, QUIET, RUN_ID, ByHand, Follow, ids, n_streams


def test_what_comes_first(server: Server, follow: Follow) -> None:
    """A stream begins with the time after which to come back, and a comment."""
    run = ByHand(server)
    follower = follow(server, run.path)
    first = follower.block().splitlines()
    assert first[0] == b"retry: 2000"
    assert first[1].startswith(b":")
    assert first[2:] == [b""]
    run.complete()
    raw = follower.rest()
    assert ids(raw) == [1, 2, 3]
    assert b"retry" not in raw


def test_the_headers_of_a_stream(server: Server) -> None:
    """A stream is never stored, compressed or buffered on its way."""
    run = ByHand(server)
    run.complete()
    answer = server.get(run.path, {"Accept-Encoding": "gzip, deflate, br"})
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Content-Encoding"] is None
    assert answer.headers["ETag"] is None
    assert "Origin" in answer.headers["Vary"]
    assert ids(answer.body) == [1, 2, 3]


def test_replay_then_live(server: Server, follow: Follow) -> None:
    """What is stored comes first, then each event once it is stored, and the end closes."""
    run = ByHand(server)
    follower = follow(server, run.path + QUIET)
    assert [follower.event()["seq"] for _ in range(2)] == [1, 2]
    for seq in range(3, 20):
        run.note()
        assert follower.event()["seq"] == seq
    run.complete()
    assert follower.event()["type"] == "completed"
    assert follower.rest() == b""


def test_a_real_run_as_it_happens(server: Server, follow: Follow) -> None:
    """Followed from its POST to its end, a run's stream is what the flush holds afterwards."""
    run_id = server.post("/runs", MIDDLING).json["run_id"]
    follower = follow(server, f"/runs/{run_id}/events/stream{QUIET}")
    follower.block()
    raw = follower.rest()
    assert raw == server.get(f"/runs/{run_id}/events").body
    assert raw.count(b"event: completed\n") == 1


def test_heartbeats_in_silence(server: Server, follow: Follow) -> None:
    """Silence is filled with heartbeats, which have no id, name the last event, are not stored."""
    run = ByHand(server)
    follower = follow(server, f"{run.path}?heartbeat_ms=250&after_id=1")
    assert follower.block().startswith(b"retry: ")
    assert follower.event()["seq"] == 2
    before = time.time_ns() // 1_000_000
    for _ in range(2):
        kind, data, end = follower.block().split(b"\n", 2)
        assert (kind, end) == (b"event: heartbeat", b"\n")
        beat = json.loads(data.removeprefix(b"data: "))
        assert beat.keys() == {"run_id", "seq", "ts", "type"}
        assert (beat["run_id"], beat["seq"], beat["type"]) == (RUN_ID, 2, "heartbeat")
        assert type(beat["ts"]) is int
        assert beat["ts"] >= before
    run.note()
    assert follower.event()["seq"] == 3
    assert follower.event()["type"] == "heartbeat"
    run.complete()
    stored = server.get(run.path.removesuffix("/stream")).body
    assert b"heartbeat" not in stored
    assert ids(stored) == [1, 2, 3, 4]


def test_no_heartbeat_while_there_is_news(server: Server, follow: Follow) -> None:
    """Events that come more often than heartbeats keep them away."""
    run = ByHand(server)
    follower = follow(server, f"{run.path}?heartbeat_ms=60000")
    run.note(20)
    run.complete()
    assert b"heartbeat" not in follower.rest()


def test_the_setting_of_heartbeats(serve: Callable[..., Server], follow: Follow) -> None:
    """Without the query the setting says how long a silence may be."""
    server = serve(heartbeat_ms=250)
    follower = follow(server, ByHand(server).path + "?after_id=2")
    assert follower.event()["type"] == "heartbeat"


@pytest.mark.parametrize("value", ["249", "60001", "0", "-1", "", "x", "1e3", "250.0", "9" * 40])
def test_heartbeats_out_of_bounds(server: Server, value: str) -> None:
    """What is no whole number from 250 to 60,000 is refused."""
    answer = server.get(f"{ByHand(server).path}?heartbeat_ms={value}")
    assert (answer.status, answer.code) == (400, "INVALID_QUERY")


@pytest.mark.parametrize("value", ["250", "60000"])
def test_heartbeats_at_the_bounds(server: Server, value: str) -> None:
    """Both bounds are allowed."""
    run = ByHand(server)
    run.complete()
    assert server.get(f"{run.path}?heartbeat_ms={value}").status == 200


def test_the_number_of_streams(serve: Callable[..., Server], follow: Follow) -> None:
    """One stream too many is refused with a time to come back; who leaves makes room."""
    server = serve(max_streams=2)
    run = ByHand(server)
    first, second = follow(server, run.path), follow(server, run.path)
    for method in ("GET", "HEAD"):
        answer = server.call(method, run.path)
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) >= 1
    answer = server.get(run.path)
    assert (answer.code, answer.json["error"]["retryable"]) == ("TOO_MANY_STREAMS", True)
    assert answer.headers.get_content_type() == "application/json"
    assert answer.headers["X-Accel-Buffering"] is None
    # What is no stream is not counted.
    assert server.get(run.path.removesuffix("/stream")).status == 200
    first.leave()
    until(lambda: server.call("HEAD", run.path).status == 200)
    third = follow(server, run.path)
    assert server.get(run.path).status == 429
    run.complete()
    assert ids(second.rest()) == ids(third.rest()) == [1, 2, 3]
    assert server.get(run.path).status == 200


def test_refused_requests_take_no_place(serve: Callable[..., Server]) -> None:
    """Answers that are no stream, 204 and errors, leave every place free."""
    server = serve(max_streams=1)
    run = ByHand(server)
    for _ in range(3):
        assert server.get(f"{run.path}?after_id=9").status == 409
        assert server.get(f"{run.path}?heartbeat_ms=1").status == 400
        assert server.call("HEAD", run.path).status == 200
    run.complete()
    for _ in range(3):
        assert server.get(f"{run.path}?after_id=3").status == 204
        assert server.get(run.path).status == 200
    assert n_streams(server) == 0


def test_head_of_a_live_stream(server: Server) -> None:
    """HEAD answers at once with a stream's headers, follows nothing and is not counted."""
    run = ByHand(server)
    answer = server.call("HEAD", run.path)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers.get_content_type() == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert n_streams(server) == 0
    assert server.server._events._tails == {}
