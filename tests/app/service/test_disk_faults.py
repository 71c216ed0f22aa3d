"""A disk that is full or read-only, by faults that are injected."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asked_runs import FAST, WAIT_S
from disk_checks import SLOW, assert_whole, status, wait_until
from server_checks import Start, names

from app import run_job
from app.database import open_for_reading
from app.fault_points import FOREVER, _Fault
from engine.errors import StorageError

NO_SPACE = "No space is left to write"


def stored(data_dir: Path, run_id: str) -> list[tuple[int, str]]:
    """Return number and type of a run's events as the database has them."""
    with contextlib.closing(open_for_reading(data_dir / "studio.db")) as connection:
        rows = connection.execute(
            "SELECT seq, type FROM events WHERE run_id = ? ORDER BY seq", (run_id,)
        )
        return [tuple(row) for row in rows]


def assert_ended(server: Any, run_id: str, ends: str) -> None:
    """Check that a run ended once, with gapless events, and that nothing of it lies about."""
    events = server.events(run_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events].count(ends) == 1
    assert events[-1].type == ends
    assert names(server.data_dir / "tmp") == names(server.data_dir / "runs") == []


class Disk:
    """The disk of a server in this process."""

    def __init__(self, server: Any) -> None:
        self._faults = server.server._faults._faults
        self._passed = server.server._faults._passed

    def fails(self, point: str, action: str = "enospc", first: int = 1) -> None:
        """Let every passage of a point fail from now on, or from the ``first`` of them."""
        self._passed[point] = 0
        self._faults[point] = [_Fault(action, first, FOREVER)]

    def passed(self, point: str) -> int:
        """Return how often a point has been passed since it was to fail."""
        return int(self._passed[point])

    def works(self) -> None:
        """Give the space back."""
        self._faults.clear()


class Follower:
    """Reads a run's stream in a thread of its own."""

    def __init__(self, server: Any, run_id: str) -> None:
        self.raw = b""
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S)
        headers = {"Authorization": f"Bearer {server.token}"}
        self._connection.request("GET", f"/runs/{run_id}/events/stream", headers=headers)
        self._response = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while part := self._response.read1(1 << 16):
            self.raw += part

    @property
    def ids(self) -> list[int]:
        """Return the numbers of the events that have come."""
        lines = self.raw.decode(errors="ignore").split("\n")[:-1]
        return [int(line[4:]) for line in lines if line.startswith("id: ")]

    def ended(self) -> list[int]:
        """Return all numbers once the server has closed the stream."""
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        self._connection.close()
        return self.ids


@pytest.mark.parametrize("action", ["enospc", "erofs"])
@pytest.mark.parametrize("passage", [1, 4, 8])
def test_no_space_for_artifacts(serve: Start, action: str, passage: int) -> None:
    """The run fails with STORAGE_FULL, nothing of it is left, and asked for again it completes."""
    server = serve(faults=f"artifact_write:{action}:{passage}")
    run = server.wait_for(server.new_run())
    assert (run["status"], run["error"]["code"]) == ("failed", "STORAGE_FULL")
    assert run["error"]["message"].startswith(
        NO_SPACE if action == "enospc" else "The run's directory could not be written"
    )
    assert str(server.data_dir) not in run["error"]["message"]
    for folder in ("tmp", "runs", "orphans"):
        assert names(server.data_dir / folder) == []
    assert server.get(f"/runs/{run['run_id']}/artifacts").status == 404
    again = server.post("/runs", FAST)
    assert (again.status, again.json["attempt"]) == (201, 2)
    assert server.wait_for(run["run_id"])["status"] == "completed"
    assert_whole(server, run["run_id"], attempt=2)


@pytest.mark.parametrize(("action", "words"), [("enospc", NO_SPACE), ("erofs", "read-only")])
def test_a_full_disk_refuses_requests(serve: Start, action: str, words: str) -> None:
    """POST, cancel and DELETE answer 507, keep nothing, and reading goes on."""
    server = serve()
    done = server.completed()
    disk = Disk(server)
    disk.fails("group_commit", action)
    for method, path in (
        ("POST", "/runs"),
        ("DELETE", f"/runs/{done['run_id']}"),
    ):
        answer = server.call(method, path, FAST | {"seed": 5} if method == "POST" else None)
        assert (answer.status, answer.code) == (507, "STORAGE_FULL")
        assert answer.json["error"]["retryable"] is True
        assert words in answer.json["error"]["message"]
    assert [run["run_id"] for run in server.get("/runs").json["runs"]] == [done["run_id"]]
    assert server.get(f"/runs/{done['run_id']}/verify").json["ok"]
    disk.works()
    assert server.completed(seed=5)["attempt"] == 1
    assert server.call("DELETE", f"/runs/{done['run_id']}").status == 204


