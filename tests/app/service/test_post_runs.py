import json
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.fault_points import FaultPoints

Server = Any
Serve = Callable[..., Any]
FAST: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "plot": False}
LONG = FAST | {"validation": {"permutation": {"n": 100_000}}}
DAY_MS = 86_400_000
JSON = {"Content-Type": "application/json"}


@dataclass
class Held:
    """A server with one worker, which runs a strategy that waits."""

    server: Server
    gate: Path
    config: dict[str, Any]
    run_id: str


@pytest.fixture
def held(serve: Serve, plugin: Any) -> Held:
    """Hold a run in the middle, deaf to a cancel, until its gate is opened."""
    server = serve(plugins=(plugin.path,), workers=1)
    config = FAST | {"strategy": {"name": "waits"}}
    run_id = server.post("/runs", config).json["run_id"]
    server.wait_for(run_id, "running")
    return Held(server, plugin.gate, config, run_id)


def raw(server: Server, body: bytes, **headers: str) -> Any:
    return server.call("POST", "/runs", body, JSON | headers)


def keyed(server: Server, key: str, body: Any) -> Any:
    return server.post("/runs", body, {"Idempotency-Key": key})


def faults(answer: Any) -> dict[str, str]:
    return {fault["field"]: fault["message"] for fault in answer.json["error"]["details"]["errors"]}


def n_runs(server: Server) -> int:
    return len(server.get("/runs?limit=200").json["runs"])


def write_candles(server: Server, name: str, n: int = 40, low: float = 1.0) -> Path:
    rows = [
        f"2024-{1 + i // 28:02}-{1 + i % 28:02},100,103,{low},{100 + i % 3},9" for i in range(n)
    ]
    folder: Path = server.data_dir / "candles"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}_1d.csv"
    path.write_text("\n".join(["Date,Open,High,Low,Close,Volume", *rows, ""]), encoding="utf-8")
    return path


def database(server: Server, sql: str, *values: Any) -> list[Any]:
    connection = sqlite3.connect(server.data_dir / "studio.db", timeout=10)
    try:
        with connection:
            return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def test_a_new_run(server: Server) -> None:
    """What is asked for the first time is made: 201, where it is, and five fields."""
    answer = server.post("/runs", FAST)
    made = answer.json
    assert answer.status == 201
    assert set(made) == {"run_id", "hash", "status", "attempt", "reused"}
    assert made["run_id"] == made["hash"][:20]
    assert len(made["hash"]) == 64
    assert (made["status"], made["attempt"], made["reused"]) == ("queued", 1, False)
    assert answer.headers["Location"] == f"/runs/{made['run_id']}"
    assert answer.headers["Content-Type"].startswith("application/json")


def test_reused_in_each_state(held: Held) -> None:
    """A run that is running, queued or completed is found, and nothing happens to it."""
    server = held.server
    waiting = server.post("/runs", FAST).json["run_id"]
    events = len(server.events(waiting))
    for config, run_id, status in [
        (held.config, held.run_id, "running"),
        (FAST, waiting, "queued"),
    ]:
        answer = server.post("/runs", config)
        assert answer.status == 200
        assert answer.headers["Location"] == f"/runs/{run_id}"
        found = answer.json
        assert (found["run_id"], found["status"]) == (run_id, status)
        assert (found["attempt"], found["reused"]) == (1, True)
    assert len(server.events(waiting)) == events
    held.gate.touch()
    before = server.wait_for(waiting)
    answer = server.post("/runs", FAST)
    assert (answer.status, answer.json["status"], answer.json["reused"]) == (200, "completed", True)
    assert server.get(f"/runs/{waiting}").json == before


