"""Every command in README, CONTRIBUTING and docs: run here, run by another test, or said why not."""

import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from pages import PAGES, ROOT, Block, blocks, name_of, prose

from app.cli import cli

PAGES_WITH_COMMANDS = [page for page in PAGES if blocks(page, "sh")]

# Blocks that another test takes from the page, by their first words.
RUN_ELSEWHERE = {
    'auth="Authorization': "tests/app/service/test_readme.py",
    "STUDIO_CORS_ORIGINS=": "tests/app/service/browser/test_guide.py",
    ".venv/bin/python -m http.server": "tests/app/service/browser/test_guide.py",
}
# Commands that no test runs as they stand, each with the reason.
NOT_RUN = {
    r"make run\b": "sets up a .venv; `studio run`, which it then calls, is run below",
    r"make (setup|lock)\b": "installs packages; .ci/run begins with the set-up",
    r"make (test|check)\b": "is what this test is a part of; .ci/run calls both",
    r"make (contract|bench)\b": "writes into the sources, or measures; their scripts have tests",
    r"\.venv/bin/python scripts/bench/": "measures; tests/scripts/test_bench.py runs its parts",
    r"\.venv/bin/python -m scripts\.soak\b": "takes 45 minutes; tests/scripts/test_soak.py runs its short form",
    r"\.ci/run\b": "is what runs this test",
    r"\.venv/bin/studio serve\b": "serves until it is stopped; tests/app/service start and stop it",
    r"\.venv/bin/studio desktop\b": "opens a window; tests/gui/test_desktop.py does, and closes it",
}
# How a line begins that is a command, whatever its block says.
LIKE_A_COMMAND = re.compile(r"(\$ |(make|studio|python3?|pip|git|curl|tar|export) |\.venv/|\.ci/)")


def why_not(command: str) -> str | None:
    return next((why for like, why in NOT_RUN.items() if re.match(like, command)), None)


def elsewhere(block: Block) -> str | None:
    return next((test for like, test in RUN_ELSEWHERE.items() if block.text.startswith(like)), None)


def to_run(page: Path) -> list[str]:
    """Return the commands of a page that are run here."""
    here = (block for block in blocks(page, "sh") if elsewhere(block) is None)
    return [command for block in here for command in block.commands if why_not(command) is None]


def hourly() -> Iterator[str]:
    """Yield four weeks of hourly candles in local time, without weekends."""
    yield "Date,Open,High,Low,Close,Volume"
    before, start = 5000.0, datetime(2024, 1, 8)  # noqa: DTZ001  # local time, as in the file
    for hour in range(28 * 24):
        at = start + timedelta(hours=hour)
        if at.weekday() < 5:
            close = 5000.0 + 80.0 * math.sin(hour / 40) + hour % 7
            high, low = max(before, close) + 2, min(before, close) - 2
            yield f"{at:%Y-%m-%d %H:%M},{before},{high},{low},{close},{100 + hour % 13}"
            before = close


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a directory with what the pages assume: the .venv, the sample, candles, a plugin."""
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent, target_is_directory=True)
    (tmp_path / "assets").symlink_to(ROOT / "assets", target_is_directory=True)
    (tmp_path / "ES_1h.csv").write_text("\n".join(hourly()), encoding="utf-8")
    code = (block.text for block in blocks(ROOT / "docs" / "plugins.md", "python"))
    (tmp_path / "my_components.py").write_text("\n".join(code), encoding="utf-8")
    return tmp_path


def write_configuration(page: Path, place: Path) -> None:
    """Put the page's own configuration into my-run.json, else the sample's."""
    own = [block.text for block in blocks(page, "json") if '"strategy"' in block.text]
    if own:
        (place / "my-run.json").write_text(own[0], encoding="utf-8")
    else:
        shutil.copy(ROOT / "assets" / "sample" / "run.json", place / "my-run.json")


def shell(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", command],
        cwd=place,
        env=os.environ | {"STUDIO_DATA_DIR": str(place / "data")},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page)], ids=name_of)
def test_commands_run(page: Path, workspace: Path) -> None:
    """The commands of a page, one after the other as they stand there, all succeed."""
    write_configuration(page, workspace)
    runs, run_id = workspace / "studio-runs", ""
    for command in to_run(page):
        assert "<run_id>" not in command or run_id, command
        before = set(runs.glob("*"))
        done = shell(command.replace("<run_id>", run_id), workspace)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        run_id = next((path.name for path in set(runs.glob("*")) - before), run_id)


def test_what_the_readme_s_commands_leave(workspace: Path) -> None:
    """The shell writes what the README says into the files it names."""
    page = ROOT / "README.md"
    write_configuration(page, workspace)
    (saves,) = (command for command in to_run(page) if "summary.json" in command)
    assert shell(saves, workspace).returncode == 0
    (run,) = (workspace / "studio-runs").iterdir()
    assert json.loads((workspace / "summary.json").read_bytes())["run_id"] == run.name
    (exports,) = (command for command in to_run(page) if "equity.csv" in command)
    assert shell(exports.replace("<run_id>", run.name), workspace).returncode == 0
    table = (workspace / "equity.csv").read_text(encoding="utf-8").splitlines()
    assert (table[0].partition(",")[0], len(table)) == ("ts", 5032)


def test_the_sample_s_verdict(studio: Callable[..., Any]) -> None:
    """What the README shows of the sample's run is what it prints, and what it leaves."""
    (shown,) = (block.text for block in blocks(ROOT / "README.md", "") if "Luck " in block.text)
    printed = [" ".join(line.split()) for line in studio("run", "--out", "r").out.splitlines()]
    for line in shown.splitlines():
        assert " ".join(line.split()) in printed
    (files,) = (block.text for block in blocks(ROOT / "README.md", "") if "plot.png" in block.text)
    named = set(re.findall(r"\w+\.(?:json|parquet|png)", files)) - {"features.parquet"}
    assert named == {path.name for path in Path("r").iterdir()}


