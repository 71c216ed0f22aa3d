"""Tables of a run as JSON and as CSV."""

import csv
import hashlib
import http.client
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.artifacts.views import csv_pieces, json_pieces

Server = Any
CUT = (http.client.IncompleteRead, ConnectionResetError)


@pytest.fixture
def run(server: Server) -> Any:
    """Return a run with every table, one of which has undefined values."""
    return server.completed(indicators=[{"name": "sma", "params": {"length": 20}}])


def read_table(server: Server, run: Any, name: str) -> Any:
    return pq.read_table(server.data_dir / "runs" / run["run_id"] / f"{name}.parquet")


@pytest.mark.parametrize("name", ["equity", "drawdown", "fills", "trades", "features"])
def test_a_table_as_json_and_csv(server: Server, run: Any, name: str) -> None:
    """Both forms hold every value of the table, null or nothing where it is undefined."""
    table = read_table(server, run, name).to_pydict()
    path = f"/runs/{run['run_id']}/artifact/{name}"
    as_json, as_csv = server.get(f"{path}.json"), server.get(f"{path}.csv")
    assert as_json.json == table
    assert as_json.headers["Content-Type"] == "application/json"
    header, *rows = csv.reader(io.StringIO(as_csv.body.decode()))
    assert header == list(table)
    assert len(rows) == len(table["ts" if "ts" in table else "entry_ts"])
    for column, cells in zip(table.values(), zip(*rows, strict=True), strict=True):
        kind = type(next(value for value in column if value is not None))
        parse = {"true": True, "false": False}.__getitem__ if kind is bool else kind
        assert [None if cell == "" else parse(cell) for cell in cells] == column


@pytest.mark.parametrize("form", ["csv", "json"])
def test_headers_of_a_view(server: Server, run: Any, form: str) -> None:
    """A view has its own ETag, is known again by it, has no ranges, and answers HEAD."""
    path = f"/runs/{run['run_id']}/artifact/equity.{form}"
    table = server.data_dir / "runs" / run["run_id"] / "equity.parquet"
    answer = server.get(path, {"Range": "bytes=0-9"})
    assert answer.status == 200
    assert answer.headers["ETag"] == f'"{hashlib.sha256(table.read_bytes()).hexdigest()}-{form}"'
    assert f'filename="{run["run_id"]}_equity.{form}"' in answer.headers["Content-Disposition"]
    again = server.get(path, {"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    head = server.call("HEAD", path)
    assert (head.status, head.body, head.headers["ETag"]) == (200, b"", answer.headers["ETag"])


def test_what_has_no_view(server: Server, run: Any) -> None:
    """What is no table, or not there, has no other form; a damaged table is an incident."""
    path = f"/runs/{run['run_id']}/artifact"
    for name in ("plot.csv", "config.csv", "none.json", ".csv", "equity.xml", "equity.parquet.csv"):
        assert server.get(f"{path}/{name}").code == "ARTIFACT_NOT_FOUND"
    table = server.data_dir / "runs" / run["run_id"] / "equity.parquet"
    table.write_bytes(b"\0" * table.stat().st_size)
    damaged = server.get(f"{path}/equity.json")
    assert (damaged.status, damaged.code) == (500, "INTERNAL_ERROR")
    table.write_bytes(b"short")
    assert server.get(f"{path}/equity.csv").status == 500


@pytest.mark.parametrize("form", ["csv", "json"])
def test_damage_in_the_middle_of_a_table(server: Server, form: str) -> None:
    """Where a later part of a table cannot be read, what was sent has no proper end."""
    walk = {"symbol": "SEED-7", "provider": "synthetic", "timeframe": "1h"}
    run = server.completed(**walk, start="2015-01-01", end="2019-12-31")
    table = server.data_dir / "runs" / run["run_id"] / "drawdown.parquet"
    content = bytearray(table.read_bytes())
    at = len(content) * 93 // 100
    content[at : at + 60] = bytes(60)
    table.write_bytes(content)
    with pytest.raises(CUT):
        server.get(f"/runs/{run['run_id']}/artifact/drawdown.{form}")
    assert server.get("/health").status == 200


def test_a_fault_in_the_middle_of_an_answer(
    server: Server, run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong once an answer has begun, it has no proper end, and is logged once."""

    def broken(_table: Any) -> Iterator[bytes]:
        yield b"ts\n"
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr("app.backtests.csv_pieces", broken)
    with pytest.raises(CUT):
        server.get(f"/runs/{run['run_id']}/artifact/equity.csv")
    assert server.get("/health").status == 200
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == [
        "a request met an error"
    ]


def test_pieces_are_small_and_whole(tmp_path: Any) -> None:
    """A long table comes in many pieces, which together are the table; text cannot execute."""
    n = 50_000
    values = np.arange(n) / 7
    path = tmp_path / "long.parquet"
    names = pa.array(["=1+1", "-x", "@y", "plain", None] * (n // 5))
    pq.write_table(pa.table({"ts": np.arange(n), "x": values, "name": names}), path)
    for pieces in (json_pieces, csv_pieces):
        assert max(map(len, pieces(path))) < 1 << 20
    rows = list(csv.DictReader(io.StringIO(b"".join(csv_pieces(path)).decode())))
    assert [float(row["x"]) for row in rows] == list(values)
    assert [row["name"] for row in rows[:5]] == ["'=1+1", "'-x", "'@y", "plain", ""]
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), empty)
    assert b"".join(json_pieces(empty)) == b'{"a":[]}'
    assert b"".join(csv_pieces(empty)) == b"a\n"
