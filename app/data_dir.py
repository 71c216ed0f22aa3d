"""The data directory: private, and held by one process that writes into it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import StorageError, StudioError


class HeldError(StudioError):
    """Another process holds the data directory."""

    code = "DATA_DIR_HELD"


@contextlib.contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Make the data directory, private to its user, and hold it.

    Raises
        HeldError where another process does; StorageError where it cannot be made.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(data_dir / "lock", timeout=0, mode=0o600)
        lock.acquire()
    except Timeout:
        message = f"the data directory {data_dir} is held by another process"
        raise HeldError(message) from None
    except OSError as fault:
        raise StorageError.from_os_error("the data directory", fault) from None
    try:
        yield
    finally:
        lock.release()
