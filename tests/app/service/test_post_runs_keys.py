"""``POST /runs`` with an ``Idempotency-Key``: what it is bound to, and for how long."""

import json
from typing import Any

import pytest
from asked_runs import FAST, Held, Server, database, keyed, n_runs, raw, write_candles

DAY_MS = 86_400_000


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
