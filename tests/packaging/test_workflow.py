"""The workflow in ``ci.yml``: three systems, two Pythons, and every target and test is there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW: dict[Any, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
SYSTEMS = {"ubuntu", "macos", "windows"}
UPLOAD = "actions/upload-artifact"


def systems(job: dict[str, Any]) -> set[str]:
    matrix = job["strategy"]["matrix"]
    names = (
        [job["runs-on"]] if "include" not in matrix else [row["os"] for row in matrix["include"]]
    )
    return {name.partition("-")[0] for name in names}


def test_three_systems() -> None:
    """Each of the three systems runs tests and builds a bundle."""
    assert systems(JOBS["linux"]) | systems(JOBS["others"]) == SYSTEMS
    assert systems(JOBS["bundle"]) == SYSTEMS


def test_two_pythons() -> None:
    """The oldest Python that Studio runs on is tested, and a newer one."""
    told = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest, newer = JOBS["linux"]["strategy"]["matrix"]["python"]
    assert f'requires-python = ">={oldest}"' in told
    assert tuple(map(int, newer.split("."))) > tuple(map(int, oldest.split(".")))


def test_the_commands_are_there() -> None:
    """What the workflow asks of make are targets of the Makefile; set-up, tests, checks, bundle."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    asked = {
        target
        for _, step in STEPS
        for target in re.findall(r"\bmake ([a-z]+)(?= PYTHON=|$)", step.get("run", ""))
    }
    assert asked >= {"setup", "test", "check", "bundle"}
    for target in asked:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize(
    "row", JOBS["others"]["strategy"]["matrix"]["include"], ids=lambda row: row["system"]
)
def test_the_tests_are_there(row: dict[str, str]) -> None:
    """Each file and each test that a system runs or leaves out exists."""
    for word in row["tests"].split():
        path, _, test = word.removeprefix("--ignore=").removeprefix("--deselect=").partition("::")
        assert (ROOT / path).exists(), path
        assert bool(test) == word.startswith("--deselect=")
        if test:
            assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), test


def test_what_is_kept() -> None:
    """The coverage and the three bundles can be downloaded, and none may be missing."""
    kept = {
        step["with"]["name"]: step["with"]
        for _, step in STEPS
        if step.get("uses", "").startswith(UPLOAD)
    }
    assert kept.keys() == {"coverage", "studio-${{ matrix.system }}"}
    assert kept["coverage"]["path"] == "coverage.xml"
    assert {each["if-no-files-found"] for each in kept.values()} == {"error"}
    names = [row["system"] for row in JOBS["bundle"]["strategy"]["matrix"]["include"]]
    assert len(set(names)) == 3


def test_it_may_do_no_more_than_it_must() -> None:
    """It reads the sources alone, ends by itself, and takes actions of a known major version."""
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True
    assert all(1 <= job["timeout-minutes"] <= 90 for job in JOBS.values())
    assert all("permissions" not in job for job in JOBS.values())
    used = {step["uses"] for _, step in STEPS if "uses" in step}
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used), used


def test_no_line_end_is_converted() -> None:
    """Git leaves every file as it is, since the engine's sources are part of a run's identity."""
    said = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    assert [line for line in said if not line.startswith("#")] == ["* -text"]
