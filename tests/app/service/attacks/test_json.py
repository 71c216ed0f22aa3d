"""Bodies, headers, keys and presets that are no JSON, no configuration, or slow to look at."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Server = Any
Well = Callable[[Any], bool]
JSON = {"Content-Type": "application/json"}
N = 256 << 10
SPX = '"symbol": "SPX", "provider": "sample", "plot": false'


def spx(fields: str) -> str:
    """Return the text of a configuration that is good but for these fields."""
    return f"{{{fields}, {SPX}}}"


NONE = [
    "[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 40_000 + "1" + "}" * 40_000, "{" * N,
    '{"symbol": NaN}', spx('"risk_free_annual": Infinity'), "-Infinity", "nan", "",
    '{"symbol": "\\ud800"}', '{"\\udfff": 1}', '{"symbol": "\\ud83d\\u0041"}', "{'symbol': 'SPX'}",
    '{"symbol": "SPX",}', '{"a": 01}', '{"a": .5}', '{"a": 0x10}', "// x\n{}", '{"symbol": "a\nb"}',
    "\ufeff{}", '{"a": 1} {"a": 2}', spx('"seed": ' + "9" * 5000), "[[[[]]]", '"\\x41"', "tru",
]  # fmt: skip
WRONG = [
    "null", "true", "1", '"x"', "[]", "[[]]", "{}", '{"symbol": null}', '{"symbol": ["SPX"]}',
    '{"symbol": {"$ne": null}}', spx('"seed": 1e400'), spx('"seed": -1e400'),
    spx('"seed": 1.5'), spx('"seed": 1e30'), spx('"seed": ' + "9" * 400),
    spx('"seed": true'), spx('"seed": "1; DROP TABLE runs"'), spx('"__proto__": {"x": 1}'),
    spx('"constructor": {"prototype": {}}'), spx('"__class__": "x"'), spx('"": 1'),
    spx('"symbol\\u0000": 1'), '{"plot": "yes please", "symbol": "SPX", "provider": "sample"}',
    spx('"execution": {"__init__": 1}'), spx('"execution": {"initial_cash": 1e400}'),
    spx('"execution": {"commission_bps": -0.1}'), spx('"strategy": {"name": "__import__"}'),
    spx('"strategy": {"name": "dual_sma", "params": {"fast": 1e400}}'),
    spx('"strategy": {"name": "dual_sma", "params": [["fast", 1]]}'),
    spx('"validation": {"permutation": {"n": 1e18}}'),
    spx('"validation": {"permutation": {"n": 1000000000000}}'),
    spx('"indicators": ' + json.dumps([{"name": "sma"}] * 5000)),
    spx('"indicators": [' + ",".join(["[]"] * 60_000) + "]"),
    spx('"start": "' + "9" * 100_000 + '"'), spx('"start": 1e308'), spx('"start": -9e18'),
    spx('"preset_ref": "' + "a" * 100_000 + '"'), spx('"preset_ref": ["x"]'),
    spx(",".join(f'"k{i}": 1' for i in range(15_000))),
]  # fmt: skip
LONG = "a" * 200_000
SLOW_WORDS = [
    LONG, LONG + "!", "-" * 200_000, "0" * 200_000 + "x", "1-" * 100_000, "." * 200_000 + "/", " " * 200_000 + "x",
    "a." * 100_000 + "\n", "2024-01-01T" * 18_000, "1:" * 100_000, "+00" * 60_000, "(a+)+" * 40_000, "\u0301" * 30_000,
]  # fmt: skip


@pytest.mark.parametrize("path", ["/runs", "/presets"])
def test_what_is_no_json(server: Server, is_well: Well, path: str) -> None:
    """What is no JSON, or JSON that no reader need take, is a 400 and nothing more."""
    for text in NONE:
        body = text.encode("utf-8", "surrogatepass")
        answer = server.call("POST", path, body, JSON)
        assert (answer.status, answer.code) == (400, "INVALID_JSON"), text[:80]
    for body in (
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        '{"symbol": "é"}'.encode("latin-1"),
        b"{}\0",
        b'{"symbol": "SPX", "symbol": "OTHER"}',
        b'{"name": "x", "config": {"seed": 1, "seed": 2}}',
    ):
        answer = server.call("POST", path, body, JSON)
        assert (answer.status, answer.code) == (400, "INVALID_JSON"), body
    assert is_well(server)


def test_what_is_no_configuration(server: Server, is_well: Well) -> None:
    """JSON of any other kind is refused field by field; no value gets further than that."""
    for text in WRONG:
        answer = server.call("POST", "/runs", text.encode(), JSON)
        assert answer.code in {"INVALID_PARAM", "LIMIT_EXCEEDED", "PRESET_NOT_FOUND"}, text[:80]
        assert len(answer.body) < 256 << 10, text[:80]
        config = f'{{"name": "x", "config": {text}}}'.encode()
        answer = server.call("POST", "/presets", config, JSON)
        if answer.status == 201:  # a preset may lack what a run needs
            assert server.call("DELETE", "/presets/x").status == 204
        else:
            assert answer.code in {"INVALID_PARAM", "LIMIT_EXCEEDED", "PAYLOAD_TOO_LARGE"}, text[
                :80
            ]
    assert server.get("/runs").json["runs"] == []
    assert is_well(server)


@pytest.mark.parametrize("field", ["symbol", "timeframe", "start", "calendar", "preset_ref"])
def test_values_that_are_slow_to_look_at(server: Server, is_well: Well, field: str) -> None:
    """Long values made for patterns that go back and forth are refused like any other."""
    for word in SLOW_WORDS:
        body = {"symbol": "SPX", "provider": "sample", field: word}
        answer = server.post("/runs", body)
        assert answer.code in {"INVALID_PARAM", "PRESET_NOT_FOUND"}, word[:40]
    assert is_well(server)


def test_headers_that_are_slow_to_look_at(server: Server, is_well: Well) -> None:
    """Long headers made for patterns that go back and forth are looked at once."""
    run_id = server.completed()["run_id"]
    for word in ("1" * 60_000, "," * 60_000, "W/" * 30_000, "bytes=" + "1" * 60_000, "bytes=" + " " * 59_000, "-" * 60_000, "bytes=" + "0-," * 19_000):  # fmt: skip
        for name in ("Range", "If-None-Match", "If-Range", "Last-Event-ID", "Idempotency-Key", "Origin"):  # fmt: skip
            answer = server.get(f"/runs/{run_id}/artifact/config.json", {name: word})
            assert answer.status in ({403} if name == "Origin" else {200, 206, 416})
        answer = server.get(f"/runs/{run_id}/events", {"Last-Event-ID": word})
        assert answer.code in {"INVALID_QUERY", "EVENT_ID_AHEAD"}
    assert is_well(server)


def test_keys_of_idempotency_that_are_none(server: Server, is_well: Well) -> None:
    """A key is visible ASCII of a sane length, whatever the body; a body is hashed as it came."""
    body = {"symbol": "SPX", "provider": "sample", "plot": False}
    for key in ("", " ", "x" * 256, "a b", "é", "a\tb", "x" * 30_000):
        assert (
            server.post("/runs", body, {"Idempotency-Key": key}).code == "INVALID_IDEMPOTENCY_KEY"
        )
    for text in (b'{"a": 1e400}', b'{"a": 123456789012345678901234567890}', b'{"a": -0.0}'):
        answer = server.call("POST", "/runs", text, JSON | {"Idempotency-Key": "k';DROP--"})
        assert answer.code == "INVALID_PARAM"
    assert is_well(server)


def test_a_preset_is_no_way_around(server: Server, is_well: Well) -> None:
    """What a run may not hold it may not get from a preset, and a preset never grows on a preset."""
    deep = {"strategy": {"name": "dual_sma", "params": {"__proto__": {"fast": 1}}}}
    configs: tuple[dict[str, Any], ...] = (
        deep,
        {"preset_ref": "x"},
        {"symbol": "../x"},
        {"name": "x"},
        {"": {}},
    )
    for config in configs:
        answer = server.post("/presets", {"name": "x", "config": config})
        assert answer.code == "INVALID_PARAM", config
    assert server.post("/presets", {"name": "x", "config": {"seed": 1}}).status == 201
    answer = server.post(
        "/runs", {"preset_ref": "x", "symbol": "SPX", "provider": "sample", "config": {}}
    )
    assert answer.code == "INVALID_PARAM"
    assert is_well(server)
