"""The event log as its readers see it: stored events by number, and a live run's latest in memory.

Everything here belongs to the event loop's thread, but for ``EventLog.announce``, which the writer
calls after each commit. Nothing is shown before it is stored: a tail holds committed events only.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.transitions import DELETING, TERMINAL
from app.writer import Event

TAIL_EVENTS = 512
PAGE_EVENTS = 256
NO_END = 1 << 62


@dataclass(frozen=True)
class LogState:
    """Where a run's log stands."""

    created_ts: int
    status: str
    last_seq: int

    @property
    def final(self) -> bool:
        """Tell whether nothing more comes, unless the run is asked for again."""
        return self.status in TERMINAL


class Tail:
    """The latest committed events of one run, shared by everyone who follows it."""

    def __init__(self, state: LogState) -> None:
        self.last_seq = state.last_seq
        self.ended = state.final
        self.removed = False
        self._frames: deque[bytes] = deque(maxlen=TAIL_EVENTS)
        self._followers: set[Callable[[], None]] = set()

    def add(self, event: Event) -> None:
        """Append a committed event; one that is known already changes nothing."""
        if event.seq > self.last_seq:
            self.last_seq = event.seq
            self.ended = event.type in TERMINAL
            self._frames.append(event.frame)

    def after(self, seq: int) -> bytes | None:
        """Return the frames after ``seq``; None where the tail does not reach back so far."""
        missing = self.last_seq - seq
        if missing > len(self._frames):
            return None
        return b"".join(
            self._frames[i] for i in range(len(self._frames) - missing, len(self._frames))
        )

    def wake(self) -> None:
        """Let every follower look again."""
        for follower in tuple(self._followers):
            follower()

    def follow(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` whenever something changes."""
        self._followers.add(wake)

    def leave(self, wake: Callable[[], None]) -> bool:
        """Stop calling ``wake``; tell whether nobody follows any more."""
        self._followers.discard(wake)
        return not self._followers


class EventLog:
    """Stored events, and the tails of the runs that somebody follows."""

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._tails: dict[str, Tail] = {}

    def announce(self, events: Iterable[Event], removed: Iterable[str]) -> None:
        """Tell the loop what has been committed; called on the writer's thread."""
        try:
            self._loop.call_soon_threadsafe(self._publish, list(events), list(removed))
        except RuntimeError:  # the loop is closed: nobody follows any more
            return

    def _publish(self, events: list[Event], removed: list[str]) -> None:
        changed: dict[str, Tail] = {}
        for event in events:
            if (tail := self._tails.get(event.run_id)) is not None:
                tail.add(event)
                changed[event.run_id] = tail
        for run_id in removed:
            if (tail := self._tails.pop(run_id, None)) is not None:
                tail.removed = True
                changed[run_id] = tail
        for tail in changed.values():
            tail.wake()

    def state(self, run_id: str) -> LogState | None:
        """Return where a run's log stands, None where there is no such run."""
        row = self._connection.execute(
            "SELECT created_ts, status, last_seq FROM runs WHERE run_id = ? AND status != ?",
            (run_id, DELETING),
        ).fetchone()
        return None if row is None else LogState(*row)

    def page(self, run_id: str, after: int, last: int = NO_END) -> tuple[bytes, int]:
        """Return the frames of the next stored events after ``after``, and the last number."""
        rows = self._connection.execute(
            "SELECT run_id, seq, type, body FROM events WHERE run_id = ? AND seq > ?"
            " AND seq <= ? ORDER BY seq LIMIT ?",
            (run_id, after, last, PAGE_EVENTS),
        ).fetchall()
        events = [Event(*row) for row in rows]
        return b"".join(event.frame for event in events), events[-1].seq if events else after

    def follow(self, run_id: str, state: LogState, wake: Callable[[], None]) -> Tail:
        """Return the run's tail, and have ``wake`` called whenever it changes."""
        tail = self._tails.get(run_id)
        if tail is None:
            tail = self._tails[run_id] = Tail(state)
        tail.follow(wake)
        return tail

    def leave(self, run_id: str, tail: Tail, wake: Callable[[], None]) -> None:
        """Stop following; the last one to go takes the tail along."""
        if tail.leave(wake) and self._tails.get(run_id) is tail:
            del self._tails[run_id]

    def wake_all(self) -> None:
        """Let everyone who follows a run look up: the server is stopping."""
        for tail in tuple(self._tails.values()):
            tail.wake()
