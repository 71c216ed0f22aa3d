"""What may lie in a file's place and is none; ``elsewhere`` is a file outside of the directory."""

import os
import socket
from pathlib import Path


def link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


def fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def directory(path: Path, _: Path) -> None:
    path.mkdir()


def a_socket(path: Path, _: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its name may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)
    os.chdir(here)
