"""``POST /runs``: a new run, one that is there already, and one that is tried again."""

from typing import Any

import pytest
from asked_runs import FAST, Held, Serve, Server, keyed, write_candles


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
