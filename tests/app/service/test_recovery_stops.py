"""A stop in the middle of a run, and runs whose candles or code change while they wait."""

import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from asked_runs import FAST
from server_checks import SLOW, Start, assert_gapless, change, crash, names, rows, stages

from engine.records import STAGES

STOP_S, LEFT_BEHIND_S = 2.0, 2.5  # what the pages promise

CSV = """Date,Open,High,Low,Close,Volume
2024-01-01,100,101,99,100,1000
2024-01-02,100,103,100,102,1000
2024-01-03,102,104,101,103,1000
2024-01-04,103,103,98,99,1000
"""
LOCAL = {"symbol": "TEST", "plot": False, "strategy": {"params": {"fast": 1, "slow": 2}}}

PLUGIN = """
import time
from pathlib import Path
import numpy as np
from engine.registry import Params
from engine.strategy import strategies

@strategies.register("mine", Params)
class Mine:
    \"\"\"Mine.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view):
        if Path(SLOW).exists():
            time.sleep(4.0)
        return np.ones(len(view.candles), dtype=int)
"""
MINE = FAST | {"strategy": {"name": "mine"}}


def write_plugin(folder: Path, more: str = "") -> Path:
    path = folder / "mine.py"
    source = PLUGIN.replace("SLOW", repr(str(folder / "slow")))
    path.write_text(source + more, encoding="utf-8")
    return path


# Stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_in_mid_run(spawn: Start, number: int) -> None:
    """The server ends in time with 0 and leaves no runtime file; the run goes on at the next start."""
    first = spawn()
    run_id = first.post("/runs", SLOW).json["run_id"]
    first.wait_for(run_id, "running")
    first.process.send_signal(number)
    assert first.process.wait(STOP_S) == 0
    assert not (first.data_dir / "server.json").exists()
    assert names(first.data_dir / "tmp") == []
    (stored,) = rows(first.data_dir, "SELECT status, attempt, crashes FROM runs")
    assert stored == ("queued", 2, 0)
    assert first.process.communicate()[1] == ""
    second = spawn()
    run = second.wait_for(run_id)
    assert (run["status"], run["attempt"]) == ("completed", 2)
    assert assert_gapless(second, run_id).count("requeued") == 1
    assert stages(second, run_id, 2) == list(STAGES)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_right_after_the_start(spawn: Start, number: int) -> None:
    """A server that still loads the engine stops as well."""
    server = spawn()
    assert server.end(number) == 0
    assert not (server.data_dir / "server.json").exists()


def test_stops_do_not_count_as_crashes(spawn: Start) -> None:
    """A crash after a stop is the first in a row again."""
    first = spawn()
    run_id = first.post("/runs", SLOW).json["run_id"]
    first.wait_for(run_id, "running")
    crash(first)
    change(first.data_dir, "UPDATE runs SET crashes = 3")
    second = spawn()
    second.wait_for(run_id, "running")
    assert rows(second.data_dir, "SELECT crashes FROM runs") == [(4,)]
    assert second.end() == 0
    assert rows(second.data_dir, "SELECT crashes FROM runs") == [(0,)]


def test_a_job_that_does_not_notice_the_stop(spawn: Start, tmp_path: Path) -> None:
    """It is left behind, the process ends all the same, and the run goes on at the next start."""
    plugin = write_plugin(tmp_path)
    (tmp_path / "slow").touch()
    first = spawn("--plugins", str(plugin))
    run_id = first.post("/runs", MINE).json["run_id"]
    until_stage(first, run_id, "strategy")
    first.process.terminate()
    assert first.process.wait(LEFT_BEHIND_S) == 0
    assert not (first.data_dir / "server.json").exists()
    assert rows(first.data_dir, "SELECT status, attempt, crashes FROM runs") == [("queued", 2, 0)]
    (tmp_path / "slow").unlink()
    second = spawn("--plugins", str(plugin))
    run = second.wait_for(run_id)
    assert (run["status"], run["attempt"]) == ("completed", 2)
    assert assert_gapless(second, run_id).count("requeued") == 1


