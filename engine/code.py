"""Which code this is: the engine's own sources and the libraries whose results it passes on.

A server tells it while it starts, so importing this file reads the standard library and rfc8785.
"""

import functools
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rfc8785

from engine import __version__

LIBRARIES = ("numpy", "ta_lib", "pyarrow", "matplotlib", "exchange_calendars", "tzdata")


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_hash(value: Any) -> str:
    """Return the SHA-256 of a JSON value in its canonical form (RFC 8785)."""
    return sha256_hex(rfc8785.dumps(value))


@functools.cache
def library_versions() -> Mapping[str, str]:
    """Return the installed versions of the libraries whose results reach an artifact.

    Read from the names of the ``.dist-info`` folders on the path; ``importlib.metadata`` costs
    75 ms for the same and is asked only about what is not found that way.
    """
    found: dict[str, str] = {}
    for place in sys.path:
        folder = Path(place)
        if not folder.is_dir():
            continue
        for entry in folder.glob("*.dist-info"):
            name, _, version = entry.name.removesuffix(".dist-info").partition("-")
            if name.lower() in LIBRARIES:
                found.setdefault(name.lower(), version)
    return {name: found.get(name) or _metadata_version(name) for name in LIBRARIES}


def _metadata_version(name: str) -> str:
    from importlib.metadata import version  # noqa: PLC0415  # slow, and hardly ever needed

    return version(name)


@functools.cache
def sources_digest() -> str:
    """Return the SHA-256 over the engine's own Python sources, by path and content.

    In a bundle they lie as data beside the frozen modules.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\n{sha256_hex(path.read_bytes())}\n".encode())
    return digest.hexdigest()


@functools.cache
def code_version() -> str:
    """Return the package's version and a digest of its sources and of the libraries it uses."""
    parts = {"sources": sources_digest(), "libraries": dict(library_versions())}
    return f"{__version__}+{canonical_hash(parts)[:16]}"
