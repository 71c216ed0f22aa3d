"""States in which something could be stuck for ever, or lost."""

import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.backtests import read_finished
from app.data_dir import StartError

Server = Any
Serve = Callable[..., Any]
SLOW = {"validation": {"permutation": {"n": 20_000}}}


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def change(server: Server, sql: str, *values: object) -> None:
    connection = sqlite3.connect(server.data_dir / "studio.db", timeout=10)
    with closing(connection), connection:
        connection.execute(sql, values)


def test_a_late_cancel_does_not_meet_the_next_run(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel that reaches the pool when its attempt has ended is forgotten."""
    run_id = server.new_run(**SLOW)
    server.wait_for(run_id, "running")
    executor = server.server._executor
    cancel = executor.cancel
    asked: list[Any] = []
    monkeypatch.setattr(executor, "cancel", lambda *attempt: asked.append(attempt))
    assert server.post(f"/runs/{run_id}/cancel").status == 202
    cancel(*asked[0])
    server.wait_for(run_id, "cancelled")
    until(lambda: not executor._active)
    cancel(*asked[0])  # once more, too late
    assert not executor._to_cancel
    assert server.call("DELETE", f"/runs/{run_id}").status == 204
    assert server.new_run(**SLOW) == run_id
    assert server.wait_for(run_id)["status"] == "completed"


def test_a_row_that_cannot_be_read_does_not_stop_the_queue(serve: Serve) -> None:
    """A queued run whose configuration is damaged fails; those behind it are run and listed."""
    server = serve(workers=1)
    blocking = server.new_run(seed=1, **SLOW)
    server.wait_for(blocking, "running")
    damaged, behind = server.new_run(seed=2), server.new_run(seed=3)
    change(server, "UPDATE runs SET config = 'x' WHERE run_id = ?", damaged)
    assert server.wait_for(behind)["status"] == "completed"
    rows = {run["run_id"]: run for run in server.get("/runs").json["runs"]}
    assert (rows[damaged]["timeframe"], rows[damaged]["strategy"]) == (None, None)
    assert (rows[behind]["timeframe"], rows[behind]["strategy"]) == ("1d", "dual_sma")
    change(server, "UPDATE runs SET config = '{}' WHERE run_id = ?", damaged)
    run = server.get(f"/runs/{damaged}").json
    assert (run["status"], run["error"]["code"]) == ("failed", "INTERNAL_ERROR")


def test_a_removal_that_failed_is_tried_again(serve: Serve) -> None:
    """A run whose removal stopped half-way can be asked for again, with the same key as well."""
    server = serve(faults="trimming:enospc:1-2")
    run = server.completed()
    key = {"Idempotency-Key": "k"}
    assert server.post("/runs", run["config"], key).status == 200
    assert server.call("DELETE", f"/runs/{run['run_id']}").code == "STORAGE_FULL"
    assert server.get(f"/runs/{run['run_id']}").code == "RUN_NOT_FOUND"
    server.server._faults._faults.clear()
    answer = server.post("/runs", run["config"] | {"seed": 0}, key)
    assert (answer.status, answer.json["run_id"]) == (201, run["run_id"])
    assert server.wait_for(run["run_id"])["attempt"] == 1


def test_a_clock_that_went_back_loses_nothing(serve: Serve) -> None:
    """Runs stamped in the future are not newer than the one that has just completed."""
    server = serve(retention=2)
    old = [server.completed(seed=seed)["run_id"] for seed in (1, 2)]
    change(server, "UPDATE runs SET finished_ts = finished_ts + 1000000000")
    new = server.completed(seed=3)["run_id"]
    until(lambda: len(server.get("/runs").json["runs"]) == 2)
    assert {run["run_id"] for run in server.get("/runs").json["runs"]} == {old[1], new}


def test_an_error_after_the_rename_leaves_no_directory(serve: Serve) -> None:
    """A run that fails once its artifacts are in place takes them back, and says what failed."""
    server = serve(faults="renamed:enospc:1")
    run = server.wait_for(server.new_run())
    assert (run["status"], run["error"]["code"]) == ("failed", "STORAGE_FULL")
    assert not list((server.data_dir / "runs").iterdir())


def test_only_whole_names_are_taken_in(server: Server) -> None:
    """A directory whose name is only a part of its run's id is none of ours."""
    run_id = server.completed()["run_id"]
    folder = server.data_dir / "runs" / run_id
    assert read_finished(folder) is not None
    assert read_finished(folder.rename(folder.with_name(run_id[:7]))) is None


@pytest.mark.parametrize("sink", ["/dev/full", "a reader that has gone"])
def test_a_server_that_cannot_print_stops_well(tmp_path: Path, sink: str) -> None:
    """Where the address cannot be printed the server stops, and leaves no file behind."""
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir"]
    command.append(str(tmp_path / "data"))
    if sink == "/dev/full":
        with Path(sink).open("w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
            stderr = done.stderr
    else:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.close()
            assert process.stderr is not None
            stderr = process.stderr.read()
    assert b"Traceback" not in stderr
    assert not (tmp_path / "data" / "server.json").exists()
    assert not (tmp_path / "data" / "studio.db-wal").exists()


def test_a_stop_right_after_the_start(spawn: Serve) -> None:
    """A server that is stopped while it warms up ends without a word on standard error."""
    for wait_s in (0.0, 0.17, 0.19, 0.21):
        server = spawn()
        time.sleep(wait_s)
        assert server.end() == 0
        assert server.process.stderr.read() == ""


def test_a_start_that_fails_late_stops_listening(serve: Serve, tmp_path: Path) -> None:
    """Where the file that says where the server is cannot be written, nothing goes on listening."""
    (tmp_path / "data" / "server.json").mkdir(parents=True)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with pytest.raises(Exception, match=r"server\.json|directory"):
        serve(port=port)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "writer"]


@pytest.mark.parametrize(
    ("host", "shown", "local"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("::1", "[::1]", True),
        ("127.0.0.2", "127.0.0.2", True),
        ("::", "127.0.0.1", False),
        ("0.0.0.0", "127.0.0.1", False),  # noqa: S104  # what is tried
    ],
)
def test_the_address_given_out_answers(serve: Serve, host: str, shown: str, local: Any) -> None:
    """Whatever the server is bound to, the address that it gives out is one that answers."""
    server = serve(host=host)
    assert server.started.url == f"http://{shown}:{server.port}"
    assert server.started.local is local
    with socket.create_connection((shown.strip("[]"), server.port)) as connection:
        connection.sendall(f"GET /health HTTP/1.1\r\nHost: {shown}:{server.port}\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_a_hang_up_that_is_ignored_stays_ignored(spawn: Serve) -> None:
    """Started under nohup, the server outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited by the process
    try:
        server = spawn()
    finally:
        signal.signal(signal.SIGHUP, before)
    server.process.send_signal(signal.SIGHUP)
    assert server.get("/health").status == 200
    assert server.end() == 0


def test_a_second_port(serve: Serve) -> None:
    """A start on a port that is taken is refused, and gives the data directory free."""
    first = serve()
    with pytest.raises(StartError, match="cannot be used"):
        serve(port=first.port, data_dir=first.data_dir.with_name("other"))
    assert serve(data_dir=first.data_dir.with_name("other")).get("/runs").status == 200