def test_python_in_the_readme(workspace: Path) -> None:
    """What the README runs from Python prints the figures of the sample's run without costs."""
    (code,) = blocks(ROOT / "README.md", "python")
    (workspace / "one_call.py").write_text(code.text, encoding="utf-8")
    done = shell(".venv/bin/python one_call.py", workspace)
    assert done.returncode == 0, done.stderr
    sharpe, pnl = map(float, done.stdout.split())
    assert -1 < sharpe < 1
    assert abs(pnl) > 1


def test_every_block_says_what_it_is() -> None:
    """A block that holds a command is marked as one, so that it is run or said why not."""
    for page in PAGES:
        for block in blocks(page):
            if block.language != "sh":
                lines = [line for line in block.commands if LIKE_A_COMMAND.match(line)]
                assert not lines, f"{name_of(page)}: {lines}"


def test_nothing_in_the_tables_is_out_of_date() -> None:
    """Each reason and each other test is needed, and the tests that are named exist."""
    commands = [
        (block, command)
        for page in PAGES_WITH_COMMANDS
        for block in blocks(page, "sh")
        for command in block.commands
    ]
    for like in NOT_RUN:
        assert any(re.match(like, command) for _, command in commands), like
    for like, test in RUN_ELSEWHERE.items():
        assert any(block.text.startswith(like) for block, _ in commands), like
        assert (ROOT / test).is_file()
    for named in re.findall(r"tests/[\w/]+(?:\.py)?|test_\w+\.py", " ".join(NOT_RUN.values())):
        place = ROOT / named if "/" in named else Path(__file__).with_name(named)
        assert place.exists(), named


def test_make_has_its_targets() -> None:
    """Whatever the pages ask of make is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{name_of(page)}: {target}"


def options(command: Any) -> set[str]:
    return set(itertools.chain(*(option.opts for option in command.params)))


def test_commands_within_sentences() -> None:
    """Commands that a sentence names exist and have the options that it gives them; not run."""
    program: Any = typer.main.get_command(cli)
    for page in PAGES:
        for said in re.findall(r"`(?:\.venv/bin/)?studio(?:-cli)? ([a-z][^`]*)`", prose(page)):
            name, *words = said.split()
            assert name in program.commands, f"{name_of(page)}: {said}"
            command, known = program.commands[name], {"--help"}
            if hasattr(command, "commands") and words:
                command = command.commands[words.pop(0)]
            known |= options(command)
            given = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert given <= known, f"{name_of(page)}: {said}"
