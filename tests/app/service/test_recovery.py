"""What a start finds: a damaged database, directories of nobody, another server, a port that is taken."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asked_runs import FAST, WAIT_S
from server_checks import Start, assert_gapless, change, names

from app.database import SCHEMA_VERSION


def stderr_of(server: Any) -> str:
    """Stop a server and return what it wrote on standard error."""
    server.process.terminate()
    return str(server.process.communicate(timeout=WAIT_S)[1])


def refused(data_dir: Path, *flags: str) -> tuple[int, str, str]:
    """Return how a server that must not start ends, and what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve", "--port", "0", *flags],
        env=os.environ | {"STUDIO_DATA_DIR": str(data_dir)},
        cwd=data_dir.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=WAIT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


# Damaged and foreign databases


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(100_000))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [garbage, cut])
def test_a_corrupt_database(spawn: Start, damage: Callable[[Path], None]) -> None:
    """It is set aside and named, and its completed runs are back with all that they had."""
    first = spawn()
    validated = FAST | {"validation": {"permutation": {"n": 50}}, "plot": True}
    ids = [first.post("/runs", config).json["run_id"] for config in (FAST, validated)]
    before = {run_id: first.wait_for(run_id, "completed") for run_id in ids}
    assert first.end() == 0
    path = first.data_dir / "studio.db"
    damage(path)
    damaged = path.read_bytes()
    path.with_name("studio.db-wal").write_bytes(b"stale")

    second = spawn()
    for run_id, run in before.items():
        found = second.get(f"/runs/{run_id}").json
        same = ("hash", "status", "config", "metrics", "validation", "candle_digest", "manifest_hash", "code_version", "error", "progress")  # fmt: skip
        assert {name: found[name] for name in same} == {name: run[name] for name in same}
        assert abs(found["finished_ts"] - run["finished_ts"]) < 5000
        manifest = second.get(f"/runs/{run_id}/artifacts").json
        assert manifest["manifest_hash"] == run["manifest_hash"]
        for entry in manifest["files"]:
            artifact = second.get(f"/runs/{run_id}/artifact/{entry['name']}")
            assert (artifact.status, len(artifact.body)) == (200, entry["size"])
        assert second.get(f"/runs/{run_id}/verify").json["ok"]
        assert assert_gapless(second, run_id)[-1] == "completed"
        stream = second.get(f"/runs/{run_id}/events/stream")
        assert b"event: completed" in stream.body
    assert {run["run_id"] for run in second.get("/runs").json["runs"]} == set(ids)
    again = second.post("/runs", FAST)
    assert (again.status, again.json["reused"], again.json["run_id"]) == (200, True, ids[0])
    assert second.completed(seed=9)["attempt"] == 1

    said = stderr_of(second)
    (name,) = re.findall(r"studio\.db\.corrupt-\w+", said)
    assert "damaged" in said
    assert "taken in from their directories: 2." in said
    assert str(second.data_dir) not in said
    assert (second.data_dir / name).read_bytes() == damaged
    assert (second.data_dir / f"{name}-wal").read_bytes() == b"stale"
    third = spawn()
    assert len(third.get("/runs").json["runs"]) == 3
    assert stderr_of(third) == ""


def test_retention_holds_for_what_is_taken_in(spawn: Start) -> None:
    """Of more directories than are kept, the newest come back."""
    first = spawn()
    ids = [first.completed(seed=seed)["run_id"] for seed in range(4)]
    assert first.end() == 0
    for n, run_id in enumerate(ids):
        os.utime(first.data_dir / "runs" / run_id / "manifest.json", (2e9 + n, 2e9 + n))
    garbage(first.data_dir / "studio.db")
    second = spawn(STUDIO_RETENTION="2")
    assert [run["run_id"] for run in second.get("/runs").json["runs"]] == [ids[3], ids[2]]
    assert names(second.data_dir / "runs") == sorted(ids[2:])


def test_a_newer_programs_database(spawn: Start) -> None:
    """The start is refused with 6 and a sentence, and everything stays as it is."""
    first = spawn()
    run_id = first.completed()["run_id"]
    assert first.end() == 0
    change(first.data_dir, "PRAGMA user_version = 77")
    before = (first.data_dir / "studio.db").read_bytes()
    code, out, err = refused(first.data_dir)
    assert (code, out) == (6, "")
    assert "newer Studio" in err
    assert "77" in err
    assert err.count("\n") == 1
    assert (first.data_dir / "studio.db").read_bytes() == before
    assert names(first.data_dir / "runs") == [run_id]
    assert names(first.data_dir / "orphans") == []
    assert not (first.data_dir / "server.json").exists()
    change(first.data_dir, f"PRAGMA user_version = {SCHEMA_VERSION}")
    assert spawn().get(f"/runs/{run_id}/verify").json["ok"]


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_something_else_in_the_databases_place(spawn: Start, kind: str) -> None:
    """It is named and left where it is; a person should decide."""
    first = spawn()
    assert first.end() == 0
    path = first.data_dir / "studio.db"
    path.rename(path.with_name("real.db"))
    if kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("real.db")
    code, out, err = refused(first.data_dir)
    assert (code, out) == (4, "")
    assert "studio.db in the data directory is not a regular file" in err
    assert path.is_dir() or path.is_symlink()


# Directories


