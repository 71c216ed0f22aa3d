"""The data directory: its places, its modes, its lock, and what it does with things of others."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from app.data_dir import FOLDERS, DataDir, HeldError, StartError, held
from app.runtime_file import write_runtime
from engine.durable import partial_of
from engine.errors import StorageError


@pytest.fixture
def place(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("module", ["data_dir", "runtime_file", "token_file", "logs"])
def test_light_to_import(module: str) -> None:
    """These modules bring no numerical library, no model library and no server with them."""
    code = (
        f"import sys, app.{module}; "
        "print({'numpy', 'pydantic', 'tornado', 'asyncio', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_places(place: DataDir) -> None:
    """Every place has the name that the file design gives it."""
    names = [place.db, place.token, place.lock, place.tmp, place.runs, place.orphans, place.logs]
    assert [path.relative_to(place.path).as_posix() for path in names] == [
        "studio.db", "token", "lock", "tmp", "runs", "orphans", "logs",
    ]  # fmt: skip


def test_prepare_makes_private_directories(place: DataDir) -> None:
    """A new data directory and all in it are 0700, and there is nothing to warn of, twice over."""
    assert place.prepare() == []
    assert sorted(path.name for path in place.path.iterdir()) == sorted(FOLDERS)
    assert {mode(path) for path in (place.path, *place.path.iterdir())} == {0o700}
    assert place.prepare() == []


def test_prepare_tightens_and_tells(place: DataDir) -> None:
    """Modes that are too open are tightened, and each is named; links and files below stay."""
    place.prepare()
    place.path.chmod(0o755)
    place.runs.chmod(0o750)
    for path, bits in (
        (place.db, 0o644),
        (place.lock, 0o600),
        (place.path / "settings.toml", 0o606),
    ):
        path.touch()
        path.chmod(bits)
    outside = place.path.parent / "outside"
    outside.touch()
    outside.chmod(0o644)
    (place.path / "link").symlink_to(outside)
    below = place.path / "candles" / "ES_1d.csv"
    below.touch()
    below.chmod(0o644)
    told = "was open to other users of this machine; it is now closed to them."
    assert place.prepare() == [
        f"The data directory {told}",
        f"The directory runs in the data directory {told}",
        f"The file settings.toml in the data directory {told}",
        f"The file studio.db in the data directory {told}",
    ]
    assert [mode(path) for path in (place.path, place.runs)] == [0o700, 0o700]
    assert [mode(path) for path in (place.db, place.path / "settings.toml")] == [0o600, 0o600]
    assert [mode(path) for path in (outside, below)] == [0o644, 0o644]


def test_programs_stay_programs(place: DataDir) -> None:
    """A file that its user may execute is closed to others and can still be executed."""
    place.prepare()
    for name, bits in (("refresh.sh", 0o755), ("read-only", 0o444)):
        (place.path / name).touch()
        (place.path / name).chmod(bits)
    place.prepare()
    assert [mode(place.path / name) for name in ("refresh.sh", "read-only")] == [0o700, 0o400]


def contents(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): mode(path) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "names",
    [
        ["tmp/mine/"],
        ["build.sh", "tmp/mine/"],
        ["candles/", "tmp/mine/"],
        ["candles/", "runs/mine/"],
    ],
)
def test_a_directory_of_other_files(tmp_path: Path, names: list[str]) -> None:
    """A directory whose tmp or runs are somebody's is refused in a sentence, and stays as it is."""
    for name in names:
        place = tmp_path / name
        place.mkdir(parents=True) if name.endswith("/") else place.touch(0o755)
    tmp_path.chmod(0o755)
    before = contents(tmp_path)
    with pytest.raises(StartError) as caught, held(tmp_path):
        pass
    assert str(caught.value) == (
        f"The directory {tmp_path} is not Studio's, and its {names[-1].split('/')[0]} would be emptied; "
        "name another one with --data-dir."
    )
    assert (contents(tmp_path), mode(tmp_path)) == (before, 0o755)


