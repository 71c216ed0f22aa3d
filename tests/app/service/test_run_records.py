"""A run as ``GET /runs/{id}`` shows it: its fields in each state, its ETag, HEAD, and ids of nobody."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asked_runs import LONG, NOBODY, Serve, Server

DETAIL = {
    "run_id", "hash", "status", "stage", "progress", "attempt", "queued_ts", "started_ts",
    "finished_ts", "error", "config", "metrics", "validation", "candle_digest", "code_version",
    "manifest_hash", "symbol", "timeframe", "strategy",
}  # fmt: skip


@pytest.fixture
def with_plugin(serve: Serve, plugin: Any) -> Server:
    """Start a server with strategies that cannot run well."""
    return serve(plugins=(plugin.path,))


def test_detail_of_a_completed_run(server: Server) -> None:
    """A run shows the fields of the contract; where no test ran there is no validation."""
    run = server.completed()
    assert set(run) == DETAIL
    assert (run["status"], run["stage"], run["progress"]) == ("completed", "artifacts", 1)
    assert run["queued_ts"] <= run["started_ts"] <= run["finished_ts"]
    assert (run["error"], run["validation"], run["attempt"]) == (None, None, 1)
    assert run["hash"].startswith(run["run_id"])
    folder = server.data_dir / "runs" / run["run_id"]
    assert run["config"] == json.loads((folder / "config.json").read_bytes())
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for theirs, ours in {
        "run_hash": "hash",
        "candle_digest": "candle_digest",
        "code_version": "code_version",
        "manifest_hash": "manifest_hash",
    }.items():
        assert manifest[theirs] == run[ours]
    metrics = json.loads((folder / "metrics.json").read_bytes())["metrics"]
    assert {"sharpe", "total_return", "max_drawdown", "trade_count"} <= set(run["metrics"])
    assert {name: metrics[name] for name in run["metrics"]} == run["metrics"]


def test_metrics_of_the_tests(server: Server) -> None:
    """P-value, interval and break-even stand in the metrics of a run whose tests ran."""
    tests: dict[str, Any] = {
        "permutation": {"n": 19},
        "block_bootstrap": {"n": 99},
        "monte_carlo": {"n": 9, "noise_bps": 5},
    }
    config = {"validation": tests, "strategy": {"name": "buy_and_hold"}}
    run = server.completed(**config)
    file = server.data_dir / "runs" / run["run_id"] / "validation_summary.json"
    found = json.loads(file.read_bytes())
    expected = {
        "permutation_p_value": found["permutation"]["p_value"],
        "sharpe_interval": found["block_bootstrap"]["sharpe"]["studentized"],
        "breakeven_slippage_bps": found["monte_carlo"]["breakeven_slippage_bps"],
    }
    assert run["validation"] == expected
    assert {name: run["metrics"][name] for name in expected} == expected
    (row,) = server.get("/runs").json["runs"]
    assert (row["metrics"], row["validation"]) == (run["metrics"], run["validation"])


def test_live_runs(serve: Serve) -> None:
    """What has not happened yet is null; a running run shows its stage and its progress."""
    server = serve(workers=1)
    running, waiting = server.post("/runs", LONG).json["run_id"], server.new_run()
    run = server.wait_for(running, "running")
    assert set(run) == DETAIL
    assert run["stage"] is not None
    assert 0 <= run["progress"] < 1
    assert run["started_ts"] >= run["queued_ts"]
    run_before = server.get(f"/runs/{waiting}").json
    assert set(run_before) == DETAIL
    assert (run_before["status"], run_before["progress"]) == ("queued", 0)
    nothing = ("stage", "started_ts", "finished_ts", "error", "metrics", "validation")
    assert {run_before[name] for name in (*nothing, "manifest_hash")} == {None}
    assert run["finished_ts"] is run["metrics"] is run["manifest_hash"] is None
    server.post(f"/runs/{running}/cancel")
    cancelled = server.wait_for(running)
    assert (cancelled["status"], cancelled["error"]) == ("cancelled", None)
    assert cancelled["finished_ts"] >= cancelled["started_ts"]
    assert cancelled["metrics"] is cancelled["manifest_hash"] is None


CODES = {
    "INVALID_DATA", "LOOKAHEAD", "DATA_CHANGED", "CODE_CHANGED", "INTERRUPTED", "STORAGE_FULL",
    "CLUSTER_UNAVAILABLE", "INTERNAL_ERROR",
}  # fmt: skip


def test_a_run_that_looks_ahead(with_plugin: Server) -> None:
    """A strategy that knows the future fails its run, by name and without results."""
    run_id = with_plugin.new_run(strategy={"name": "foresight"})
    run = with_plugin.wait_for(run_id)
    assert (run["status"], set(run)) == ("failed", DETAIL)
    assert set(run["error"]) == {"code", "message"}
    assert run["error"]["code"] == "LOOKAHEAD"
    assert run["error"]["message"]
    assert run["metrics"] is run["validation"] is run["manifest_hash"] is None
    assert run["finished_ts"] >= run["started_ts"]
    assert not (with_plugin.data_dir / "runs" / run_id).exists()
    assert list((with_plugin.data_dir / "tmp").iterdir()) == []


def test_a_plugin_that_raises(with_plugin: Server) -> None:
    """The error of a plugin is one of the contract's codes and tells no path."""
    run = with_plugin.wait_for(with_plugin.new_run(strategy={"name": "broken"}))
    assert run["status"] == "failed"
    assert "/" not in run["error"]["message"]
    assert run["error"]["code"] == "PLUGIN_FAILED"


