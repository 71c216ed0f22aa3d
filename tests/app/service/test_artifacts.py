"""The files of a run as the server gives them out: whole, in part, by name, and once they are ready."""

from pathlib import Path
from typing import Any

import pytest
from asked_runs import LONG, SECRET, Done, Serve, Server, finish

MIMES = {
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
}


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
