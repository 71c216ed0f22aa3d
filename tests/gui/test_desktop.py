"""The desktop program as a process: its start, a second start, its end by a signal."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from desktop_plays import WAIT_S, Story, make_desktop, play, press_close

from app.commands import desktop as program
from app.data_dir import held
from app.runtime_file import write_runtime
from app.settings import read_settings
from gui.client import Client
from scripts.screen import screen

FAST = {"symbol": "SPX", "provider": "sample", "plot": False}
SLOW = FAST | {"validation": {"permutation": {"n": 20_000}}}
STUBBORN = """
import time
from pathlib import Path
import numpy as np
from engine.registry import Params
from engine.strategy import strategies

@strategies.register("stubborn", Params)
class Stubborn:
    \"\"\"Goes on, whatever else happens, once a file is there.\"\"\"
    def __init__(self, params): pass
    def features(self): return []
    def signals(self, view):
        while not Path(GATE).exists():
            time.sleep(0.005)
        return np.ones(len(view.candles), dtype=int)
"""
HEAVY = {"pydantic", "numpy", "pandas", "pyarrow", "matplotlib", "talib", "exchange_calendars"}


@dataclass
class Own:
    """The program as a process of its own."""

    process: "subprocess.Popen[str]"
    data_dir: Path

    @property
    def client(self) -> Client:
        """Return a way to its server, once it is up."""
        until = time.monotonic() + WAIT_S
        while not (self.data_dir / "server.json").exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.01)
        url = json.loads((self.data_dir / "server.json").read_text(encoding="utf-8"))["url"]
        return Client(url, (self.data_dir / "token").read_text(encoding="ascii").strip())

    def wait_for(self, run_id: str, status: str) -> None:
        """Wait until a run is in a state."""
        until = time.monotonic() + WAIT_S
        client = self.client
        while (run := client.get(f"/runs/{run_id}"))["status"] != status:
            assert time.monotonic() < until, run
            time.sleep(0.01)

    def ended(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code, output and errors."""
        out, err = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, out, err


Spawn = Callable[..., Own]


