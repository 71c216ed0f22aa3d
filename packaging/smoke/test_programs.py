"""Both programs at work: a server, a window, what goes wrong, and what is left after a kill."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import ImageGrab

from gui.client import RefusedError

if TYPE_CHECKING:
    from gui.client import Client

Command = Callable[..., Any]
Spawn = Callable[..., Any]
SAMPLE = {
    "symbol": "SPX", "provider": "sample",
    "validation": {"permutation": {"n": 99}, "monte_carlo": {"n": 50, "noise_bps": 1.0}},
}  # fmt: skip
# Long enough to be met at work on any machine, short enough to be waited for.
LONG = {
    "symbol": "SPX", "provider": "sample", "plot": False,
    "validation": {"permutation": {"n": 20_000}},
}  # fmt: skip
SERVE = ("serve", "--port", "0")
WAIT_S = 60.0
MOST_BYTES = 260_000_000


def end(running: Any, number: int = signal.SIGTERM) -> Any:
    """Send a signal and return how the program ended."""
    running.process.send_signal(number)
    return running.ended()


def test_it_is_no_larger_than_it_may_be(bundle: Path) -> None:
    """Unpacked it takes at most 260 MB, and holds nothing of what builds and tests it."""
    files = [path for path in bundle.rglob("*") if not path.is_dir()]
    if sys.platform.startswith("linux"):
        assert sum(path.lstat().st_size for path in files) <= MOST_BYTES
    tops = {
        path.relative_to(bundle / "_internal").parts[0] for path in files if path.parent != bundle
    }
    assert not tops & {"pytest", "mypy", "hypothesis", "PyInstaller", "pip", "tests", "scripts"}


def at_work(bundle: Path) -> list[str]:
    """Return the programs of the bundle that run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append(str((process / "exe").readlink()))
    return [each for each in found if each.startswith(f"{bundle}/")]


def test_serves_imports_and_streams(spawn: Spawn, source: Command, tmp_path: Path) -> None:
    """The frozen server takes candles, runs, streams every event once, and ends well."""
    server = spawn("studio-cli", *SERVE)
    client: Client = server.client
    health = client.get("/health")
    assert (health["status"], health["kernel"]) == ("ok", "compiled")
    file = tmp_path / "MINE_1d.csv"
    file.write_text(
        "date,open,high,low,close\n"
        + "".join(
            f"2001-{i // 28 + 1:02}-{i % 28 + 1:02},{i + 1},{i + 2},{i + 1},{i + 2}\n"
            for i in range(300)
        ),
        encoding="utf-8",
    )
    assert client.put_file("/datasets/MINE/1d", {}, file)["bars"] == 300
    run_id = client.post("/runs", SAMPLE)["run_id"]
    events = list(client.follow(run_id, 0, threading.Event()))
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "completed"
    manifest = json.loads(client.download(f"/runs/{run_id}/artifact/manifest.json"))
    config = tmp_path / "run.json"
    config.write_text(json.dumps(SAMPLE), encoding="utf-8")
    assert source("run", config, "--out", tmp_path / "source").code == 0
    theirs = json.loads((tmp_path / "source" / "manifest.json").read_bytes())
    assert manifest["manifest_hash"] == theirs["manifest_hash"]
    assert client.get(f"/runs/{run_id}/verify")["ok"]
    assert client.download(f"/runs/{run_id}/report").startswith(b"<!DOCTYPE html>")
    if sys.platform != "win32":
        done = end(server)
        assert done.code == 0
        assert "Traceback" not in done.out
        assert not (server.data_dir / "server.json").exists()


def test_a_killed_run_goes_on(spawn: Spawn, bundle: Path) -> None:
    """After kill -9 nothing of the program is left, and the next start finishes the run."""
    first = spawn("studio-cli", *SERVE)
    run_id = first.client.post("/runs", LONG)["run_id"]
    first.wait_for(run_id, "running")
    first.process.kill()
    first.ended()
    if sys.platform.startswith("linux"):
        assert at_work(bundle) == []
    again = spawn("studio-cli", *SERVE)
    run = again.wait_for(run_id, "completed")
    assert run["attempt"] == 2
    assert again.client.get(f"/runs/{run_id}/verify")["ok"]
    if sys.platform != "win32":
        assert end(again).code == 0