@pytest.mark.parametrize(("action", "words"), [("enospc", NO_SPACE), ("erofs", "read-only")])
def test_no_space_to_queue(serve: Start, action: str, words: str) -> None:
    """A run that cannot be written is refused with 507, and neither it nor its key is kept."""
    server = serve(faults=f"queued:{action}:2-3")
    done = server.completed()
    key = {"Idempotency-Key": "k"}
    for config in (FAST | {"seed": 5}, FAST | {"seed": 6}):
        answer = server.call("POST", "/runs", config, key)
        assert (answer.status, answer.code) == (507, "STORAGE_FULL")
        assert answer.json["error"]["retryable"] is True
        assert words in answer.json["error"]["message"]
    assert [run["run_id"] for run in server.get("/runs").json["runs"]] == [done["run_id"]]
    assert server.call("POST", "/runs", FAST).status == 200  # nothing is written for what is there
    answer = server.call("POST", "/runs", FAST | {"seed": 5}, key)
    assert (answer.status, answer.json["attempt"]) == (201, 1)
    assert server.wait_for(answer.json["run_id"])["status"] == "completed"
    assert_whole(server, answer.json["run_id"])


def test_a_run_waits_for_the_disk(serve: Start) -> None:
    """A run at work goes on, nothing is told that is not stored, and then all of it is, in order."""
    server = serve()
    run_id = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(run_id, "running")
    follower = Follower(server, run_id)
    disk = Disk(server)
    disk.fails("group_commit")
    refused = server.post("/runs", FAST)
    assert (refused.status, refused.code) == (507, "STORAGE_FULL")
    assert server.post(f"/runs/{run_id}/cancel").status == 507
    # The run is done when its directory is there; its end has yet to be stored.
    until = time.monotonic() + WAIT_S
    while names(server.data_dir / "runs") != [run_id]:
        assert time.monotonic() < until
        time.sleep(0.02)
        known = [seq for seq, _ in stored(server.data_dir, run_id)]
        assert set(follower.ids) <= set(known)
    time.sleep(0.3)
    assert status(server.data_dir, run_id) == "running"
    assert server.get(f"/runs/{run_id}").json["status"] == "running"
    assert server.get(f"/runs/{run_id}/artifacts").code == "ARTIFACT_NOT_READY"
    before = stored(server.data_dir, run_id)
    assert follower.ids == [seq for seq, _ in before]
    disk.works()
    assert server.wait_for(run_id)["status"] == "completed"
    assert_whole(server, run_id)
    after = stored(server.data_dir, run_id)
    assert after[: len(before)] == before
    assert follower.ended() == [seq for seq, _ in after]
    assert after[-1][1] == "completed"


