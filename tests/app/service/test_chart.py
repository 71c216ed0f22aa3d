"""``GET /candles`` and ``GET /features``: the newest bars of a range, and columns over them."""

import json
from typing import Any
from urllib.parse import urlencode

import pyarrow.parquet as pq
import pytest

Server = Any
SPX = {"symbol": "SPX", "provider": "sample"}


def get(server: Server, path: str, **query: Any) -> Any:
    return server.get(f"{path}?{urlencode(query)}")


def test_the_newest_bars_of_a_range(server: Server) -> None:
    """Candles come in columns, the newest of the range, and say whether there are more."""
    found = get(server, "/candles", **SPX, start="2010-01-01", end="2010-12-31").json
    assert set(found) == {"ts", "open", "high", "low", "close", "volume", "truncated"}
    assert found["truncated"] is False
    assert len(found["ts"]) == 252
    assert found["ts"] == sorted(found["ts"])
    assert found["ts"][0] == 1262563200000  # Monday, 4 January 2010
    cut = get(server, "/candles", **SPX, end=1293753600000, limit=10).json
    assert cut["truncated"] is True
    assert cut["ts"] == found["ts"][-10:]
    assert cut["close"] == found["close"][-10:]
    assert len(get(server, "/candles", **SPX).json["ts"]) == 1000
    assert get(server, "/candles", **SPX, limit=1).json["truncated"] is True


def test_features_are_what_a_strategy_sees(server: Server) -> None:
    """An indicator's column is shifted by one bar and computed before the cut; null in the warm-up."""
    indicators = json.dumps([{"name": "sma", "params": {"length": 3}}])
    found = get(server, "/features", **SPX, end="2005-12-31", indicators=indicators, limit=10).json
    before = get(server, "/candles", **SPX, end="2005-12-31", limit=13).json["close"]
    expected = [sum(before[i : i + 3]) / 3 for i in range(10)]
    assert found["sma_3"] == pytest.approx(expected, rel=1e-12)
    start = get(server, "/features", **SPX, end="2000-01-31", indicators=indicators).json
    first = start["sma_3"][:4]
    assert (first[:3], first[3] is None) == ([None, None, None], False)
    assert len(start["sma_3"]) == len(start["ts"])


def test_the_columns_are_those_of_a_run(server: Server) -> None:
    """What a chart shows is what a run with the same indicators keeps."""
    indicators = [{"name": "bbands", "params": {"timeperiod": 5}}, {"name": "rsi"}]
    run = server.completed(indicators=indicators)
    kept = pq.read_table(server.data_dir / "runs" / run["run_id"] / "features.parquet").to_pydict()
    found = get(server, "/features", **SPX, indicators=json.dumps(indicators), limit=10_000).json
    assert {name: found[name] for name in kept} == kept


def test_known_by_its_etag(server: Server) -> None:
    """A chart that has these bars is told so."""
    answer = get(server, "/candles", **SPX)
    path = f"/candles?{urlencode(SPX)}"
    again = server.get(path, {"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert server.call("HEAD", path).headers["ETag"] == answer.headers["ETag"]


def test_unknown_volume_is_null(server: Server) -> None:
    """Where the volume is not known there is no column of zeros."""
    text = "Date,Open,High,Low,Close\n2024-01-01,1,2,1,2\n2024-01-02,2,2,1,1\n2024-01-03,1,2,1,2\n"
    (server.data_dir / "candles" / "TEST_1d.csv").write_text(text, encoding="utf-8")
    found = get(server, "/candles", symbol="TEST").json
    assert (found["volume"], found["close"]) == (None, [2.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("path", "query", "status", "code", "field"),
    [
        ("/candles", {}, 400, "INVALID_QUERY", "symbol"),
        ("/candles", {"symbol": "a/b"}, 400, "INVALID_QUERY", "symbol"),
        ("/candles", SPX | {"timeframe": "2d"}, 400, "INVALID_QUERY", "timeframe"),
        ("/candles", SPX | {"start": "soon"}, 400, "INVALID_QUERY", "start"),
        ("/candles", SPX | {"start": 2, "end": 1}, 400, "INVALID_QUERY", "end"),
        ("/candles", SPX | {"provider": "yahoo"}, 400, "INVALID_QUERY", "provider"),
        ("/candles", SPX | {"limit": 0}, 400, "INVALID_QUERY", None),
        ("/candles", SPX | {"limit": 10_001}, 400, "INVALID_QUERY", None),
        ("/candles", SPX | {"more": 1}, 400, "INVALID_QUERY", None),
        ("/candles", {"symbol": "NONE"}, 404, "DATASET_NOT_FOUND", None),
        ("/candles", SPX | {"start": "2999-01-01"}, 422, "INVALID_DATA", None),
        ("/candles", {"symbol": "SEED-7", "provider": "synthetic", "timeframe": "1m", "end": "8000-01-01"}, 422, "LIMIT_EXCEEDED", "start"),
        ("/features", SPX | {"indicators": "["}, 400, "INVALID_QUERY", None),
        ("/features", SPX | {"indicators": '[{"name": "sma", "name": "rsi"}]'}, 400, "INVALID_QUERY", None),
        ("/features", SPX | {"indicators": "{}"}, 400, "INVALID_QUERY", "indicators"),
        ("/features", SPX | {"indicators": '[{"name": "no"}]'}, 400, "INVALID_QUERY", "indicators.0.name"),
        ("/features", SPX | {"indicators": json.dumps([{"name": "sma", "params": {"length": n}} for n in range(2, 67)])}, 422, "LIMIT_EXCEEDED", "indicators"),
    ],
)  # fmt: skip
def test_what_names_no_bars(
    server: Server, path: str, query: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    """A query that is wrong says where; one that finds nothing says that."""
    answer = get(server, path, **query)
    assert (answer.status, answer.code) == (status, code)
    if field is not None:
        assert [each["field"] for each in answer.json["error"]["details"]["errors"]] == [field]