def test_the_port_is_taken(spawn: Spawn) -> None:
    """A port that another program has is named, and the exit code says that it did not start."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = spawn("studio-cli", "serve", "--port", port).ended()
    assert done.code == 6
    assert str(port) in done.out
    assert done.out.count("\n") == 1


def test_another_instance_runs(spawn: Spawn, studio: Command) -> None:
    """A second server on the same data directory says where the first one is."""
    first = spawn("studio-cli", *SERVE)
    url = first.client.url
    done = studio(*SERVE)
    assert done.code == 6
    assert url in done.err
    assert done.err.count("\n") == 1


if sys.platform.startswith("linux"):

    @contextlib.contextmanager
    def _mounted(place: Path, options: str) -> Iterator[None]:
        mount, umount = shutil.which("mount"), shutil.which("umount")
        assert mount is not None
        assert umount is not None
        place.mkdir()
        subprocess.run([mount, "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
        try:
            yield
        finally:
            subprocess.run([umount, "--lazy", place], check=True)

    def test_the_directory_is_read_only(spawn: Spawn, tmp_path: Path) -> None:
        """Where nothing can be written the program says so and does not start."""
        with _mounted(tmp_path / "data", "size=1m,ro"):
            done = spawn("studio-cli", *SERVE).ended()
            assert done.code == 4
            assert done.out.count("\n") == 1
            assert "read-only" in done.out.lower()

    def test_the_disk_is_full(spawn: Spawn, tmp_path: Path) -> None:
        """A run that does not fit is refused or fails as such, and the server lives on."""
        with _mounted(tmp_path / "data", "size=1m"):
            server = spawn("studio-cli", *SERVE)
            client: Client = server.client
            (tmp_path / "data" / "filler").write_bytes(b"x" * 600_000)
            with contextlib.suppress(OSError), (tmp_path / "data" / "more").open("wb") as file:
                while True:
                    file.write(b"x" * 4096)
                    file.flush()
            with pytest.raises(RefusedError) as caught:
                client.post("/runs", SAMPLE)
            assert (caught.value.status, caught.value.code) == (507, "STORAGE_FULL")
            assert client.get("/health")["status"] == "ok"
            assert end(server).code == 0

    def test_a_run_on_a_full_disk(studio: Command, tmp_path: Path) -> None:
        """A run from the console that does not fit leaves nothing and says why."""
        with _mounted(tmp_path / "small", "size=256k"):
            done = studio("run", "--out", tmp_path / "small" / "r")
            assert done.code == 4
            assert done.err.count("\n") == 1
            assert not list((tmp_path / "small").iterdir())


def windows(display: str) -> str:
    """Return what windows a screen shows."""
    program = shutil.which("xwininfo")
    assert program is not None
    command = [program, "-display", display, "-root", "-tree"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def colours(display: str) -> int:
    """Return how many colours a screen shows."""
    seen = ImageGrab.grab(xdisplay=display).getcolors(1 << 24)
    return len(seen or ())


def test_the_window(spawn: Spawn, display: str) -> None:
    """Started without arguments it shows the panel; a second start shows the first one's."""
    first = spawn("Studio", DISPLAY=display)
    client: Client = first.client
    run_id = client.post("/runs", SAMPLE)["run_id"]
    first.wait_for(run_id, "completed")
    if sys.platform.startswith("linux"):
        until = time.monotonic() + WAIT_S
        while "Studio" not in windows(display) or colours(display) < 50:
            assert time.monotonic() < until, windows(display)
            time.sleep(0.1)
    second = spawn("Studio", DISPLAY=display).ended()
    assert second.code == 0
    assert client.url in second.out
    if sys.platform != "win32":
        done = end(first)
        assert done.code == 0
        assert "Traceback" not in done.out
        assert not (first.data_dir / "server.json").exists()


def test_a_failed_double_click(spawn: Spawn, display: str, tmp_path: Path) -> None:
    """Who has no terminal reads in a window why the panel did not open."""
    if not sys.platform.startswith("linux"):
        return
    with socket.create_server(("127.0.0.1", 0)) as other:
        (tmp_path / "data").mkdir(mode=0o700)
        settings = tmp_path / "data" / "settings.toml"
        settings.write_text(f"port = {other.getsockname()[1]}\n", encoding="utf-8")
        settings.chmod(0o600)
        failed = spawn("Studio", DISPLAY=display)
        until = time.monotonic() + WAIT_S
        while '"Studio"' not in windows(display):
            assert failed.process.poll() is None, failed.ended()
            assert time.monotonic() < until
            time.sleep(0.1)
        done = end(failed)
        assert done.code == -signal.SIGTERM
        assert "cannot be used: address already in use" in done.out
        assert f"write port = 0 into {settings}" in done.out


def test_without_a_display(spawn: Spawn) -> None:
    """Without a screen the panel says in a sentence what to use instead."""
    if sys.platform.startswith("linux"):
        done = spawn("Studio", DISPLAY="").ended()
        assert done.code == 6
        assert done.out.count("\n") == 1
        assert "studio serve" in done.out
