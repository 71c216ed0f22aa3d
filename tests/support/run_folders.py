"""The directory of a run that a server has published, and ways to spoil it."""

import shutil
from pathlib import Path
from typing import Any


def folder_of(server: Any, run_id: str) -> Path:
    return Path(server.data_dir) / "runs" / run_id


def spoil(path: Path) -> None:
    """Change one byte of a file."""
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))


def swap(folder: Path) -> None:
    """Put another run's files, which verify, in the place of this one's."""
    other = next(path for path in folder.parent.iterdir() if path != folder)
    shutil.rmtree(folder)
    shutil.copytree(other, folder)
