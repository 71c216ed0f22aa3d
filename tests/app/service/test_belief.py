"""``/runs/{id}/belief``: what the validation tests say, in the words of the report."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import folder_of, spoil, swap

from app import backtests
from app.belief import told, verdict
from app.report_files import read_validation
from engine.artifacts.manifest import MANIFEST

Server = Any
TESTS = {"permutation": {"n": 99}, "block_bootstrap": {"n": 99}, "walk_forward": {}}


def test_the_words_of_a_run(server: Server) -> None:
    """They are those of the report and the terminal, from the run's own file."""
    run_id = server.completed(validation=TESTS)["run_id"]
    answer = server.get(f"/runs/{run_id}/belief")
    assert answer.status == 200
    found = json.loads((folder_of(server, run_id) / "validation_summary.json").read_bytes())
    said = [{"label": label, "test": test, "text": text} for label, test, text in told(found)]
    assert answer.json == {"verdict": verdict(found), "said": said}
    assert [each["test"] for each in said] == [
        "permutation", "block_bootstrap", "block_bootstrap", "monte_carlo", "walk_forward",
    ]  # fmt: skip
    assert said[3]["text"] == "Not varied: no Monte Carlo test was asked for"
    report = server.get(f"/runs/{run_id}/report").body.decode()
    assert answer.json["verdict"].replace("'", "&#x27;") in report


def test_a_run_without_tests(server: Server) -> None:
    """Each test is named as one that was not run."""
    run_id = server.completed()["run_id"]
    answer = server.get(f"/runs/{run_id}/belief").json
    assert answer["verdict"].startswith("Whether this is luck was not tested")
    assert len(answer["said"]) == 4


def test_a_client_that_has_the_words(server: Server) -> None:
    """Who has them is told so; those of another run have another tag."""
    run_id = server.completed()["run_id"]
    path = f"/runs/{run_id}/belief"
    tag = server.get(path).headers["ETag"]
    known = server.get(path, {"If-None-Match": tag})
    assert (known.status, known.body) == (304, b"")
    other = server.completed(seed=1)["run_id"]
    assert server.get(f"/runs/{other}/belief").headers["ETag"] != tag


def spoilt(folder: Path) -> None:
    spoil(folder / "validation_summary.json")


def rename(folder: Path) -> None:
    """Have the manifest name a configuration that is not there."""
    path = folder / MANIFEST
    path.write_bytes(path.read_bytes().replace(b"config.json", b"konfig.json"))


@pytest.mark.parametrize("change", [spoilt, swap, rename])
def test_files_that_do_not_verify(server: Server, change: Callable[[Path], None]) -> None:
    """Nothing is said of files that are not those of the run."""
    run_id = server.completed(validation=TESTS)["run_id"]
    server.completed(seed=7)
    change(folder_of(server, run_id))
    answer = server.get(f"/runs/{run_id}/belief")
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert "incident" in answer.json["error"]["details"]


def test_what_no_run_writes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that lacks what the words are made of is damage, not a fault of the server's."""
    run_id = server.completed()["run_id"]
    monkeypatch.setattr(backtests, "read_validation", lambda *_: {"permutation": {}})
    answer = server.get(f"/runs/{run_id}/belief")
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    logged = (Path(server.data_dir) / "logs/studio.log").read_text(encoding="utf-8")
    assert "not what this version writes" in logged


def test_a_run_that_is_removed_meanwhile(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the run goes while it is being read there is none, and nothing went wrong."""
    run_id = server.completed()["run_id"]

    def late(folder: Path, manifest_hash: str) -> Any:
        assert server.call("DELETE", f"/runs/{run_id}").status == 204
        return read_validation(folder, manifest_hash)

    monkeypatch.setattr(backtests, "read_validation", late)
    answer = server.get(f"/runs/{run_id}/belief")
    assert (answer.status, answer.code) == (404, "RUN_NOT_FOUND")
