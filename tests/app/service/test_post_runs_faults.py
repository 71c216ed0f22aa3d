"""``POST /runs`` with a body that is refused: faults, limits, bad candles, and what is no JSON."""

import json
from typing import Any

import pytest
from asked_runs import FAST, Serve, Server, database, n_runs, raw, write_candles


def faults(answer: Any) -> dict[str, str]:
    return {fault["field"]: fault["message"] for fault in answer.json["error"]["details"]["errors"]}


def test_the_longest_body(server: Server) -> None:
    """A body of 256 KiB is taken, one byte more is not."""
    body = json.dumps(FAST).encode()
    answer = raw(server, body.ljust(256 * 1024 + 1))
    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.json["error"]["message"] == "the body has more than 256 KiB"
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