def test_what_is_no_run_goes_to_orphans(spawn: Start) -> None:
    """Whatever is no verified run is moved aside whole, and nothing else is touched."""
    first = spawn()
    kept = first.completed(seed=1)["run_id"]
    changed, renamed = (first.completed(seed=seed)["run_id"] for seed in (2, 3))
    assert first.end() == 0
    runs, orphans = first.data_dir / "runs", first.data_dir / "orphans"
    for run_id in (changed, renamed):
        change(first.data_dir, "DELETE FROM runs WHERE run_id = ?", run_id)
        change(first.data_dir, "DELETE FROM events WHERE run_id = ?", run_id)
    metrics = runs / changed / "metrics.json"
    metrics.write_bytes(metrics.read_bytes() + b" ")
    (runs / renamed).rename(runs / ("f" * 20))
    (runs / "stray file").write_text("a note", encoding="utf-8")
    (runs / "empty").mkdir()
    os.mkfifo(runs / "fifo")
    (runs / ("a" * 20)).symlink_to(runs / kept)
    (runs / "nowhere").symlink_to("/nowhere")
    (runs / os.fsdecode(b"\xff\n")).write_bytes(b"")
    (orphans / "empty").write_text("of an earlier start", encoding="utf-8")
    expected = set(names(runs)) - {kept}

    second = spawn()
    assert names(runs) == [kept]
    assert second.get(f"/runs/{kept}/verify").json["ok"]
    assert [run["run_id"] for run in second.get("/runs").json["runs"]] == [kept]
    found = names(orphans)
    assert {name.split(".")[0] for name in found} == expected
    assert len(found) == len(expected) + 1
    assert (orphans / "empty").read_text(encoding="utf-8") == "of an earlier start"
    assert (orphans / changed / "metrics.json").read_bytes().endswith(b" ")
    assert (orphans / changed / "equity.parquet").is_file()
    assert (orphans / ("a" * 20)).is_symlink()
    assert (orphans / "stray file").read_text(encoding="utf-8") == "a note"
    assert second.post("/runs", FAST | {"seed": 2}).status == 201
    assert second.wait_for(changed)["status"] == "completed"
    said = stderr_of(second)
    assert "orphans" in said
    assert "Traceback" not in said


def test_a_fifo_among_a_runs_files_keeps_nobody_waiting(spawn: Start) -> None:
    """A directory whose configuration is no regular file does not verify, at once."""
    first = spawn()
    run_id = first.completed()["run_id"]
    other = first.completed(seed=1)["run_id"]
    for each in (run_id, other):
        config = first.data_dir / "runs" / each / "config.json"
        config.unlink()
        os.mkfifo(config)
    assert not first.get(f"/runs/{run_id}/verify").json["ok"]
    assert first.end() == 0
    change(first.data_dir, "DELETE FROM runs")
    change(first.data_dir, "DELETE FROM events")
    second = spawn()
    assert names(second.data_dir / "orphans") == sorted([run_id, other])


def test_a_completed_run_whose_directory_has_gone(spawn: Start) -> None:
    """It is listed without its files, and asked for again it is made again."""
    first = spawn()
    run_id = first.completed()["run_id"]
    assert first.end() == 0
    shutil.rmtree(first.data_dir / "runs" / run_id)
    second = spawn()
    assert second.get(f"/runs/{run_id}").json["status"] == "completed"
    assert second.get(f"/runs/{run_id}/artifacts").status == 404
    assert not second.get(f"/runs/{run_id}/verify").json["ok"]
    again = second.post("/runs", FAST)
    assert (again.status, again.json["attempt"], again.json["run_id"]) == (201, 2, run_id)
    second.wait_for(run_id, "completed")
    assert_gapless(second, run_id)
    assert second.get(f"/runs/{run_id}/verify").json["ok"]


def test_rubbish_in_tmp_goes(spawn: Start) -> None:
    """``tmp/`` is empty after a start, whatever lay there."""
    first = spawn()
    assert first.end() == 0
    tmp = first.data_dir / "tmp"
    (tmp / "a.partial").mkdir()
    (tmp / "a.partial" / "file").touch()
    (tmp / "link").symlink_to(first.data_dir / "runs")
    os.mkfifo(tmp / "fifo")
    spawn()
    assert names(tmp) == []
    assert (first.data_dir / "runs").is_dir()


# One server, one port


def test_a_second_server(spawn: Start) -> None:
    """It names the first one's address and process, changes nothing, and exits 6."""
    first = spawn()
    code, out, err = refused(first.data_dir)
    assert (code, out) == (6, "")
    assert f"http://127.0.0.1:{first.port}" in err
    assert f"pid {first.process.pid}" in err
    assert err.count("\n") == 1
    assert json.loads((first.data_dir / "server.json").read_bytes())["pid"] == first.process.pid
    assert first.get("/health").status == 200


def test_a_port_that_is_taken(tmp_path: Path, spawn: Start) -> None:
    """The start is refused with 6 and a sentence, and the directory is free again."""
    data_dir = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = refused(data_dir, "--port", str(port))
    assert (code, out) == (6, "")
    assert f"Port {port} cannot be used" in err
    assert "--port" in err
    assert err.count("\n") == 1
    assert not (data_dir / "server.json").exists()
    assert spawn().get("/health").status == 200
