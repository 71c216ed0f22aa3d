"""Opening what a user points at: regular files only, and unpacking with a bound."""

import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import DataError
from engine.wording import size_in_words

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 1 << 20
PACKED_BYTES = 1 << 16
GZIP = b"\x1f\x8b"
GZIP_WINDOW = 31  # zlib's own reading of gzip: header, checksum and length included
MAX_MEMBERS = 65_536  # a file of a million empty ones would take minutes


@contextmanager
def open_regular(path: Path) -> Iterator[io.BufferedReader]:
    """Open a regular file for reading, never waiting for one that is something else.

    Raises
        DataError where there is none, or where it cannot be read, now or within the context.
    """
    try:
        # Asked first, since already the opening of a device may do something.
        _check_regular(path.name, _mode(path))
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with io.FileIO(path, opener=lambda name, _: os.open(name, flags)) as file:
            _check_regular(path.name, os.fstat(file.fileno()).st_mode)
            yield io.BufferedReader(file, BUFFER_BYTES)
    except FileNotFoundError:
        raise DataError(f"there is no file {path.name}") from None
    except OSError as fault:
        reason = (fault.strerror or "unreadable").lower()
        raise DataError(f"{path.name} cannot be read: {reason}") from None


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except ValueError:
        raise DataError("the name of the file holds a character that no name can hold") from None


def _check_regular(name: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise DataError(f"{name} cannot be read: it is a folder")
    if not stat.S_ISREG(mode):
        raise DataError(f"{name} cannot be read: it is no regular file")


class Unpacked(io.RawIOBase):
    """The content of a gzip file, of one or several members, up to ``max_bytes``."""

    def __init__(self, packed: io.BufferedReader, name: str, max_bytes: int) -> None:
        self._packed = packed
        self._name = name
        self._max_bytes = max_bytes
        self._rest = b""  # what was read beyond the end of a member
        self._n_bytes = 0
        self._n_members = 1
        self._member = zlib.decompressobj(GZIP_WINDOW)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill ``buffer`` as far as the content goes.

        Raises
            DataError where the file is damaged, ends too early, or unpacks to too much.
        """
        view = memoryview(buffer)
        filled = 0
        while filled < len(view):
            piece = self._piece(len(view) - filled)
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        self._n_bytes += filled
        if self._n_bytes > self._max_bytes:
            most = size_in_words(self._max_bytes)
            raise DataError(f"{self._name} unpacks to more than {most}")
        return filled

    def _piece(self, n_bytes: int) -> bytes:
        """Return the next bytes, at most ``n_bytes``; none at the end."""
        while True:
            if self._member.eof and not self._next_member():
                return b""
            packed = self._member.unconsumed_tail or self._rest or self._packed.read(PACKED_BYTES)
            self._rest = b""
            try:
                piece = self._member.decompress(packed, n_bytes)
            except zlib.error:
                raise DataError(f"{self._name} is damaged: it cannot be unpacked") from None
            if piece:
                return piece
            if not packed and not self._member.eof:
                raise DataError(f"{self._name} is cut short: its packed data has no end")

    def _next_member(self) -> bool:
        rest = self._member.unused_data.lstrip(b"\0")  # zeros may pad the end of a member
        while not rest and (more := self._packed.read(PACKED_BYTES)):
            rest = more.lstrip(b"\0")
        if not rest:
            return False
        self._n_members += 1
        if self._n_members > MAX_MEMBERS:
            raise DataError(f"{self._name} has more than {MAX_MEMBERS:,} packed parts")
        if not (GZIP.startswith(rest) or rest.startswith(GZIP)):
            raise DataError(f"{self._name} is damaged: its packed data is followed by rubbish")
        self._member = zlib.decompressobj(GZIP_WINDOW)
        self._rest = rest
        return True
