import base64
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

Server = Any
Serve = Callable[..., Any]
FAST: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "plot": False}
LONG = FAST | {"validation": {"permutation": {"n": 100_000}}}
DETAIL = {
    "run_id", "hash", "status", "stage", "progress", "attempt", "queued_ts", "started_ts",
    "finished_ts", "error", "config", "metrics", "validation", "candle_digest", "code_version",
    "manifest_hash", "symbol", "timeframe", "strategy",
}  # fmt: skip
NOBODY = "0123456789abcdef0123"


@pytest.fixture
def with_plugin(serve: Serve, plugin: Any) -> Server:
    """Start a server with strategies that cannot run well."""
    return serve(plugins=(plugin.path,))


def several(server: Server, n: int, start: int = 0) -> list[str]:
    run_ids = [server.new_run(seed=start + i) for i in range(n)]
    for run_id in run_ids:
        server.wait_for(run_id)
    return run_ids


def listed(server: Server, query: str = "") -> list[str]:
    return [run["run_id"] for run in server.get(f"/runs{query}").json["runs"]]


def pages(server: Server, query: str) -> Iterator[list[dict[str, Any]]]:
    """Yield page after page until there is no cursor left."""
    cursor = ""
    while cursor is not None:
        page = server.get(f"/runs?{query}" + (f"&cursor={cursor}" if cursor else "")).json
        assert set(page) == {"runs", "next_cursor"}
        cursor = page["next_cursor"]
        yield page["runs"]


def database(server: Server, sql: str, *values: Any) -> None:
    connection = sqlite3.connect(server.data_dir / "studio.db", timeout=10)
    with connection:
        connection.execute(sql, values)
    connection.close()


def test_no_runs(server: Server) -> None:
    """An empty list has no next page."""
    assert server.get("/runs").json == {"runs": [], "next_cursor": None}


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


def test_rows_are_runs_without_configuration(server: Server) -> None:
    """A row of the list is the run but for its configuration."""
    run = server.completed()
    (row,) = server.get("/runs").json["runs"]
    assert row == {name: value for name, value in run.items() if name != "config"}


def test_newest_first(server: Server) -> None:
    """Runs come newest first; one asked for again counts from then."""
    run_ids = several(server, 4)
    found = server.get("/runs").json["runs"]
    places = [(run["queued_ts"], run["run_id"]) for run in found]
    assert places == sorted(places, reverse=True)
    assert {run["run_id"] for run in found} == set(run_ids)
    (server.data_dir / "runs" / run_ids[0]).rename(server.data_dir / "elsewhere")
    assert server.new_run(seed=1) == run_ids[1]  # found: it stays where it is
    assert server.new_run(seed=0) == run_ids[0]
    server.wait_for(run_ids[0])
    assert listed(server)[0] == run_ids[0]
    assert listed(server)[1:] == [
        run_id for run_id in map(str, (p[1] for p in places)) if run_id != run_ids[0]
    ]


def test_ties_are_ordered_by_id(server: Server) -> None:
    """Runs of the same millisecond are told apart by their id, on every page."""
    run_ids = several(server, 7)
    database(server, "UPDATE runs SET queued_ts = 1700000000000")
    assert listed(server) == sorted(run_ids, reverse=True)
    found = [run["run_id"] for page in pages(server, "limit=2") for run in page]
    assert found == sorted(run_ids, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 200])