@pytest.mark.parametrize(
    "spelled",
    [
        {"seed": 0, "timeframe": "1d", "start": None, "risk_free_annual": 0.0},
        {"strategy": {"name": "dual_sma", "params": {"slow": 50}}, "validation": {}},
        {"risk_free_annual": -0.0, "indicators": []},
        {"execution": {"initial_cash": 100_000}, "validation": {"permutation": None}},
    ],
)
def test_defaults_written_out_are_the_same_run(server: Server, spelled: dict[str, Any]) -> None:
    """The validated configuration decides which run it is, not how it was written."""
    run_id = server.post("/runs", FAST).json["run_id"]
    answer = server.post("/runs", FAST | spelled)
    assert (answer.status, answer.json["run_id"]) == (200, run_id)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2001-01-01", "2003-12-31", (978_307_200_000, 1_072_915_200_000 - 1)),
        ("2001-01-01T00:00:00", "2003-12-31T00:00:00Z", (978_307_200_000, 1_072_828_800_000)),
        ("2001-01-01T02:00:00+02:00", 1_072_828_800_000, (978_307_200_000, 1_072_828_800_000)),
    ],
)
def test_times_in_iso_8601(server: Server, start: Any, end: Any, expected: tuple[int, int]) -> None:
    """A date alone is its first millisecond or its last; a time without offset is UTC."""
    run_id = server.post("/runs", FAST | {"start": start, "end": end}).json["run_id"]
    config = server.get(f"/runs/{run_id}").json["config"]
    assert (config["start"], config["end"]) == expected
    same = server.post("/runs", FAST | {"start": expected[0], "end": expected[1]})
    assert (same.status, same.json["run_id"]) == (200, run_id)


def test_a_failed_run_is_tried_again(serve: Serve) -> None:
    """A run that failed before keeps its id and gets another attempt, with a clean slate."""
    server = serve(faults="artifact_write:enospc:1")
    run_id = server.new_run()
    failed = server.wait_for(run_id)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "STORAGE_FULL")
    answer = server.post("/runs", FAST)
    assert answer.status == 201
    assert answer.headers["Location"] == f"/runs/{run_id}"
    again = answer.json
    assert (again["run_id"], again["attempt"], again["reused"]) == (run_id, 2, False)
    run = server.wait_for(run_id)
    assert (run["status"], run["attempt"], run["error"]) == ("completed", 2, None)
    assert run["queued_ts"] >= failed["finished_ts"]
    events = server.events(run_id)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events].count("queued") == 2
    assert {event.data["attempt"] for event in events} == {1, 2}


def test_a_cancelled_run_is_tried_again(held: Held) -> None:
    """A run that was cancelled before keeps its id and gets another attempt."""
    server = held.server
    run_id = server.new_run()
    assert server.post(f"/runs/{run_id}/cancel").json["status"] == "cancelled"
    answer = server.post("/runs", FAST)
    made = answer.json
    assert (answer.status, made["run_id"], made["status"]) == (201, run_id, "queued")
    assert (made["attempt"], made["reused"]) == (2, False)
    run = server.get(f"/runs/{run_id}").json
    assert (run["started_ts"], run["finished_ts"], run["progress"]) == (None, None, 0)
    held.gate.touch()
    assert server.wait_for(run_id)["status"] == "completed"


