"""Runs that are cancelled, deleted or trimmed, in every state and at the worst moment."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Server = Any
Serve = Callable[..., Any]
FAST: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "plot": False}
LONG = FAST | {"validation": {"permutation": {"n": 100_000}}}
NOBODY = "0123456789abcdef0123"

WAITS, BROKEN = FAST | {"strategy": {"name": "waits"}}, FAST | {"strategy": {"name": "broken"}}


@dataclass
class Gated:
    """Starts servers with two more strategies, of which one waits for the gate."""

    serve: Serve
    gate: Path
    plugin: Path

    def __call__(self, **settings: Any) -> Server:
        """Start a server."""
        return self.serve(plugins=(self.plugin,), **settings)


@pytest.fixture
def gated(serve: Serve, plugin: Any) -> Gated:
    """Let a run wait in the middle, deaf to a cancel, until its gate is opened."""
    return Gated(serve, plugin.gate, plugin.path)


def start(server: Server, body: dict[str, Any]) -> str:
    run_id = str(server.post("/runs", body).json["run_id"])
    server.wait_for(run_id, "running")
    return run_id


def cancel(server: Server, run_id: str) -> Any:
    return server.call("POST", f"/runs/{run_id}/cancel")


def delete(server: Server, run_id: str) -> Any:
    return server.call("DELETE", f"/runs/{run_id}")


def types(server: Server, run_id: str) -> list[str]:
    return [event.type for event in server.events(run_id)]


def left_on_disk(server: Server) -> set[str]:
    """Return the names in runs/, and those in tmp/ with what they are."""
    runs, tmp = server.data_dir / "runs", server.data_dir / "tmp"
    return {path.name for path in runs.iterdir()} | {f"tmp/{path.name}" for path in tmp.iterdir()}


def stored(server: Server, table: str, run_id: str) -> int:
    connection = sqlite3.connect(server.data_dir / "studio.db", timeout=10)
    sql = f"SELECT count(*) FROM {table} WHERE run_id = ?"  # noqa: S608  # our own words
    found: int = connection.execute(sql, (run_id,)).fetchone()[0]
    connection.close()
    return found


def listed(server: Server) -> set[str]:
    return {run["run_id"] for run in server.get("/runs?limit=200").json["runs"]}


def settled(server: Server, expected: set[str]) -> None:
    """Wait until retention has left these runs, in the list and on the disk."""
    for _ in range(2000):
        if listed(server) == expected and left_on_disk(server) <= expected:
            return
    assert (listed(server), left_on_disk(server)) == (expected, expected)


def test_cancel_what_is_queued(serve: Serve) -> None:
    """A queued run is cancelled at once, with its event, and never starts."""
    server = serve(workers=1)
    running, run_id = start(server, LONG), server.new_run()
    answer = cancel(server, run_id)
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    run = server.get(f"/runs/{run_id}").json
    assert (run["status"], run["started_ts"], run["error"]) == ("cancelled", None, None)
    assert run["finished_ts"] >= run["queued_ts"]
    assert types(server, run_id) == ["queued", "cancelled"]
    again = cancel(server, run_id)
    assert (again.status, again.json["status"]) == (200, "cancelled")
    cancel(server, running)
    server.wait_for(running)
    server.completed(seed=1)
    assert types(server, run_id) == ["queued", "cancelled"]
    assert run_id not in left_on_disk(server)


def test_cancel_what_is_running(server: Server) -> None:
    """A running run is told to stop, does so long before its end, and leaves nothing behind."""
    run_id = start(server, LONG)
    answer = cancel(server, run_id)
    assert (answer.status, answer.json["status"]) == (202, "cancelling")
    run = server.wait_for(run_id, "cancelled", "completed", "failed")
    assert (run["status"], run["error"], run["manifest_hash"]) == ("cancelled", None, None)
    assert run["progress"] < 1
    assert types(server, run_id)[-1] == "cancelled"
    assert "completed" not in types(server, run_id)
    assert left_on_disk(server) == set()
    assert cancel(server, run_id).status == 200


def test_cancel_what_is_being_cancelled(gated: Gated) -> None:
    """A run that was told to stop may be told again; that makes no other event."""
    server = gated(workers=1)
    run_id = start(server, WAITS)
    for _ in range(3):
        answer = cancel(server, run_id)
        assert (answer.status, answer.json["status"]) == (202, "cancelling")
    assert server.get(f"/runs/{run_id}").json["status"] == "cancelling"
    gated.gate.touch()
    assert server.wait_for(run_id)["status"] == "cancelled"
    assert types(server, run_id).count("cancelled") == 1
    assert left_on_disk(server) == set()


def test_cancel_what_has_finished(gated: Gated) -> None:
    """A run that is completed or failed cannot be cancelled any more, and stays as it is."""
    server = gated()
    for body, status in ((FAST, "completed"), (BROKEN, "failed")):
        run_id = server.post("/runs", body).json["run_id"]
        before = server.wait_for(run_id)
        assert before["status"] == status
        answer = cancel(server, run_id)
        assert (answer.status, answer.code) == (409, "RUN_ALREADY_FINISHED")
        assert answer.json["error"]["retryable"] is False
        assert server.get(f"/runs/{run_id}").json == before


def test_nobody_can_be_cancelled_or_removed(server: Server) -> None:
    """An id that is nobody's is not found."""
    for answer in (cancel(server, NOBODY), delete(server, NOBODY)):
        assert (answer.status, answer.code) == (404, "RUN_NOT_FOUND")


