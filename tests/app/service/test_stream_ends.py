"""``GET /runs/{id}/events/stream`` of a run that is removed, or of a server that stops."""

from collections.abc import Callable
from typing import Any

import pytest
from asked_runs import FAST, Server, until
from followed_streams import (
    QUIET,
    RUN_ID,
    ByHand,
    Follow,
    deaf_socket,
    errors_logged,
    ids,
    n_streams,
    read_all,
    request,
)

from app import transitions

SLOW = FAST | {"validation": {"permutation": {"n": 20_000}}}


def test_a_stream_on_a_run_that_is_deleted(server: Server) -> None:
    """DELETE closes the stream of whoever has not read it to its end."""
    run = ByHand(server)
    run.note(300, "x" * 20_000)
    late = deaf_socket(server, run.path + QUIET)
    until(lambda: n_streams(server) == 1)
    run.complete()
    assert server.call("DELETE", f"/runs/{RUN_ID}").status == 204
    raw = read_all(late)
    seen = ids(raw)
    assert seen == list(range(1, len(seen) + 1))
    until(lambda: n_streams(server) == 0)
    assert server.get(run.path).status == 404


@pytest.mark.parametrize("status", ["queued", "running", "completed"])
def test_a_stream_on_a_run_that_is_removed(server: Server, status: str, follow: Follow) -> None:
    """Where the row goes while somebody waits for news, the stream closes."""
    run = ByHand(server)
    follower = follow(server, run.path + QUIET)
    assert [follower.event()["seq"] for _ in range(2)] == [1, 2]

    def remove(transaction: Any) -> None:
        transaction.execute("UPDATE runs SET status = ?", (status,))
        transaction.execute("UPDATE runs SET status = 'deleting'")
        transitions.finish_delete(RUN_ID)(transaction)

    run.do(remove)
    assert follower.rest() == b""
    assert server.server._events._tails == {}


def test_a_stream_on_a_run_that_is_trimmed(serve: Callable[..., Server]) -> None:
    """Retention closes the stream of a run that it removes."""
    server = serve(retention=1)
    run = ByHand(server)
    run.note(300, "x" * 20_000)
    late = deaf_socket(server, run.path + QUIET)
    until(lambda: n_streams(server) == 1)
    run.complete()
    assert server.get(f"/runs/{RUN_ID}").json["status"] == "completed"
    server.completed()
    until(lambda: server.get(f"/runs/{RUN_ID}").status == 404)
    raw = read_all(late)
    seen = ids(raw)
    assert seen == list(range(1, len(seen) + 1))
    until(lambda: n_streams(server) == 0)


def test_streams_when_the_server_stops(server: Server, follow: Follow) -> None:
    """A stop closes every stream properly, without an end of the run that has not ended."""
    by_hand = ByHand(server)
    run_id = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(run_id, "running")
    real = follow(server, f"/runs/{run_id}/events/stream{QUIET}")
    other = follow(server, by_hand.path + QUIET)
    with server.socket() as chunked:
        text = request(server, by_hand.path + QUIET).replace(b"HTTP/1.0", b"HTTP/1.1")
        chunked.sendall(text)
        until(lambda: n_streams(server) == 3)
        server.stop()
        raw = b""
        while chunk := chunked.recv(1 << 16):
            raw += chunk
        assert raw.endswith(b"0\r\n\r\n")  # an end, and no broken line
    for follower in (real, other):
        raw = follower.rest()
        for end in (b"completed", b"failed", b"cancelled"):
            assert b"event: " + end not in raw
    assert errors_logged(server) == []


def test_deaf_clients_do_not_keep_a_stop_waiting(server: Server) -> None:
    """A stop closes the lines of those who do not read, and nothing unexpected happens."""
    run = ByHand(server)
    run.note(300, "x" * 20_000)
    deaf = [deaf_socket(server, run.path + QUIET) for _ in range(5)]
    until(lambda: n_streams(server) == 5)
    server.stop()
    for each in deaf:
        seen = ids(read_all(each).rpartition(b"\n\n")[0])
        assert seen == list(range(1, len(seen) + 1))
    assert errors_logged(server) == []
