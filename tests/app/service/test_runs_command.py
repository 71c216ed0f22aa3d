"""The command ``runs``, with a server and without one."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Server = Any


def test_lists_runs_beside_the_server(server: Server, studio: Callable[..., Any]) -> None:
    """While a server holds the data directory, its runs are listed as the API lists them."""
    bad = server.completed(seed=1, validation={"permutation": {"n": 99}})
    listed = studio("runs", "--data-dir", server.data_dir)
    assert (listed.code, listed.err) == (0, "")
    row = next(line for line in listed.out.splitlines() if bad["run_id"] in line)
    assert row.split()[:6] == [bad["run_id"], "SPX", "1d", "dual_sma", "completed", "100%"]
    assert f"{bad['metrics']['permutation_p_value']:.3f}" in row
    as_json = studio("runs", "--json", "--data-dir", server.data_dir)
    assert json.loads(as_json.out) == server.get("/runs").json


def test_names_are_whole_on_a_narrow_terminal(
    server: Server, studio: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one has to name to other commands is never cut off."""
    run_id = server.completed()["run_id"]
    monkeypatch.setenv("COLUMNS", "80")
    assert run_id in studio("runs", "--data-dir", server.data_dir).out
    listed = studio("datasets", "--data-dir", server.data_dir).out
    assert "1999-01-04" in listed
    assert "\N{HORIZONTAL ELLIPSIS}" not in listed


def test_lists_runs_without_a_server(serve: Callable[..., Any], studio: Callable[..., Any]) -> None:
    """When the server has stopped, the list is the same, newest first, and may be cut."""
    server = serve()
    ids = [server.completed(seed=seed)["run_id"] for seed in (1, 2, 3)]
    server.stop()
    listed = json.loads(studio("runs", "--json", "--data-dir", server.data_dir).out)["runs"]
    assert [run["run_id"] for run in listed] == ids[::-1]
    cut = json.loads(studio("runs", "--json", "--limit", 2, "--data-dir", server.data_dir).out)
    assert [run["run_id"] for run in cut["runs"]] == ids[:0:-1]
    assert studio("runs", "--status", "failed", "--data-dir", server.data_dir).out.startswith(
        "There are no runs that are failed"
    )


def test_a_failed_run_says_why(
    serve: Callable[..., Any], studio: Callable[..., Any], candles: Any
) -> None:
    """The row of a failed run holds its code."""
    server = serve(workers=1)
    folder = server.data_dir / "candles"
    folder.joinpath(candles.name).write_bytes(candles.read_bytes())
    server.new_run(seed=1, validation={"permutation": {"n": 20_000}})
    run_id = server.post("/runs", {"symbol": "TEST", "plot": False}).json["run_id"]
    text = candles.read_text(encoding="utf-8").replace("2024-01-01,100", "2024-01-01,100.5")
    folder.joinpath(candles.name).write_text(text, encoding="utf-8")
    assert server.wait_for(run_id)["error"]["code"] == "DATA_CHANGED"
    assert "failed: DATA_CHANGED" in studio("runs", "--data-dir", server.data_dir).out


def test_runs_without_a_server_are_told(studio: Callable[..., Any]) -> None:
    """Where the list is empty, the runs of 'studio run' that lie here are counted."""
    assert studio("runs").out.count("\n") == 1
    assert studio("run", "--no-plot", "--set", "validation={}").code == 0
    assert studio("runs").out.splitlines()[1] == (
        "1 run of 'studio run' is in ./studio-runs; verify, report and export find it by its id."
    )
    assert studio("run", "--no-plot", "--set", "validation={}", "--set", "seed=1").code == 0
    (Path("studio-runs") / "notes").mkdir()
    assert "2 runs of 'studio run' are in ./studio-runs" in studio("runs").out
    assert json.loads(studio("runs", "--json").out)["runs"] == []


def test_what_cannot_be_listed(server: Server, studio: Callable[..., Any]) -> None:
    """No database is no runs; a status that there is not, a newer or damaged database is said."""
    assert "There are no runs" in studio("runs").out
    assert studio("runs", "--status", "done").code == 2
    assert studio("runs", "--limit", 0).code == 2
    server.stop()
    db = server.data_dir / "studio.db"
    with sqlite3.connect(db) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    newer = studio("runs", "--data-dir", server.data_dir)
    assert (newer.code, "newer Studio" in newer.err) == (3, True)
    db.write_bytes(b"garbage" * 1000)
    damaged = studio("runs", "--data-dir", server.data_dir)
    assert (damaged.code, "cannot be read" in damaged.err) == (3, True)
    assert not damaged.out
