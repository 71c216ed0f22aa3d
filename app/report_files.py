"""The files of a run that are told in words, each compared with the manifest as it is read."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.run_files import OpenFile, open_file
from engine.artifacts.manifest import (
    CONFIG,
    HASHES_DISAGREE,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    hashes_agree,
    parse_manifest,
)
from engine.code import sha256_hex
from engine.errors import VerificationError
from engine.wording import counted

Document = Mapping[str, Any]
DOCUMENTS = (CONFIG, "summary.json", "metrics.json")
VALIDATION = "validation_summary.json"
# What reading a value raises that is not what a run writes there, and what is said of it.
MALFORMED = (
    KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError, RecursionError,
    OSError,
)  # fmt: skip
NOT_OURS = "the run's files match their manifest, but are not what this version writes"
TABLES = ("equity.parquet", "drawdown.parquet", "fills.parquet", "trades.parquet")


@dataclass(frozen=True)
class RunFiles:
    """What a verified run's files say; ``tables`` are its Parquet files, open."""

    manifest: Document
    manifest_sha256: str
    config: Document
    summary: Document
    metrics: Document
    validation: Document
    tables: Mapping[str, IO[bytes]]

    @property
    def run_id(self) -> str:
        """Return the run's short name."""
        return str(self.manifest["run_hash"][:20])


def read_run(folder: Path, manifest_hash: str | None = None) -> RunFiles:
    """Return the content of a run's directory, all of whose files are as the manifest says.

    The bytes that are compared are those that are used. Files that the manifest does not name are
    nobody's concern here.

    Parameters
        manifest_hash: what the manifest's own hash must be, where that is known
    Raises
        VerificationError where there is no manifest or anything differs from it.
    """
    raw = _read_manifest(folder)
    manifest = parse_manifest(raw)
    contents = {entry["name"]: _checked(folder, entry) for entry in manifest["files"]}
    if missing := [name for name in (*DOCUMENTS, *TABLES) if contents.get(name) is None]:
        message = f"{missing[0]} is not in the manifest"
        raise VerificationError(message)
    said = {
        name: _document(name, content)
        for name, content in contents.items()
        if content is not None and name.endswith(".json")
    }
    _check_hashes(manifest, said[CONFIG], manifest_hash)
    return RunFiles(
        manifest=manifest,
        manifest_sha256=sha256_hex(raw),
        config=said[CONFIG],
        summary=said["summary.json"],
        metrics=said["metrics.json"],
        validation=said.get(VALIDATION, {}),
        tables={name: io.BytesIO(contents[name] or b"") for name in TABLES},
    )


def read_validation(folder: Path, manifest_hash: str) -> Document:
    """Return what a run's tests found, nothing where none was asked for; as ``read_run``."""
    manifest = parse_manifest(_read_manifest(folder))
    said = {
        entry["name"]: _document(entry["name"], _checked(folder, entry) or b"")
        for entry in manifest["files"]
        if entry["name"] in {CONFIG, VALIDATION}
    }
    _check_hashes(manifest, said.get(CONFIG), manifest_hash)
    found: Document = said.get(VALIDATION, {})
    return found


def _check_hashes(manifest: Document, config: Any, manifest_hash: str | None) -> None:
    known = manifest["manifest_hash"] if manifest_hash is None else manifest_hash
    if manifest["manifest_hash"] != known or not hashes_agree(manifest, config):
        raise VerificationError(HASHES_DISAGREE)


def _checked(folder: Path, entry: Document) -> bytes | None:
    """Return the content of a file that is told, None of another; either is compared."""
    name = entry["name"]
    with _opened(folder, name) as file:
        if file.size != entry["size"]:
            message = f"{name} has {counted(file.size, 'byte')} instead of {entry['size']:,}"
            raise VerificationError(message)
        content = file.read_all() if name in {*DOCUMENTS, VALIDATION, *TABLES} else None
        digest = _digest(file) if content is None else sha256_hex(content)
    if digest != entry["sha256"]:
        message = f"{name} has been changed since the run"
        raise VerificationError(message)
    return content


def _digest(file: OpenFile) -> str:
    digest, offset = hashlib.sha256(), 0
    while part := file.read(offset, 1 << 20):
        digest.update(part)
        offset += len(part)
    return digest.hexdigest()


def _read_manifest(folder: Path) -> bytes:
    with _opened(folder, MANIFEST) as file:
        return file.read(0, MAX_MANIFEST_BYTES + 1)


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[OpenFile]:
    """Open a file of the run; what the operating system refuses is a file that does not verify."""
    try:
        with closing(open_file(folder, name)) as file:
            yield file
    except (OSError, ValueError) as fault:  # a name may hold what no path can
        reason = "is missing" if isinstance(fault, FileNotFoundError) else "cannot be read"
        message = f"{name} {reason}"
        raise VerificationError(message) from None


def _document(name: str, content: bytes) -> Any:
    try:
        return json.loads(content, parse_constant=_refuse_word)
    except (ValueError, RecursionError):
        message = f"{name} is not JSON"
        raise VerificationError(message) from None


def _refuse_word(word: str) -> Any:
    raise ValueError(word)
