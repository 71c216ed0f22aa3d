"""``GET /runs/{id}/events/stream`` and its clients: many, slow, deaf, or gone without a word."""

import asyncio
import gc
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from asked_runs import WAIT_S, Server, until
from followed_streams import (
    MIDDLING,
    QUIET,
    ByHand,
    Follow,
    deaf_socket,
    errors_logged,
    ids,
    n_streams,
    read_all,
    request,
)

from app.handlers import events as handlers


def n_handles() -> int:
    """Return how many files and sockets this process has open; 0 where that cannot be told."""
    handles = Path("/proc/self/fd")
    return len(list(handles.iterdir())) if handles.exists() else 0


def n_tasks(server: Server) -> int:
    async def count() -> int:
        return len(asyncio.all_tasks()) - 1

    n: int = asyncio.run_coroutine_threadsafe(count(), server.loop).result(WAIT_S)
    return n


def test_a_client_that_does_not_read(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, follow: Follow
) -> None:
    """Who never reads is closed after the deadline; meanwhile others miss nothing, memory is kept."""
    monkeypatch.setattr(handlers, "FLUSH_S", 0.5)
    server = serve()
    run = ByHand(server)
    deaf = deaf_socket(server, run.path + QUIET)
    until(lambda: n_streams(server) == 1)
    [stream] = server.server._services.streams
    reading = follow(server, run.path + QUIET)
    received = []
    reader = threading.Thread(target=lambda: received.append(reading.rest()))
    reader.start()
    buffered = []
    for _ in range(10):
        run.note(100, "x" * 20_000)
        waiting = stream.request.connection.stream._write_buffer  # none once it was closed
        buffered.append(0 if waiting is None else len(waiting))
    run.complete()
    reader.join(WAIT_S)
    assert ids(received[0]) == list(range(1, 1004))
    # One page at most, of the 20 MB that have been sent to the other.
    assert max(buffered) < 300 * 20_500
    until(lambda: n_streams(server) == 0)
    assert server.server._events._tails == {}
    raw = read_all(deaf)
    seen = ids(raw.rpartition(b"\n\n")[0])
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) < 1003
    answer = server.get(run.path, {"Last-Event-ID": str(len(seen))})
    assert ids(answer.body) == list(range(len(seen) + 1, 1004))
    assert errors_logged(server) == []


def test_a_client_that_reads_slowly_is_waited_for(server: Server) -> None:
    """Who reads late but within the deadline gets everything."""
    run = ByHand(server)
    run.note(400, "x" * 20_000)
    run.complete()
    late = deaf_socket(server, run.path)
    until(lambda: n_streams(server) == 1)
    assert server.get("/health").status == 200
    raw = read_all(late)
    assert ids(raw) == list(range(1, 404))


@pytest.mark.parametrize("rudely", [False, True])
def test_two_hundred_who_vanish(
    serve: Callable[..., Server], follow: Follow, *, rudely: bool
) -> None:
    """Clients that connect and vanish leave no stream, no handle, no task and no error."""
    server = serve(max_streams=250)
    run = ByHand(server)
    follow(server, run.path).leave()
    until(lambda: n_streams(server) == 0)
    tasks, handles = n_tasks(server), n_handles()
    followers = [follow(server, run.path) for _ in range(200)]
    assert n_streams(server) == 200
    for i, follower in enumerate(followers):
        if i % 2:
            follower.block()
        follower.leave(rudely=rudely)
        if i == 100:
            run.note(20)
    until(lambda: n_streams(server) == 0)
    until(lambda: n_tasks(server) <= tasks)
    until(lambda: n_handles() <= handles)
    assert server.server._events._tails == {}
    run.note()
    assert errors_logged(server) == []
    assert server.get("/health").status == 200


def test_clients_that_vanish_before_their_body_has_come(server: Server) -> None:
    """Who announces a body to a stream and goes leaves nothing behind either."""
    run = ByHand(server)
    server.get("/health")
    tasks = n_tasks(server)
    for _ in range(20):
        with server.socket() as connection:
            connection.sendall(request(server, run.path, "Content-Length: 10"))
        with server.socket() as connection:
            connection.sendall(request(server, run.path, "Content-Length: 10") + b"12345")
    assert server.get("/health").status == 200
    until(lambda: n_tasks(server) <= tasks)
    assert n_streams(server) == 0
    assert errors_logged(server) == []


@pytest.mark.parametrize("rudely", [False, True])
def test_deaf_clients_who_vanish(server: Server, *, rudely: bool) -> None:
    """Who goes while something is on its way to him leaves no stream, task or error either."""
    run = ByHand(server)
    server.get("/health")
    tasks = n_tasks(server)
    run.note(300, "x" * 20_000)
    deaf = [deaf_socket(server, run.path + QUIET) for _ in range(20)]
    until(lambda: n_streams(server) == 20)
    run.note(10)
    for each in deaf:
        if rudely:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        each.close()
    until(lambda: n_streams(server) == 0)
    until(lambda: n_tasks(server) <= tasks)
    gc.collect()
    assert server.server._events._tails == {}
    assert errors_logged(server) == []


async def body_of(server: Server, path: str) -> bytes:
    """Return what a stream says until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request(server, path))
    raw = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), raw
    return body


@pytest.mark.asyncio
async def test_fifty_followers_of_one_run(server: Server) -> None:
    """Fifty clients that follow a run from its beginning all get the same bytes."""
    run_id = await asyncio.to_thread(lambda: server.post("/runs", MIDDLING).json["run_id"])
    path = f"/runs/{run_id}/events/stream{QUIET}"
    bodies = await asyncio.gather(*(body_of(server, path) for _ in range(50)))
    assert len(set(bodies)) == 1
    assert ids(bodies[0]) == list(range(1, len(ids(bodies[0])) + 1))
    assert bodies[0].endswith(b"\n\n")
    assert b"event: completed" in bodies[0]
