"""Links, pipes, sockets and files of others in the data directory: never followed or waited for."""

import contextlib
import functools
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from special_files import a_socket, directory, fifo, link

from app.data_dir import StartError
from app.settings import read_settings
from engine.errors import ConfigError, StorageError

Server = Any
Serve = Callable[..., Any]
Well = Callable[[Any], bool]
Make = Callable[[Path, Path], None]
CANARY = "canary-of-the-files"
BARS = "Date,Open,High,Low,Close\n2024-01-01,1,2,1,2\n2024-01-02,1,2,1,2\n2024-01-03,1,2,1,2\n"
TOKEN = "a-token-that-somebody-else-knows-0123456789"  # noqa: S105  # of these tests alone


def link_to_a_device(path: Path, _: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_itself(path: Path, _: Path) -> None:
    path.symlink_to(path.name)


def linked_fifo(path: Path, elsewhere: Path) -> None:
    os.mkfifo(elsewhere.with_name("pipe"))
    path.symlink_to(elsewhere.with_name("pipe"))


def device(path: Path, _: Path) -> None:
    """Make an endless device, or what reads like one where this user may make none."""
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        path.symlink_to("/dev/zero")


SPECIAL: list[Make] = [
    link, link_to_a_device, link_to_itself, fifo, linked_fifo, a_socket, device, directory,
]  # fmt: skip


def soon(work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns, or raise what it raises; it must not take for ever."""
    found: list[Any] = []

    def attempt() -> None:
        try:
            found.append((work(), None))
        except Exception as fault:  # noqa: BLE001  # it is raised again where the test is
            found.append((None, fault))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(30.0)
    assert found, "it hangs"
    value, fault = found[0]
    if fault is not None:
        raise fault
    return value


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory that holds nothing yet but a mark of Studio's."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    (path / "orphans").mkdir(mode=0o700)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Keep a file outside of the data directory, of which nothing may be seen or changed."""
    path = tmp_path / "elsewhere"
    path.write_text(f"port = 1\n{CANARY}\n", encoding="ascii")
    path.chmod(0o644)
    return path


@pytest.mark.parametrize("make", SPECIAL)
@pytest.mark.parametrize("name", ["token", "settings.toml", "studio.db", "lock"])
def test_files_that_a_start_refuses(
    serve: Serve, data: Path, elsewhere: Path, name: str, make: Make
) -> None:
    """A start reads what it needs from real files of its own or says in a sentence why not."""
    before = (elsewhere.read_bytes(), elsewhere.stat().st_mode)
    make(data / name, elsewhere)
    with pytest.raises((StartError, StorageError, ConfigError)) as caught:
        soon(serve)
    for text in (str(caught.value), repr(caught.value)):
        assert CANARY not in text
        assert "Traceback" not in text
    assert (elsewhere.read_bytes(), elsewhere.stat().st_mode) == before
    assert not (data / "server.json").exists()


@pytest.mark.parametrize("make", SPECIAL)
@pytest.mark.parametrize(
    "name", ["server.json", "logs/studio.log", "studio.db-wal", "studio.db-shm"]
)
def test_files_that_a_start_replaces(
    serve: Serve, data: Path, elsewhere: Path, name: str, make: Make
) -> None:
    """What a start writes anew never goes through a link, and a start never waits for a pipe."""
    before = (elsewhere.read_bytes(), elsewhere.stat().st_mode)
    (data / name).parent.mkdir(mode=0o700, exist_ok=True)
    make(data / name, elsewhere)
    with contextlib.suppress(StartError, StorageError):
        server = soon(serve)
        assert server.get("/health").status == 200
        assert soon(lambda: server.get("/runs")).status == 200
        server.stop()
    assert (elsewhere.read_bytes(), elsewhere.stat().st_mode) == before


@pytest.mark.parametrize("make", SPECIAL)
@pytest.mark.parametrize("folder", ["tmp", "runs", "orphans", "cache", "candles"])
def test_entries_of_the_folders(
    serve: Serve, data: Path, elsewhere: Path, is_well: Well, folder: str, make: Make
) -> None:
    """Whatever lies in a folder, a start comes through, and nothing elsewhere is touched."""
    before = (elsewhere.read_bytes(), elsewhere.stat().st_mode)
    (data / folder).mkdir(mode=0o700, exist_ok=True)
    names = ["x", "0" * 20, "X_1d.csv", "X_1d.parquet", f"{'0' * 64}.parquet"]
    for name in names[:1] if make is linked_fifo else names:
        make(data / folder / name, elsewhere)
    server = soon(serve)
    for path in ("/runs", "/datasets", f"/runs/{'0' * 20}", "/candles?symbol=X", "/health"):
        answer = soon(functools.partial(server.get, path))
        assert answer.status in {200, 404, 422}
        assert CANARY.encode() not in answer.body
    assert is_well(server)
    assert (elsewhere.read_bytes(), elsewhere.stat().st_mode) == before


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("make", SPECIAL)
def test_something_else_in_place_of_candles(
    server: Server, elsewhere: Path, is_well: Well, suffix: str, make: Make
) -> None:
    """A set that is no regular file is never read, not even where it leads to good candles."""
    assert server.call("PUT", "/datasets/GOOD/1d", BARS.encode(), {"Content-Type": "text/csv"}).status == 201  # fmt: skip
    folder = server.data_dir / "candles"
    if suffix == "csv":
        elsewhere.write_text(BARS.replace("Close", f"Close,{CANARY}"), encoding="ascii")
    else:
        shutil.copy(folder / "GOOD_1d.parquet", elsewhere)
    content = elsewhere.read_bytes()
    make(folder / f"X_1d.{suffix}", elsewhere)
    listed = soon(lambda: server.get("/datasets"))
    assert CANARY not in listed.body.decode()
    [entry] = [each for each in listed.json["datasets"] if each["symbol"] == "X"]
    is_link = (folder / f"X_1d.{suffix}").is_symlink()
    said = "is a link; put the file itself there" if is_link else "is no regular file"
    assert entry["problem"] == f"X_1d.{suffix} {said}"
    assert entry["bars"] is entry["quality"] is None
    for path in ("/candles?symbol=X", "/features?symbol=X"):
        answer = soon(functools.partial(server.get, path))
        assert answer.code in {"DATASET_NOT_FOUND", "INVALID_DATA"}
        assert CANARY not in answer.body.decode()
    assert soon(lambda: server.post("/runs", {"symbol": "X"})).status in {404, 422}
    put = soon(
        lambda: server.call("PUT", "/datasets/X/1d", BARS.encode(), {"Content-Type": "text/csv"})
    )
    assert put.status in {200, 201} or (make is directory and put.code == "STORAGE_FULL")
    deleted = soon(lambda: server.call("DELETE", "/datasets/X/1d"))
    assert deleted.status == 204 or make is directory
    assert elsewhere.read_bytes() == content
    assert is_well(server)


def test_a_folder_that_becomes_a_link(server: Server, tmp_path: Path) -> None:
    """A folder of runs that is swapped for a link while the server runs shows nothing of its goal."""
    run_id = server.completed()["run_id"]
    folder = server.data_dir / "runs" / run_id
    folder.rename(tmp_path / "moved")
    (tmp_path / "moved" / "summary.json").write_text(CANARY, encoding="ascii")
    folder.symlink_to(tmp_path / "moved", target_is_directory=True)
    for path in ("artifacts", "artifact/summary.json", "artifact/equity.csv", "artifact/plot.png"):
        answer = server.get(f"/runs/{run_id}/{path}")
        assert answer.status in {404, 500}
        assert CANARY not in answer.body.decode()
    assert server.get(f"/runs/{run_id}/verify").json["ok"] is False
    assert server.call("DELETE", f"/runs/{run_id}").status == 204
    assert (tmp_path / "moved" / "summary.json").read_text(encoding="ascii") == CANARY


@pytest.mark.parametrize("make", [link, link_to_a_device, fifo, a_socket, device, directory])
def test_tables_that_are_no_files(server: Server, elsewhere: Path, make: Make) -> None:
    """Neither a table nor a view of it is read from what is no regular file of the run."""
    run_id = server.completed()["run_id"]
    path = server.data_dir / "runs" / run_id / "equity.parquet"
    size = path.stat().st_size
    elsewhere.write_text(CANARY.ljust(size), encoding="ascii")
    path.unlink()
    make(path, elsewhere)
    for name in ("equity.parquet", "equity.csv", "equity.json"):
        answer = soon(functools.partial(server.get, f"/runs/{run_id}/artifact/{name}"))
        assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
        assert CANARY not in answer.body.decode()
    checks = soon(lambda: server.get(f"/runs/{run_id}/verify")).json["files"]
    assert [check["name"] for check in checks if not check["ok"]] == ["equity.parquet"]


@pytest.mark.parametrize(
    "content",
    [b"", b"short", TOKEN.encode() + b"\n\n", b"\xef\xbb\xbf" + TOKEN.encode(), b"x" * 70_000,
     TOKEN.encode() + b"\r", TOKEN.encode().replace(b"-", b"\0"), TOKEN.encode("utf-16")],
)  # fmt: skip
def test_tokens_that_no_server_starts_with(serve: Serve, data: Path, content: bytes) -> None:
    """A token that is empty, short, long, or more than a line stops the start and is not shown."""
    (data / "token").write_bytes(content)
    (data / "token").chmod(0o600)
    with pytest.raises(StartError) as caught:
        soon(serve)
    assert caught.value.code == "TOKEN_REFUSED"
    assert "somebody" not in str(caught.value)
    assert not (data / "server.json").exists()
    assert (data / "token").read_bytes() == content


@pytest.mark.parametrize("name", ["token", "settings.toml"])
def test_files_of_another_user(
    serve: Serve, data: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token or settings that another user has put there are refused."""
    (data / name).write_text(TOKEN if name == "token" else "workers = 1", encoding="ascii")
    (data / name).chmod(0o600)
    other = (data / name).stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises((StartError, ConfigError), match="belongs to another user"):
        soon(serve)


def test_settings_that_are_too_much(tmp_path: Path) -> None:
    """Settings that are longer than any, nested beyond reason, or no text are one plain error."""
    path = tmp_path / "settings.toml"
    for content in (b"#" * 70_000, b"a = " + b"[" * 30_000, b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            soon(lambda: read_settings({"data_dir": tmp_path}, {}))
        assert len(str(caught.value)) < 200
    path.write_bytes(b"workers = 2\r\nretention = 3\r\n")
    assert read_settings({"data_dir": tmp_path}, {}).retention == 3


def test_a_record_of_a_server_that_is_none(serve: Serve, data: Path) -> None:
    """A server.json that somebody has made up is replaced, and never sends anybody there."""
    (data / "server.json").write_text(
        json.dumps({"url": "http://evil.example:80", "pid": 1, "version": "1", "instance_id": "x"}),
        encoding="ascii",
    )
    server = soon(serve)
    assert (
        json.loads((data / "server.json").read_bytes())["url"] == f"http://127.0.0.1:{server.port}"
    )