def test_cancel_while_the_plot_is_drawn(server: Server) -> None:
    """A run that is cancelled while its plot is drawn publishes nothing."""
    for seed in range(20):
        run_id = server.new_run(plot=True, seed=seed)
        run = server.get(f"/runs/{run_id}").json
        while run["stage"] != "artifacts":
            run = server.get(f"/runs/{run_id}").json
        if cancel(server, run_id).status == 202:
            break
    run = server.wait_for(run_id)
    assert (run["status"], run["stage"]) == ("cancelled", "artifacts")
    assert run_id not in left_on_disk(server)
    assert not any(name.startswith("tmp/") for name in left_on_disk(server))
    assert server.get(f"/runs/{run_id}/artifacts").code == "ARTIFACT_NOT_FOUND"


def test_cancels_race_completions(serve: Serve) -> None:
    """However a cancel meets the end of its run, the run is cancelled or published, never both."""
    server = serve(workers=2, retention=1000, queue_limit=200)

    def race(seed: int) -> tuple[str, int]:
        run_id = server.new_run(seed=seed)
        # Each seventh has surely completed; how far the others come, is chance.
        server.wait_for(run_id, *["running"] * (seed % 7 < 6), "completed")
        for _ in range(seed % 7):
            server.get("/health")
        return run_id, cancel(server, run_id).status

    with ThreadPoolExecutor(2) as pool:
        answers = dict(pool.map(race, range(42)))
    assert set(answers.values()) <= {200, 202, 409}
    for run_id, status in answers.items():
        run, ends = server.wait_for(run_id), types(server, run_id)
        assert run["status"] == ("completed" if status == 409 else "cancelled")
        assert ends[-1] == run["status"]
        assert len({"completed", "cancelled"} & set(ends)) == 1
        published = (server.data_dir / "runs" / run_id).exists()
        assert published == (run["status"] == "completed") == (run["manifest_hash"] is not None)
    assert list(answers.values()).count(409) >= 6
    assert not any(name.startswith("tmp/") for name in left_on_disk(server))


def test_cancel_at_the_moment_of_publishing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel between the renaming of the directory and the row takes the directory back."""
    server = serve()
    renamed, go_on = threading.Event(), threading.Event()

    def passing(point: str, *_: str) -> None:
        if point == "renamed":
            renamed.set()
            assert go_on.wait(10)

    monkeypatch.setattr(server.server._faults, "passing", passing)
    run_id = server.new_run()
    assert renamed.wait(10)
    assert run_id in left_on_disk(server)
    assert server.get(f"/runs/{run_id}/artifacts").code == "ARTIFACT_NOT_READY"
    assert cancel(server, run_id).status == 202
    go_on.set()
    assert server.wait_for(run_id)["status"] == "cancelled"
    assert left_on_disk(server) == set()
    assert types(server, run_id)[-1] == "cancelled"


def test_many_cancels_at_once(gated: Gated) -> None:
    """Many who cancel the same run all hear the same, and it ends once."""
    server = gated(workers=1)
    running = start(server, WAITS)
    waiting = server.new_run()
    for run_id, status in ((waiting, 200), (running, 202)):
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _, one=run_id: cancel(server, one), range(20)))
        assert {answer.status for answer in answers} == {status}
    gated.gate.touch()
    for run_id in (waiting, running):
        assert server.wait_for(run_id)["status"] == "cancelled"
        assert types(server, run_id).count("cancelled") == 1


def test_remove(server: Server) -> None:
    """Row, events, keys and directory of a removed run go; asked for again it is new."""
    key = {"Idempotency-Key": "k"}
    run_id = server.post("/runs", FAST, key).json["run_id"]
    run = server.wait_for(run_id)
    other = server.completed(seed=1)
    answer = delete(server, run_id)
    assert (answer.status, answer.body) == (204, b"")
    for table in ("runs", "events", "idempotency_keys"):
        assert stored(server, table, run_id) == 0
        assert table == "idempotency_keys" or stored(server, table, other["run_id"]) > 0
    assert left_on_disk(server) == {other["run_id"]}
    for path in ("", "/events", "/artifacts", "/verify", "/artifact/summary.json"):
        assert server.get(f"/runs/{run_id}{path}").code == "RUN_NOT_FOUND"
    assert delete(server, run_id).code == cancel(server, run_id).code == "RUN_NOT_FOUND"
    assert listed(server) == {other["run_id"]}
    again = server.post("/runs", FAST, key)
    assert (again.status, again.json["run_id"], again.json["attempt"]) == (201, run_id, 1)
    assert server.wait_for(run_id)["manifest_hash"] == run["manifest_hash"]
    assert server.events(run_id)[0].id == 1


def test_remove_what_is_live(gated: Gated) -> None:
    """A run that is queued, running or being cancelled cannot be removed."""
    server = gated(workers=1)
    running, waiting = start(server, WAITS), server.new_run()
    for run_id, status in ((waiting, "queued"), (running, "running"), (running, "cancelling")):
        if status == "cancelling":
            cancel(server, running)
        answer = delete(server, run_id)
        assert (answer.status, answer.code) == (409, "RUN_NOT_FINISHED")
        assert server.get(f"/runs/{run_id}").json["status"] == status
    gated.gate.touch()
    for run_id, status in ((running, "cancelled"), (waiting, "completed")):
        assert server.wait_for(run_id)["status"] == status
        assert delete(server, run_id).status == 204


def test_remove_without_a_directory(gated: Gated) -> None:
    """A run that failed, or whose directory somebody took away, can be removed."""
    server = gated()
    failed = server.post("/runs", BROKEN).json["run_id"]
    server.wait_for(failed)
    completed = server.completed()["run_id"]
    (server.data_dir / "runs" / completed).rename(server.data_dir / "elsewhere")
    for run_id in (failed, completed):
        assert delete(server, run_id).status == 204
    assert listed(server) == set()


def test_remove_a_link(server: Server, tmp_path: Path) -> None:
    """Where a link stands in place of a run's directory, the link goes and not what it leads to."""
    run_id = server.completed()["run_id"]
    place = server.data_dir / "runs" / run_id
    place.rename(tmp_path / "precious")
    place.symlink_to(tmp_path / "precious", target_is_directory=True)
    assert delete(server, run_id).status == 204
    assert left_on_disk(server) == set()
    assert (tmp_path / "precious/manifest.json").exists()


