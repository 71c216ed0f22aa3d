"""A folder as a ``.tar.gz`` that is the same to the byte wherever and whenever it is made."""

import gzip
import stat
import tarfile
from pathlib import Path


def pack(folder: Path, target: Path) -> Path:
    """Write a folder, links as links, into an archive and return it.

    Names are sorted; files have no owner, no time, and of their mode only whether they run.
    """
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=9, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in [folder, *sorted(folder.rglob("*"))]:
            entry = tar.gettarinfo(path, str(path.relative_to(folder.parent)))
            _make_plain(entry)
            if entry.isreg():
                with path.open("rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)
    return target


def _make_plain(entry: tarfile.TarInfo) -> None:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    runs = entry.isdir() or entry.issym() or bool(entry.mode & stat.S_IXUSR)
    entry.mode = 0o755 if runs else 0o644