def test_a_failure_waits_for_the_disk(serve: Start) -> None:
    """A run that fails for lack of space is failed once that can be stored, and leaves nothing."""
    server = serve()
    run_id = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(run_id, "running")
    disk = Disk(server)
    disk.fails("artifact_write")
    disk.fails("group_commit")
    wait_until(lambda: disk.passed("artifact_write") == 1)
    time.sleep(0.2)
    assert status(server.data_dir, run_id) == "running"
    disk.works()
    run = server.wait_for(run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", "STORAGE_FULL")
    assert_ended(server, run_id, "failed")


def test_a_cancel_waits_for_the_disk(serve: Start) -> None:
    """A run that was asked to stop is cancelled once that can be stored, and leaves nothing."""
    server = serve()
    run_id = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(run_id, "running")
    disk = Disk(server)
    answers = []
    while 202 not in answers:  # a note of progress may be the one that is stored
        disk.fails("group_commit", first=2)
        answers.append(server.post(f"/runs/{run_id}/cancel").status)
        assert answers[-1] in {202, 507}
        if answers[-1] == 507:
            disk.works()
    wait_until(lambda: disk.passed("group_commit") >= 4)
    assert status(server.data_dir, run_id) == "cancelling"
    disk.works()
    assert server.wait_for(run_id)["status"] == "cancelled"
    assert_ended(server, run_id, "cancelled")


@pytest.mark.parametrize("action", ["enospc", "erofs"])
@pytest.mark.parametrize("passage", [1, 2])
def test_a_fault_while_trimming(serve: Start, action: str, passage: int) -> None:
    """A run that could not be removed stays hidden, and goes with the next one that does."""
    server = serve(retention=2, faults=f"trimming:{action}:{passage}")
    ids = [server.completed(seed=seed)["run_id"] for seed in range(3)]
    settled(server, ids[1:])
    assert names(server.data_dir / "runs") == sorted(
        ids[passage - 1 :] if passage == 1 else ids[1:]
    )
    assert server.get(f"/runs/{ids[0]}").status == 404
    ids.append(server.completed(seed=3)["run_id"])
    settled(server, ids[2:])
    wait_until(lambda: names(server.data_dir / "runs") == sorted(ids[2:]))
    again = server.post("/runs", FAST | {"seed": 0})
    assert (again.status, again.json["run_id"], again.json["attempt"]) == (201, ids[0], 1)
    server.wait_for(ids[0], "completed")
    assert_whole(server, ids[0])


def settled(server: Any, ids: list[str]) -> None:
    """Wait until these runs alone are listed."""
    wait_until(lambda: {run["run_id"] for run in server.get("/runs").json["runs"]} == set(ids))


@pytest.mark.parametrize("action", ["enospc", "erofs"])
def test_a_fault_while_deleting(serve: Start, action: str) -> None:
    """DELETE answers 507 where the directory cannot be moved, and a start finishes what was begun."""
    server = serve(faults=f"trimming:{action}:1")
    run_id = server.completed()["run_id"]
    answer = server.call("DELETE", f"/runs/{run_id}")
    assert (answer.status, answer.code) == (507, "STORAGE_FULL")
    assert server.get(f"/runs/{run_id}").status == 404
    server.stop()
    second = serve()
    assert second.get("/runs").json["runs"] == []
    assert names(second.data_dir / "runs") == names(second.data_dir / "tmp") == []
    assert stored(second.data_dir, run_id) == []


def test_a_stop_while_a_removal_has_no_room(serve: Start) -> None:
    """A stop does not wait for a removal that cannot be stored; the next start finishes it."""
    server = serve()
    run_id = server.completed()["run_id"]
    disk = Disk(server)
    # The run can be hidden, and no more.
    Moment(server, "trimming", lambda: disk.fails("group_commit"))
    assert server.call("DELETE", f"/runs/{run_id}").status == 507
    server.stop()
    second = serve()
    assert second.get("/runs").json["runs"] == []
    assert names(second.data_dir / "runs") == names(second.data_dir / "tmp") == []


class Moment:
    """Does something at the first passage of one of a server's fault points."""

    def __init__(self, server: Any, point: str, action: Callable[[], object]) -> None:
        self._left, self._point, self._action = 1, point, action
        self._then = server.server._faults.passing
        server.server._faults.passing = self.passing

    def passing(self, point: str, *actions: str) -> None:
        """Do it."""
        if point == self._point and self._left:
            self._left -= 1
            self._action()
        self._then(point, *actions)


@pytest.mark.parametrize("stays", [False, True])
def test_a_cancel_after_publishing(
    serve: Start, monkeypatch: pytest.MonkeyPatch, *, stays: bool
) -> None:
    """A cancelled run publishes nothing; a directory that cannot be moved goes at the next start."""

    def refuse(*_: object) -> None:
        raise StorageError("It cannot be moved.")

    server = serve()
    run_ids: list[str] = []
    posted = threading.Event()

    def cancel() -> None:
        assert posted.wait(WAIT_S)
        assert server.post(f"/runs/{run_ids[0]}/cancel").status == 202

    Moment(server, "renamed", cancel)
    with monkeypatch.context() as patch:
        if stays:
            patch.setattr(run_job, "throw_away", refuse)
        run_ids.append(server.new_run())
        posted.set()
        assert server.wait_for(run_ids[0])["status"] == "cancelled"
    assert names(server.data_dir / "runs") == (run_ids if stays else [])
    assert server.get(f"/runs/{run_ids[0]}/artifacts").status == 404
    server.stop()
    second = serve()
    assert names(second.data_dir / "runs") == names(second.data_dir / "tmp") == []
    second.new_run()
    assert second.wait_for(run_ids[0])["status"] == "completed"


def test_a_job_that_breaks(serve: Start) -> None:
    """A run whose worker meets an error that nobody expected is failed, not at work for ever."""

    def fail() -> None:
        raise RuntimeError("nobody expected this")

    server = serve()
    Moment(server, "renamed", fail)
    run = server.wait_for(server.new_run())
    assert (run["status"], run["error"]["code"]) == ("failed", "INTERNAL_ERROR")
    assert "nobody" not in run["error"]["message"]
    assert_ended_well(server)


def assert_ended_well(server: Any) -> None:
    """Check that the server goes on, and that the next start finds nothing torn."""
    assert server.completed(seed=1)["attempt"] == 1
    again = server.completed()
    assert again["attempt"] == 2
    assert_whole(server, again["run_id"], attempt=2)