def test_a_run_whose_directory_is_gone(server: Server) -> None:
    """A completed run without its directory is made again: the same id and the same bytes."""
    run = server.completed()
    folder = server.data_dir / "runs" / run["run_id"]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    folder.rename(server.data_dir / "elsewhere")
    answer = server.post("/runs", FAST)
    made = answer.json
    assert (answer.status, made["run_id"], made["attempt"]) == (201, run["run_id"], 2)
    assert not made["reused"]
    again = server.wait_for(run["run_id"])
    assert (again["status"], again["manifest_hash"]) == ("completed", run["manifest_hash"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_while_it_is_being_cancelled(held: Held) -> None:
    """A run on its way to be cancelled cannot be asked for; once it is, it can."""
    server = held.server
    assert server.post(f"/runs/{held.run_id}/cancel").status == 202
    for answer in (server.post("/runs", held.config), keyed(server, "k", held.config)):
        assert (answer.status, answer.code) == (409, "RUN_CANCELLING")
        assert answer.json["error"]["retryable"] is True
    held.gate.touch()
    assert server.wait_for(held.run_id)["status"] == "cancelled"
    other = keyed(server, "k", FAST)  # the refused request has not bound it
    assert other.status == 201
    answer = server.post("/runs", held.config)
    assert (answer.status, answer.json["attempt"]) == (201, 2)


def test_the_longest_body(server: Server) -> None:
    """A body of 256 KiB is taken, one byte more is not."""
    body = json.dumps(FAST).encode()
    answer = raw(server, body.ljust(256 * 1024 + 1))
    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.json["error"]["message"] == "at most 256 KiB"
    assert n_runs(server) == 0
    assert raw(server, body.ljust(256 * 1024)).status == 201
    assert raw(server, b"x" * 4_000_000).status == 413


@pytest.mark.parametrize(
    "changes", [{"symbol": "NOPE"}, {"provider": "local"}, {"timeframe": "1h"}]
)
def test_an_unknown_set(server: Server, changes: dict[str, str]) -> None:
    """Candles that are not there are a 404, and no run."""
    answer = server.post("/runs", FAST | changes)
    assert (answer.status, answer.code) == (404, "DATASET_NOT_FOUND")
    assert n_runs(server) == 0


def test_every_fault_is_listed(server: Server) -> None:
    """All that is wrong is told at once, each with its field written with dots."""
    wrong = {
        "symbol": "../SPX",
        "provider": "sample",
        "typo": 1,
        "seed": True,
        "start": "soon",
        "plot": "no",
        "indicators": [{"name": "sma", "params": {"length": 0}}, {"name": "smaa"}],
        "strategy": {"name": "dual_sma", "params": {"fast": 20.5, "slow": 5, "speed": 1}},
        "risk": {"name": "fixed_fraction", "params": {"fraction": -1}, "more": 1},
        "execution": {"initial_cash": 0, "fill_price": "close"},
        "validation": {"permutation": {"n": 0}, "walk_forward": {"folds": 1}},
    }
    answer = server.post("/runs", wrong)
    assert (answer.status, answer.code) == (422, "INVALID_PARAM")
    assert answer.json["error"]["retryable"] is False
    assert all(faults(answer).values())
    expected = {
        "symbol", "typo", "seed", "start", "plot", "indicators.0.params.length", "indicators.1.name",
        "strategy.params.fast", "strategy.params.speed", "risk.params.fraction", "risk.more",
        "execution.initial_cash", "execution.fill_price", "validation.permutation.n",
        "validation.walk_forward.folds",
    }  # fmt: skip
    assert expected - set(faults(answer)) == set()
    assert len(answer.json["error"]["details"]["errors"]) == len(expected)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"symbol": None}, "symbol"),
        ({"strategy": {"params": {"fast": 50, "slow": 20}}}, "strategy.params.slow"),
        ({"start": "2004-01-01", "end": "2003-01-01"}, "end"),
        ({"seed": 2**53}, "seed"),
        ({"seed": 10**4000}, "seed"),
        ({"seed": "1"}, "seed"),
        ({"execution": {"initial_cash": 10**400}}, "execution.initial_cash"),
        ({"strategy": "dual_sma"}, "strategy"),
        ({"strategy": {"name": "dual"}}, "strategy.name"),
        ({"provider": "elsewhere"}, "provider"),
        ({"validation": {"coin_flip": {}}}, "validation.coin_flip"),
        ({"indicators": {}}, "indicators"),
        ({"": 1}, ""),
        ({"a\u0000b": 1}, "a\u0000b"),
    ],
)
def test_one_fault(server: Server, changes: dict[str, Any], field: str) -> None:
    """What a configuration cannot hold is refused by its field."""
    answer = server.post("/runs", FAST | changes)
    assert (answer.status, answer.code) == (422, "INVALID_PARAM")
    assert set(faults(answer)) == {field}


