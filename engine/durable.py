"""What makes a change of a directory last, and happen in one step."""

import contextlib
import os
import secrets
import sys
import time
from pathlib import Path

PARTIAL = ".partial"
PATIENCE_S, PAUSE_S = 2.0, 0.02


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a directory survive a power cut.

    Raises
        OSError where the disk refuses.
    """
    if sys.platform == "win32":  # a directory has no handle to sync there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def partial_of(path: Path) -> Path:
    """Return a new name beside ``path``, to write under until it is whole and can be moved."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")


def remove_partials(folder: Path) -> None:
    """Remove what killed processes have left unfinished, as far as the system allows."""
    for path in folder.glob(f".*{PARTIAL}"):
        with contextlib.suppress(OSError):
            path.unlink()


def move(source: Path, target: Path) -> None:
    """Rename a file or directory, over a file of that name, in one step.

    Windows refuses that while anybody has either open, if only a virus scanner: there it is tried
    again for two seconds.

    Raises
        OSError where it is refused for good.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            source.replace(target)
        except PermissionError:
            # A directory that is there is in the way for good.
            if sys.platform != "win32" or target.is_dir() or time.monotonic() > until:
                raise
            time.sleep(PAUSE_S)
        else:
            return
