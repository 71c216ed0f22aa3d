"""``PUT /datasets``: a file becomes a data set, or is refused and changes nothing."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data import store

Server = Any
Serve = Callable[..., Any]
CSV = {"Content-Type": "text/csv"}
PARQUET = {"Content-Type": "application/vnd.apache.parquet"}
ANY = {"Content-Type": "application/octet-stream"}
PATH = "/datasets/TEST/1d"


def put(server: Server, body: bytes, headers: Any = None, path: str = PATH) -> Any:
    return server.call("PUT", path, body, CSV if headers is None else headers)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def left(server: Server) -> list[Path]:
    return list((server.data_dir / "tmp").iterdir())


def test_new_then_replaced(server: Server, candles: Path) -> None:
    """A file that is sent becomes a data set, is replaced by another, and runs find it."""
    text = candles.read_bytes()
    first = put(server, text)
    assert first.status == 201
    listed = server.get("/datasets").json["datasets"][0]
    assert first.json == listed
    assert (listed["symbol"], listed["bars"], listed["problem"]) == ("TEST", 6, None)
    assert put(server, text).status == 200
    more = text + b"2024-01-09,98,99,97,98.5,1000\n"
    assert put(server, more).json["bars"] == 7
    assert len(server.get("/candles?symbol=TEST").json["ts"]) == 7
    run = server.wait_for(server.post("/runs", {"symbol": "TEST", "plot": False}).json["run_id"])
    assert run["status"] == "completed"
    assert left(server) == []


def test_the_same_set_as_the_commands(
    server: Server, candles: Path, studio: Any, tmp_path: Path
) -> None:
    """What the server stores has the digest of what the command stores."""
    put(server, candles.read_bytes(), path=f"{PATH}?tz=America/New_York&calendar=XNYS")
    assert studio(
        "import", candles, "--tz", "America/New_York", "--calendar", "XNYS",
        "--data-dir", tmp_path / "other",
    ).code == 0  # fmt: skip
    places = [d / "candles" / "TEST_1d.parquet" for d in (server.data_dir, tmp_path / "other")]
    one, other = (store.read_metadata(place) for place in places)
    assert one["digest"] == other["digest"]
    assert (one["calendar"], one["timezone"]) == ("XNYS", "America/New_York")


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("", "the file"),
        ("?source=", "the file"),
        ("?source=bars%20of%20mine.csv", "bars of mine.csv"),
        ("?source=..%2F..%5Cmine%0A.csv", "mine\ufffd.csv"),
    ],
)
def test_the_name_of_the_file(server: Server, candles: Path, query: str, source: str) -> None:
    """A client may say what the file is called; it is kept as a name that can be printed."""
    assert put(server, candles.read_bytes(), path=PATH + query).status == 201
    kept = server.data_dir / "candles" / "TEST_1d.parquet"
    assert store.read_metadata(kept)["source"] == source
    assert put(server, candles.read_bytes(), path=f"{PATH}?source=%FF").code == "INVALID_QUERY"


def test_every_form(server: Server, candles: Path, tmp_path: Path) -> None:
    """CSV, packed CSV and Parquet are told by their content, whatever the type says."""
    text = candles.read_bytes()
    n = 100
    close = 100.0 + np.arange(n)
    table = dict.fromkeys(("open", "high", "low", "close"), close)
    ts = (86_400_000 * np.arange(n)).astype("datetime64[ms]")
    pq.write_table(pa.table({"time": ts, **table}), tmp_path / "x.parquet")
    parquet = (tmp_path / "x.parquet").read_bytes()
    assert put(server, text, ANY).json["bars"] == 6
    assert put(server, gzip.compress(text), ANY).json["bars"] == 6
    assert put(server, parquet, PARQUET).json["bars"] == n
    assert put(server, parquet, ANY).status == 200


@pytest.mark.parametrize(
    ("body", "query", "status", "code"),
    [
        (b"", "", 422, "INVALID_DATA"),
        (b"\0\1\2", "", 422, "INVALID_DATA"),
        (b"PAR1 rubbish", "", 422, "INVALID_DATA"),
        (b"Date,Open\n2024-01-01,1\n", "", 422, "INVALID_DATA"),
        (b"Date,Open,High,Low,Close\n2024-01-01,1,2,3,4\n", "", 422, "INVALID_DATA"),
        (None, "?on_bad_rows=perhaps", 400, "INVALID_QUERY"),
        (None, "?tz=Mars/Olympus", 400, "INVALID_QUERY"),
        (None, "?date_format=DD/MM/YYYY", 400, "INVALID_QUERY"),
        (None, "?date_format=%25Q", 400, "INVALID_QUERY"),
        (None, "?date_format=%25d.%25m.%25Y", 422, "INVALID_DATA"),
        (None, "?colour=red", 400, "INVALID_QUERY"),
    ],
)
def test_a_file_that_is_refused_changes_nothing(
    server: Server, candles: Path, body: bytes | None, query: str, status: int, code: str
) -> None:
    """What cannot be used is refused with a sentence; the set that was there stays."""
    put(server, candles.read_bytes())
    before = server.get("/datasets").json
    answer = put(server, candles.read_bytes() if body is None else body, path=PATH + query)
    assert (answer.status, answer.code) == (status, code)
    assert "/tmp" not in answer.json["error"]["message"]  # noqa: S108  # no path of ours
    assert server.get("/datasets").json == before
    assert left(server) == []


def test_bad_rows_may_be_dropped(server: Server) -> None:
    """With ``on_bad_rows=drop`` the report counts what was left out."""
    rows = [b"2024-01-0%d,1,2,1,2" % day for day in (1, 2, 3, 5)] + [b"2024-01-04,0,0,0,0"]
    text = b"\n".join([b"Date,Open,High,Low,Close", *rows]) + b"\n"
    assert put(server, text).code == "INVALID_DATA"
    answer = put(server, text, path=f"{PATH}?on_bad_rows=drop")
    assert (answer.status, answer.json["bars"]) == (201, 4)
    assert sum(answer.json["quality"]["counts"].values()) >= 1


@pytest.mark.parametrize(
    "path",
    ["/datasets/..%2f..%2fetc/1d", "/datasets/nul/1d", "/datasets/TEST/2d", "/datasets/a%20b/1d",
     "/datasets/%00/1d"],
)  # fmt: skip
def test_names_that_no_set_can_have(server: Server, candles: Path, path: str) -> None:
    """A name in the path that is none is not found, and nothing is stored."""
    assert put(server, candles.read_bytes(), path=path).code == "DATASET_NOT_FOUND"
    assert list((server.data_dir / "candles").iterdir()) == []


def test_what_is_wrong_with_a_name(server: Server, candles: Path) -> None:
    """The answer names the part of the address that no set can have, and what is allowed there."""
    text = candles.read_bytes()
    error = put(server, text, path="/datasets/a%20b/1d").json["error"]
    ((field, words),) = ((each["field"], each["message"]) for each in error["details"]["errors"])
    assert (field, "digits, dots, dashes or underscores" in words) == ("symbol", True)
    assert error["message"] == f"no data set can be called so: symbol: {words}"
    error = put(server, text, path="/datasets/nul/2d").json["error"]
    found = {each["field"]: each["message"] for each in error["details"]["errors"]}
    assert found.keys() == {"symbol", "timeframe"}
    assert found["symbol"].endswith("no device's name, such as nul")
    assert found["timeframe"] == "should be one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, 1w"


def test_names_that_differ_in_case(server: Server, candles: Path) -> None:
    """Two sets whose names are one file on some systems cannot both be there."""
    assert put(server, candles.read_bytes()).status == 201
    weeks = (
        b"Date,Open,High,Low,Close\n2024-01-01,1,2,1,2\n2024-01-08,1,2,1,2\n2024-01-15,1,2,1,2\n"
    )
    for timeframe, text in (("1d", candles.read_bytes()), ("1w", weeks)):
        answer = put(server, text, path=f"/datasets/Test/{timeframe}")
        assert (answer.status, answer.code) == (422, "INVALID_DATA")
        assert "differs only in case" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("most", "words"),
    [(1024, "the body has more than 1 KiB"), (1500, "the body has more than 1,500 bytes")],
)
def test_how_large_a_file_may_be(serve: Serve, candles: Path, most: int, words: str) -> None:
    """A file that is too large is told how large it may be, in the units of the settings."""
    answer = put(serve(max_import_bytes=most), candles.read_bytes().ljust(most + 1))
    assert (answer.code, answer.json["error"]["message"]) == ("PAYLOAD_TOO_LARGE", words)


def test_caps(serve: Serve, candles: Path) -> None:
    """More bytes, more rows, or another content than agreed are refused while they come."""
    text = candles.read_bytes()
    server = serve(max_import_bytes=len(text), max_import_rows=5)
    assert put(server, text + b"\n").code == "PAYLOAD_TOO_LARGE"
    answer = put(server, text)
    assert (answer.status, "more than 5 rows" in answer.json["error"]["message"]) == (422, True)
    assert put(server, text, {"Content-Type": "text/html"}).code == "UNSUPPORTED_MEDIA_TYPE"
    packed = CSV | {"Content-Encoding": "gzip"}
    assert put(server, text, packed).code == "UNSUPPORTED_MEDIA_TYPE"
    assert left(server) == []


def test_other_content_under_a_live_run(serve: Serve, candles: Path, plugin: Any) -> None:
    """While a run needs the set it stays as it is; the same content again is no change."""
    server = serve(plugins=(plugin.path,), workers=1)
    text = candles.read_bytes()
    put(server, text)
    body = {"symbol": "TEST", "timeframe": "1w", "plot": False, "strategy": {"name": "waits"}}
    run_id = server.post("/runs", body).json["run_id"]
    server.wait_for(run_id, "running")
    other = text.replace(b"2024-01-08,96", b"2024-01-08,96.5")
    assert put(server, other).code == "DATASET_IN_USE"
    assert put(server, text).status == 200
    # It would be used instead of the weeks that are built from days.
    assert put(server, text, path="/datasets/TEST/1w").status in {409, 422}
    assert put(server, other, path="/datasets/OTHER/1d").status == 201
    plugin.gate.touch()
    assert server.wait_for(run_id)["status"] == "completed"
    assert put(server, other).status == 200


def test_other_adjusted_closes_under_a_live_run(serve: Serve, plugin: Any) -> None:
    """They decide an adjusted run's bars, so they are other content."""
    server = serve(plugins=(plugin.path,), workers=1)
    rows = [f"2024-01-0{day},10,12,9,11,{11 / day}" for day in range(1, 6)]
    text = "\n".join(["Date,Open,High,Low,Close,Adj Close", *rows, ""]).encode()
    put(server, text)
    body = {"symbol": "TEST", "adjust": "split_dividend", "plot": False}
    run_id = server.post("/runs", body | {"strategy": {"name": "waits"}}).json["run_id"]
    server.wait_for(run_id, "running")
    other = text.replace(b",11.0\n", b",10.5\n")
    assert other != text
    assert put(server, other).code == "DATASET_IN_USE"
    without = b"\n".join(line.rpartition(b",")[0] for line in text.splitlines())
    assert put(server, without).code == "DATASET_IN_USE"
    assert put(server, text).status == 200
    plugin.gate.touch()
    assert server.wait_for(run_id)["status"] == "completed"