def test_a_configuration_without_a_symbol(server: Server) -> None:
    """The one field without a default has to be given."""
    answer = server.post("/runs", {})
    assert (answer.status, answer.code) == (422, "INVALID_PARAM")
    assert set(faults(answer)) == {"symbol"}


def test_limits(serve: Serve) -> None:
    """Where nothing but limits is wrong the code says so, else another one does."""
    server = serve(max_replicates=100, max_indicators=1, max_bars=1000)
    too_much = {
        "validation": {"permutation": {"n": 101}, "monte_carlo": {"n": 102}},
        "indicators": [{"name": "sma"}, {"name": "sma", "params": {"length": 9}}],
    }
    answer = server.post("/runs", FAST | too_much)
    assert (answer.status, answer.code) == (422, "LIMIT_EXCEEDED")
    limits = {"validation.permutation.n", "validation.monte_carlo.n", "indicators"}
    assert set(faults(answer)) == limits
    answer = server.post("/runs", FAST | too_much | {"seed": -1})
    assert (answer.status, answer.code) == (422, "INVALID_PARAM")
    assert "seed" in faults(answer)
    answer = server.post("/runs", FAST)
    assert (answer.status, answer.code) == (422, "LIMIT_EXCEEDED")
    assert n_runs(server) == 0


def test_candles_that_cannot_be_used(server: Server) -> None:
    """A refused file and a range without bars are INVALID_DATA, without a word on where it lies."""
    write_candles(server, "BAD", low=104.0)
    for config in ({"symbol": "BAD"}, FAST | {"start": "2030-01-01"}):
        answer = server.post("/runs", config)
        assert (answer.status, answer.code) == (422, "INVALID_DATA")
        assert str(server.data_dir) not in answer.body.decode()
    assert n_runs(server) == 0


def test_candles_from_the_data_directory(server: Server) -> None:
    """A CSV in candles/ is what a run of the provider local uses; other content is another run."""
    write_candles(server, "MINE")
    body = {"symbol": "MINE", "plot": False, "strategy": {"params": {"fast": 2, "slow": 5}}}
    run = server.wait_for(server.post("/runs", body).json["run_id"])
    assert (run["status"], run["config"]["provider"]) == ("completed", "local")
    write_candles(server, "MINE", n=41)
    answer = server.post("/runs", body)
    assert answer.status == 201
    assert answer.json["run_id"] != run["run_id"]
    assert server.wait_for(answer.json["run_id"])["candle_digest"] != run["candle_digest"]


DEEP = 100_000


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(body, id=str(i))
        for i, body in enumerate([
            b"", b" ", b"{", b'{"symbol": "SPX"', b"{'symbol': 'SPX'}", b'{"symbol": "SPX",}', b"SPX",
            b'{"symbol": "SPX"} {}', b'{"seed": NaN}', b'{"seed": Infinity}', b'{"seed": -Infinity}',
            b'{"symbol": "\xe9"}', b'{"symbol": "\xff"}', '{"symbol": "SPX"}'.encode("utf-16"),
            b'\xef\xbb\xbf{"symbol": "SPX"}', b'{"symbol": "\xed\xa0\x80"}', b'{"symbol": "\\ud800"}',
            b'{"\\udfff": 1}', b'{"symbol": "a\nb"}', b'{"seed": 01}', b'{"seed": .5}', b'{"a": \\u0031}',
            b'{"seed": ' + b"9" * 5000 + b"}", b"[" * DEEP, b"[" * DEEP + b"]" * DEEP,
            b'{"a":' * 40_000 + b"1" + b"}" * 40_000, b"\x00", b'{"symbol": "SPX"}\x00',
        ])
    ],
)  # fmt: skip
def test_no_json(server: Server, body: bytes) -> None:
    """What is not JSON in UTF-8, or cannot be read as such, is INVALID_JSON, with a key too."""
    for headers in ({}, {"Idempotency-Key": "k"}):
        answer = raw(server, body, **headers)
        assert (answer.status, answer.code) == (400, "INVALID_JSON")
    assert n_runs(server) == 0


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"SPX"', b"true", b'[{"symbol": "SPX"}]'])
def test_no_object(server: Server, body: bytes) -> None:
    """JSON that is no object is a configuration with a fault."""
    answer = raw(server, body)
    assert (answer.status, answer.code) == (422, "INVALID_PARAM")
    assert faults(answer)


