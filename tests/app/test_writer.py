"""The thread that writes the database: its groups, its order, a full disk, events, its end."""

import errno
import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from app.database import open_database, open_for_reading
from app.fault_points import FOREVER, FaultPoints, _Fault
from app.writer import MAX_GROUP, Event, Transaction, Writer
from engine.errors import StorageError

WAIT_S = 10.0
INSERT = "INSERT INTO idempotency_keys VALUES (?, 'x', 'y', 0)"


class Disk(FaultPoints):
    """Counts the commits, and can be full."""

    def __init__(self) -> None:
        super().__init__({"STUDIO_FAULT": "group_commit:enospc:9999999"})
        self.tries = 0
        self.works()

    def fails(self, action: str = "enospc") -> None:
        """Let every commit fail from now on."""
        self._faults["group_commit"] = [_Fault(action, 1, FOREVER)]

    def works(self) -> None:
        """Let commits succeed again."""
        self._faults["group_commit"] = []

    def passing(self, point: str, *actions: str) -> None:
        """Count, and do what was asked for."""
        self.tries += 1
        super().passing(point, *actions)


class Place:
    """A writer on a database of its own, and what it published."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.disk = Disk()
        self.published: list[Event] = []
        self.removed: list[str] = []
        self.on_publish: Callable[[], None] = lambda: None
        self.writer = Writer(open_database(path).connection, self._publish, self.disk)

    def _publish(self, events: list[Event], removed: list[str]) -> None:
        self.published += events
        self.removed += removed
        self.on_publish()

    def rows(self, sql: str) -> list[Any]:
        """Return what another connection sees."""
        connection = open_for_reading(self.path)
        try:
            return [tuple(row) for row in connection.execute(sql)]
        finally:
            connection.close()

    def keys(self) -> list[str]:
        """Return the stored keys in the order in which they were stored."""
        return [key for (key,) in self.rows("SELECT key FROM idempotency_keys ORDER BY key")]

    def blocked(self) -> tuple[threading.Event, Future[None]]:
        """Keep the thread busy until an event is set, so that what follows is one group."""
        begun, go = threading.Event(), threading.Event()

        def work(_: Transaction) -> None:
            begun.set()
            go.wait(WAIT_S)

        future = self.writer.submit(work)
        assert begun.wait(WAIT_S)
        return go, future


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "studio.db")
    yield place
    place.disk.works()
    place.writer.close()


def store(key: str) -> Callable[[Transaction], str]:
    def work(transaction: Transaction) -> str:
        transaction.execute(INSERT, (key,))
        return key

    return work


def new_run(run_id: str) -> Callable[[Transaction], None]:
    def work(transaction: Transaction) -> None:
        transaction.execute(
            "INSERT INTO runs (run_id, hash, status, progress, attempt, crashes, place, requested,"
            " symbol, created_ts, queued_ts, config, candle_digest, code_version, last_seq)"
            " VALUES (?, '', 'running', 0, 1, 0, 0, 0, '', 0, 0, '{}', '', '', 0)",
            (run_id,),
        )

    return work


def event(run_id: str, **fields: Any) -> Callable[[Transaction], int]:
    return lambda transaction: transaction.add_event(run_id, "progress", **fields)


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_a_result_is_stored_before_it_is_told(place: Place) -> None:
    """Whoever has the result of a job finds what it wrote."""
    assert place.writer.submit(store("a")).result(WAIT_S) == "a"
    assert place.keys() == ["a"]


def test_what_arrives_together_is_one_commit(place: Place) -> None:
    """Jobs that wait for the thread are stored in one transaction, in the order they came in."""
    go, first = place.blocked()
    order: list[int] = []
    futures = [place.writer.submit(lambda _, i=i: order.append(i)) for i in range(50)]  # type: ignore[misc]  # mypy and defaults of lambdas
    go.set()
    for future in [first, *futures]:
        future.result(WAIT_S)
    assert order == list(range(50))
    assert place.disk.tries == 2


def test_a_job_that_is_not_urgent_waits_for_others(place: Place) -> None:
    """Notes that come within the gathering time share a commit; a request does not wait."""
    futures = [place.writer.submit(store(f"{i}"), urgent=False) for i in range(5)]
    for future in futures:
        future.result(WAIT_S)
    assert place.disk.tries < 5
    assert len(place.keys()) == 5


def test_a_group_has_its_limit(place: Place) -> None:
    """More than a group holds becomes several, still in order."""
    go, _ = place.blocked()
    futures = [place.writer.submit(store(f"{i:04}")) for i in range(MAX_GROUP + 5)]
    go.set()
    assert [future.result(WAIT_S) for future in futures] == place.keys()
    assert place.disk.tries == 3


@pytest.mark.parametrize(
    "fault",
    [ValueError("mine"), OSError(errno.ENOSPC, "mine"), sqlite3.IntegrityError("mine")],
)
def test_a_failing_job_harms_no_other(place: Place, fault: Exception) -> None:
    """What a job raises undoes its own statements and events, and goes to whoever waits for it."""

    def fails(transaction: Transaction) -> None:
        transaction.execute(INSERT, ("undone",))
        transaction.add_event("r", "progress")
        raise fault

    place.writer.submit(new_run("r")).result(WAIT_S)
    go, _ = place.blocked()
    before, failed, after = (place.writer.submit(work) for work in (store("a"), fails, store("b")))
    go.set()
    assert before.result(WAIT_S) == "a"
    assert after.result(WAIT_S) == "b"
    assert failed.exception(WAIT_S) is fault
    assert place.keys() == ["a", "b"]
    assert place.published == []
    assert place.rows("SELECT last_seq FROM runs") == [(0,)]


def test_a_broken_rule_of_the_schema_fails_alone(place: Place) -> None:
    """A statement that SQLite refuses is its job's own fault, not the disk's."""
    futures = [place.writer.submit(store(key)) for key in ("a", "a", "b")]
    assert isinstance(futures[1].exception(WAIT_S), sqlite3.IntegrityError)
    assert place.keys() == ["a", "b"]


@pytest.mark.parametrize("action", ["enospc", "erofs"])
def test_a_full_disk_fails_requests_at_once(place: Place, action: str) -> None:
    """A job that is not lasting fails with a plain sentence, once; the next one may succeed."""
    place.disk.fails(action)
    with pytest.raises(StorageError, match=r"No space is left|read-only"):
        place.writer.submit(store("a")).result(WAIT_S)
    place.disk.works()
    assert place.writer.submit(store("b")).result(WAIT_S) == "b"
    assert place.keys() == ["b"]


def test_lasting_jobs_come_before_later_ones(place: Place) -> None:
    """What must be stored is tried until it is, in its order, and nothing overtakes it."""
    order: list[str] = []

    def noted(key: str) -> Callable[[Transaction], None]:
        def work(transaction: Transaction) -> None:
            store(key)(transaction)
            order.append(key)

        return work

    place.disk.fails()
    lasting = [place.writer.submit(noted(f"{i}"), lasting=True) for i in range(3)]
    with pytest.raises(StorageError):
        place.writer.submit(noted("refused")).result(WAIT_S)
    lasting += [place.writer.submit(noted(f"{i}"), lasting=True) for i in range(3, 6)]
    wait_until(lambda: place.disk.tries >= 4)
    assert not any(future.done() for future in lasting)
    assert place.keys() == []
    order.clear()
    place.disk.works()
    later = place.writer.submit(noted("9"))
    for future in [*lasting, later]:
        future.result(WAIT_S)
    assert order[-7:] == ["0", "1", "2", "3", "4", "5", "9"]
    assert place.keys() == ["0", "1", "2", "3", "4", "5", "9"]


def test_more_than_a_group_is_kept_in_order(place: Place) -> None:
    """Where several groups cannot be stored, the later ones stay behind the first."""
    place.writer.submit(new_run("r")).result(WAIT_S)
    go, _ = place.blocked()
    place.disk.fails()
    n = 2 * MAX_GROUP + 10
    futures = [place.writer.submit(event("r", data=i), lasting=True) for i in range(n)]
    go.set()
    wait_until(lambda: place.disk.tries >= 4)
    place.disk.works()
    assert [future.result(WAIT_S) for future in futures] == list(range(1, n + 1))
    assert [each.seq for each in place.published] == list(range(1, n + 1))
    assert [f'"data":{i}' in each.body for i, each in enumerate(place.published)] == [True] * n


def test_a_real_fault_of_the_place_is_told_from_a_jobs(place: Place) -> None:
    """A file that SQLite itself may not extend fails the group, and goes on when it may."""
    place.writer.submit(lambda t: t.execute("PRAGMA max_page_count = 1")).result(WAIT_S)
    big = place.writer.submit(store("x" * 100_000), lasting=True)
    with pytest.raises(StorageError, match="No space is left to write the database"):
        place.writer.submit(store("y" * 100_000)).result(WAIT_S)
    assert place.published == []
    place.writer._connection.execute("PRAGMA max_page_count = 100000")
    assert big.result(WAIT_S) == "x" * 100_000


def test_events_are_numbered_and_told_after_their_commit(place: Place) -> None:
    """Events are known once they are stored, and before whoever asked goes on."""
    place.writer.submit(new_run("r")).result(WAIT_S)
    stored: list[list[Any]] = []
    resolved: list[bool] = []
    futures: list[Future[int]] = []

    def look() -> None:
        stored.append(place.rows("SELECT seq FROM events ORDER BY seq"))
        resolved.extend(future.done() for future in futures)

    go, _ = place.blocked()
    place.on_publish = look
    futures += [place.writer.submit(event("r", stage=None, progress=i / 2)) for i in range(3)]
    go.set()
    assert [future.result(WAIT_S) for future in futures] == [1, 2, 3]
    assert stored == [[(1,), (2,), (3,)]]
    assert resolved == [False] * 3
    assert [each.seq for each in place.published] == [1, 2, 3]
    assert place.published[1].frame.startswith(
        b'id: 2\nevent: progress\ndata: {"run_id":"r","seq":2'
    )
    assert b"stage" not in place.published[1].frame


def test_nothing_is_told_that_is_not_stored(place: Place) -> None:
    """While the disk is full no event is published, and afterwards each one once."""
    place.writer.submit(new_run("r")).result(WAIT_S)
    place.disk.fails()
    kept = place.writer.submit(event("r"), lasting=True)
    with pytest.raises(StorageError):
        place.writer.submit(event("r")).result(WAIT_S)
    tries = place.disk.tries
    wait_until(lambda: place.disk.tries > tries)
    assert place.published == []
    place.disk.works()
    assert kept.result(WAIT_S) == 1
    assert [each.seq for each in place.published] == [1]


def test_removed_runs_are_told(place: Place) -> None:
    """A job that removes a run has that published as well."""
    place.writer.submit(lambda transaction: transaction.removed.append("r")).result(WAIT_S)
    assert place.removed == ["r"]


def test_a_publisher_that_raises_does_no_harm(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """What is stored is stored: its jobs succeed, and the thread goes on."""
    place.writer.submit(new_run("r")).result(WAIT_S)

    def fail() -> None:
        raise RuntimeError("a listener")

    place.on_publish = fail
    assert place.writer.submit(event("r")).result(WAIT_S) == 1
    place.on_publish = lambda: None
    assert place.writer.submit(event("r")).result(WAIT_S) == 2
    assert [each.seq for each in place.published] == [1, 2]
    assert "a listener" in caplog.text


def test_close_stores_what_has_arrived(place: Place) -> None:
    """Jobs that were asked for before the end are done; later ones fail at once."""
    go, _ = place.blocked()
    futures = [place.writer.submit(store(f"{i}")) for i in range(3)]
    closing = threading.Thread(target=place.writer.close)
    closing.start()
    wait_until(lambda: place.writer._closed)
    late = place.writer.submit(store("late"))
    go.set()
    closing.join(WAIT_S)
    assert [future.result(WAIT_S) for future in futures] == ["0", "1", "2"]
    with pytest.raises(StorageError, match="The database is closed"):
        late.result(WAIT_S)
    assert place.keys() == ["0", "1", "2"]
    place.writer.close()


def test_close_gives_up_what_cannot_be_stored(place: Place) -> None:
    """On a full disk the end is not kept waiting, and whoever waits is told."""
    place.disk.fails()
    kept = [place.writer.submit(store(f"{i}"), lasting=True) for i in range(3)]
    wait_until(lambda: place.disk.tries >= 3)
    place.writer.close()
    for future in kept:
        with pytest.raises(StorageError, match="closed before this was stored"):
            future.result(WAIT_S)
    assert not place.writer._thread.is_alive()
    assert place.keys() == []


def test_every_future_is_resolved_whatever_the_moment(tmp_path: Path) -> None:
    """Jobs submitted while the writer closes are stored or refused, and none waits for ever."""
    for n in range(30):
        place = Place(tmp_path / f"{n}.db")
        futures: list[Future[str]] = []
        counter = itertools.count()

        def submit(place: Place = place, futures: list[Any] = futures, n: Any = counter) -> None:
            for _ in range(40):
                futures.append(place.writer.submit(store(f"{next(n)}"), lasting=True))  # noqa: PERF401  # as they come

        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.0005 * (n % 5))
        place.writer.close()
        for thread in threads:
            thread.join()
        stored = [future for future in futures if future.exception(WAIT_S) is None]
        assert len(futures) == 120
        assert len(place.keys()) == len(stored)
