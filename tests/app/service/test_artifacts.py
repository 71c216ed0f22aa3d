import contextlib
import hashlib
import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.code import canonical_hash

Server = Any
Serve = Callable[..., Any]
FAST: dict[str, Any] = {"symbol": "SPX", "provider": "sample", "plot": False}
LONG = FAST | {"validation": {"permutation": {"n": 100_000}}}
MIMES = {
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
}
SECRET = b"the content of another file"


@dataclass
class Done:
    """A completed run, its server and its directory."""

    server: Server
    run_id: str
    folder: Path

    def get(self, name: str, method: str = "GET", **headers: str) -> Any:
        """Ask for an artifact; an underscore of a header's name stands for a hyphen."""
        sent = {header.replace("_", "-"): value for header, value in headers.items()}
        return self.server.call(method, f"/runs/{self.run_id}/artifact/{name}", headers=sent)

    def ask(self, path: str) -> Any:
        """Ask for something else of the run."""
        return self.server.get(f"/runs/{self.run_id}/{path}")

    def bytes(self, name: str) -> bytes:
        """Return a file as it lies on the disk."""
        return (self.folder / name).read_bytes()

    def manifest(self) -> Any:
        """Return the manifest on the disk."""
        return json.loads(self.bytes("manifest.json"))

    def etag(self, name: str) -> str:
        """Return the ETag that a file should have."""
        return f'"{hashlib.sha256(self.bytes(name)).hexdigest()}"'


def finish(server: Server, **changes: Any) -> Done:
    run_id = server.completed(**changes)["run_id"]
    return Done(server, run_id, server.data_dir / "runs" / run_id)


@pytest.fixture
def done(server: Server) -> Done:
    """Complete a quick run."""
    return finish(server)


def test_the_manifest(done: Done) -> None:
    """The manifest is the one of the directory, with the ETag of its bytes."""
    answer = done.ask("artifacts")
    assert answer.status == 200
    assert answer.json == done.manifest()
    listed = {entry["name"] for entry in answer.json["files"]}
    assert listed | {"manifest.json"} == {path.name for path in done.folder.iterdir()}
    tag = answer.headers["ETag"]
    same = done.server.get(f"/runs/{done.run_id}/artifacts", {"If-None-Match": tag})
    assert (same.status, same.body) == (304, b"")


def test_every_artifact(server: Server) -> None:
    """Each file comes as it lies on the disk, under its hash, its kind and its name."""
    tests: dict[str, Any] = {"permutation": {"n": 19}}
    done = finish(server, plot=True, indicators=[{"name": "sma"}], validation=tests)
    files = {entry["name"]: entry for entry in done.ask("artifacts").json["files"]}
    assert set(files) == {
        "config.json", "summary.json", "metrics.json", "equity.parquet", "drawdown.parquet",
        "fills.parquet", "trades.parquet", "features.parquet", "validation_summary.json", "plot.png",
    }  # fmt: skip
    for name in (*files, "manifest.json"):
        answer, content = done.get(name), done.bytes(name)
        assert (answer.status, answer.body) == (200, content)
        assert answer.headers["ETag"] == done.etag(name)
        assert name == "manifest.json" or files[name]["sha256"] in answer.headers["ETag"]
        assert answer.headers["Content-Type"].startswith(MIMES[Path(name).suffix])
        assert answer.headers["Content-Length"] == str(len(content))
        disposition = answer.headers["Content-Disposition"]
        assert disposition.startswith("attachment;")
        assert name in disposition
        head = done.get(name, "HEAD")
        assert (head.status, head.body) == (200, b"")
        for header in ("ETag", "Content-Type", "Content-Length", "Content-Disposition"):
            assert head.headers[header] == answer.headers[header]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '{}, "x"', '"a",W/{},"b"', "*"])
