"""Follow runs over connections that break at any moment, for half an hour.

    python -m scripts.fuzz_events --minutes 30 --seed 0

A server of this process is told transitions of runs that nobody works on, in any order; clients
open streams, read some of them, hang up, and resume in every way that there is, while runs are
removed and the server starts anew. Whoever resumes sees each event once, in order, from 1 on, and
with the very bytes that are stored.
"""

import asyncio
import contextlib
import http.client
import json
import sqlite3
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from app.transitions import TERMINAL
from scripts.fuzz_at_length import command
from scripts.fuzz_event_server import Scripted, changes, loop, next_event, resume, run_id

if TYPE_CHECKING:
    from concurrent.futures import Future

RUNS, CLIENTS = 3, 3
WAIT_S = 20.0
Step = tuple[Any, ...]
Stored = list[tuple[int, str]]


@dataclass
class Follower:
    """A client: which run it follows, in which of its lives, and what it has seen."""

    number: int = -1
    life: int = 0
    seen: Stored = field(default_factory=list)
    connection: http.client.HTTPConnection | None = None
    answer: http.client.HTTPResponse | None = None

    def hang_up(self) -> None:
        """Drop the connection."""
        if self.connection is not None:
            self.connection.close()
        self.connection = self.answer = None


class World:
    """A server, its clients, and what has ever been stored."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.lives = [0] * RUNS
        self.stored: dict[tuple[int, int], Stored] = {}
        self.followers = [Follower() for _ in range(CLIENTS)]
        self.under_way: list[Future[Any]] = []
        self.start()

    def start(self) -> None:
        """Start the server, and let it take from the queue what was left there."""
        self.server = Scripted(self.data_dir)
        started = asyncio.run_coroutine_threadsafe(self.server.start(), loop()).result(WAIT_S)
        self.token = started.token.token
        until = time.monotonic() + WAIT_S
        while self.rows("SELECT 1 FROM runs WHERE status = 'queued'"):
            assert time.monotonic() < until, "the queue is not taken"
            time.sleep(0.002)

    def stop(self) -> None:
        """Stop the server; every stream ends."""
        self.settle()
        asyncio.run_coroutine_threadsafe(self.server.stop(), loop()).result(WAIT_S)

    def rows(self, sql: str) -> list[Any]:
        """Read the database on a connection that the server does not know."""
        path = f"file:{self.data_dir / 'studio.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as reader:
            return reader.execute(sql).fetchall()

    def settle(self) -> None:
        """Wait until what was submitted is stored, and remember all that is."""
        for future in self.under_way:
            future.result(WAIT_S)
        self.under_way.clear()
        found: dict[str, Stored] = {}
        for name, seq, body in self.rows("SELECT run_id, seq, body FROM events ORDER BY 1, 2"):
            found.setdefault(name, []).append((seq, body))
        for number in range(RUNS):
            now = found.get(run_id(number))
            before = self.stored.get((number, self.lives[number]))
            if now is None and before:
                self.lives[number] += 1
            elif now is not None:
                assert [seq for seq, _ in now] == list(range(1, len(now) + 1)), "a gap is stored"
                assert before is None or now[: len(before)] == before, "what was stored has changed"
                self.stored[number, self.lives[number]] = now

    def all_of(self, follower: Follower) -> Stored:
        """Return what is stored of the life that a client follows."""
        return self.stored.get((follower.number, follower.life), [])

    def is_gone(self, follower: Follower) -> bool:
        """Tell whether the run that a client follows was removed."""
        return follower.life != self.lives[follower.number] or not self.all_of(follower)

    def request(
        self, path: str, headers: dict[str, str], method: str = "GET"
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send a request; the answer is still to be read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=WAIT_S)
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        connection.request(method, path, headers=headers)
        return connection, connection.getresponse()

    def connect(self, follower: Follower, number: int, way: str) -> None:
        """Follow a run from where the client has come to, asked for in one of several ways."""
        follower.hang_up()
        if follower.number != number or self.is_gone(follower):
            follower.number, follower.life, follower.seen = number, self.lives[number], []
        path, headers = resume(len(follower.seen), way)
        where = f"/runs/{run_id(number)}/events/stream{path}"
        was_there, is_quiet = not self.is_gone(follower), not self.under_way
        connection, answer = self.request(where, headers)
        if answer.status == 200:
            follower.connection, follower.answer = connection, answer
            return
        answer.read()
        connection.close()
        self.settle()
        stored, seen = self.all_of(follower), len(follower.seen)
        if answer.status == 204 and is_quiet:
            assert len(stored) == seen, f"{len(stored) - seen} events are not told"
            assert json.loads(stored[-1][1])["type"] in TERMINAL, "204 before the end"
        elif answer.status != 204:
            assert answer.status == 404, f"a stream answers {answer.status}"
            assert not was_there, "a run that is there is not found"

    def read(self, follower: Follower, most: int) -> None:
        """Read so many events, or all that there are."""
        self.settle()
        if follower.answer is None:
            return
        gone = self.is_gone(follower)
        for _ in range(most):
            if not gone and len(follower.seen) == len(self.all_of(follower)):
                return
            event = next_event(follower.answer)
            if event is None:
                self.ended(follower, gone=gone)
                return
            self.take(follower, event)

    def take(self, follower: Follower, event: tuple[int, str]) -> None:
        """Check that an event is the next one, as it is stored."""
        seen, stored = follower.seen, self.all_of(follower)
        assert event[0] == len(seen) + 1, f"{event[0]} comes after {len(seen)}"
        assert len(stored) >= event[0], f"{event[0]} is told and not stored"
        assert stored[event[0] - 1] == event, "another body than the stored one"
        seen.append(event)

    def ended(self, follower: Follower, *, gone: bool) -> None:
        """Check that a stream has ended where it may."""
        follower.hang_up()
        last = json.loads(follower.seen[-1][1])["type"] if follower.seen else None
        assert gone or last in TERMINAL, f"a stream ends after {last}"

    def flush(self, follower: Follower, number: int, way: str) -> None:
        """Ask for everything after what the client has seen."""
        self.settle()
        if follower.number != number or self.is_gone(follower):
            return
        path, headers = resume(len(follower.seen), way)
        connection, answer = self.request(f"/runs/{run_id(number)}/events{path}", headers)
        assert answer.status == 200, f"the log answers {answer.status}"
        found = list(iter(lambda: next_event(answer), None))
        connection.close()
        assert found == self.all_of(follower)[len(follower.seen) :], "not what is stored"

    def ahead(self, follower: Follower) -> None:
        """Ask for what comes after events that never were."""
        self.settle()
        if follower.number < 0 or self.is_gone(follower):
            return
        beyond = str(len(self.all_of(follower)) + 1)
        where = f"/runs/{run_id(follower.number)}/events/stream"
        connection, answer = self.request(where, {"Last-Event-ID": beyond})
        connection.close()
        assert answer.status == 409, f"a number ahead is answered by {answer.status}"

    def change(self, name: str, number: int, amount: int) -> None:
        """Submit a transition; several may be under way."""
        found = self.rows(f"SELECT attempt FROM runs WHERE run_id = '{run_id(number)}'")  # noqa: S608  # our own
        attempt = found[0][0] if found else 1
        for work in changes(name, number, attempt, amount):
            self.under_way.append(self.server.submit(work))

    def remove(self, number: int) -> None:
        """Remove a run as a user does; one that has not ended stays."""
        self.settle()
        connection, answer = self.request(f"/runs/{run_id(number)}", {}, "DELETE")
        assert answer.status in {204, 404, 409}, answer.status
        connection.close()
        self.settle()

    def restart(self) -> None:
        """Stop and start; what streams hold of the past is still right."""
        self.stop()
        for follower in self.followers:
            while follower.answer is not None:
                event = next_event(follower.answer)
                if event is None:
                    follower.hang_up()
                else:
                    self.take(follower, event)
        self.start()
        self.settle()

    def finish(self) -> int:
        """Let every client resume until it has seen everything; return how many events it was."""
        self.settle()
        total = 0
        for follower in self.followers:
            tries = 0
            while follower.number >= 0 and not self.is_gone(follower):
                missing = len(self.all_of(follower)) - len(follower.seen)
                if not missing:
                    break
                tries += 1
                assert tries < 10, f"{missing} events never come"
                if follower.answer is None:
                    self.connect(follower, follower.number, "header")
                self.read(follower, missing)
            follower.hang_up()
            total += len(follower.seen)
        return total


NUMBERS, WHO = st.integers(0, RUNS - 1), st.integers(0, CLIENTS - 1)
WAYS = st.sampled_from(["header", "query", "both", "padded"])
CHANGES = ("create", "create", "claim", "claim", "stage", "progress", "progress", "warning",
           "complete", "fail", "cancel", "confirm", "requeue")  # fmt: skip
AMOUNTS = st.sampled_from([1, 2, 3, 40, 300, 600])  # a page holds 256 events, a tail 512
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("change"), st.sampled_from(CHANGES), NUMBERS, AMOUNTS),
    st.tuples(st.just("change"), st.sampled_from(CHANGES), NUMBERS, AMOUNTS),
    st.tuples(st.just("connect"), WHO, NUMBERS, WAYS),
    st.tuples(st.just("read"), WHO, st.sampled_from([1, 2, 5, 1000])),
    st.tuples(st.just("drop"), WHO),
    st.tuples(st.just("flush"), WHO, NUMBERS, WAYS),
    st.tuples(st.sampled_from(["ahead", "remove", "trim", "restart"]), NUMBERS),
)


def cases() -> st.SearchStrategy[list[Step]]:
    """Return what may happen, in any order."""
    begin: list[Step] = [("change", "create", 0, 1), ("change", "claim", 0, 1)]
    follow: list[Step] = [("connect", 0, 0, "header")]
    many: list[Step] = [("change", "progress", 0, 600)]
    starts = st.sampled_from([begin + follow, begin + follow + many, begin + many + follow])
    steps = st.lists(STEPS, min_size=5, max_size=50)
    return st.builds(lambda start, more: [*start, *more], starts, steps)


def check(case: list[Step], folder: Path) -> str:
    """Let it happen, and let every client come to the end."""
    world = World(folder / "data")
    try:
        for name, *rest in case:
            act(world, name, *rest)
        total = world.finish()
    finally:
        for follower in world.followers:
            follower.hang_up()
        world.stop()
    return "many events" if total > 256 else "some events" if total else "no events"


def act(world: World, name: str, *rest: Any) -> None:
    """Let one thing happen."""
    if name == "change":
        world.change(*rest)
    elif name == "connect":
        world.connect(world.followers[rest[0]], *rest[1:])
    elif name == "read":
        world.read(world.followers[rest[0]], rest[1])
    elif name == "drop":
        world.followers[rest[0]].hang_up()
    elif name == "flush":
        world.flush(world.followers[rest[0]], *rest[1:])
    elif name == "ahead":
        world.ahead(world.followers[rest[0]])
    elif name == "remove":
        world.remove(rest[0])
    elif name == "trim":
        world.settle()
        world.server.trim()
        world.settle()
    else:
        world.restart()


if __name__ == "__main__":
    sys.exit(command(__doc__, cases, check, examples=60))