def until_stage(server: Any, run_id: str, stage: str) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if server.get(f"/runs/{run_id}").json["stage"] == stage:
            return
        waiting.wait(0.01)
    raise AssertionError(stage)


# What has changed meanwhile


def queued_behind(server: Any, config: dict[str, Any]) -> str:
    """Return a run that waits behind one at work."""
    slow = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(slow, "running")
    answer = server.post("/runs", config)
    assert answer.status == 201, answer.body
    assert answer.json["status"] == "queued"
    return str(answer.json["run_id"])


def assert_failed(server: Any, run_id: str, code: str) -> None:
    run = server.wait_for(run_id)
    assert (run["status"], run["error"]["code"]) == ("failed", code)
    assert run["error"]["message"]
    assert assert_gapless(server, run_id)[-1] == "failed"
    assert names(server.data_dir / "tmp") == []
    assert run_id not in names(server.data_dir / "runs")


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_candles_that_change_in_the_queue(serve: Start, how: str) -> None:
    """A run whose candles are no longer those of its hash ends with DATA_CHANGED."""
    server = serve(workers=1)
    csv = server.data_dir / "candles" / "TEST_1d.csv"
    csv.write_text(CSV, encoding="utf-8")
    run_id = queued_behind(server, LOCAL)
    if how == "replaced":
        csv.write_text(CSV.replace("103,1000", "103.5,1000"), encoding="utf-8")
    else:
        csv.unlink()
    assert_failed(server, run_id, "DATA_CHANGED")
    csv.write_text(CSV, encoding="utf-8")
    again = server.post("/runs", LOCAL)
    assert (again.status, again.json["run_id"], again.json["attempt"]) == (201, run_id, 2)
    assert server.wait_for(run_id)["status"] == "completed"


def test_a_file_that_is_touched_is_no_change(serve: Start) -> None:
    """The content counts, not the date."""
    server = serve(workers=1)
    csv = server.data_dir / "candles" / "TEST_1d.csv"
    csv.write_text(CSV, encoding="utf-8")
    run_id = queued_behind(server, LOCAL)
    csv.unlink()
    csv.write_text(CSV, encoding="utf-8")
    assert server.wait_for(run_id)["status"] == "completed"


@pytest.mark.parametrize("how", ["changed", "left out"])
def test_a_plugin_that_changes_in_the_queue(spawn: Start, tmp_path: Path, how: str) -> None:
    """A run that was asked for with other code ends with CODE_CHANGED."""
    plugin = write_plugin(tmp_path)
    first = spawn("--plugins", str(plugin), "--workers", "1")
    run_id = queued_behind(first, MINE)
    assert first.end() == 0
    write_plugin(tmp_path, "# changed\n")
    second = spawn(*(["--plugins", str(plugin)] if how == "changed" else []))
    assert_failed(second, run_id, "CODE_CHANGED")


def test_another_version_of_the_program(spawn: Start) -> None:
    """What was asked of an older program is not answered by a newer one."""
    first = spawn("--workers", "1")
    run_id = queued_behind(first, FAST)
    assert first.end() == 0
    change(first.data_dir, "UPDATE runs SET code_version = '0.0.1'")
    second = spawn()
    assert_failed(second, run_id, "CODE_CHANGED")


def test_a_limit_that_is_lowered(spawn: Start) -> None:
    """A run that is now beyond the settings says so by the name of the limit."""
    first = spawn("--workers", "1")
    run_id = queued_behind(first, FAST)
    assert first.end() == 0
    settings = first.data_dir / "settings.toml"
    settings.write_text("max_bars = 100\n", encoding="utf-8")
    settings.chmod(0o600)
    second = spawn()
    assert_failed(second, run_id, "LIMIT_EXCEEDED")
    assert "(max_bars)" in second.wait_for(run_id)["error"]["message"]
