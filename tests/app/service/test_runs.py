"""A run from its POST to its files, once among forty requests, and across a stop."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Server = Any


def test_a_run_from_post_to_artifacts(server: Server) -> None:
    """A configuration that is posted comes back as a completed run whose files verify."""
    answer = server.post("/runs", {"symbol": "SPX", "provider": "sample", "plot": False})
    assert answer.status == 201
    run_id = answer.json["run_id"]
    assert answer.headers["Location"] == f"/runs/{run_id}"
    run = server.wait_for(run_id)
    assert (run["status"], run["attempt"], run["progress"]) == ("completed", 1, 1.0)
    assert server.get(f"/runs/{run_id}/verify").json["ok"]
    manifest = server.get(f"/runs/{run_id}/artifacts").json
    assert manifest["manifest_hash"] == run["manifest_hash"]
    events = server.events(run_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "completed"


def test_what_a_run_is_of(server: Server) -> None:
    """A run and its row name symbol, timeframe and strategy as its configuration does."""
    plain = {"symbol": "SEED-1", "provider": "synthetic", "plot": False}
    hourly = plain | {"timeframe": "1h", "strategy": {"name": "buy_and_hold"}}
    wanted = {
        server.post("/runs", plain).json["run_id"]: ("SEED-1", "1d", "dual_sma"),
        server.post("/runs", hourly).json["run_id"]: ("SEED-1", "1h", "buy_and_hold"),
    }
    rows = {run["run_id"]: run for run in server.get("/runs").json["runs"]}
    assert rows.keys() == wanted.keys()
    for run_id, named in wanted.items():
        run = server.wait_for(run_id)
        assert named == tuple(run[name] for name in ("symbol", "timeframe", "strategy"))
        assert named == tuple(rows[run_id][name] for name in ("symbol", "timeframe", "strategy"))
        assert run["config"]["strategy"]["name"] == run["strategy"]


def test_forty_at_once_make_one_run(server: Server) -> None:
    """Of forty identical requests at the same time one makes the run and the others find it."""
    body = {"symbol": "SPX", "provider": "sample", "plot": False}
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: server.post("/runs", body), range(40)))
    assert sorted(answer.status for answer in answers) == [200] * 39 + [201]
    assert len({answer.json["run_id"] for answer in answers}) == 1
    assert len(server.get("/runs").json["runs"]) == 1


def test_stop_in_the_middle_and_start_again(
    spawn: Callable[..., Any],
) -> None:
    """A run that a stop interrupts is queued again, once, and completes at the next start."""
    slow = {
        "symbol": "SPX",
        "provider": "sample",
        "plot": False,
        "validation": {"permutation": {"n": 20_000}},
    }
    first = spawn()
    run_id = first.post("/runs", slow).json["run_id"]
    first.wait_for(run_id, "running")
    assert first.end() == 0
    assert not (first.data_dir / "server.json").exists()
    second = spawn()
    run = second.wait_for(run_id)
    assert (run["status"], run["attempt"]) == ("completed", 2)
    events = second.events(run_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events].count("requeued") == 1


def test_a_refusal_says_where_the_run_stands(serve: Callable[..., Server], plugin: Any) -> None:
    """What cannot be had of a run, or done with it, is refused with its state in a sentence."""
    server = serve(plugins=(plugin.path,), workers=1)
    live = server.new_run(strategy={"name": "waits"})
    waiting = server.new_run()
    server.wait_for(live, "running")

    def said(method: str, path: str) -> str:
        return str(server.call(method, f"/runs/{path}").json["error"]["message"])

    later = "there are artifacts once a run has completed"
    ended = "it can be removed once it has ended"
    assert said("GET", f"{waiting}/artifacts") == f"the run is queued; {later}"
    assert said("GET", f"{live}/artifacts") == f"the run is running; {later}"
    assert said("DELETE", live) == f"the run is running; {ended}"
    server.post(f"/runs/{live}/cancel")
    assert said("GET", f"{live}/artifacts") == f"the run is being cancelled; {later}"
    assert said("DELETE", live) == f"the run is being cancelled; {ended}"
    plugin.gate.touch()
    server.wait_for(live, "cancelled")
    assert said("GET", f"{live}/report") == "the run was cancelled; it has no artifacts"
    failed = server.new_run(strategy={"name": "broken"})
    server.wait_for(failed, "failed")
    assert said("GET", f"{failed}/verify") == "the run has failed; it has no artifacts"
    server.wait_for(waiting, "completed")
    assert said("POST", f"{waiting}/cancel") == "the run has completed already"