def test_pages(server: Server, limit: int) -> None:
    """Pages of any size together are the list; the last one has no cursor."""
    run_ids = several(server, 6)
    found = list(pages(server, f"limit={limit}"))
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    assert len(found) == -(-6 // limit)
    assert [run["run_id"] for page in found for run in page] == listed(server)
    assert set(listed(server)) == set(run_ids)


def test_fifty_unless_told(serve: Serve) -> None:
    """A page holds 50 runs where no limit is given, and 200 at most."""
    server = serve(retention=1_000)  # so that none of them goes meanwhile
    several(server, 3)
    columns = (
        "hash, status, stage, progress, attempt, crashes, place, requested, symbol, created_ts,"
        " queued_ts, started_ts, finished_ts, error, config, metrics, validation, candle_digest,"
        " code_version, manifest_hash, last_seq"
    )
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
    copy = f"SELECT printf('%020x', i), {columns} FROM (SELECT * FROM runs LIMIT 1), n"  # noqa: S608  # our own words
    database(server, f"INSERT INTO runs (run_id, {columns}) {numbers} {copy}")
    assert len(listed(server)) == 50
    assert len(listed(server, "?limit=200")) == 200
    found = [run["run_id"] for page in pages(server, "limit=200") for run in page]
    assert len(found) == len(set(found)) == 303


def test_pages_while_runs_arrive(server: Server) -> None:
    """Who turns pages sees each run that was there once, whatever comes and goes meanwhile."""
    old = several(server, 6)
    places = listed(server)
    page = server.get("/runs?limit=2").json
    new = several(server, 3, start=100)
    assert server.call("DELETE", f"/runs/{places[1]}").status == 204  # the cursor's own run
    assert server.call("DELETE", f"/runs/{places[3]}").status == 204
    found = [run["run_id"] for run in page["runs"]]
    while page["next_cursor"]:
        page = server.get(f"/runs?limit=2&cursor={page['next_cursor']}").json
        found += [run["run_id"] for run in page["runs"]]
    assert found == [*places[:3], *places[4:]]
    assert set(old) == set(places)
    assert not set(new) & set(found)


def test_filters(serve: Serve) -> None:
    """Status and symbol choose, together too, and on every page."""
    server = serve(workers=1)
    spx = several(server, 3)
    ixic = [server.completed(symbol="IXIC", seed=i)["run_id"] for i in range(3)]
    running = server.post("/runs", LONG).json["run_id"]
    server.wait_for(running, "running")
    cancelled, queued = server.new_run(seed=50), server.new_run(seed=51)
    server.post(f"/runs/{cancelled}/cancel")
    assert listed(server, "?status=queued") == [queued]
    assert listed(server, "?status=running") == [running]
    assert listed(server, "?status=cancelled") == [cancelled]
    assert listed(server, "?status=failed") == listed(server, "?status=cancelling") == []
    assert set(listed(server, "?status=completed")) == {*spx, *ixic}
    assert set(listed(server, "?symbol=IXIC")) == set(ixic)
    assert set(listed(server, "?symbol=SPX")) == {*spx, running, cancelled, queued}
    assert listed(server, "?symbol=IXIC&status=queued") == listed(server, "?symbol=NOPE") == []
    found = [
        run["run_id"]
        for page in pages(server, "limit=1&status=completed&symbol=SPX")
        for run in page
    ]
    assert found == [run_id for run_id in listed(server) if run_id in spx]
    server.post(f"/runs/{running}/cancel")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=-1", "limit=+5", "limit=", "limit=1.0", "limit=1e1", "limit=ten",
        "limit=%D9%A3", "limit=" + "9" * 5000, "limit=0x10", "limit=1_0", "limit=5%20", "limit=%00",
        "limit=5&limit=5", "status=completed&status=completed", "symbol=SPX&symbol=SPX",
        "status=", "status=done", "status=COMPLETED", "status=deleting", "status=completed,failed",
        "unknown=1", "unknown", "Limit=5", "offset=0", "limit=5&x=", "token=abc", "limit=%FF",
        "symbol=%FF", "symbol=%C3", "status=%ff",
    ],
)  # fmt: skip
def test_an_invalid_query(server: Server, query: str) -> None:
    """A query that is unknown, given twice or out of bounds is refused."""
    answer = server.get(f"/runs?{query}")
    assert (answer.status, answer.code) == (400, "INVALID_QUERY")
    assert server.call("HEAD", f"/runs?{query}").status == 400


@pytest.mark.parametrize("symbol", ["", "../x", "' OR 1=1 --", "%", "spx", "S_X", "x" * 2000, "\0"])
def test_any_other_symbol_is_just_not_there(server: Server, symbol: str) -> None:
    """A symbol that no run has finds nothing, or is refused; it is never a pattern."""
    server.completed()
    answer = server.get(f"/runs?symbol={quote(symbol)}")
    assert (answer.status == 200 and answer.json["runs"] == []) or answer.code == "INVALID_QUERY"


def encoded(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def test_the_cursor_is_unpadded_base64url(server: Server) -> None:
    """A cursor needs no escaping in a URL, and padding it makes another."""
    several(server, 3)
    for limit in (1, 2):
        cursor = server.get(f"/runs?limit={limit}").json["next_cursor"]
        assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
        padded = cursor + "=" * (-len(cursor) % 4 or 4)
        answer = server.get(f"/runs?cursor={quote(padded)}")
        assert (answer.status, answer.code) == (400, "INVALID_CURSOR")


@pytest.mark.parametrize(
    "cursor",
    [
        "", "a", "abc", "*", "====", "%00", "%C3%A9", "A" * 10_000, "null", "..%2f", "%0A",
        encoded(b""), encoded(b"\xff\xfe"), encoded(b"[" * 20_000), encoded(b"[1,"),
        encoded(None), encoded(1), encoded("x"), encoded([]), encoded({}), encoded([1]),
        encoded([1, 2]), encoded(["1", NOBODY]), encoded([1.5, NOBODY]), encoded([True, NOBODY]),
        encoded([None, NOBODY]), encoded([-1, NOBODY]), encoded([1, None]), encoded([1, "x"]),
        encoded([1, NOBODY.upper()]), encoded([1, NOBODY + "\n"]), encoded([1, NOBODY, 1]),
        encoded([10**30, NOBODY]), encoded(b"[" + b"9" * 5000 + b',"' + NOBODY.encode() + b'"]'),
        encoded([1, "' OR 1=1"]), encoded(b"[NaN,1]"), encoded({"queued_ts": 1, "run_id": NOBODY}),
    ],
)  # fmt: skip
def test_an_invalid_cursor(server: Server, cursor: str) -> None:
    """What this server did not give out is no cursor."""
    answer = server.get(f"/runs?cursor={cursor}")
    assert (answer.status, answer.code) == (400, "INVALID_CURSOR")


def test_a_cursor_that_was_changed(server: Server) -> None:
    """A cursor cut short, lengthened, with spaces or in the other alphabet is refused."""
    several(server, 2)
    cursor = server.get("/runs?limit=1").json["next_cursor"]
    changed = [cursor[:-1], cursor[1:], cursor + "A", cursor + "%0A", cursor + "%20", cursor * 2]
    changed.append(cursor[:4] + "%0A" + cursor[4:])
    for text in changed:
        answer = server.get(f"/runs?cursor={text}")
        assert (answer.status, answer.code) == (400, "INVALID_CURSOR")
    assert server.get(f"/runs?cursor={cursor}&cursor={cursor}").code == "INVALID_QUERY"


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
