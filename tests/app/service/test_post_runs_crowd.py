"""``POST /runs`` by forty at once, into a full queue, onto a full disk, and while the server stops."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asked_runs import FAST, LONG, Held, Serve, Server, database, keyed, n_runs

from app.fault_points import FaultPoints


def test_a_full_queue(serve: Serve) -> None:
    """Beyond the limit a new run is refused and binds no key; what is there already is found."""
    server = serve(workers=1, queue_limit=2)
    running = server.post("/runs", LONG).json["run_id"]
    server.wait_for(running, "running")
    cancelled = server.new_run(seed=9)
    server.post(f"/runs/{cancelled}/cancel")
    waiting = [server.new_run(seed=seed) for seed in (1, 2)]
    for body in (FAST | {"seed": 3}, FAST | {"seed": 9}):
        answer = keyed(server, "k", body)
        assert (answer.status, answer.code) == (429, "QUEUE_FULL")
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json["error"]["retryable"] is True
    run = server.get(f"/runs/{cancelled}").json
    assert (run["status"], run["attempt"]) == ("cancelled", 1)
    found = keyed(server, "found", FAST | {"seed": 1})
    assert (found.status, found.json["run_id"]) == (200, waiting[0])
    assert server.post("/runs", LONG).status == 200
    assert server.post(f"/runs/{waiting[0]}/cancel").status == 200
    assert keyed(server, "k", FAST | {"seed": 4}).status == 201
    assert server.post("/runs", FAST | {"seed": 5}).code == "QUEUE_FULL"
    assert n_runs(server) == 5
    server.post(f"/runs/{running}/cancel")


def forty(ask: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(40) as pool:
        return list(pool.map(ask, range(40)))


def test_forty_with_the_same_key(server: Server) -> None:
    """Forty requests with one key and one body make one run."""
    answers = forty(lambda _: keyed(server, "k", FAST))
    assert sorted(answer.status for answer in answers) == [200] * 39 + [201]
    assert len({answer.json["run_id"] for answer in answers}) == 1
    assert n_runs(server) == 1


def test_forty_bodies_with_one_key(server: Server) -> None:
    """Of forty bodies with one key one is taken and the others leave nothing behind."""
    answers = forty(lambda i: keyed(server, "k", FAST | {"seed": i}))
    assert sorted(answer.status for answer in answers) == [201] + [422] * 39
    codes = {answer.code for answer in answers if answer.status == 422}
    assert codes == {"IDEMPOTENCY_KEY_REUSED"}
    assert n_runs(server) == 1


def test_forty_keys_for_one_body(server: Server) -> None:
    """Forty keys for one body make one run, and all of them are bound to it."""
    answers = forty(lambda i: keyed(server, f"k{i}", FAST))
    assert sorted(answer.status for answer in answers) == [200] * 39 + [201]
    assert len({answer.json["run_id"] for answer in answers}) == 1
    others = forty(lambda i: keyed(server, f"k{i}", FAST | {"seed": 1}))
    assert {answer.status for answer in others} == {422}
    assert n_runs(server) == 1


def test_forty_runs_and_a_short_queue(serve: Serve) -> None:
    """Of forty runs at once no more are taken than may wait, and each that is taken ends."""
    server = serve(workers=1, queue_limit=5)
    running = server.post("/runs", LONG).json["run_id"]
    server.wait_for(running, "running")
    answers = forty(lambda i: server.post("/runs", FAST | {"seed": i}))
    assert sorted(answer.status for answer in answers) == [201] * 5 + [429] * 35
    server.post(f"/runs/{running}/cancel")
    taken = [answer.json["run_id"] for answer in answers if answer.status == 201]
    assert {server.wait_for(run_id)["status"] for run_id in taken} == {"completed"}


def test_while_the_server_stops(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stops takes no runs, and says that it is worth another try."""
    monkeypatch.setattr("app.server.JOBS_STOP_S", 30)  # until the gate opens, on any machine
    server = held.server
    thread = threading.Thread(target=server.stop)
    thread.start()
    until = time.monotonic() + 10
    while server.call("GET", "/health").status != 503:
        assert time.monotonic() < until
    answer = keyed(server, "k", FAST)
    assert (answer.status, answer.code) == (503, "SHUTTING_DOWN")
    assert answer.json["error"]["retryable"] is True
    held.gate.touch()
    thread.join(10)
    assert database(server, "SELECT run_id FROM runs") == [(held.run_id,)]
    assert database(server, "SELECT count(*) FROM idempotency_keys") == [(0,)]


def test_a_disk_that_is_full(server: Server) -> None:
    """Where the database cannot be written the answer is 507, and nothing is kept."""
    server.server._writer._faults = FaultPoints({"STUDIO_FAULT": "group_commit:enospc:1"})
    answer = keyed(server, "k", FAST)
    assert (answer.status, answer.code) == (507, "STORAGE_FULL")
    assert answer.json["error"]["retryable"] is True
    assert n_runs(server) == 0
    assert keyed(server, "k", FAST | {"seed": 1}).status == 201
