"""``server.json``: where the running server is, for whoever starts a second one.

The lock is the truth; this file may be stale, damaged or another's, so it is read with suspicion.
Also here: how the small private files of the data directory are read and written.
"""

import contextlib
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.durable import move
from engine.errors import StorageError

RUNTIME_FILE = "server.json"
MAX_BYTES = 4096

_URL = re.compile(
    r"http://(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})"
)
_WORD = re.compile(r"[!-~]{1,128}")

# Windows has none of these: there links need a privilege, and opening never blocks.
_NO_SURPRISES = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)


class NotPrivateError(Exception):
    """A file that is not what its user alone has put there; the message completes "it …"."""


@dataclass(frozen=True, slots=True)
class RuntimeFile:
    """What a running server says of itself."""

    url: str
    pid: int
    version: str
    instance_id: str


def write_runtime(data_dir: Path, url: str, version: str, instance_id: str) -> None:
    """Say where this process serves, in one step.

    Raises
        StorageError where it cannot be written.
    """
    runtime = RuntimeFile(url, os.getpid(), version, instance_id)
    try:
        write_private(data_dir / RUNTIME_FILE, json.dumps(asdict(runtime)).encode())
    except OSError as fault:
        what = f"the file {RUNTIME_FILE} in the data directory"
        raise StorageError.from_os_error(what, fault) from None


def read_runtime(data_dir: Path) -> RuntimeFile | None:
    """Return what a server has written, or None where nothing there can be trusted."""
    try:
        with opened_private(data_dir / RUNTIME_FILE) as (descriptor, _):
            content = os.read(descriptor, MAX_BYTES + 1)
        found = json.loads(content) if len(content) <= MAX_BYTES else None
    except (OSError, NotPrivateError, ValueError, RecursionError):
        return None
    return _checked(found)


def remove_runtime(data_dir: Path, instance_id: str) -> None:
    """Remove the file if this very server wrote it; one that cannot be removed is left, stale."""
    runtime = read_runtime(data_dir)
    if runtime is not None and runtime.instance_id == instance_id:
        with contextlib.suppress(OSError):
            (data_dir / RUNTIME_FILE).unlink()


def is_alive(pid: int) -> bool:
    """Return whether there is such a process; True where that cannot be known."""
    if pid <= 0:  # these name groups of processes
        return False
    if sys.platform == "win32":  # os.kill would send it an event
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is there, but another user's
        return True
    return True


@contextlib.contextmanager
def opened_private(path: Path) -> Iterator[tuple[int, os.stat_result]]:
    """Open a regular file of this user for reading, never through a link, never waiting.

    Raises
        NotPrivateError where it is something else; OSError where it cannot be opened.
    """
    _require_private(path.lstat())  # opening a device may already do something
    descriptor = os.open(path, os.O_RDONLY | _NO_SURPRISES | _BINARY)
    try:
        status = os.fstat(descriptor)
        _require_private(status)
        yield descriptor, status
    finally:
        os.close(descriptor)


def write_private(path: Path, content: bytes) -> None:
    """Put a file of mode 0600 in its place in one step, for whoever holds the data directory."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)  # of a process that was killed
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_SURPRISES | _BINARY, 0o600
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        move(temporary, path)  # others may be reading it
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def is_open_to_others(status: os.stat_result) -> bool:
    """Return whether the mode lets a group or others in; Windows keeps no such modes."""
    return os.name == "posix" and bool(status.st_mode & 0o077)


def is_own(status: os.stat_result) -> bool:
    """Return whether a file belongs to this user; Windows numbers no users."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def _require_private(status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise NotPrivateError("is a link")
    if not stat.S_ISREG(status.st_mode):
        raise NotPrivateError("is not a regular file")
    if not is_own(status):
        raise NotPrivateError("belongs to another user")


def _checked(found: Any) -> RuntimeFile | None:
    if not isinstance(found, dict):
        return None
    url, pid = found.get("url"), found.get("pid")
    version, instance_id = found.get("version"), found.get("instance_id")
    if not isinstance(url, str) or (match := _URL.fullmatch(url)) is None:
        return None
    if not 1 <= int(match[1]) <= 65535 or type(pid) is not int or pid <= 0:
        return None
    if not isinstance(version, str) or not isinstance(instance_id, str):
        return None
    if not _WORD.fullmatch(version) or not _WORD.fullmatch(instance_id):
        return None
    return RuntimeFile(url, pid, version, instance_id)
