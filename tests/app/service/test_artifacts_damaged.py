"""Files of a run that were changed, replaced or linked: never sent, and named by the check."""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asked_runs import SECRET, Done
from special_files import a_socket, directory, fifo, link

from engine.code import canonical_hash


def dangling(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere.with_name("nothing"))


def missing(_: Path, __: Path) -> None:
    """Put nothing there."""


REPLACED = [link, fifo, directory, dangling, a_socket, missing]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Keep a file outside of the data directory."""
    path = tmp_path / "elsewhere"
    path.write_bytes(SECRET)
    return path


@pytest.mark.parametrize("make", REPLACED)
@pytest.mark.parametrize("name", ["summary.json", "manifest.json"])
def test_something_else_in_place_of_a_file(
    done: Done, elsewhere: Path, name: str, make: Callable[[Path, Path], None]
) -> None:
    """What is no regular file is never read, followed or waited for."""
    size = len(done.bytes(name))
    elsewhere.write_bytes(SECRET.ljust(size, b"."))  # as long as the one it is to stand for
    (done.folder / name).unlink()
    make(done.folder / name, elsewhere)
    asked = [done.get(name), done.get(name, "HEAD"), done.get(name, Range="bytes=0-9")]
    if name == "manifest.json":
        asked += [done.ask("artifacts"), done.get("summary.json")]
    for answer in asked:
        assert answer.status in {404, 500}
        assert SECRET not in answer.body
        assert str(done.folder) not in answer.body.decode()
    report = done.ask("verify").json
    assert report["ok"] is False
    assert [check["name"] for check in report["files"] if not check["ok"]] == [name]


def test_a_link_to_the_very_bytes(done: Done, elsewhere: Path) -> None:
    """A link is refused even where it leads to the right content."""
    path = done.folder / "summary.json"
    shutil.copy(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)
    assert done.get("summary.json").status in {404, 500}
    assert not done.ask("verify").json["ok"]


@pytest.mark.parametrize("kind", ["link", "file", "fifo", "missing", "empty"])
def test_something_else_in_place_of_the_directory(done: Done, elsewhere: Path, kind: str) -> None:
    """Where the run's directory is no directory nothing is read through it."""
    done.folder.rename(elsewhere.with_name("moved"))
    if kind == "link":
        done.folder.symlink_to(elsewhere.with_name("moved"), target_is_directory=True)
    elif kind == "file":
        shutil.copy(elsewhere, done.folder)
    elif kind == "fifo":
        os.mkfifo(done.folder)
    elif kind == "empty":
        done.folder.mkdir()
    for answer in (done.ask("artifacts"), done.get("summary.json"), done.get("manifest.json")):
        assert answer.status in {404, 500}
        assert answer.code in {"ARTIFACT_NOT_FOUND", "INTERNAL_ERROR"}
        assert kind != "missing" or answer.code == "ARTIFACT_NOT_FOUND"
    answer = done.ask("verify")
    assert answer.status == 200
    assert answer.json["ok"] is answer.json["manifest_ok"] is False


def rewrite_manifest(done: Done, change: Callable[[Any], None]) -> None:
    """Change the manifest as one would who knows how its own hash is made."""
    manifest = done.manifest()
    change(manifest)
    hashed = {k: v for k, v in manifest.items() if k not in {"environment", "manifest_hash"}}
    manifest["manifest_hash"] = canonical_hash(hashed)
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    (done.folder / "manifest.json").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("where", ["../../{}", "{abs}", "../{}", "inside/{}"])
def test_a_manifest_that_names_another_place(done: Done, where: str) -> None:
    """A manifest that was changed to name a file elsewhere does not open the way there."""
    name = "secret.txt"
    for folder in (done.folder.parent.parent, done.folder.parent, done.folder / "inside"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(SECRET)
    named = where.format(name, abs=done.folder.parent / name)
    entry = {
        "name": named,
        "size": len(SECRET),
        "sha256": hashlib.sha256(SECRET).hexdigest(),
        "mime": "text/plain",
    }
    rewrite_manifest(done, lambda manifest: manifest["files"].append(entry))
    answer = done.get(named.replace("/", "%2f"))
    assert answer.status in {404, 500}
    assert SECRET not in answer.body
    assert not done.ask("verify").json["ok"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"files": 1}',
        b'{"files": [1]}',
        b"\xff",
        b'{"files": [{"name": "summary.json"}]}',
        b"[" * 100_000,
    ],
)
def test_a_manifest_that_is_none(done: Done, raw: bytes) -> None:
    """A manifest that cannot be read is an error inside, with an incident, and no run that verifies."""
    (done.folder / "manifest.json").write_bytes(raw)
    answer = done.get("summary.json")
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert answer.json["error"]["details"]["incident"]
    report = done.ask("verify")
    assert (report.status, report.json["ok"], report.json["manifest_ok"]) == (200, False, False)