@pytest.fixture
def spawn(tmp_path: Path, display: str) -> Iterator[Spawn]:
    """Start the program as processes, on a screen that nobody sees; what is left is killed."""
    assert display or not sys.platform.startswith("linux")
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> Own:
        data_dir = tmp_path / "data"
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *(arguments or ("desktop", "--port", "0"))],
            cwd=tmp_path,
            env=os.environ | {"STUDIO_DATA_DIR": str(data_dir)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        processes.append(process)
        return Own(process, data_dir)

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def _as_it_was(display: str) -> Iterator[None]:
    """Leave the process as it was: its signal handlers and the mask of new files."""
    assert display or not sys.platform.startswith("linux")
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    mask = os.umask(0o022)
    yield
    os.umask(mask)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_shows_the_panel_until_a_signal(spawn: Spawn, number: int) -> None:
    """The program says where it serves, answers there, and each signal ends it well."""
    own = spawn()
    client = own.client
    assert Client(client.url, "").get("/health")["status"] == "ok"
    own.process.send_signal(number)
    said = f"Studio's panel is open; it serves at {client.url}\n"
    assert own.ended() == (0, said, "")
    assert not (own.data_dir / "server.json").exists()


def test_a_run_goes_on_at_the_next_start(spawn: Spawn) -> None:
    """Signals upon signals end the program once; its run waits, and the next start finishes it."""
    own = spawn()
    run_id = own.client.post("/runs", SLOW)["run_id"]
    own.wait_for(run_id, "running")
    until = time.monotonic() + WAIT_S
    while own.process.poll() is None:
        own.process.send_signal(signal.SIGTERM)
        own.process.send_signal(signal.SIGHUP)
        assert time.monotonic() < until
        time.sleep(0.02)
    code, out, err = own.ended()
    assert (code, err) == (0, "")
    assert out.endswith("A run goes on at the next start.\n")
    assert not (own.data_dir / "server.json").exists()
    again = spawn()
    again.wait_for(run_id, "completed")
    types = [event["type"] for event in again.client.follow(run_id, 0, threading.Event())]
    assert "cancelled" not in types
    again.process.terminate()
    assert again.ended()[0] == 0


def test_a_run_that_does_not_stop_is_left_behind(spawn: Spawn, tmp_path: Path) -> None:
    """A job that takes no notice holds nothing up: its run too goes on at the next start."""
    gate, plugin = tmp_path / "gate", tmp_path / "stubborn.py"
    plugin.write_text(STUBBORN.replace("GATE", repr(str(gate))), encoding="utf-8")
    command = ("desktop", "--port", "0", "--plugins", str(plugin))
    own = spawn(*command)
    run_id = own.client.post("/runs", FAST | {"strategy": {"name": "stubborn"}})["run_id"]
    own.wait_for(run_id, "running")
    own.process.terminate()
    code, out, err = own.ended()
    assert (code, err) == (0, "")
    assert out.endswith("A run goes on at the next start.\n")
    assert not (own.data_dir / "server.json").exists()
    gate.touch()
    again = spawn(*command)
    again.wait_for(run_id, "completed")
    again.process.terminate()
    assert again.ended()[0] == 0


def test_a_second_start_shows_the_first_window(spawn: Spawn, tmp_path: Path) -> None:
    """A window that is hidden comes forward; the second program says where it serves and ends."""
    first = make_desktop(tmp_path / "data")

    def story() -> Story:
        yield first.root.winfo_ismapped
        first.root.withdraw()
        yield lambda: not first.root.winfo_ismapped()
        second = spawn()
        yield lambda: second.process.poll() is not None
        url = first.window.panel.client.url
        assert second.ended() == (0, f"Studio is running already, at {url}\n", "")
        yield first.root.winfo_ismapped
        other = spawn(STUDIO_TOKEN="another-token-of-forty-visible-characters")  # noqa: S106  # a test's own
        yield lambda: other.process.poll() is not None
        code, out, err = other.ended()
        assert (code, out, "with another token" in err) == (6, "", True)
        press_close(first)

    assert play(first, story())


def test_a_second_start_beside_a_server_alone(spawn: Spawn) -> None:
    """A server without a panel is named as that; nothing is wrong with it."""
    serving = spawn("serve", "--port", "0")
    url = serving.client.url
    said = f"Studio is running already, at {url}, but without a panel.\n"
    assert spawn().ended() == (0, said, "")
    serving.process.terminate()
    assert serving.ended()[0] == 0


@pytest.mark.usefixtures("_as_it_was")
def test_a_holder_that_never_answers(
    studio: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds the data directory and says nothing keeps a second start from starting."""
    monkeypatch.setattr(program, "OTHER_S", 0.5)
    with held(tmp_path / "data"), closing(socket.create_server(("127.0.0.1", 0))) as silent:
        ended = studio("desktop")
        assert (ended.code, ended.out) == (6, "")
        assert "is held by another process" in ended.err
        (tmp_path / "data" / "token").write_text("t" * 40, encoding="ascii")
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        write_runtime(tmp_path / "data", url, "1.0.0", "someone")
        ended = studio("desktop")
        assert (ended.code, ended.out) == (6, "")
        assert f"does not answer at {url}" in ended.err


@pytest.mark.usefixtures("display")
def test_a_holder_that_is_about_to_end(tmp_path: Path) -> None:
    """Who starts while another ends waits for that, and has the panel then."""
    holding, tried = held(tmp_path / "data"), threading.Event()
    holding.__enter__()

    def let_go() -> None:
        tried.wait(WAIT_S)
        holding.__exit__(None, None, None)

    thread = threading.Thread(target=let_go)
    thread.start()
    settings = read_settings({"data_dir": tmp_path / "data", "port": 0}, {})
    threading.Timer(0.2, tried.set).start()
    started = program._start(program.make_root(), settings, None, [])
    assert started is not None
    thread.join()
    started.stop()


def test_no_display(spawn: Spawn) -> None:
    """Without a screen the program says so in one sentence."""
    said = "studio: There is no display to show a window on; use studio serve.\n"
    assert spawn(DISPLAY="").ended() == (6, "", said)
    assert spawn(DISPLAY=":65000").ended() == (6, "", said)


def test_no_tk(spawn: Spawn, tmp_path: Path) -> None:
    """Without Tk the program says what to install, and everything else works."""
    (tmp_path / "shim").mkdir()
    shim = "raise ImportError('no Tk', name='_tkinter')\n"
    (tmp_path / "shim" / "tkinter.py").write_text(shim, encoding="utf-8")
    without = {"PYTHONPATH": str(tmp_path / "shim")}
    code, out, err = spawn(**without).ended()
    assert (code, out, err.count("\n")) == (6, "", 1)
    assert "apt install python3-tk" in err
    assert spawn("run", **without).ended()[0] == 0
    serving = spawn("serve", "--port", "0", **without)
    run_id = serving.client.post("/runs", FAST)["run_id"]
    serving.wait_for(run_id, "completed")
    serving.process.terminate()
    assert serving.ended()[0] == 0


@pytest.mark.usefixtures("_as_it_was")
def test_what_keeps_it_from_starting(studio: Callable[..., Any], tmp_path: Path) -> None:
    """A port, a directory or settings that will not do: a sentence, and nothing left."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        ended = studio("desktop", "--port", taken.getsockname()[1])
    assert (ended.code, "cannot be used: address already in use" in ended.err) == (6, True)
    (tmp_path / "thesis/tmp/chapter").mkdir(parents=True)
    ended = studio("desktop", "--data-dir", "thesis")
    assert (ended.code, "The directory thesis is not Studio's" in ended.err) == (6, True)
    (tmp_path / "data" / "settings.toml").write_text("port = 'one'", encoding="utf-8")
    ended = studio("desktop")
    assert (ended.code, ended.out, "setting port: should be a valid integer" in ended.err) == (
        2,
        "",
        True,
    )
    assert not (tmp_path / "data" / "server.json").exists()
    assert not [thread for thread in threading.enumerate() if thread.name in {"server", "writer"}]


def test_nothing_heavy_before_the_server_listens(tmp_path: Path, display: str) -> None:
    """When the program begins to serve, it has loaded no library that takes its time."""
    code = f"""
import sys
from pathlib import Path
from app import server
import app.cli
from app.commands.desktop import Desktop, make_root
from app.settings import read_settings
def listening(*_): print(*sys.modules)
server.write_runtime = listening
settings = read_settings({{"data_dir": Path({str(tmp_path / "data")!r}), "port": 0}}, {{}})
Desktop(make_root(), settings, None).stop()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"DISPLAY": display},
    )  # fmt: skip
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "tkinter" in loaded
    assert not loaded & HEAVY


def test_a_screen_that_goes_away(spawn: Spawn) -> None:
    """The end of an X session takes the screen: the program ends well, and its run goes on later."""
    if not sys.platform.startswith("linux"):
        return
    with screen() as name:
        own = spawn(DISPLAY=name)
        run_id = own.client.post("/runs", SLOW)["run_id"]
        own.wait_for(run_id, "running")
    assert own.ended()[0] == 0
    assert not (own.data_dir / "server.json").exists()
    again = spawn()
    again.wait_for(run_id, "completed")
    types = [event["type"] for event in again.client.follow(run_id, 0, threading.Event())]
    assert "cancelled" not in types
    assert types.count("requeued") == 1
    again.process.terminate()
    assert again.ended()[0] == 0
