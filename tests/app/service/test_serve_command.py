"""The command ``serve``: its start, its end, its token, its modes, and why it would not start."""

import http.client
import json
import os
import re
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Studio = Callable[..., Any]
TOKEN = "a-token-of-forty-visible-ascii-characters"  # noqa: S105  # a test's own


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Leave the process as it was: its signal handlers and the mask of new files."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    mask = os.umask(0o022)
    yield
    os.umask(mask)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def end_when_it_serves(data_dir: Path, number: int, ask: Callable[[str], None]) -> threading.Thread:
    """Wait for a server in this process, ask it something, and send the process a signal."""

    def work() -> None:
        while not (data_dir / "server.json").exists():
            time.sleep(0.005)
        try:
            ask(json.loads((data_dir / "server.json").read_text(encoding="utf-8"))["url"])
        finally:
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def status_of(url: str, path: str, token: str) -> int:
    with closing(http.client.HTTPConnection(url.removeprefix("http://"))) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serves_until_a_signal(studio: Studio, tmp_path: Path, number: int) -> None:
    """The command says where it serves and where the token is, and each signal ends it well."""
    data_dir = tmp_path / "data"
    found: list[int] = []

    def ask(url: str) -> None:
        token = (data_dir / "token").read_text(encoding="ascii").strip()
        found.append(status_of(url, "/runs", token))

    thread = end_when_it_serves(data_dir, number, ask)
    ended = studio("serve", "--port", 0)
    thread.join()
    assert (ended.code, ended.err, found) == (0, "", [200])
    url, token_file, _ = ended.out.splitlines()
    assert re.fullmatch(r"Studio serves at http://127\.0\.0\.1:\d+", url)
    assert token_file == f"The token is in {data_dir / 'token'}"
    assert not (data_dir / "server.json").exists()


def test_a_token_from_the_environment(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STUDIO_TOKEN is used, removed from the environment, and written nowhere."""
    monkeypatch.setenv("STUDIO_TOKEN", TOKEN)
    found: list[int] = []
    thread = end_when_it_serves(
        tmp_path / "data",
        signal.SIGTERM,
        lambda url: found.append(status_of(url, "/runs", TOKEN)),
    )
    ended = studio("serve", "--port", 0)
    thread.join()
    assert (ended.code, found) == (0, [200])
    assert "STUDIO_TOKEN" not in os.environ
    assert "The token is in STUDIO_TOKEN" in ended.out
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in path.read_bytes() for path in files)


def test_everything_it_makes_is_private(studio: Studio, tmp_path: Path) -> None:
    """Directories are 0700 and files 0600, whatever mask the user has."""
    data_dir = tmp_path / "data"
    thread = end_when_it_serves(data_dir, signal.SIGTERM, lambda _: None)
    studio("serve", "--port", 0)
    thread.join()
    for path in [data_dir, *data_dir.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_others_in_the_network_are_named(studio: Studio, tmp_path: Path) -> None:
    """A host that others can reach is warned about; the address given out is still local."""
    thread = end_when_it_serves(tmp_path / "data", signal.SIGTERM, lambda _: None)
    ended = studio("serve", "--port", 0, "--host", "0.0.0.0")  # noqa: S104  # what is warned about
    thread.join()
    assert "Others in the network can reach this server" in ended.err
    assert "http://127.0.0.1:" in ended.out


def test_what_keeps_it_from_starting(studio: Studio, tmp_path: Path) -> None:
    """A port, host, plugin or directory that will not do: a sentence, and nothing left."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        ended = studio("serve", "--port", taken.getsockname()[1])
    assert (ended.code, "cannot be used: address already in use" in ended.err) == (6, True)
    ended = studio("serve", "--port", 0, "--host", "no.such.host.invalid")
    assert (ended.code, "is not known on this machine" in ended.err) == (6, True)
    ended = studio("serve", "--port", 0, "--host", "192.0.2.1")
    assert (ended.code, "is no address of this machine" in ended.err) == (6, True)
    (tmp_path / "bad.py").write_text("1 +", encoding="utf-8")
    ended = studio("serve", "--port", 0, "--plugins", tmp_path / "bad.py")
    assert (ended.code, "bad.py, line 1" in ended.err) == (2, True)
    assert not (tmp_path / "data" / "server.json").exists()
    (tmp_path / "thesis/tmp").mkdir(parents=True)
    (tmp_path / "thesis/tmp/chapter.txt").touch()
    ended = studio("serve", "--port", 0, "--data-dir", "thesis")
    assert (ended.code, ended.out) == (6, "")
    assert ended.err == (
        "studio: The directory thesis is not Studio's, and its tmp would be emptied; "
        "name another one with --data-dir.\n"
    )
    assert list((tmp_path / "thesis").rglob("*.txt"))
    assert not [thread for thread in threading.enumerate() if thread.name == "writer"]
