"""The file that says which server holds the data directory: written, read, removed, distrusted."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.runtime_file import (
    RuntimeFile,
    is_alive,
    is_open_to_others,
    read_runtime,
    remove_runtime,
    write_runtime,
)
from engine.errors import StorageError

GOOD: dict[str, Any] = {
    "url": "http://127.0.0.1:8717", "pid": 7, "version": "1.0.0", "instance_id": "abc",
}  # fmt: skip


def put(data_dir: Path, content: object) -> None:
    (data_dir / "server.json").write_text(json.dumps(content), encoding="utf-8")


def test_written_and_read(tmp_path: Path) -> None:
    """What a server writes is private, alone in the directory, and read back with its own pid."""
    for port in (8717, 8718):
        write_runtime(tmp_path, f"http://127.0.0.1:{port}", "1.0.0", "abc")
        runtime = RuntimeFile(f"http://127.0.0.1:{port}", os.getpid(), "1.0.0", "abc")
        assert read_runtime(tmp_path) == runtime
    file = tmp_path / "server.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_bytes())) == {"url", "pid", "version", "instance_id"}
    assert [path.name for path in tmp_path.iterdir()] == ["server.json"]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    """A link in the file's place, or in that of the unfinished one, leads nobody astray."""
    (tmp_path / "target").write_text("mine", encoding="utf-8")
    for name in ("server.json", ".server.json.new"):
        (tmp_path / name).symlink_to(tmp_path / "target")
    write_runtime(tmp_path, GOOD["url"], "1", "abc")
    assert (tmp_path / "target").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "server.json").is_symlink()


@pytest.mark.parametrize("step", ["os.open", "os.fsync", "pathlib.Path.replace"])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A disk that is full at any step is told plainly, and the file that was there stays."""
    put(tmp_path, GOOD)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(step, refuse)
        with pytest.raises(StorageError, match="No space is left"):
            write_runtime(tmp_path, "http://127.0.0.1:1", "1", "new")
    assert read_runtime(tmp_path) == RuntimeFile(**GOOD)
    assert [path.name for path in tmp_path.iterdir()] == ["server.json"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1", "http://localhost:65535", "http://[::1]:8717", "http://my-host.lan:80"],
)
def test_good_urls(tmp_path: Path, url: str) -> None:
    """An address, a name or a bracketed IPv6 address with a port is a server's URL."""
    put(tmp_path, GOOD | {"url": url})
    assert read_runtime(tmp_path) == RuntimeFile(**GOOD | {"url": url})


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://127.0.0.1:8717"},
        {"url": "http://127.0.0.1"},
        {"url": "http://127.0.0.1:0"},
        {"url": "http://127.0.0.1:65536"},
        {"url": "http://127.0.0.1:8717/"},
        {"url": "http://user@127.0.0.1:8717"},
        {"url": "http://127.0.0.1:8717\n"},
        {"url": "http://127.0.0.1:٣"},
        {"url": "file:///etc/passwd"},
        {"url": 8717},
        {"pid": "7"},
        {"pid": 0},
        {"pid": -1},
        {"pid": True},
        {"pid": 7.0},
        {"version": None},
        {"version": "\x1b[31m"},
        {"version": ""},
        {"instance_id": 5},
        {"instance_id": "a b"},
        {"instance_id": "a" * 129},
        {"more": "x" * 4096},
    ],
)
def test_damaged_content(tmp_path: Path, change: dict[str, Any]) -> None:
    """A field that no server would write makes the file nothing."""
    put(tmp_path, GOOD | change)
    assert read_runtime(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"\xff\xfe\x00", b"[" * 4000, b'{"pid": 1e999}', b"9" * 4090],
)
def test_no_record_at_all(tmp_path: Path, content: bytes) -> None:
    """What is no JSON object of ours is nothing, and never an exception."""
    (tmp_path / "server.json").write_bytes(content)
    assert read_runtime(tmp_path) is None


def test_no_regular_file(tmp_path: Path) -> None:
    """Nothing there, a link, a pipe and a directory are nothing, and none makes a reader wait."""
    file = tmp_path / "server.json"
    assert read_runtime(tmp_path) is None
    put(tmp_path, GOOD)
    file.rename(tmp_path / "real")
    file.symlink_to(tmp_path / "real")
    assert read_runtime(tmp_path) is None
    file.unlink()
    os.mkfifo(file)
    assert read_runtime(tmp_path) is None
    file.unlink()
    file.mkdir()
    assert read_runtime(tmp_path) is None


def test_another_users_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another user has put there is nothing; a system without users has no others."""
    put(tmp_path, GOOD)
    uid = (tmp_path / "server.json").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert read_runtime(tmp_path) is None
    monkeypatch.delattr(os, "geteuid")
    assert read_runtime(tmp_path) == RuntimeFile(**GOOD)


def test_removed_by_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server removes its own file and no other's; one that cannot be removed disturbs nothing."""
    remove_runtime(tmp_path, "abc")
    put(tmp_path, GOOD)
    remove_runtime(tmp_path, "another")
    assert (tmp_path / "server.json").exists()

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        remove_runtime(tmp_path, "abc")
    remove_runtime(tmp_path, "abc")
    assert not (tmp_path / "server.json").exists()


def test_who_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The own process lives, one that has ended does not, and numbers of groups are no process."""
    assert is_alive(os.getpid())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not is_alive(ended.pid)
    assert [is_alive(number) for number in (0, -1, 10**30)] == [False, False, False]

    def refuse(_pid: int, number: int) -> None:
        assert number == 0
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert is_alive(5)


def test_windows_is_asked_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows a process is taken to be alive without a signal, and modes say nothing."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "kill")
    assert is_alive(5)
    file = tmp_path / "file"
    file.touch()
    file.chmod(0o644)
    status = file.stat()
    assert is_open_to_others(status)
    with monkeypatch.context() as patched:
        patched.setattr(os, "name", "nt")
        told = is_open_to_others(status)
    assert not told
