"""The one thread that writes the database: what arrives within a few milliseconds is one commit.

``Writer.submit`` may be called from any thread. A job is a function of a ``Transaction``; it runs
on the writer's thread, and its future is resolved once what it wrote is on the disk. The events of
a group are handed to ``published`` after their commit, before any future of it is resolved.
"""

import itertools
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.database import is_of_the_place, storage_error
from app.fault_points import FaultPoints
from app.strict_json import compact
from engine.errors import StorageError

T = TypeVar("T")
GATHER_S = 0.005
MAX_GROUP = 256
FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 0.05, 2.0
log = logging.getLogger("studio.writer")


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event; ``body`` is its envelope as one line of JSON."""

    run_id: str
    seq: int
    type: str
    body: str

    @property
    def frame(self) -> bytes:
        """Return the event as Server-Sent Events carry it."""
        return f"id: {self.seq}\nevent: {self.type}\ndata: {self.body}\n\n".encode()


class Transaction:
    """What a job may do: statements, and events that become known after the commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.events: list[Event] = []
        self.removed: list[str] = []

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Execute one statement."""
        return self._connection.execute(sql, parameters)

    def row(self, sql: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Row | None:
        """Return the first row, None where there is none."""
        found: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
        return found

    def add_event(self, run_id: str, kind: str, **fields: Any) -> int:
        """Append an event to a run's log under its next number, and return that.

        ``fields`` are those of the envelope; one that is None is left out.
        """
        row = self.row(
            "UPDATE runs SET last_seq = last_seq + 1 WHERE run_id = ? RETURNING last_seq, attempt",
            (run_id,),
        )
        assert row is not None, "an event of a run that is not there"
        seq: int = row["last_seq"]
        envelope = {"run_id": run_id, "seq": seq, "ts": now_ms(), "type": kind}
        envelope["attempt"] = row["attempt"]
        envelope |= {name: value for name, value in fields.items() if value is not None}
        body = compact(envelope)
        self.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (run_id, seq, kind, body))
        self.events.append(Event(run_id, seq, kind, body))
        return seq


def now_ms() -> int:
    """Return the time as epoch ms."""
    return time.time_ns() // 1_000_000


@dataclass(eq=False)
class _Job:
    work: Callable[[Transaction], Any]
    urgent: bool
    lasting: bool
    done: "Future[Any]" = field(default_factory=Future)
    result: Any = None
    fault: BaseException | None = None


class Writer:
    """Owns the writing connection; ``published`` gets the events and the removed runs of a commit.

    ``published`` is called on the writer's thread.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        published: Callable[[list[Event], list[str]], None],
        faults: FaultPoints,
    ) -> None:
        self._connection = connection
        self._published = published
        self._faults = faults
        self._arrived: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._kept: list[_Job] = []  # lasting jobs that could not be stored yet
        self._back_off = FIRST_BACK_OFF_S
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="writer", daemon=True)
        self._thread.start()

    def submit(
        self, work: Callable[[Transaction], T], *, urgent: bool = True, lasting: bool = False
    ) -> "Future[T]":
        """Let ``work`` be done in the next transaction.

        One that is not ``urgent`` may wait some milliseconds for others. One that is ``lasting`` is
        tried until it is stored, before everything that came after it; another fails at once with a
        StorageError where the place is full or cannot be written. An error that ``work`` raises
        undoes that work alone.
        """
        job = _Job(work, urgent, lasting)
        job.done.set_running_or_notify_cancel()  # whoever waits may go: the work is done anyway
        with self._door:
            if not self._closed:
                self._arrived.put(job)
                return job.done
        job.done.set_exception(StorageError("The database is closed."))
        return job.done

    def close(self, timeout_s: float = 5.0) -> None:
        """Store what has arrived, close the connection; what cannot be stored now is given up."""
        with self._door:  # nothing arrives after the end
            self._closed = True
            self._arrived.put(None)
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        open_ = True
        while open_:
            arrived, open_ = self._gather()
            jobs = [*self._kept, *arrived]
            self._kept = []
            fault: Exception | None = None
            for start in range(0, len(jobs), MAX_GROUP):
                group = jobs[start : start + MAX_GROUP]
                fault = fault or self._store(group)
                if fault is not None:  # what came later must not overtake what is kept
                    self._keep(group, fault)
        for job in self._kept:
            job.done.set_exception(StorageError("The database was closed before this was stored."))
        self._connection.close()

    def _gather(self) -> tuple[list[_Job], bool]:
        """Return the jobs that have arrived, waiting for the first, and whether more may come."""
        jobs: list[_Job] = []
        until = time.monotonic() + self._back_off if self._kept else None
        while True:
            try:
                wait = None if until is None else max(0.0, until - time.monotonic())
                job = self._arrived.get(timeout=wait)
            except queue.Empty:
                return jobs, True
            if job is None:
                return jobs, False
            jobs.append(job)
            # A request waits for no one; the rest for others that come soon.
            soon = time.monotonic() + (0.0 if any(j.urgent for j in jobs) else GATHER_S)
            until = soon if until is None or len(jobs) == 1 else min(until, soon)

    def _keep(self, group: list[_Job], fault: Exception) -> None:
        """Keep the lasting jobs of a group that could not be stored, for another try."""
        if not self._kept:
            self._back_off = min(2 * self._back_off, LONGEST_BACK_OFF_S)
        for job in group:
            job.result = job.fault = None
            if job.lasting:
                self._kept.append(job)
            else:
                job.done.set_exception(storage_error(fault))

    def _store(self, group: list[_Job]) -> Exception | None:
        """Store a group of jobs in one transaction; return why the place did not take it."""
        transactions: list[Transaction] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            transactions.extend(self._do(job) for job in group)
            self._faults.passing("group_commit")
            self._connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as fault:
            self._roll_back()
            log.error("%d changes could not be stored: %s", len(group), fault)  # noqa: TRY400  # expected
            return fault
        self._back_off = FIRST_BACK_OFF_S
        self._tell(transactions)
        for job in group:
            if job.fault is None:
                job.done.set_result(job.result)
            else:
                job.done.set_exception(job.fault)
        return None

    def _do(self, job: _Job) -> Transaction:
        transaction = Transaction(self._connection)
        self._connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(transaction)
        except Exception as fault:  # whoever waits for the job gets it
            if is_of_the_place(fault):
                raise
            self._connection.execute("ROLLBACK TO job")
            job.fault, transaction = fault, Transaction(self._connection)
        self._connection.execute("RELEASE job")
        return transaction

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("could not roll back")

    def _tell(self, transactions: list[Transaction]) -> None:
        events = list(itertools.chain.from_iterable(each.events for each in transactions))
        removed = list(itertools.chain.from_iterable(each.removed for each in transactions))
        if events or removed:
            try:
                self._published(events, removed)
            except Exception:  # they are stored: whoever asked for them must hear of that
                log.exception("what is stored could not be told")