@pytest.mark.parametrize("depth", [10, 100, 200, 300, 400, 500, 700, 900, 1_000, 2_000, 10_000])
@pytest.mark.parametrize("place", ["a", "strategy", "params"])
def test_deep_nesting(server: Server, depth: int, place: str) -> None:
    """However deep a body is nested it is refused as the client's fault."""
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    if place == "params":
        deep, place = b'{"name": "dual_sma", "params": ' + deep + b"}", "strategy"
    body = b'{"symbol": "SPX", "provider": "sample", "%s": %s}' % (place.encode(), deep)
    for headers in ({}, {"Idempotency-Key": "k"}):
        answer = raw(server, body, **headers)
        assert answer.status in {400, 422}
        assert answer.code in {"INVALID_JSON", "INVALID_PARAM"}


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"1" + b"0" * 4000, b"1e-400"])
def test_numbers_beyond_any_field(server: Server, number: bytes) -> None:
    """A number that no field can hold is refused as the client's fault, with a key too."""
    for place in (b'"seed": %s', b'"strategy": {"params": {"fast": %s}}', b'"x": [%s]'):
        body = b'{"symbol": "SPX", "provider": "sample", ' + place % number + b"}"
        for headers in ({}, {"Idempotency-Key": "k"}):
            answer = raw(server, body, **headers)
            assert answer.status in {400, 422}
            assert answer.code in {"INVALID_JSON", "INVALID_PARAM"}
    assert database(server, "SELECT count(*) FROM idempotency_keys") == [(0,)]


def test_a_key_gets_its_run_in_whatever_state(held: Held) -> None:
    """A known key with the same body gets its run, queued, cancelled, completed or without files."""
    server = held.server
    made = keyed(server, "k", FAST)
    run_id = made.json["run_id"]
    assert (made.status, made.json["reused"]) == (201, False)
    again = keyed(server, "k", FAST)
    assert again.headers["Location"] == f"/runs/{run_id}"
    found = [again, keyed(server, "k", FAST)]
    server.post(f"/runs/{run_id}/cancel")
    found.append(keyed(server, "k", FAST))
    assert server.post("/runs", FAST).status == 201
    held.gate.touch()
    server.wait_for(run_id)
    found.append(keyed(server, "k", FAST))
    (server.data_dir / "runs" / run_id).rename(server.data_dir / "elsewhere")
    found.append(keyed(server, "k", FAST))
    assert {(each.status, each.json["run_id"], each.json["reused"]) for each in found} == {
        (200, run_id, True)
    }
    states = [(each.json["status"], each.json["attempt"]) for each in found]
    assert states == [("queued", 1)] * 2 + [("cancelled", 1)] + [("completed", 2)] * 2


def test_a_key_compares_canonical_json(server: Server) -> None:
    """Order, spaces and escapes of a body do not matter to a key; a default written out does."""
    run_id = keyed(server, "k", FAST).json["run_id"]
    body = b'{ "plot" : false,\n"provider": "s\\u0061mple", "symbol": "SPX" }'
    same = raw(server, body, **{"Idempotency-Key": "k"})
    assert (same.status, same.json["run_id"]) == (200, run_id)
    other = keyed(server, "k", FAST | {"seed": 0})
    assert (other.status, other.code) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert other.json["error"]["retryable"] is False


