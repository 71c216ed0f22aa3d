"""Every fault of a query is told at once, by the parameter that has it."""

from pathlib import Path
from typing import Any

import pytest

Server = Any
RUN = "RUN"


def faults(answer: Any) -> dict[str, str]:
    assert (answer.status, answer.code) == (400, "INVALID_QUERY")
    listed = answer.json["error"]["details"]["errors"]
    found = {each["field"]: each["message"] for each in listed}
    assert len(found) == len(listed)
    return found


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/runs?limit=0", {"limit"}),
        ("/runs?limit=0&status=foo", {"limit", "status"}),
        ("/runs?limit=5&limit=5&symbol=%FF&status=", {"limit", "symbol", "status"}),
        ("/runs?foo=1&limit=0&bar=2", {"foo", "limit", "bar"}),
        ("/health?foo=1&bar=2", {"foo", "bar"}),
        ("/candles?symbol=%00&timeframe=x&provider=y&limit=0", {"symbol", "timeframe", "provider", "limit"}),
        ("/candles?limit=x", {"limit", "symbol"}),
        ("/candles?nope=1", {"nope", "symbol"}),
        ("/candles?symbol=SPX&provider=sample&start=foo&nope=1", {"start", "nope"}),
        ("/candles?symbol=SPX&limit=0&timeframe=9d&start=foo&end=2010&zz=1", {"limit", "timeframe", "start", "zz"}),
        ("/features?symbol=SPX&provider=sample&indicators=", {"indicators"}),
        ("/candles?symbol=A&symbol=B&limit=0", {"symbol", "limit"}),
        ("/candles?symbol=SPX&provider=%FF&start=soon", {"provider", "start"}),
        ("/features?symbol=SPX&provider=sample&limit=0&indicators=[&end=x", {"limit", "indicators", "end"}),
        ('/features?symbol=a%20b&indicators=[{"name":"no"}]&limit=', {"symbol", "limit", "indicators.0.name"}),
        (f"/runs/{RUN}/events/stream?after_id=x&heartbeat_ms=1", {"after_id", "heartbeat_ms"}),
    ],
)  # fmt: skip
def test_every_fault_of_a_query(server: Server, path: str, fields: set[str]) -> None:
    """A query that is wrong in several ways is refused with all of them."""
    run_id = server.completed()["run_id"] if RUN in path else ""
    assert faults(server.get(path.replace(RUN, run_id).replace('"', "%22"))).keys() == fields


def test_every_fault_of_a_cursor(server: Server) -> None:
    """A header that wins over the query is told beside it."""
    path = f"/runs/{server.completed()['run_id']}/events"
    words = "should be a whole number, 0 or more"
    found = faults(server.get(f"{path}?after_id=-1", {"Last-Event-ID": "x"}))
    assert found == {"after_id": words, "Last-Event-ID": words}


def test_every_fault_of_an_import(server: Server, candles: Path) -> None:
    """Whatever is said wrongly of a file is told before the file is read."""
    said = "tz=x&calendar=y&on_bad_rows=z&decimal=q&date_format=w"
    for body in (candles.read_bytes(), b"no candles"):
        path = f"/datasets/ABC/1d?{said}"
        found = faults(server.call("PUT", path, body, {"Content-Type": "text/csv"}))
        assert found.keys() == {"tz", "calendar", "on_bad_rows", "decimal", "date_format"}
        assert found["decimal"] == "should be '.' or ','"
        twice = faults(server.call("PUT", f"{path}&tz=UTC", body, {"Content-Type": "text/csv"}))
        assert (twice.keys(), twice["tz"]) == (found.keys(), "is given more than once")
        more = faults(server.call("PUT", f"{path}&zz=1", body, {"Content-Type": "text/csv"}))
        assert more == found | {"zz": "unknown parameter"}
        answer = server.call("PUT", f"/datasets/con/1d?{said}", body, {"Content-Type": "text/csv"})
        assert answer.code == "DATASET_NOT_FOUND"


def test_what_is_wrong_is_told_in_words(server: Server) -> None:
    """A parameter that is no number, or no known word, is told what it should be."""
    assert faults(server.get("/runs?limit=0&status=foo")) == {
        "limit": "should be a whole number from 1 to 200",
        "status": "should be 'queued', 'running', 'cancelling', 'completed', 'failed' or 'cancelled'",
    }
    message = server.get("/candles?symbol=SPX&provider=sample&limit=0").json["error"]["message"]
    assert message == "limit: should be a whole number from 1 to 10,000"
