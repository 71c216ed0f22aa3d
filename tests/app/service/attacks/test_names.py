"""No name in a path, a query or a body leads to a file, however it is written."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest

from engine.data.store import read_metadata

Server = Any
Well = Callable[[Any], bool]
CANARY = "canary-of-the-names"
BARS = "Date,Open,High,Low,Close\n2024-01-01,1,2,1,2\n2024-01-02,1,2,1,2\n2024-01-03,1,2,1,2\n"
CSV = {"Content-Type": "text/csv"}
UP = "..%2f"
# As they stand in a path or a query; what is wanted of each is a file outside, or none at all.
NAMES = [
    "..", ".", "%2e%2e", "%2e", UP + "secret", UP * 2 + "secret", UP * 12 + "etc%2fpasswd",
    "%2e%2e%2fsecret", "%2e%2e%5csecret", "..%5csecret", "..%5c..%5csecret", "%252e%252e%252fsecret",
    "..%252fsecret", "%25252e%25252e%25252fsecret", "%c0%ae%c0%ae%c0%afsecret", "..%c0%afsecret",
    "..%e0%80%afsecret", "..%f0%80%80%afsecret", "%fe%fe%2fsecret", "..%ef%bc%8fsecret",
    "%ef%bc%8e%ef%bc%8e%2fsecret", "..%u2215secret", "..%e2%88%95secret", "....%2f%2fsecret",
    "..;%2fsecret", "%2fetc%2fpasswd", "%2f%2fetc%2fpasswd", "file:%2f%2f%2fetc%2fpasswd",
    "file:secret", "http:%2f%2fevil.example%2fx", "C:%5cWindows%5cwin.ini", "%5c%5chost%5cshare",
    "%5c%5c.%5cCOM1", "%5c%5c%3f%5cC:%5c", "secret%00", "secret%00.csv", "%00", "%00..%2fsecret",
    "secret.", "secret%20", "secret..", "%20secret", "secret%09", "secret%0a", "secret%0d%0a",
    ".secret", "-secret", "_secret", "secret%2f.", "secret%2f", ".%2fsecret", "secret%2f..%2fsecret",
    "CON", "con", "NUL", "PRN", "aux", "COM1", "lpt9", "COM0", "CON.csv", "nul.parquet", "com1.x.y",
    "COM%c2%b9", "LPT%c2%b2", "COM%c2%b3.csv", "CONIN$", "CONOUT$", "CLOCK$", "a::$DATA",
    "secret::$DATA", "secret:stream", "secret::$INDEX_ALLOCATION", "secret~1", "SECRET~1.CSV",
    "x" * 65, "x" * 255, "x" * 256, "x" * 4096, "x" * 40_000, UP * 3_000,
    "secr%d0%b5t", "%ef%bd%93ecret", "se%c2%adcret", "se%e2%80%8bcret", "%e2%80%aeterces",
    "secre%cc%81t", "%ed%a0%80", "%ff%fe", "%c3", "secr%c3%a9t", "%f0%9f%92%b0",
    "*", "%3f", "[a]", "%7b%7d", "$HOME", "$(id)", "`id`", "%24%7bjndi%7d", "%7c%7cid", "~",
    "~root", "'%20OR%201=1--", "%22;DROP%20TABLE%20runs;--", "%25", "%25s%25s%25n", "{0}", "%3cscript%3e",
]  # fmt: skip


def spread(tmp_path: Path, server: Server) -> None:
    """Put files in every place that a name could lead to."""
    data = server.data_dir
    for folder in (tmp_path, data, data / "runs", data / "candles", data / "tmp", data / "cache"):
        for name in ("secret", "secret.csv", "secret_1d.csv", "secret.parquet", ".secret"):
            (folder / name).write_text(CANARY, encoding="ascii")


def tree(tmp_path: Path) -> dict[str, str]:
    """Return everything that lies there but what a server writes of itself."""
    until = time.monotonic() + 30
    while list(tmp_path.glob("data/tmp/import-*")):  # which go right after the answer
        assert time.monotonic() < until
        time.sleep(0.005)
    return {
        str(path.relative_to(tmp_path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(tmp_path.rglob("*"))
        if path.is_file() and path.name != "studio.log" and not path.name.startswith("studio.db")
    }


def check_refused(answer: Any, codes: set[str]) -> None:
    """Assert a refusal that shows nothing of any file."""
    assert answer.code in codes
    assert 400 <= answer.status < 500
    for secret in (CANARY.encode(), b"root:"):
        assert secret not in answer.body
        assert secret not in str(answer.headers).encode()


@pytest.fixture
def spread_out(server: Server, tmp_path: Path) -> dict[str, str]:
    """Put the files there and return everything that is."""
    spread(tmp_path, server)
    server.get("/catalog")
    return tree(tmp_path)


def test_names_in_a_path(
    server: Server, tmp_path: Path, is_well: Well, spread_out: dict[str, str]
) -> None:
    """No name in a path, however it is written, leads to a file, makes one or takes one away."""
    run_id = "0" * 20
    nothing = {
        "NOT_FOUND", "RUN_NOT_FOUND", "PRESET_NOT_FOUND", "DATASET_NOT_FOUND", "ARTIFACT_NOT_FOUND",
    }  # fmt: skip
    asked = [
        ("GET", "/runs/{}"), ("DELETE", "/runs/{}"), ("POST", "/runs/{}/cancel"),
        ("GET", "/runs/{}/events"), ("GET", "/runs/{}/events/stream"), ("GET", "/runs/{}/artifacts"),
        ("GET", "/runs/{}/artifact/summary.json"), ("GET", "/runs/{}/verify"), ("GET", "/presets/{}"),
        ("GET", f"/runs/{run_id}/artifact/{{}}"), ("DELETE", "/presets/{}"), ("GET", "/{}"),
        ("DELETE", "/datasets/{}/1d"), ("DELETE", "/datasets/secret/{}"),
    ]  # fmt: skip
    for name in NAMES:
        for method, path in asked:
            check_refused(server.call(method, path.replace("{}", name)), nothing)
    assert tree(tmp_path) == spread_out
    assert is_well(server)


def test_names_of_an_import(
    server: Server, tmp_path: Path, is_well: Well, spread_out: dict[str, str]
) -> None:
    """A set is stored under a plain name or not at all."""
    for name in NAMES:
        for path in (f"/datasets/{name}/1d", f"/datasets/TEST/{name}"):
            answer = server.call("PUT", path, BARS.encode(), CSV)
            check_refused(answer, {"DATASET_NOT_FOUND", "NOT_FOUND"})
    assert tree(tmp_path) == spread_out
    assert server.call("PUT", "/datasets/TEST/1d", BARS.encode(), CSV).status == 201
    assert tree(tmp_path).keys() - spread_out.keys() == {"data/candles/TEST_1d.parquet"}
    assert is_well(server)


@pytest.mark.parametrize("field", ["symbol", "timeframe", "provider", "start", "indicators"])
def test_names_in_a_query(
    server: Server, tmp_path: Path, is_well: Well, spread_out: dict[str, str], field: str
) -> None:
    """No value of a query leads to a file, however it is written."""
    codes = {"INVALID_QUERY", "DATASET_NOT_FOUND", "INVALID_DATA"}
    for name in NAMES:
        query = f"/features?{field}={name.replace('&', '%26')}"
        if field != "symbol":
            query += "&symbol=SPX" + ("" if field == "provider" else "&provider=sample")
        check_refused(server.get(query), codes)
    assert server.get("/features?symbol=SPX&provider=sample&limit=1").status == 200
    assert tree(tmp_path) == spread_out
    assert is_well(server)


@pytest.mark.parametrize("field", ["tz", "date_format", "decimal", "calendar", "on_bad_rows"])
def test_names_beside_an_import(
    server: Server, tmp_path: Path, is_well: Well, spread_out: dict[str, str], field: str
) -> None:
    """What the query says of an import names zones, calendars and words, and never a file."""
    names = [name for name in NAMES if (field, decoded(name)) != ("decimal", ".")]  # which is one
    for name in names:
        path = f"/datasets/TEST/1d?{field}={name}"
        answer = server.call("PUT", path, BARS.encode(), CSV)
        check_refused(answer, {"INVALID_QUERY", "INVALID_DATA"})
    assert tree(tmp_path) == spread_out
    assert is_well(server)


def decoded(name: str) -> str:
    return unquote_to_bytes(name).decode("utf-8", "replace")


def test_names_in_a_body(
    server: Server, tmp_path: Path, is_well: Well, spread_out: dict[str, str]
) -> None:
    """No name in a configuration or of a preset leads to a file, makes one or is kept."""
    codes = {"INVALID_PARAM", "DATASET_NOT_FOUND", "PRESET_NOT_FOUND"}
    for name in map(decoded, NAMES):
        assert server.post("/presets", {"name": name, "config": {}}).code == "INVALID_PARAM"
        bodies: list[dict[str, Any]] = [
            {"symbol": name},
            *({"symbol": "SPX", "provider": "sample", field: name}
              for field in ("timeframe", "calendar", "start", "adjust", "on_bad_rows", "preset_ref")),
            {"symbol": "SPX", "provider": name},
            *({"symbol": "SPX", "provider": "sample", field: {"name": name}} for field in ("strategy", "risk")),
            {"symbol": "SPX", "provider": "sample", "indicators": [{"name": name}]},
        ]  # fmt: skip
        for body in bodies:
            check_refused(server.post("/runs", body), codes)
    assert server.get("/runs").json["runs"] == []
    assert server.get("/presets").json["presets"] == []
    assert tree(tmp_path) == spread_out
    assert is_well(server)


def test_names_that_differ_in_case_or_looks(server: Server) -> None:
    """What looks like a name that is there is another name, and finds nothing."""
    assert server.call("PUT", "/datasets/Test/1d", BARS.encode(), CSV).status == 201
    assert server.post("/presets", {"name": "Mine", "config": {}}).status == 201
    for name in (
        "TEST",
        "test",
        "Tеst",
        "Ｔest",
        "Test\u200b",
        "Te\u00adst",
        "Test\u0301",
    ):  # what is tested
        assert server.get(f"/candles?symbol={quote(name)}").status in {400, 404}
        assert server.call("DELETE", f"/datasets/{quote(name)}/1d").code == "DATASET_NOT_FOUND"
    for name in ("MINE", "mine", "Mıne", "Ｍine", "Мine"):  # as above
        assert server.get(f"/presets/{quote(name)}").code == "PRESET_NOT_FOUND"
        assert server.call("DELETE", f"/presets/{quote(name)}").code == "PRESET_NOT_FOUND"
    assert server.post("/presets", {"name": "MINE", "config": {}}).code == "INVALID_PARAM"
    assert server.get("/candles?symbol=Test").status == 200
    assert server.get("/presets/Mine").status == 200


def test_names_that_would_split_an_answer(server: Server, is_well: Well) -> None:
    """A line end in a name is never a line end of an answer's head."""
    run_id = server.completed()["run_id"]
    for end in ("%0d%0a", "%0a", "%0d", "%e5%98%8a%e5%98%8d", "%c4%8d%c4%8a", "%u000d", "%c2%85"):
        name = f"x{end}Set-Cookie:%20a=b{end}{end}<p>"
        for path in (
            f"/runs/{name}", f"/runs/{run_id}/artifact/{name}", f"/presets/{name}", f"/{name}",
            f"/runs?cursor={name}", f"/runs/{run_id}/events?after_id={name}", f"/runs?{name}=1",
            f"/candles?symbol={name}", f"/runs/{run_id}/artifact/equity.csv{end}X:1",
        ):  # fmt: skip
            answer = server.get(path)
            assert 400 <= answer.status < 500
            assert answer.headers["Set-Cookie"] is answer.headers["X"] is None
            assert answer.headers["Location"] is answer.headers["Content-Disposition"] is None
            assert answer.code
    for name in ("x\r\nSet-Cookie: a=b", 'x"; filename="y', "x\ny"):
        assert server.post("/presets", {"name": name, "config": {}}).code == "INVALID_PARAM"
        assert server.post("/runs", {"symbol": name}).code == "INVALID_PARAM"
    answer = server.post("/runs", {"symbol": "SPX", "provider": "sample", "plot": False})
    assert answer.headers["Location"] == f"/runs/{run_id}"
    answer = server.get(f"/runs/{run_id}/artifact/equity.csv")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{run_id}_equity.csv"'
    assert is_well(server)


@pytest.mark.parametrize("beside", [False, True])
def test_paths_that_are_no_text(
    serve: Any, studio: Any, candles: Path, tmp_path: Path, *, beside: bool
) -> None:
    """Files and directories may be called by any bytes; what is kept of a name can be printed."""
    odd = os.fsdecode(b"\xff\n")
    data = tmp_path / odd
    if beside:
        serve(data_dir=data)
    place = ("--data-dir", data)
    named = candles.rename(tmp_path / f"{odd}_1d.csv")
    ended = studio("import", named, "--symbol", "ODD", *place)
    assert (ended.code, ended.err) == (0, "")
    assert read_metadata(data / "candles/ODD_1d.parquet")["source"] == "\ufffd\ufffd_1d.csv"
    assert json.loads(studio("datasets", "--json", *place).out)["datasets"][0]["problem"] is None
    run = ("run", "--set", "symbol=ODD", "--set", "provider=local", "--set", "validation={}")
    assert studio(*run, "--no-plot", "--json", "--out", f"run{odd}", *place).code == 0
    assert studio("export", f"run{odd}", "equity", "--out", f"{odd}.csv").code == 0
    assert (tmp_path / f"{odd}.csv").read_text(encoding="utf-8").count("\n") == 7