def test_a_known_key_is_answered_before_validation(server: Server) -> None:
    """After its JSON is read a known key decides: nothing else of the body or the data is looked at."""
    path = write_candles(server, "MINE")
    body = {"symbol": "MINE", "plot": False}
    run_id = keyed(server, "k", body).json["run_id"]
    path.unlink()
    assert server.post("/runs", body).code == "DATASET_NOT_FOUND"
    answer = keyed(server, "k", body)
    assert (answer.status, answer.json["run_id"]) == (200, run_id)
    for other in ({"symbol": 5}, {"symbol": "NOPE"}, {}):
        assert keyed(server, "k", other).code == "IDEMPOTENCY_KEY_REUSED"
    answer = raw(server, b"{", **{"Idempotency-Key": "k"})
    assert answer.code == "INVALID_JSON"


@pytest.mark.parametrize(
    "refused",
    [
        {"symbol": 5},
        {"symbol": "NOPE"},
        FAST | {"start": "2030-01-01"},
        FAST | {"validation": {"permutation": {"n": 10**6}}},
    ],
)
def test_a_refused_request_binds_nothing(server: Server, refused: dict[str, Any]) -> None:
    """The key of a request that was refused is free for another body."""
    assert keyed(server, "k", refused).status >= 400
    assert keyed(server, "k", FAST).status == 201


def test_a_key_binds_to_a_run_that_was_found(server: Server) -> None:
    """A key that finds a run without making it is bound as well."""
    run_id = server.new_run()
    answer = keyed(server, "k", FAST)
    assert (answer.status, answer.json["run_id"]) == (200, run_id)
    assert keyed(server, "k", FAST | {"seed": 1}).code == "IDEMPOTENCY_KEY_REUSED"
    assert keyed(server, "K", FAST | {"seed": 1}).status == 201  # another key


@pytest.mark.parametrize(("age_ms", "status"), [(DAY_MS - 60_000, 422), (DAY_MS + 60_000, 201)])
def test_a_key_is_kept_for_a_day(server: Server, age_ms: int, status: int) -> None:
    """A key is bound for 24 hours and free afterwards."""
    keyed(server, "k", FAST)
    database(server, "UPDATE idempotency_keys SET created_ts = created_ts - ?", age_ms)
    other = FAST | {"seed": 1}
    assert keyed(server, "k", other).status == status
    if status == 201:
        assert keyed(server, "k", other).status == 200
        assert keyed(server, "k", FAST).code == "IDEMPOTENCY_KEY_REUSED"


def test_a_key_goes_with_its_run(server: Server) -> None:
    """Removing a run frees its keys."""
    run_id = keyed(server, "k", FAST).json["run_id"]
    keyed(server, "l", FAST)
    server.wait_for(run_id)
    assert server.call("DELETE", f"/runs/{run_id}").status == 204
    assert database(server, "SELECT count(*) FROM idempotency_keys") == [(0,)]
    assert keyed(server, "k", FAST | {"seed": 1}).status == 201
    assert keyed(server, "l", FAST).json["attempt"] == 1


@pytest.mark.parametrize("key", ["", "a b", "a\tb", "é", "x" * 256])
def test_an_invalid_key(server: Server, key: str) -> None:
    """A key is 1 to 255 visible characters of ASCII."""
    answer = keyed(server, key, FAST)
    assert (answer.status, answer.code) == (400, "INVALID_IDEMPOTENCY_KEY")
    assert n_runs(server) == 0


@pytest.mark.parametrize("key", ["!", "~" * 255, '"quoted"', "a,b", "0"])
def test_a_valid_key(server: Server, key: str) -> None:
    """All visible characters of ASCII may be used, 255 of them."""
    assert keyed(server, key, FAST).status == 201
    assert keyed(server, key, FAST | {"seed": 1}).code == "IDEMPOTENCY_KEY_REUSED"


def test_two_keys(server: Server) -> None:
    """A request has one key."""
    body = json.dumps(FAST).encode()
    head = (
        f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        "Idempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n"
    )
    with server.socket() as connection:
        connection.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"INVALID_IDEMPOTENCY_KEY"' in answer


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
