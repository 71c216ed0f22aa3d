"""How a command holds the data directory, and tells what a person should know of it."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.data_dir import held


@contextlib.contextmanager
def holding(data_dir: Path) -> Iterator[None]:
    """Hold the data directory, with nothing that is written meanwhile for others; as ``held``."""
    before = os.umask(0o077)
    try:
        with held(data_dir) as notes:
            say(notes)
            yield
    finally:
        os.umask(before)  # what a command writes elsewhere is as its user wants it


def say(notes: Iterable[str]) -> None:
    """Tell each of the sentences on standard error."""
    for note in notes:
        sys.stderr.write(f"studio: {note}\n")
