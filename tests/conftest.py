"""What tests of the whole program share."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from contract_check import CHECKER, declared

from app.cli import main

# Tables are as wide as in a pipe, however wide the terminal is from which the tests are run.
os.environ.pop("COLUMNS", None)
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def studio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run a command of the program in this process, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDIO_DATA_DIR", str(tmp_path / "data"))

    def call(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Ended]:
    """Run a command of the program as a process of its own."""

    def call(*arguments: object, cwd: Path = tmp_path, **environment: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "app", *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {"STUDIO_DATA_DIR": str(tmp_path / "data")} | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return call


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_sendable(key): _sendable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_sendable(each) for each in value]
    return value


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Keep half characters, which some tests log, out of what one process tells another."""
    return _sendable((yield))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a process has seen of the contract to the one that started it."""
    handed = getattr(session.config, "workeroutput", None)
    if handed is not None:
        handed["produced"] = sorted(CHECKER.produced)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process has seen of the contract."""
    CHECKER.produced |= {
        tuple(each) for each in getattr(node, "workeroutput", {}).get("produced", ())
    }


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much of what the contract knows has been answered at least once."""
    known = set(declared())
    seen = known & CHECKER.produced
    if seen:
        terminalreporter.write_line(
            f"contract: {len(seen)} of {len(known)} answers (operation, status, code) were produced"
        )