@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_another_size(done: Done, content: bytes | None) -> None:
    """A file of another size than the manifest's is not sent: 500, an incident, and no path."""
    path = done.folder / "summary.json"
    path.write_bytes(done.bytes("summary.json") + b"\n" if content is None else content)
    for more in ({}, {"Range": "bytes=0-1"}):
        answer = done.get("summary.json", **more)
        assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
        assert answer.json["error"]["details"]["incident"]
        assert str(done.server.data_dir) not in answer.body.decode()
        assert answer.headers["Content-Disposition"] is None
    assert done.get("summary.json", "HEAD").status == 500
    assert done.get("config.json").status == 200


def database(done: Done, sql: str) -> None:
    with (
        contextlib.closing(sqlite3.connect(done.server.data_dir / "studio.db", timeout=10)) as c,
        c,
    ):
        c.execute(sql)


def test_verify_what_is_as_it_was(done: Done) -> None:
    """Each file of an untouched run is fine, and so are the manifest and the whole."""
    report = done.ask("verify").json
    assert set(report) == {"ok", "manifest_ok", "files"}
    assert report["ok"] is report["manifest_ok"] is True
    assert all(set(check) == {"name", "ok", "reason"} for check in report["files"])
    assert {check["ok"] for check in report["files"]} == {True}
    names = {entry["name"] for entry in done.manifest()["files"]}
    assert {check["name"] for check in report["files"]} - {"manifest.json"} == names


def changed(folder: Path) -> str:
    path = folder / "equity.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path.name


def shortened(folder: Path) -> str:
    os.truncate(folder / "trades.parquet", 10)
    return "trades.parquet"


def extra(folder: Path) -> str:
    (folder / "notes.txt").write_bytes(b"")
    return "notes.txt"


def extra_fifo(folder: Path) -> str:
    os.mkfifo(folder / "pipe")
    return "pipe"


def extra_directory(folder: Path) -> str:
    (folder / "more").mkdir()
    return "more"


def extra_link(folder: Path) -> str:
    (folder / "link.json").symlink_to("summary.json")
    return "link.json"


def hidden(folder: Path) -> str:
    (folder / ".hidden").write_bytes(b"x")
    return ".hidden"


def swapped(folder: Path) -> str:
    (folder / "fills.parquet").unlink()
    (folder / "fills.parquet").symlink_to("trades.parquet")
    return "fills.parquet"


@pytest.mark.parametrize(
    "damage",
    [changed, shortened, extra, extra_fifo, extra_directory, extra_link, hidden, swapped],
)
def test_verify_names_what_is_wrong(done: Done, damage: Callable[[Path], str]) -> None:
    """The one file that is changed, too many or linked is named, with a reason."""
    name = damage(done.folder)
    report = done.ask("verify").json
    assert (report["ok"], report["manifest_ok"]) == (False, True)
    wrong = [check for check in report["files"] if not check["ok"]]
    assert [check["name"] for check in wrong] == [name]
    assert wrong[0]["reason"]
    assert str(done.folder) not in wrong[0]["reason"]


def test_verify_asks_the_database(done: Done) -> None:
    """A manifest that was made anew for changed files is not the one that the database knows."""
    (done.folder / "summary.json").write_bytes(SECRET)

    def adapt(manifest: Any) -> None:
        (entry,) = (each for each in manifest["files"] if each["name"] == "summary.json")
        entry |= {"size": len(SECRET), "sha256": hashlib.sha256(SECRET).hexdigest()}

    rewrite_manifest(done, adapt)
    report = done.ask("verify").json
    assert report["ok"] is report["manifest_ok"] is False
    assert {check["ok"] for check in report["files"] if check["name"] != "manifest.json"} == {True}


def test_verify_a_changed_row(done: Done) -> None:
    """A hash that was changed in the database does not fit the manifest."""
    database(done, f"UPDATE runs SET manifest_hash = '{'0' * 64}'")  # noqa: S608  # our own
    report = done.ask("verify").json
    assert report["ok"] is report["manifest_ok"] is False


def test_verify_a_changed_manifest(done: Done) -> None:
    """A manifest whose own hash does not fit is not ok."""
    path = done.folder / "manifest.json"
    path.write_text(path.read_text().replace(done.manifest()["config_hash"], "0" * 64))
    report = done.ask("verify").json
    assert report["ok"] is report["manifest_ok"] is False