def test_a_client_that_leaves(server: Server) -> None:
    """Of an import whose client has gone nothing is left."""
    with server.socket() as connection:
        head = f"PUT {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: text/csv\r\n"
        head += f"Authorization: Bearer {server.token}\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode() + b"Date,Open,High,Low,Close\n")
        until(lambda: left(server))
    until(lambda: not left(server))
    assert server.get("/health").status == 200


def test_a_disk_that_is_full(
    server: Server, candles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that the disk does not take is refused, and what was written of it removed."""
    real = Path.open

    def full(path: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if "import-" in str(path) and mode == "xb":
            raise OSError(28, "No space left on device")
        return real(path, mode, *arguments, **named)

    monkeypatch.setattr(Path, "open", full)
    answer = put(server, candles.read_bytes())
    assert (answer.status, answer.code) == (507, "STORAGE_FULL")
    assert left(server) == []


def test_a_long_file(server: Server) -> None:
    """100,000 rows come in whole."""
    n = 100_000
    rows = "".join(f"{1_600_000_000_000 + 60_000 * i},1,2,1,{1 + i % 2}\n" for i in range(n))
    answer = put(server, b"time,open,high,low,close\n" + rows.encode(), path="/datasets/LONG/1m")
    assert (answer.status, answer.json["bars"]) == (201, n)
    assert json.dumps(answer.json["quality"])


@pytest.mark.parametrize("timeframe", ["1d", "1w"])
@pytest.mark.parametrize("calendar", ["", "NYSE?", "xnys"])
def test_a_calendar_that_nobody_knows(server: Server, timeframe: str, calendar: str) -> None:
    """A calendar must be one of those that are known, also for bars that never ask it."""
    rows = b"date,open,high,low,close\n2024-01-02,10,12,9,11\n2024-01-09,10,12,9,11\n"
    answer = put(server, rows, path=f"/datasets/ACME/{timeframe}?calendar={calendar}")
    assert (answer.status, answer.code) == (400, "INVALID_QUERY")
    assert answer.json["error"]["details"]["errors"][0]["field"] == "calendar"
    assert not any(each["symbol"] == "ACME" for each in server.get("/datasets").json["datasets"])
