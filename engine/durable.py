"""What makes a change of a directory last."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a directory survive a power cut.

    Raises
        OSError where the disk refuses.
    """
    if os.name == "nt":  # a directory has no handle to sync there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
