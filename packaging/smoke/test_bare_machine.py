"""The bundle in a root file system with nothing but the C library, X's libraries and fonts.

That is made of the packages of this Debian by its own tools, and needs nothing from a network.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gui.client import Client

if not sys.platform.startswith("linux"):
    pytest.skip("made of Debian's packages", allow_module_level=True)

# What the README asks of a machine, and what these need in turn.
PACKAGES = ("libc6", "zlib1g", "libxcb1", "fontconfig-config", "fonts-dejavu-core")
# These only set other packages up; nothing of theirs is loaded.
NOT_NEEDED = ("perl", "debconf", "dpkg", "cdebconf", "ucf", "sensible-utils", "media-types")
WAIT_S = 120.0
Bare = Callable[..., "subprocess.Popen[str]"]


def asked(*command: str) -> str:
    """Return what a command of Debian's prints."""
    program = shutil.which(command[0])
    assert program is not None, f"this test needs {command[0]}"
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=True)
    return done.stdout


def needed() -> set[str]:
    """Return the packages and what they depend on, as far as it is installed here."""
    found: set[str] = set()
    waiting = list(PACKAGES)
    while waiting:
        name = waiting.pop()
        if name in found or name in NOT_NEEDED:
            continue
        found.add(name)
        said = asked("dpkg-query", "-W", "-f", "${Depends},${Pre-Depends}\n", name)
        for each in said.split("\n")[0].split(","):
            choices = [choice.split("(")[0].split(":")[0].strip() for choice in each.split("|")]
            waiting += [choice for choice in choices[:1] if choice and is_installed(choice)]
    return found


def is_installed(name: str) -> bool:
    """Tell whether a package is installed."""
    done = subprocess.run(
        [str(shutil.which("dpkg-query")), "-W", "-f", "${Status}", name],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0 and done.stdout.endswith(" installed")


def fill(root: Path) -> None:
    """Copy what the packages consist of, with the links by which libraries are found."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(Path("/", name).readlink())
    for package in sorted(needed()):
        for line in asked("dpkg", "-L", package).splitlines():
            path = Path(line)
            target = root / line.lstrip("/")
            if line.startswith("/usr/share/doc") or not path.exists():
                continue
            if path.is_dir() and not path.is_symlink():
                target.mkdir(parents=True, exist_ok=True)
            elif not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target, follow_symlinks=False)
    for name in ("dev", "proc", "tmp", "home", "etc"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/home:/none\n", encoding="ascii")


@pytest.fixture(scope="module")
def bare_root(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make the root file system, with the bundle in /opt/studio."""
    assert os.geteuid() == 0, "a root file system is made, and entered, by root alone"
    root = tmp_path_factory.mktemp("bare")
    fill(root)
    shutil.copytree(bundle, root / "opt" / "studio", symlinks=True)
    for name, major, minor in (("null", 1, 3), ("urandom", 1, 9)):
        os.mknod(root / "dev" / name, 0o20666, os.makedev(major, minor))
    asked("mount", "-t", "proc", "proc", str(root / "proc"))
    try:
        yield root
    finally:
        asked("umount", "--lazy", str(root / "proc"))


@pytest.fixture
def bare(bare_root: Path) -> Iterator[Bare]:
    """Start programs there; what is left of them is killed."""
    started: list[subprocess.Popen[str]] = []
    program = shutil.which("chroot")
    assert program is not None

    def start(name: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [program, bare_root, f"/opt/studio/{name}", *arguments],
            env={"HOME": "/home", "LANG": "C.UTF-8", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        with contextlib.suppress(ValueError):  # all of it has been read
            process.communicate()


def test_there_is_no_python_there(bare_root: Path) -> None:
    """Outside of the bundle there is neither Python nor the project."""
    others = [path for path in bare_root.iterdir() if path.name not in {"opt", "proc"}]
    found = [
        str(file)
        for top in others
        for file in [top, *top.rglob("*")]
        if "python" in file.name.lower() or file.name in {"sh", "app", "engine"}
    ]
    assert found == []


def test_it_runs_there(
    bare: Bare, bare_root: Path, source: Callable[..., Any], tmp_path: Path
) -> None:
    """The sample with plot and tests gives the bytes that the sources give, and verifies."""
    out, _ = (process := bare("studio-cli", "run", "--out", "/home/r")).communicate(timeout=WAIT_S)
    assert process.returncode == 0, out
    out, _ = (process := bare("studio-cli", "verify", "/home/r")).communicate(timeout=WAIT_S)
    assert process.returncode == 0, out
    assert source("run", "--out", tmp_path / "source").code == 0
    hashes = [
        json.loads((place / "manifest.json").read_bytes())["manifest_hash"]
        for place in (bare_root / "home" / "r", tmp_path / "source")
    ]
    assert hashes[0] == hashes[1]


def test_the_panel_opens_there(bare: Bare, bare_root: Path, display: str) -> None:
    """The window opens, its server runs the sample, and a signal ends it well."""
    sockets = Path("tmp", ".X11-unix")
    (bare_root / sockets).mkdir()
    name = f"X{display.removeprefix(':')}"
    # The screen's own socket, under a second name.
    (bare_root / sockets / name).hardlink_to(Path("/") / sockets / name)
    process = bare("Studio", "desktop", "--port", "0", "--data-dir", "/home/data", DISPLAY=display)
    runtime = bare_root / "home" / "data" / "server.json"
    until = time.monotonic() + WAIT_S
    while not runtime.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    url = json.loads(runtime.read_bytes())["url"]
    token = (runtime.parent / "token").read_text(encoding="ascii").strip()
    client = Client(url, token)
    run_id = client.post("/runs", {"symbol": "SPX", "provider": "sample"})["run_id"]
    assert list(client.follow(run_id, 0, threading.Event()))[-1]["type"] == "completed"
    process.terminate()
    out, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, out
    assert "Traceback" not in out
