"""The bundle as its users have it: two programs in a folder, no Python, no project.

``--bundle`` names the folder; without it, it is ``dist/studio``.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gui.client import Client
from scripts.screen import screen

ROOT = Path(__file__).parents[2]
ENDING = ".exe" if sys.platform == "win32" else ""
WAIT_S = 120.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let another bundle be tried than the one that ``make bundle`` has made."""
    parser.addoption("--bundle", type=Path, default=ROOT / "dist" / "studio")


@pytest.fixture(scope="session")
def bundle(pytestconfig: pytest.Config) -> Path:
    """Return the folder of the bundle."""
    folder = Path(pytestconfig.getoption("--bundle")).resolve()
    assert (folder / f"studio-cli{ENDING}").is_file(), f"no bundle in {folder}; run make bundle"
    return folder


@pytest.fixture(scope="session")
def cli(bundle: Path) -> Path:
    """Return the console program."""
    return bundle / f"studio-cli{ENDING}"


@pytest.fixture
def plain(tmp_path: Path) -> dict[str, str]:
    """Return an environment that knows nothing of Python or the project."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"DISPLAY", "SYSTEMROOT", "TEMP", "TMP"}
    }
    path = {"PATH": "/nonexistent"} if sys.platform != "win32" else {}
    return {
        **kept, **path, "HOME": str(home), "USERPROFILE": str(home), "LANG": "C.UTF-8",
        "STUDIO_DATA_DIR": str(tmp_path / "data"),
    }  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a command has ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


def ended(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=WAIT_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def studio(cli: Path, plain: Mapping[str, str], tmp_path: Path) -> Command:
    """Return a way to call the console program."""

    def call(*arguments: object, **environment: str) -> Ended:
        return ended([cli, *map(str, arguments)], tmp_path, {**plain, **environment})

    return call


@pytest.fixture
def source(tmp_path: Path, plain: Mapping[str, str]) -> Command:
    """Return a way to call the same program from its sources."""

    def call(*arguments: object) -> Ended:
        command = [sys.executable, "-m", "app", *map(str, arguments)]
        own = {"STUDIO_DATA_DIR": str(tmp_path / "data-of-source")}
        return ended(command, tmp_path, {**plain, **own})

    return call


@dataclass
class Running:
    """One of the programs at work; ``said`` is filled with the lines of its output."""

    process: "subprocess.Popen[str]"
    data_dir: Path
    said: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @property
    def client(self) -> Client:
        """Return a way to its server, once it is up."""
        until = time.monotonic() + WAIT_S
        runtime = self.data_dir / "server.json"
        while True:
            assert self.process.poll() is None, self.ended()
            assert time.monotonic() < until
            with contextlib.suppress(OSError, ValueError):
                told = json.loads(runtime.read_text(encoding="utf-8"))
                if told["pid"] == self.process.pid:
                    break
            time.sleep(0.01)
        token = (self.data_dir / "token").read_text(encoding="ascii").strip()
        return Client(told["url"], token)

    def wait_for(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until a run is in one of these states, and return it."""
        until = time.monotonic() + WAIT_S
        client = self.client
        while True:
            run: dict[str, Any] = client.get(f"/runs/{run_id}")
            if run["status"] in statuses:
                return run
            assert time.monotonic() < until, run
            time.sleep(0.01)

    def ended(self) -> Ended:
        """Wait for its end."""
        code = self.process.wait(WAIT_S)
        assert self.reader is not None
        self.reader.join(WAIT_S)
        return Ended(code, "".join(self.said), "")


Spawn = Callable[..., Running]


@pytest.fixture
def spawn(bundle: Path, plain: Mapping[str, str], tmp_path: Path) -> Iterator[Spawn]:
    """Start programs of the bundle by name; what is left of them is killed."""
    started: list[Running] = []

    def start(name: str, *arguments: object, **environment: str) -> Running:
        process = subprocess.Popen(
            [bundle / f"{name}{ENDING}", *map(str, arguments)],
            cwd=tmp_path,
            env={**plain, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        made = Running(process, tmp_path / "data")
        made.reader = threading.Thread(target=lambda: made.said.extend(process.stdout or ()))
        made.reader.start()
        started.append(made)
        return made

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.ended()
        assert each.process.stdout is not None
        each.process.stdout.close()


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """Start a screen in memory; on Windows and macOS there is one."""
    if not sys.platform.startswith("linux"):
        yield ""
        return
    with screen() as name:
        yield name