@pytest.mark.parametrize("name", ["summary.json", "equity.parquet", "manifest.json"])
def test_what_the_client_has(done: Done, name: str, form: str) -> None:
    """A client that has the very bytes is told so, whatever the range it asks for."""
    tag = done.etag(name)
    for more in ({}, {"Range": "bytes=0-1"}, {"Range": "bytes=999999999-"}):
        answer = done.get(name, If_None_Match=form.format(tag), **more)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    assert done.get(name, "HEAD", If_None_Match=form.format(tag)).status == 304


@pytest.mark.parametrize("form", ['"x"', "x", "", "{0}x", '"*"', "W/", "{1}"])
def test_what_the_client_has_not(done: Done, form: str) -> None:
    """Any other ETag gets the bytes."""
    tag = done.etag("summary.json")
    answer = done.get("summary.json", If_None_Match=form.format(tag, tag.strip('"')[:-1]))
    assert (answer.status, answer.body) == (200, done.bytes("summary.json"))


@pytest.mark.parametrize(
    ("form", "first", "last"),
    [
        ("0-0", 0, 0),
        ("0-99", 0, 99),
        ("7-7", 7, 7),
        ("100-", 100, -1),
        ("0-", 0, -1),
        ("-1", -1, -1),
        ("-100", -100, -1),
        ("-999999999", 0, -1),
        ("5-999999999", 5, -1),
        ("5-99999999999999999999999", 5, -1),
        ("{last}-", -1, -1),
        ("{last}-{size}", -1, -1),
        ("0-{last}", 0, -1),
        ("-{size}", 0, -1),
    ],
)
@pytest.mark.parametrize("name", ["equity.parquet", "manifest.json"])
def test_one_range(done: Done, name: str, form: str, first: int, last: int) -> None:
    """One range is honoured in each of its forms; a negative number here counts from the end."""
    content = done.bytes(name)
    size = len(content)
    first, last = first % size, last % size
    answer = done.get(name, Range="bytes=" + form.format(size=size, last=size - 1))
    assert (answer.status, answer.body) == (206, content[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.headers["ETag"] == done.etag(name)


@pytest.mark.parametrize(
    "given",
    [
        "bytes=0-1,3-4", "bytes=0-1, -1", "bytes=0-0,0-0,0-0", "bytes=0-," * 50, "bytes=,0-1",
        "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "items=0-1", "bytes=0-1-2", "bytes 0-1",
        "bytes=--1", "bytes=1.0-2", "bytes=0x1-2", "bytes=+1-2", "", "=", "0-1", "bytes=1", "bytes=1-a",
        "bytes=-1-1", "bytes=\xb2-", "bytes=" + "1" * 5000 + "-2",
    ],
)  # fmt: skip
def test_several_ranges_or_none(done: Done, given: str) -> None:
    """Several ranges, and what is no range, get the whole file."""
    answer = done.get("summary.json", Range=given)
    assert (answer.status, answer.body) == (200, done.bytes("summary.json"))
    assert answer.headers["Content-Range"] is None


@pytest.mark.parametrize(
    "form", ["{size}-", "{size}-{size}", "-0", "999999999-", "{more}-{more}", "9" * 30 + "-"]
)
def test_a_range_beyond_the_end(done: Done, form: str) -> None:
    """A range without a byte of the file is refused, and how long the file is told."""
    size = len(done.bytes("summary.json"))
    answer = done.get("summary.json", Range="bytes=" + form.format(size=size, more=size + 9))
    assert (answer.status, answer.code) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["Content-Range"] == f"bytes */{size}"
    assert answer.headers["Content-Disposition"] is None


def test_if_range(done: Done) -> None:
    """A part is only sent of the version that the client has part of, which a weak ETag cannot tell."""
    content, tag = done.bytes("summary.json"), done.etag("summary.json")
    answer = done.get("summary.json", Range="bytes=1-2", If_Range=tag)
    assert (answer.status, answer.body) == (206, content[1:3])
    for other in ('"x"', f"W/{tag}", "Wed, 21 Oct 2015 07:28:00 GMT", tag.strip('"'), "*", ""):
        for wanted in ("bytes=1-2", "bytes=999999999-"):
            answer = done.get("summary.json", Range=wanted, If_Range=other)
            assert (answer.status, answer.body) == (200, content)
    assert done.get("summary.json", If_Range=tag).body == content


def test_head_knows_no_range(done: Done) -> None:
    """A range means something for GET only (RFC 9110, 14.2)."""
    for wanted in ("bytes=1-2", "bytes=999999999-"):
        answer = done.get("summary.json", "HEAD", Range=wanted)
        assert answer.status == 200
        assert answer.headers["Content-Length"] == str(len(done.bytes("summary.json")))


def test_artifacts_of_live_runs(serve: Serve) -> None:
    """While a run is live its artifacts are not ready; once it is cancelled there are none."""
    server = serve(workers=1)
    running, waiting = server.post("/runs", LONG).json["run_id"], server.new_run()
    server.wait_for(running, "running")
    paths = ("artifacts", "artifact/summary.json", "artifact/manifest.json", "verify")
    for run_id in (running, waiting):
        for path in paths:
            answer = server.get(f"/runs/{run_id}/{path}")
            assert (answer.status, answer.code) == (409, "ARTIFACT_NOT_READY")
            assert answer.json["error"]["retryable"] is True
    for run_id in (waiting, running):
        server.post(f"/runs/{run_id}/cancel")
        server.wait_for(run_id, "cancelled")
        for path in paths:
            answer = server.get(f"/runs/{run_id}/{path}")
            assert (answer.status, answer.code) == (404, "ARTIFACT_NOT_FOUND")


def test_artifacts_of_a_failed_run(serve: Serve) -> None:
    """A run that failed has no artifacts until another attempt has made them."""
    server = serve(faults="artifact_write:enospc:3")
    run_id = server.new_run()
    assert server.wait_for(run_id)["status"] == "failed"
    for path in ("artifacts", "artifact/summary.json"):
        answer = server.get(f"/runs/{run_id}/{path}")
        assert (answer.status, answer.code) == (404, "ARTIFACT_NOT_FOUND")
    server.completed()
    assert server.get(f"/runs/{run_id}/artifact/summary.json").status == 200


NAMES = [
    "none.json", "SUMMARY.JSON", "summary.json%20", "summary.json.", "summary", ".", "..", "%2e", "%2e%2e",
    "..%2f..%2fstudio.db", "%2e%2e/%2e%2e/token", "../../token", "..%2F..%2Ftoken", "..%5c..%5ctoken",
    "%2e%2e%2f%2e%2e%2ftoken", "..%252f..%252ftoken", "%252e%252e/token", "/etc/passwd", "%2fetc%2fpasswd",
    "//etc/passwd", "%2f%2fetc/passwd", "file:%2f%2f%2fetc%2fpasswd", "C:%5cWindows%5cwin.ini", "./summary.json",
    ".%2fsummary.json", "%2e/summary.json", "summary.json/", "summary.json/.", "summary.json%2f", "%00",
    "summary.json%00", "summary.json%00.png", "..%00/token", "x" * 5000, "x" * 255, "%2e%2e%2f" * 500,
    "summary.json::$DATA", "summary.json:x", "%C0%AE%C0%AE%C0%AFtoken", "%FF", "%ED%A0%80", "%zz", "%", "~", "*",
    "NUL", "CON.json", "%0d%0aX-Injected:1", "%E2%80%AEnosj", "summary.json;x", "..;%2ftoken", "extra.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_an_artifact(done: Done, name: str) -> None:
    """Whatever is no name in the manifest is not found, however it is written."""
    (done.folder / "extra.txt").write_bytes(SECRET)
    for method in ("GET", "HEAD"):
        answer = done.get(name, method)
        assert answer.status == 404
        assert answer.headers["X-Injected"] is None
        if method == "GET":
            assert answer.code in {"ARTIFACT_NOT_FOUND", "NOT_FOUND"}
            assert SECRET not in answer.body


def link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


def fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def directory(path: Path, _: Path) -> None:
    path.mkdir()


def dangling(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere.with_name("nothing"))


def a_socket(path: Path, _: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its name may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)
    os.chdir(here)


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
