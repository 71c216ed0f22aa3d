"""``GET /runs``: the order, the pages, the filters, and cursors and queries that are refused."""

import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from asked_runs import LONG, NOBODY, Serve, Server


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