def test_a_plugin_that_interrupts(with_plugin: Server) -> None:
    """What no code of a plugin should raise ends its run all the same, and no worker."""
    for seed in range(3):  # more than there are workers
        run = with_plugin.wait_for(with_plugin.new_run(strategy={"name": "interrupts"}, seed=seed))
        assert (run["status"], run["error"]["code"]) == ("failed", "INTERNAL_ERROR")
    assert with_plugin.completed()["status"] == "completed"


def test_etag(serve: Serve) -> None:
    """A run's ETag stays while the run does, answers 304, and changes with its state."""
    server = serve(workers=1)
    running = server.post("/runs", LONG).json["run_id"]
    server.wait_for(running, "running")
    run_id = server.new_run()
    tags = []
    for change in (None, "cancel", "again", "completed"):
        if change == "cancel":
            server.post(f"/runs/{run_id}/cancel")
        elif change == "again":
            server.new_run()
        elif change == "completed":
            server.post(f"/runs/{running}/cancel")
            server.wait_for(run_id)
        answer = server.get(f"/runs/{run_id}")
        tag = answer.headers["ETag"]
        assert tag.startswith('"')
        for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            same = server.get(f"/runs/{run_id}", {"If-None-Match": given})
            assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag)
        assert server.get(f"/runs/{run_id}", {"If-None-Match": '"x"'}).json == answer.json
        tags.append(tag)
    for old in tags[:-1]:
        assert server.get(f"/runs/{run_id}", {"If-None-Match": old}).status == 200
    assert len(set(tags)) == 4


def test_head(server: Server) -> None:
    """HEAD answers like GET without the body, for errors too."""
    run_id = server.completed()["run_id"]
    paths = [
        "/runs", f"/runs/{run_id}", f"/runs/{run_id}/artifacts",
        f"/runs/{run_id}/artifact/summary.json", f"/runs/{run_id}/verify", f"/runs/{NOBODY}",
        f"/runs/{NOBODY}/verify", f"/runs/{run_id}/artifact/none", "/runs?limit=0", "/health",
        f"/runs/{run_id}/artifact/summary.json?x=1",
    ]  # fmt: skip
    like_get(server, paths)


def test_head_of_events(server: Server) -> None:
    """HEAD of the events claims no length other than that of GET (RFC 9110, 8.6)."""
    run_id = server.completed()["run_id"]
    like_get(server, [f"/runs/{run_id}/events"])


def like_get(server: Server, paths: list[str]) -> None:
    for path in paths:
        get, head = server.get(path), server.call("HEAD", path)
        assert (head.status, head.body) == (get.status, b"")
        for name in ("Content-Type", "Content-Length", "ETag", "Content-Disposition"):
            assert (path, head.headers[name]) == (path, get.headers[name])


@pytest.mark.parametrize(
    "run_id",
    [
        NOBODY, "x", NOBODY.upper(), NOBODY[:-1], NOBODY + "0", "..", "%2e%2e", "..%2f..", "%00",
        NOBODY + "%00", NOBODY + "%0A", NOBODY + "%20", "%FF", "%C3%A9", "a" * 3000, "'--", "*", "%25",
        "%5c", "0" * 20 + ";", "-1", "null", "%ED%A0%80",
    ],
)  # fmt: skip
def test_nobodys_id(server: Server, run_id: str) -> None:
    """An id that is nobody's, or no id at all, is not found, whatever is asked of it."""
    asked = [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/events")]
    asked += [("GET", f"/{name}") for name in ("events/stream", "artifacts", "verify")]
    for method, rest in [*asked, ("GET", "/artifact/summary.json")]:
        answer = server.call(method, f"/runs/{run_id}{rest}")
        assert (answer.status, answer.code) == (404, "RUN_NOT_FOUND"), (method, rest)


def test_reading_while_much_happens(server: Server) -> None:
    """Every reading while runs come, run and go is a state that the contract knows."""
    run_ids = [server.new_run(seed=i) for i in range(12)]

    def read(i: int) -> None:
        run_id = run_ids[i % 12]
        answer = server.get(f"/runs/{run_id}")
        if answer.status == 404:
            assert answer.code == "RUN_NOT_FOUND"
            return
        run = answer.json
        done = run["status"] == "completed"
        assert (run["metrics"] is not None) == (run["manifest_hash"] is not None) == done
        assert (run["finished_ts"] is not None) == (run["progress"] == 1) == done
        for row in server.get("/runs").json["runs"]:
            assert (row["status"] == "completed") == (row["manifest_hash"] is not None)
        if done and i % 5 == 0:
            assert server.call("DELETE", f"/runs/{run_id}").status in {204, 404}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(120)))
