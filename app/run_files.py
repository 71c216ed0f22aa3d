"""The files of a run, opened so that only a regular file of its own directory is ever read."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

DIRECTORY = getattr(os, "O_DIRECTORY", 0)
SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
BINARY = getattr(os, "O_BINARY", 0)


@dataclass
class OpenFile:
    """An open regular file and its size in bytes; to be closed."""

    handle: int
    size: int

    def read(self, offset: int, n: int) -> bytes:
        """Return up to ``n`` bytes from ``offset``."""
        os.lseek(self.handle, offset, os.SEEK_SET)
        return os.read(self.handle, n)

    def read_all(self) -> bytes:
        """Return the whole content, for small files."""
        parts, offset = [], 0
        while part := self.read(offset, 1 << 20):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def reader(self) -> BinaryIO:
        """Return a file object on the same content, to be closed by itself."""
        return os.fdopen(os.dup(self.handle), "rb")

    def close(self) -> None:
        """Close it; a second time does nothing."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


def open_file(folder: Path, name: str) -> OpenFile:
    """Open ``name`` directly below ``folder``; neither may be a link.

    Raises
        FileNotFoundError where there is none; OSError where it is no regular file, or elsewhere.
    """
    if Path(name).name != name:  # as a manifest could name one that was written by hand
        message = "not the name of a file"
        raise OSError(message)
    if os.open in os.supports_dir_fd:
        inside = os.open(folder, os.O_RDONLY | DIRECTORY | SAFELY)
        try:
            handle = os.open(name, os.O_RDONLY | SAFELY, dir_fd=inside)
        finally:
            os.close(inside)
    else:
        if folder.is_symlink() or (folder / name).is_symlink():
            message = "a link"
            raise OSError(message)
        handle = os.open(folder / name, os.O_RDONLY | BINARY)
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        message = "not a regular file"
        raise OSError(message)
    return OpenFile(handle, found.st_size)
