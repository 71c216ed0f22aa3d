"""``GET /runs/{id}/report``, and the command ``report`` beside a server."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import folder_of, spoil, swap

from app import backtests
from app.report import make_report

Server = Any
Serve = Callable[..., Any]
Studio = Callable[..., Any]
LONG = {
    "symbol": "SPX", "provider": "sample", "plot": False,
    "validation": {"permutation": {"n": 100_000}},
}  # fmt: skip


def test_the_report_of_a_run(server: Server) -> None:
    """A completed run has a report, as a file to keep, which a page of it may not do harm with."""
    run_id = server.completed()["run_id"]
    answer = server.get(f"/runs/{run_id}/report")
    assert answer.status == 200
    assert answer.body == make_report(folder_of(server, run_id))[1]
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{run_id}.html"'
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    head = server.call("HEAD", f"/runs/{run_id}/report")
    assert (head.status, head.body) == (200, b"")
    names = ("ETag", "Content-Type", "Content-Length", "Content-Disposition", "Cache-Control")
    assert [head.headers[name] for name in names] == [answer.headers[name] for name in names]
    assert head.headers["Content-Length"] == str(len(answer.body))


def test_a_client_that_has_the_report(server: Server) -> None:
    """Who has the report is told so; any other ETag gets it."""
    run_id = server.completed()["run_id"]
    path = f"/runs/{run_id}/report"
    tag = server.get(path).headers["ETag"]
    assert tag.startswith('"')
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        for method in ("GET", "HEAD"):
            answer = server.call(method, path, headers={"If-None-Match": given})
            assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
            assert answer.headers["Cache-Control"] == "private, no-cache"
            assert answer.headers["Content-Disposition"] is None
    assert server.get(path, {"If-None-Match": '"x"'}).status == 200
    other = server.completed(seed=1)["run_id"]
    assert server.get(f"/runs/{other}/report").headers["ETag"] != tag


def test_runs_without_a_report(serve: Serve) -> None:
    """A live run's is not ready, a cancelled one has none, and neither has one that nobody knows."""
    server = serve(workers=1)
    running, waiting = server.post("/runs", LONG).json["run_id"], server.new_run()
    server.wait_for(running, "running")
    for run_id in (running, waiting):
        answer = server.get(f"/runs/{run_id}/report")
        assert (answer.status, answer.code) == (409, "ARTIFACT_NOT_READY")
        assert answer.json["error"]["retryable"] is True
    for run_id in (waiting, running):
        server.post(f"/runs/{run_id}/cancel")
        server.wait_for(run_id, "cancelled")
        answer = server.get(f"/runs/{run_id}/report")
        assert (answer.status, answer.code) == (404, "ARTIFACT_NOT_FOUND")
    for name in ("0" * 20, "none", "..%2f.."):
        answer = server.get(f"/runs/{name}/report")
        assert (answer.status, answer.code) == (404, "RUN_NOT_FOUND")
    assert server.get("/runs/none/report?x=1").code == "INVALID_QUERY"
    assert server.call("POST", f"/runs/{running}/report", {}).status == 405
    assert server.call("GET", f"/runs/{running}/report", token=None).status == 401


def test_a_failed_run(serve: Serve) -> None:
    """A run that failed has no report."""
    server = serve(faults="artifact_write:enospc:3")
    run_id = server.new_run()
    assert server.wait_for(run_id)["status"] == "failed"
    answer = server.get(f"/runs/{run_id}/report")
    assert (answer.status, answer.code) == (404, "ARTIFACT_NOT_FOUND")


def spoilt(folder: Path) -> None:
    spoil(folder / "metrics.json")


def link(folder: Path) -> None:
    folder.rename(folder.parent.parent / "elsewhere")
    folder.symlink_to(folder.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (spoilt, "metrics.json has been changed"),
        (swap, "the manifest's own hashes do not come out"),
        (lambda f: (f / "trades.parquet").unlink(), "trades.parquet is missing"),
        (link, "manifest.json is missing or no manifest"),
    ],
)
def test_files_that_do_not_verify(
    server: Server, studio: Studio, change: Callable[[Path], None], said: str
) -> None:
    """No report is made of files that are not those of the run, over HTTP or by the command."""
    run_id = server.completed()["run_id"]
    server.completed(seed=7)
    change(folder_of(server, run_id))
    answer = server.get(f"/runs/{run_id}/report")
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert "incident" in answer.json["error"]["details"]
    assert answer.headers["Content-Disposition"] is None
    done = studio("report", run_id, "--data-dir", server.data_dir)
    assert (done.code, done.out, done.err) == (5, "", f"studio: {said}\n")


def test_files_that_are_gone(server: Server) -> None:
    """A run whose directory is gone has no report."""
    run_id = server.completed()["run_id"]
    shutil.rmtree(folder_of(server, run_id))
    answer = server.get(f"/runs/{run_id}/report")
    assert (answer.status, answer.code) == (404, "ARTIFACT_NOT_FOUND")


def test_a_run_that_is_removed_meanwhile(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the run goes while its report is being made there is none, and nothing went wrong."""
    server = serve()
    run_id = server.completed()["run_id"]

    def late(folder: Path, manifest_hash: str) -> tuple[str, bytes]:
        assert server.call("DELETE", f"/runs/{run_id}").status == 204
        return make_report(folder, manifest_hash)

    monkeypatch.setattr(backtests, "make_report", late)
    answer = server.get(f"/runs/{run_id}/report")
    assert (answer.status, answer.code) == (404, "RUN_NOT_FOUND")


def test_the_command_beside_a_server(server: Server, studio: Studio, tmp_path: Path) -> None:
    """While a server holds the data directory the command gets the report of its runs from it."""
    run_id = server.completed()["run_id"]
    place = ("--data-dir", server.data_dir)
    done = studio("report", run_id, *place)
    assert (done.code, done.err) == (0, "")
    content = (tmp_path / f"{run_id}.html").read_bytes()
    assert content == server.get(f"/runs/{run_id}/report").body
    direct = studio("report", folder_of(server, run_id), "--out", "direct.html", *place)
    assert direct.code == 0
    assert (tmp_path / "direct.html").read_bytes() == content


def test_what_the_server_refuses_the_command(serve: Serve, studio: Studio, tmp_path: Path) -> None:
    """A run that the server does not know, or that is still at work, is told in one sentence."""
    server = serve(workers=1)
    place = ("--data-dir", server.data_dir)
    unknown = studio("report", "0" * 20, *place)
    assert (unknown.code, unknown.out, unknown.err.count("\n")) == (3, "", 1)
    running = server.post("/runs", LONG).json["run_id"]
    server.wait_for(running, "running")
    live = studio("report", running, *place)
    assert (live.code, live.out) == (3, "")
    assert "running" in live.err
    assert not list(tmp_path.glob("*.html"))


def test_the_reason_stands_in_the_log(server: Server) -> None:
    """The log says which file does not verify, which the answer does not."""
    run_id = server.completed()["run_id"]
    spoilt(folder_of(server, run_id))
    incident = server.get(f"/runs/{run_id}/report").json["error"]["details"]["incident"]
    lines = (Path(server.data_dir) / "logs/studio.log").read_text(encoding="utf-8").splitlines()
    told = [line for line in map(json.loads, lines) if line.get("incident") == incident]
    assert any("metrics.json has been changed" in json.dumps(line) for line in told)
