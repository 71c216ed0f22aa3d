"""``GET /runs/{id}/events/stream``: a run as it happens, to many clients, some of them bad."""

import asyncio
import contextlib
import gc
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import transitions
from app.creation import create
from app.database import open_database, open_for_reading
from app.events import EventLog
from app.fault_points import FaultPoints
from app.handlers import events as handlers
from app.transitions import NewRun
from app.writer import Writer
from engine.metrics import HEADLINE

Server = Any
FAST = {"symbol": "SPX", "provider": "sample", "plot": False}
SLOW = FAST | {"validation": {"permutation": {"n": 20_000}}}
MIDDLING = FAST | {"validation": {"permutation": {"n": 4_000}}}
RUN_ID = "ab" * 10
WAIT_S = 30.0
QUIET = "?heartbeat_ms=60000"
METRICS = dict.fromkeys(HEADLINE)


class ByHand:
    """A run whose every step the test takes itself, through a writer or a server's."""

    def __init__(self, place: Any, run_id: str = RUN_ID) -> None:
        self.writer: Writer = place if isinstance(place, Writer) else place.server._writer
        self.run_id, self.attempt = run_id, 0
        self.path = f"/runs/{run_id}/events/stream"
        self.queue()
        self.claim()

    def queue(self) -> None:
        new = NewRun(self.run_id, (self.run_id * 4)[:64], "SPX", FAST, "c" * 64, "code")
        self.do(create(new, None, queue_limit=32, is_there=lambda _: True))

    def claim(self) -> None:
        claimed = self.do(transitions.claim)
        assert claimed.run_id == self.run_id
        self.attempt = claimed.attempt

    def do(self, work: Callable[..., Any]) -> Any:
        return self.writer.submit(work).result(WAIT_S)

    def note(self, n: int = 1, message: str = "so") -> None:
        data = {"code": "so"}
        work = transitions.note(self.run_id, self.attempt, "warning", message=message, data=data)
        for each in [self.writer.submit(work) for _ in range(n)]:
            each.result(WAIT_S)

    def complete(self) -> None:
        end = transitions.complete(
            self.run_id, self.attempt, metrics=METRICS, validation=None, manifest_hash="d" * 64
        )
        assert self.do(end)

    def cancel(self) -> None:
        self.do(transitions.ask_to_cancel(self.run_id))
        assert self.do(transitions.confirm_cancel(self.run_id, self.attempt))


def request(server: Server, path: str, *headers: str, method: str = "GET") -> bytes:
    """Return a request of HTTP/1.0, whose answer comes without chunks and ends with the line."""
    lines = [f"{method} {path} HTTP/1.0", f"Host: 127.0.0.1:{server.port}", *headers]
    lines.append(f"Authorization: Bearer {server.token}")
    return "\r\n".join([*lines, "", ""]).encode()


class Follower:
    """Reads one stream, block by block."""

    def __init__(self, server: Server, path: str, *headers: str) -> None:
        self.socket = server.socket()
        self.socket.sendall(request(server, path, *headers))
        self.file = self.socket.makefile("rb")
        self.head = self._block()
        assert self.head.startswith(b"HTTP/1.1 200 "), self.head

    def _block(self) -> bytes:
        lines = []
        for line in self.file:
            lines.append(line)
            if not line.strip():
                break
        return b"".join(lines)

    def block(self) -> bytes:
        """Return the next block that is an event or the stream's first; b"" at the end."""
        return self._block()

    def event(self) -> Any:
        """Return the data of the next event, None at the end."""
        while (block := self.block()) and b"data: " not in block:
            pass
        return json.loads(block.split(b"data: ")[1]) if block else None

    def rest(self) -> bytes:
        """Return what comes until the server closes."""
        raw: bytes = self.file.read()
        return raw

    def leave(self, *, rudely: bool = False) -> None:
        """Go away, with a reset where that is rude."""
        if rudely:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.file.close()
        self.socket.close()


Follow = Callable[..., Follower]


@pytest.fixture
def follow() -> Iterator[Follow]:
    """Open streams; what is still open at the end is closed."""
    with contextlib.ExitStack() as opened:

        def open_one(*arguments: Any) -> Follower:
            follower = Follower(*arguments)
            opened.callback(follower.leave)
            return follower

        yield open_one