@pytest.mark.parametrize(
    "names",
    [
        [],
        [".DS_Store", ".gitkeep", "lost+found/"],
        ["candles/"],
        ["candles/", "cache/"],
        ["runs/", "token"],
        ["settings.toml", "my_strategies.py"],
        ["build.sh", "notes.txt", "tmp/"],
        ["lock", "notes.txt", "tmp/left/"],
        ["studio.db", "tmp/left/"],
    ],
)
def test_a_directory_for_studio(tmp_path: Path, names: list[str]) -> None:
    """One without a tmp of somebody's, and one that was Studio's before, can be held."""
    for name in names:
        place = tmp_path / name
        place.mkdir(parents=True) if name.endswith("/") else place.touch(0o600)
    with held(tmp_path):
        assert DataDir(tmp_path).lock.exists()


def test_prepare_leaves_the_files_of_others(
    place: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of another user is left to whoever reads it."""
    place.prepare()
    place.token.touch()
    place.token.chmod(0o644)
    monkeypatch.setattr(os, "geteuid", lambda: place.token.stat().st_uid + 1)
    assert place.prepare() == []
    assert mode(place.token) == 0o644


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("dangling", [True, False])
def test_linked_sub_directories(place: DataDir, name: str, *, dangling: bool) -> None:
    """A link in the place of a sub-directory is refused, and what it leads to stays as it is."""
    target = place.path.parent / "elsewhere"
    if not dangling:
        target.mkdir(mode=0o755)
    place.path.mkdir()
    (place.path / name).symlink_to(target)
    with pytest.raises(StorageError) as caught:
        place.prepare()
    assert str(caught.value) == (
        f"The directory {name} in the data directory is a link; put a real directory in its place."
    )
    assert target.exists() is not dangling


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo])
def test_something_else_for_a_sub_directory(place: DataDir, make: object) -> None:
    """A file or a pipe in the place of a sub-directory is refused."""
    place.path.mkdir()
    assert callable(make)
    make(place.runs)
    with pytest.raises(StorageError, match="runs in the data directory is not a directory; move"):
        place.prepare()


def test_a_linked_data_directory(tmp_path: Path) -> None:
    """The data directory itself may be a link to a directory, not to nothing and to no file."""
    (tmp_path / "big").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "big")
    assert DataDir(tmp_path / "link").prepare() == []
    assert (tmp_path / "big/runs").is_dir()
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    with pytest.raises(StorageError, match="data directory could not be written: no such file"):
        DataDir(tmp_path / "dangling").prepare()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="The data directory is not a directory"):
        DataDir(tmp_path / "file").prepare()
    with pytest.raises(StorageError, match="could not be written: not a directory"):
        DataDir(tmp_path / "file/data").prepare()


def test_tmp_is_emptied(place: DataDir) -> None:
    """All in tmp goes, links as links, and what they lead to stays."""
    place.empty_tmp()
    place.prepare()
    outside = place.path.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/file").touch()
    (place.tmp / "a/b").mkdir(parents=True)
    (place.tmp / "a/b/file").touch()
    (place.tmp / "a/link").symlink_to(outside)
    (place.tmp / "link").symlink_to(outside)
    (place.tmp / "file-link").symlink_to(outside / "deep/file")
    (place.tmp / "dangling").symlink_to("nowhere")
    os.mkfifo(place.tmp / "pipe")
    (place.tmp / "file").touch()
    place.empty_tmp()
    assert list(place.tmp.iterdir()) == []
    assert (outside / "deep/file").exists()


def test_a_linked_tmp_is_not_emptied(place: DataDir) -> None:
    """A link in the place of tmp is refused, and nothing behind it is removed."""
    outside = place.path.parent / "outside"
    outside.mkdir()
    (outside / "file").touch()
    place.path.mkdir()
    place.tmp.symlink_to(outside)
    with pytest.raises(StorageError, match="tmp in the data directory is a link"):
        place.empty_tmp()
    assert (outside / "file").exists()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space is left to write the data directory"),
        (errno.EROFS, "could not be written: read-only file system."),
        (errno.EACCES, "could not be written: permission denied."),
    ],
)
def test_places_that_refuse(
    place: DataDir, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """A full or read-only place is told in plain words, for preparing, emptying and holding."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    place.prepare()
    (place.tmp / "file").touch()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        with pytest.raises(StorageError, match="directory tmp"):
            place.empty_tmp()
    with monkeypatch.context() as patched:
        patched.setattr(FileLock, "acquire", refuse)
        with pytest.raises(StorageError, match=words):
            held(place.path).__enter__()
    monkeypatch.setattr(Path, "mkdir", refuse)
    for attempt in (place.prepare, held(place.path).__enter__):
        with pytest.raises(StorageError, match=words):
            attempt()


def test_holding(place: DataDir) -> None:
    """Who holds the directory keeps a second one out; the lock is private and stays in its place."""
    with held(place.path):
        number = place.lock.stat().st_ino
        assert (mode(place.path), mode(place.lock)) == (0o700, 0o600)
        with pytest.raises(HeldError) as caught, held(place.path):
            pass
        assert str(caught.value) == f"the data directory {place.path} is held by another process"
        assert caught.value.holder is None
    assert place.lock.stat().st_ino == number
    with held(place.path):
        assert place.lock.stat().st_ino == number


def test_what_a_killed_import_left(place: DataDir) -> None:
    """Who holds the directory removes unfinished candles and nothing else, none through a link."""
    outside = place.path.parent / "outside"
    candles, cache = place.path / "candles", place.path / "cache"
    place.prepare()
    outside.mkdir()
    cache.rmdir()
    cache.symlink_to(outside)
    kept = [candles / "ES_1d.parquet", candles / "x.partial", outside / ".x.partial"]
    for path in (*kept, partial_of(candles / "ES_1d.parquet")):
        path.touch()
    (candles / ".a-directory.partial").mkdir()
    with held(place.path):
        assert all(path.exists() for path in kept)
        left = {path.name for path in candles.iterdir()}
        assert left == {"ES_1d.parquet", "x.partial", ".a-directory.partial"}


def test_another_thread_may_let_go(place: DataDir) -> None:
    """A lock taken in one thread and given back in another is free again."""
    hold = held(place.path)
    thread = threading.Thread(target=hold.__enter__)
    thread.start()
    thread.join()
    with pytest.raises(HeldError), held(place.path):
        pass
    hold.__exit__(None, None, None)
    with held(place.path):
        pass


def test_a_killed_holder(place: DataDir) -> None:
    """The lock of a process that was killed is free."""
    code = (
        "import sys, time; from pathlib import Path; from app.data_dir import held\n"
        "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(place.path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HeldError), held(place.path):
            pass
        holder.kill()
        holder.wait()
        with held(place.path):
            pass


def test_a_running_server_is_named(place: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second learns URL and pid of the server, unless its process has gone."""
    with held(place.path):
        write_runtime(place.path, "http://127.0.0.1:8717", "1.0", "me")
        with pytest.raises(HeldError) as caught, held(place.path):
            pass
        assert str(caught.value).startswith(
            f"Studio is already running at http://127.0.0.1:8717 (pid {os.getpid()}); stop it first"
        )
        assert caught.value.holder is not None
        assert caught.value.holder.instance_id == "me"
        monkeypatch.setattr("app.data_dir.is_alive", lambda _: False)
        with pytest.raises(HeldError, match="is held by another process"), held(place.path):
            pass


def test_odd_locks(place: DataDir) -> None:
    """A link, a pipe or a directory in the place of the lock is refused, and nothing is made."""
    place.path.mkdir()
    target = place.path.parent / "target"
    place.lock.symlink_to(target)
    with pytest.raises(StorageError, match="The file lock in the data directory is a link"):
        held(place.path).__enter__()
    assert not target.exists()
    place.lock.unlink()
    os.mkfifo(place.lock)
    with pytest.raises(StorageError, match="is not a regular file; remove it"):
        held(place.path).__enter__()
    place.lock.unlink()
    place.lock.mkdir()
    with pytest.raises(StorageError, match="is not a regular file"):
        held(place.path).__enter__()


def test_a_link_that_comes_in_between(place: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is opened through no link, even one that was not there a moment ago."""
    place.path.mkdir()
    target = place.path.parent / "target"
    place.lock.symlink_to(target)
    monkeypatch.setattr("app.data_dir._require_regular", lambda _: None)
    with pytest.raises(StorageError, match="could not be written"):
        held(place.path).__enter__()
    assert not target.exists()
