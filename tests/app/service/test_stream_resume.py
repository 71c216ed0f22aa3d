"""``GET /runs/{id}/events/stream`` from any cursor on: no event is missed and none comes twice."""

import asyncio
import threading
from pathlib import Path

import pytest
from asked_runs import WAIT_S, Server
from followed_streams import QUIET, RUN_ID, ByHand, Follow, Follower, ids

from app.database import open_database, open_for_reading
from app.events import EventLog
from app.fault_points import FaultPoints
from app.writer import Writer


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