def deaf_socket(server: Server, path: str) -> socket.socket:
    """Ask for a stream through a line that takes next to nothing until it is read."""
    deaf = socket.socket()
    deaf.settimeout(WAIT_S)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.connect(("127.0.0.1", server.port))
    deaf.sendall(request(server, path))
    return deaf


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the line ends, however it does."""
    raw = b""
    with connection, contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(1 << 20):
            raw += chunk
    return raw


def n_handles() -> int:
    """Return how many files and sockets this process has open; 0 where that cannot be told."""
    handles = Path("/proc/self/fd")
    return len(list(handles.iterdir())) if handles.exists() else 0


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def ids(raw: bytes) -> list[int]:
    return [int(line[4:]) for line in raw.splitlines() if line.startswith(b"id: ")]


def n_streams(server: Server) -> int:
    return len(server.server._services.streams)


def n_tasks(server: Server) -> int:
    async def count() -> int:
        return len(asyncio.all_tasks()) - 1

    n: int = asyncio.run_coroutine_threadsafe(count(), server.loop).result(WAIT_S)
    return n


def errors_logged(server: Server) -> list[str]:
    lines = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if json.loads(line)["level"] not in {"info", "debug"}]


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


def test_resume_at_every_cursor_of_a_finished_run(server: Server) -> None:
    """After any event of a finished run the stream gives exactly the rest and closes."""
    run = ByHand(server)
    run.note(20)
    run.complete()
    every = server.get(run.path.removesuffix("/stream")).body.split(b"\n\n")[:-1]
    for after in range(len(every)):
        wanted = b"".join(block + b"\n\n" for block in every[after:])
        for answer in (
            server.get(f"{run.path}?after_id={after}"),
            server.get(f"{run.path}?after_id=0", {"Last-Event-ID": str(after)}),
        ):
            assert answer.body.partition(b"\n\n")[2] == wanted


def test_resume_at_every_cursor_of_a_live_run(server: Server, follow: Follow) -> None:
    """Whoever comes to a live run, at whatever cursor, misses nothing and gets nothing twice."""
    run = ByHand(server)
    run.note(10)
    followers = {after: follow(server, f"{run.path}?after_id={after}") for after in range(13)}
    run.note(10)
    followers |= {after: follow(server, f"{run.path}?after_id={after}") for after in (13, 22)}
    run.complete()
    for after, follower in followers.items():
        assert ids(follower.rest()) == list(range(after + 1, 24))


@pytest.mark.parametrize("after", [0, 1, 255, 256, 700, 1000, 1399, 1400])
def test_resume_beyond_what_memory_holds(server: Server, after: int, follow: Follow) -> None:
    """A cursor older than what is kept in memory is served from the database, then live."""
    run = ByHand(server)
    first = follow(server, run.path)  # its tail is the one that the next shares
    run.note(1398)
    follower = follow(server, f"{run.path}?after_id={after}")
    run.note(30)
    run.complete()
    assert ids(follower.rest()) == list(range(after + 1, 1432))
    assert ids(first.rest()) == list(range(1, 1432))


def test_events_that_come_while_one_is_being_replayed(server: Server, follow: Follow) -> None:
    """Replay and live meet without gap or repeat while events are stored as fast as they can be."""
    run = ByHand(server)
    run.note(600)

    def note_much() -> None:
        for _ in range(20):
            run.note(50)

    noting = threading.Thread(target=note_much)
    noting.start()
    followers: list[tuple[int, Follower]] = []
    while noting.is_alive():
        after = (37 * len(followers)) % 600
        followers.append((after, follow(server, f"{run.path}?after_id={after}")))
        if len(followers) > 50:
            break
    noting.join(WAIT_S)
    run.complete()
    assert followers
    for after, follower in followers:
        assert ids(follower.rest()) == list(range(after + 1, 1604))


@pytest.mark.asyncio
async def test_who_comes_between_commit_and_announcement(tmp_path: Path) -> None:
    """An event that is stored when a stream begins but announced only then comes once."""
    opened = open_database(tmp_path / "studio.db")
    reader = open_for_reading(tmp_path / "studio.db")
    log = EventLog(reader, asyncio.get_running_loop())
    writer = Writer(opened.connection, log.announce, FaultPoints())
    try:
        # Waiting keeps the loop from hearing of it.
        run = ByHand(writer)
        state = log.state(RUN_ID)
        assert state is not None
        tail = log.follow(RUN_ID, state, lambda: None)
        await asyncio.sleep(0)
        assert tail.after(2) == b""
        assert tail.after(1) is None
        run.note()
        assert tail.after(2) == b""
        frames, last = log.page(RUN_ID, 2)
        assert (ids(frames), last) == ([3], 3)
        assert tail.after(3) == b""
        await asyncio.sleep(0)
        assert tail.after(2) == frames
        assert tail.after(3) == b""
        assert tail.after(1) is None
    finally:
        writer.close()
        reader.close()


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


def test_an_earlier_attempts_end_does_not_close(server: Server, follow: Follow) -> None:
    """The terminal event of an earlier attempt is replayed and followed by what comes now."""
    run = ByHand(server)
    early = follow(server, run.path + QUIET)
    run.cancel()
    assert ids(early.rest()) == [1, 2, 3]
    assert server.get(f"{run.path}?after_id=3").status == 204
    run.queue()
    followers = [follow(server, f"{run.path}{QUIET}&after_id={after}") for after in range(5)]
    for after, follower in enumerate(followers):
        assert [follower.event()["seq"] for _ in range(after, 4)] == list(range(after + 1, 5))
    run.claim()
    assert [follower.event()["attempt"] for follower in followers] == [2] * 5
    run.complete()
    for follower in followers:
        assert follower.event()["type"] == "completed"
        assert follower.rest() == b""


def test_a_client_that_is_sent_away_for_good(server: Server) -> None:
    """At the last event of a finished run the answer is 204 without a body, whatever its end."""
    run = ByHand(server)
    run.complete()
    assert server.get(f"{run.path}?after_id=2").status == 200
    for answer in (
        server.get(f"{run.path}?after_id=3"),
        server.get(run.path, {"Last-Event-ID": "3"}),
        server.call("HEAD", f"{run.path}?after_id=3"),
    ):
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
    other = ByHand(server, "cd" * 10)
    assert server.call("HEAD", f"{other.path}?after_id=2").status == 200
    other.cancel()
    assert server.get(f"{other.path}?after_id=3").status == 204


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