def test_many_remove_at_once(server: Server) -> None:
    """Of many who remove the same run one has done it and the others find it gone."""
    run_id = server.completed()["run_id"]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: delete(server, run_id), range(20)))
    assert sorted(answer.status for answer in answers) == [204] + [404] * 19


def test_removing_races_asking(server: Server) -> None:
    """Whoever wins, a run that is there has its files and one that is not has left nothing."""

    def ask(i: int) -> int:
        answer = server.post("/runs", FAST) if i % 2 else delete(server, run_id)
        return int(answer.status)

    run_id = server.completed()["run_id"]
    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(ask, range(60)))
    assert statuses <= {200, 201, 204, 404, 409}
    assert server.new_run() == run_id
    assert server.wait_for(run_id)["status"] == "completed"
    assert server.get(f"/runs/{run_id}/verify").json["ok"]
    assert left_on_disk(server) == {run_id}
    ids = [event.id for event in server.events(run_id)]
    assert ids == list(range(1, len(ids) + 1))


def test_the_newest_stay(serve: Serve) -> None:
    """Beyond the retention the runs that completed first go, with everything; a reuse renews none."""
    server = serve(retention=3)
    run_ids = [server.completed(seed=seed)["run_id"] for seed in range(3)]
    assert listed(server) == set(run_ids)
    assert server.post("/runs", FAST | {"seed": 0}).status == 200
    run_ids.append(server.completed(seed=3)["run_id"])
    settled(server, set(run_ids[1:]))
    for table in ("runs", "events"):
        assert stored(server, table, run_ids[0]) == 0
    assert server.get(f"/runs/{run_ids[0]}").code == "RUN_NOT_FOUND"
    again = server.post("/runs", FAST | {"seed": 0})
    assert (again.status, again.json["attempt"]) == (201, 1)
    server.wait_for(run_ids[0])
    settled(server, {run_ids[0], *run_ids[2:]})
    for run_id in run_ids[2:]:
        assert server.get(f"/runs/{run_id}/verify").json["ok"]


def test_the_end_counts_not_the_beginning(gated: Gated) -> None:
    """A run that was asked for first and completes last is the newest."""
    server = gated(workers=2, retention=2)
    slow = start(server, WAITS)
    run_ids = [server.completed(seed=seed)["run_id"] for seed in range(2)]
    gated.gate.touch()
    assert server.wait_for(slow)["status"] == "completed"
    settled(server, {slow, run_ids[1]})


def test_failed_and_cancelled_are_counted_apart(gated: Gated) -> None:
    """Runs that failed or were cancelled push out their like and no completed run."""
    server = gated(workers=1, retention=2)
    done = {server.completed(seed=seed)["run_id"] for seed in range(2)}
    failed = []
    for seed in range(4):
        failed.append(server.post("/runs", BROKEN | {"seed": seed}).json["run_id"])
        server.wait_for(failed[-1])
    settled(server, done | set(failed[2:]))
    running = start(server, WAITS)
    cancelled = []
    for seed in range(10, 14):
        cancelled.append(server.new_run(seed=seed))
        cancel(server, cancelled[-1])
    for _ in range(2000):
        kept = [run["run_id"] for run in server.get("/runs?status=cancelled").json["runs"]]
        if len(kept) == 2:
            break
    assert set(kept) == set(cancelled[2:])
    assert done | {running} <= listed(server)
