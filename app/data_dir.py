"""The data directory: private, and held by one process that writes into it."""

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from app.runtime_file import (
    NotPrivateError,
    RuntimeFile,
    is_alive,
    is_open_to_others,
    is_own,
    opened_private,
    read_runtime,
)
from engine.durable import remove_partials
from engine.errors import StorageError, StudioError

FOLDERS = ("candles", "cache", "tmp", "runs", "orphans", "logs")
# One of these tells that a directory is Studio's: it makes them itself, but for the settings, which
# are read before anything is changed. (On Windows the lock goes with who holds it.)
MARKS = {"lock", "studio.db", "orphans", "settings.toml"}
WHOLE = "the data directory"
RUN_ID = re.compile(r"[0-9a-f]{20}")
TMP = "the directory tmp in the data directory"


class StartError(StudioError):
    """The program cannot start here."""

    code = "CANNOT_START"


class HeldError(StartError):
    """Another process holds the data directory; ``holder`` is the server that does, if known."""

    code = "DATA_DIR_HELD"

    def __init__(self, message: str, holder: RuntimeFile | None = None) -> None:
        super().__init__(message)
        self.holder = holder


@dataclass(frozen=True, slots=True)
class DataDir:
    """The places in the data directory."""

    path: Path

    @property
    def db(self) -> Path:
        """Return the data base of runs."""
        return self.path / "studio.db"

    @property
    def token(self) -> Path:
        """Return the file of the bearer token."""
        return self.path / "token"

    @property
    def lock(self) -> Path:
        """Return the file whose lock holds the directory; it stays when the lock is given back."""
        return self.path / "lock"

    @property
    def tmp(self) -> Path:
        """Return the directory of unfinished files, emptied at every start."""
        return self.path / "tmp"

    @property
    def runs(self) -> Path:
        """Return the directory of published runs."""
        return self.path / "runs"

    @property
    def orphans(self) -> Path:
        """Return the directory of runs that the data base does not know."""
        return self.path / "orphans"

    @property
    def logs(self) -> Path:
        """Return the directory of the log files."""
        return self.path / "logs"

    def prepare(self) -> list[str]:
        """Make the directory and those in it, close all to others; return what was open, in words.

        Files in the sub-directories keep their modes: nobody else gets that far.

        Raises
            StorageError where a place cannot be made or is none of ours.
        """
        notes = _closed_to_others(self.path)
        opened = []
        for name in FOLDERS:
            what = f"the directory {name} in the data directory"
            opened += [what] if _prepared(self.path / name, what) else []
        opened += [f"the file {name} in the data directory" for name in sorted(self._close_files())]
        return notes + [_now_closed(what) for what in opened]

    def empty_tmp(self) -> None:
        """Remove everything in ``tmp/``, links as links.

        Raises
            StorageError where something there cannot be removed.
        """
        with _refusals(TMP), contextlib.suppress(FileNotFoundError):
            _require_folder(self.tmp.lstat(), TMP)
            with os.scandir(self.tmp) as entries:
                found = list(entries)
            for entry in found:
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        Path(entry.path).unlink()

    def _close_files(self) -> Iterator[str]:
        """Close the files directly in the directory to others and yield those that were open."""
        with _refusals(WHOLE), os.scandir(self.path) as entries:
            found = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
        for entry in found:
            with _refusals(f"the file {entry.name} in the data directory"):
                status = entry.stat(follow_symlinks=False)
                # Another user's file is for whoever reads it to refuse.
                if is_own(status) and is_open_to_others(status):
                    Path(entry.path).chmod(status.st_mode & 0o700)
                    yield entry.name


@contextlib.contextmanager
def held(data_dir: Path) -> Iterator[list[str]]:
    """Make the data directory, private to its user, and hold it; give what was open, in words.

    The lock is the operating system's on an open file, so it ends with the process; the file
    itself is never removed, since two processes could then each hold a file of that name.

    Raises
        HeldError where another process does; StartError where it is not Studio's; StorageError
        where it cannot be made.
    """
    place = DataDir(data_dir)
    _require_own(data_dir)
    notes = _closed_to_others(data_dir)
    # Any thread may give it back: the one that stops a server need not have started it.
    lock = FileLock(place.lock, timeout=0, mode=0o600, thread_local=False)
    try:
        with _refusals(WHOLE):
            if os.path.lexists(place.lock):
                _require_regular(place.lock)
            lock.acquire()
    except Timeout:
        raise _held_error(data_dir) from None
    try:
        # Only who holds the directory imports; a command that fills the cache does well without.
        for name in ("candles", "cache"):
            if not (data_dir / name).is_symlink():  # what lies elsewhere may be another's
                remove_partials(data_dir / name)
        yield notes
    finally:
        lock.release()


def _require_own(data_dir: Path) -> None:
    """Refuse a directory with somebody's own ``tmp`` or ``runs``, which would be emptied."""
    with _refusals(WHOLE), contextlib.suppress(FileNotFoundError):
        found = {path.name for path in data_dir.iterdir()}
        for name in () if found & MARKS else ("tmp", "runs"):
            folder = data_dir / name
            inside = [path.name for path in folder.iterdir()] if folder.is_dir() else []
            if any(name == "tmp" or not RUN_ID.fullmatch(each) for each in inside):
                raise StartError(
                    f"The directory {data_dir} is not Studio's, and its {name} would be emptied; "
                    "name another one with --data-dir."
                )


def _held_error(data_dir: Path) -> HeldError:
    holder = read_runtime(data_dir)
    if holder is None or not is_alive(holder.pid):
        return HeldError(f"the data directory {data_dir} is held by another process")
    return HeldError(
        f"Studio is already running at {holder.url} (pid {holder.pid}); "
        "stop it first, or choose another data directory with --data-dir.",
        holder,
    )


@contextlib.contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Turn the operating system's refusals into a plain sentence; a Timeout is none."""
    try:
        yield
    except Timeout:
        raise
    except OSError as fault:
        raise StorageError.from_os_error(what, fault) from None


def _make(folder: Path, what: str) -> None:
    """Make a directory unless something of that name is there."""
    with _refusals(what), contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True, mode=0o700)


def _prepared(folder: Path, what: str) -> bool:
    """Make a directory, close it to others, and return whether it was open."""
    _make(folder, what)
    with _refusals(what):
        # The data directory itself may be a link that its user has made.
        status = folder.stat() if what == WHOLE else folder.lstat()
        _require_folder(status, what)
        if not is_open_to_others(status):
            return False
        folder.chmod(0o700)
        return True


def _closed_to_others(data_dir: Path) -> list[str]:
    """Make the data directory, or close it to others; return what there is to tell about that."""
    return [_now_closed(WHOLE)] if _prepared(data_dir, WHOLE) else []


def _now_closed(what: str) -> str:
    return f"{_sentence(what)} was open to other users of this machine; it is now closed to them."


def _require_folder(status: os.stat_result, what: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise StorageError(f"{_sentence(what)} is a link; put a real directory in its place.")
    if not stat.S_ISDIR(status.st_mode):
        raise StorageError(f"{_sentence(what)} is not a directory; move away what is there.")


def _require_regular(path: Path) -> None:
    try:
        with opened_private(path):
            return
    except NotPrivateError as fault:
        message = f"The file lock in the data directory {fault}; remove it and start again."
        raise StorageError(message) from None


def _sentence(what: str) -> str:
    return what[:1].upper() + what[1:]
