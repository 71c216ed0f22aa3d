"""The server is killed, at random moments and at named ones; ``scripts/crash.py`` looks after it."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.fault_points import POINTS

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
# Where each point kills, one server after the other; the first passages come soonest. A group is
# committed three times before a server listens.
PASSAGES = {
    "queued": ("queued:kill:1", "queued:kill:2", "queued:kill:1", "queued:kill:3"),
    "running": ("running:kill:1", "running:kill:2", "running:kill:1", "running:kill:2"),
    "artifact_write": tuple(f"artifact_write:kill:{n}" for n in (1, 4, 7, 10)),
    "renamed": ("renamed:kill:1", "renamed:kill:2", "renamed:kill:1", "renamed:kill:2"),
    "trimming": tuple(f"trimming:kill:{n}" for n in (1, 2, 3, 4)),
    "group_commit": tuple(f"group_commit:kill:{n}" for n in (1, 6, 9, 14)),
}


@pytest.fixture(scope="module")
def crash() -> Iterator[Any]:
    """Import the script by its path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module("crash")


def test_killed_at_random_moments(crash: Any, tmp_path: Path) -> None:
    """After 25 kills nothing that was acknowledged is lost, and nothing is torn."""
    figures = crash.run_campaign(tmp_path / "data", kills=25, seed=25)
    assert figures["violations"] == []
    assert figures["kills"] == 25
    assert figures["acknowledged"] >= 20, "the kills left time to ask for something"
    assert figures["interrupted_attempts"] >= 5, "they hit runs at work"


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_point(crash: Any, tmp_path: Path, point: str) -> None:
    """Four kills at a point leave everything as if nothing had been."""
    campaign = crash.Campaign(tmp_path / "data", retention=3 if point == "trimming" else 100)
    for n, fault in enumerate(PASSAGES[point]):
        campaign.crash_at(fault)
        if n == 0 and point == "trimming":
            assert set(crash.read_snapshot(tmp_path / "data").having("deleting")) != set()
            server = campaign.serving()  # it finishes what was begun
            campaign.await_runs(server, set(campaign.acknowledged))
            campaign.stop(server)
            campaign.examine()
    figures = campaign.finish()
    assert figures["violations"] == []
    assert figures["kills"] == 4
    assert figures["acknowledged"] >= 1


def test_the_script_says_what_is_wrong(crash: Any, tmp_path: Path) -> None:
    """What is lost, torn, left over or unknown after a crash is found and named."""
    campaign = crash.Campaign(tmp_path / "data")
    server = campaign.serving()
    campaign.post_some(server, [0.0, 0.0, 0.0])
    campaign.await_runs(server, set(campaign.acknowledged))
    campaign.bury(server.process)
    assert campaign.violations == []
    first, second, _ = campaign.acknowledged
    place = tmp_path / "data"
    (place / "runs" / first / "equity.parquet").write_bytes(b"")
    (place / "runs" / second).rename(place / "runs" / ("0" * 20))
    (place / "orphans" / "x").touch()
    campaign.acknowledged["1" * 20] = 99
    campaign._verified.clear()
    campaign.examine()
    found = "\n".join(campaign.violations)
    assert len(campaign.violations) == 5, found
    assert f"no rows for {{'{'0' * 20}'}}" in found
    assert f"no directories for {{'{second}'}}" in found
    assert f"{first} is completed but does not verify" in found
    assert f"{'1' * 20} was acknowledged and is lost" in found
    assert "orphans/ is not empty" in found
