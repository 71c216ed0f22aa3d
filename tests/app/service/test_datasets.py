"""``GET /datasets`` lists what there is, and ``DELETE`` removes what no run needs."""

import json
from pathlib import Path
from typing import Any

import pytest

Server = Any
Serve = Any
FIELDS = {
    "provider", "symbol", "timeframe", "first_ts", "last_ts", "bars", "volume_known", "calendar",
    "quality", "problem",
}  # fmt: skip


def drop_in(server: Server, candles: Path, name: str = "TEST_1d.csv") -> Path:
    path: Path = server.data_dir / "candles" / name
    path.write_bytes(candles.read_bytes())
    return path


def test_lists_what_there_is(server: Server, candles: Path) -> None:
    """The user's own sets come first, a refused file with its problem, then the shipped ones."""
    drop_in(server, candles)
    (server.data_dir / "candles" / "BAD_1d.csv").write_text("Date,Open\n1,2\n", encoding="utf-8")
    (server.data_dir / "candles" / "notes.txt").write_text("mine", encoding="utf-8")
    listed = server.get("/datasets").json["datasets"]
    assert all(set(each) == FIELDS for each in listed)
    bad, test, *shipped = listed
    assert (bad["symbol"], bad["bars"]) == ("BAD", None)
    assert "/" not in bad["problem"]
    assert (test["symbol"], test["timeframe"], test["bars"]) == ("TEST", "1d", 6)
    assert (test["first_ts"], test["volume_known"]) == (1704067200000, True)
    assert {(each["provider"], each["symbol"]) for each in shipped} >= {
        ("sample", "SPX"), ("sample", "IXIC")
    }  # fmt: skip


def test_lists_what_has_the_wrong_name(server: Server, candles: Path, studio: Any) -> None:
    """A file that nothing can name is listed with what to call it, and so says the command."""
    names = ["SPX-daily.csv", "[red]_1d.csv", "nul_1d.csv"]
    for name in names:
        drop_in(server, candles, name)
    drop_in(server, candles)
    listed = server.get("/datasets").json["datasets"]
    own = {each["symbol"]: each for each in listed if each["provider"] == "local"}
    assert own.keys() == {*names, "TEST"}
    for name in names:
        assert (own[name]["timeframe"], own[name]["bars"]) == (None, None)
        assert own[name]["problem"].startswith(f"{name} cannot be used: ")
    assert server.post("/runs", {"symbol": "nul"}).code == "DATASET_NOT_FOUND"
    table = studio("datasets", "--data-dir", server.data_dir).out
    assert all(f" {name} " in table for name in names)
    assert "SPX-daily.csv cannot be used: import it, or call it" in " ".join(table.split())


def test_the_command_lists_the_same(server: Server, candles: Path, studio: Any) -> None:
    """The command and the server show the same document."""
    drop_in(server, candles)
    ended = studio("datasets", "--json", "--data-dir", server.data_dir)
    assert json.loads(ended.out) == server.get("/datasets").json


def test_one_goes_when_no_run_needs_it(serve: Serve, candles: Path, plugin: Any) -> None:
    """A set that a live run uses stays; when the run is done it goes, and the run keeps its files."""
    server = serve(plugins=(plugin.path,), workers=1)
    path = drop_in(server, candles)
    body = {"symbol": "TEST", "plot": False, "strategy": {"name": "waits"}}
    running = server.post("/runs", body).json["run_id"]
    queued = server.post("/runs", body | {"seed": 1}).json["run_id"]
    server.wait_for(running, "running")
    refused = server.call("DELETE", "/datasets/TEST/1d")
    assert (refused.status, refused.code) == (409, "DATASET_IN_USE")
    plugin.gate.touch()
    assert server.wait_for(running)["status"] == "completed"
    assert server.wait_for(queued)["status"] == "completed"
    assert server.call("DELETE", "/datasets/TEST/1d").status == 204
    assert not path.exists()
    assert server.get(f"/runs/{running}/verify").json["ok"]
    assert server.call("DELETE", "/datasets/TEST/1d").code == "DATASET_NOT_FOUND"
    assert server.post("/runs", body | {"seed": 2}).code == "DATASET_NOT_FOUND"


def test_a_finer_set_is_in_use_too(serve: Serve, candles: Path, plugin: Any) -> None:
    """A set from which a live run's bars are built stays; another symbol's may go."""
    server = serve(plugins=(plugin.path,), workers=1)
    drop_in(server, candles)
    other = drop_in(server, candles, "OTHER_1d.csv")
    body = {"symbol": "TEST", "timeframe": "1w", "plot": False, "strategy": {"name": "waits"}}
    server.wait_for(server.post("/runs", body).json["run_id"], "running")
    assert server.call("DELETE", "/datasets/TEST/1d").code == "DATASET_IN_USE"
    assert server.call("DELETE", "/datasets/OTHER/1d").status == 204
    assert not other.exists()
    plugin.gate.touch()


@pytest.mark.parametrize(
    "path",
    ["/datasets/SPX/1d", "/datasets/TEST/2d", "/datasets/..%2f..%2ftoken/1d", "/datasets/nul/1d",
     "/datasets/%00/1d", "/datasets/TEST/..", "/datasets/test/1d"],
)  # fmt: skip
def test_what_is_none_of_the_users_own(server: Server, candles: Path, path: str) -> None:
    """Shipped sets, other names and paths are not found, and nothing goes."""
    drop_in(server, candles)
    assert server.call("DELETE", path).code == "DATASET_NOT_FOUND"
    assert (server.data_dir / "token").exists()
    assert (server.data_dir / "candles" / "TEST_1d.csv").exists()


def test_a_place_that_refuses(
    server: Server, candles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that cannot be removed stays, and the answer says why."""
    drop_in(server, candles)
    unlink = Path.unlink

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        if path.suffix == ".csv":
            raise OSError(30, "Read-only file system")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    answer = server.call("DELETE", "/datasets/TEST/1d")
    assert (answer.status, answer.code) == (507, "STORAGE_FULL")
    assert server.get("/datasets").json["datasets"][0]["symbol"] == "TEST"
