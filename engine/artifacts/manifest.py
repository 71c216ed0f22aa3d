"""The manifest: what pins every byte of a run, and the check of a directory against it."""

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.code import canonical_hash
from engine.errors import VerificationError
from engine.identity import environment, hash_of_run
from engine.records import Identity
from engine.wording import noun

MANIFEST = "manifest.json"
CONFIG = "config.json"
MIME_TYPES = {
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
}
# What manifest_hash leaves out: itself, and where the run happened.
UNHASHED = ("environment", "manifest_hash")
MAX_MANIFEST_BYTES = 1 << 20


def build_manifest(
    identity: Identity, folder: Path, names: list[str], kernel: str
) -> dict[str, Any]:
    """Return the manifest of the files ``names`` in ``folder``, made with that bar loop."""
    manifest: dict[str, Any] = {
        "run_hash": identity.run_hash,
        "config_hash": identity.config_hash,
        "candle_digest": identity.candle_digest,
        "code_version": identity.code_version,
        "plugins": list(identity.plugins),
        "files": [_entry(folder / name) for name in sorted(names)],
    }
    manifest["manifest_hash"] = manifest_hash(manifest)
    manifest["environment"] = environment(kernel)
    return manifest


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """Return SHA-256(JCS(manifest without environment and manifest_hash))."""
    return canonical_hash({key: value for key, value in manifest.items() if key not in UNHASHED})


def _entry(path: Path) -> dict[str, Any]:
    return {
        "name": path.name,
        "sha256": file_sha256(path),
        "size": path.stat().st_size,
        "mime": MIME_TYPES[path.suffix],
    }


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class FileCheck:
    """Whether one file is what the manifest says; ``reason`` where it is not."""

    name: str
    ok: bool
    reason: str | None = None


@dataclass(frozen=True)
class Verification:
    """What a directory looks like beside its manifest."""

    manifest: Mapping[str, Any]
    manifest_ok: bool
    files: tuple[FileCheck, ...]

    @property
    def ok(self) -> bool:
        """Tell whether everything matches."""
        return self.manifest_ok and all(check.ok for check in self.files)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a run's directory.

    Raises
        VerificationError where there is none, or none that can be read.
    """
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            message = f"{MANIFEST} is not a regular file"
            raise VerificationError(message)
        with path.open("rb") as file:
            raw = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as fault:
        reason = "there is none" if isinstance(fault, FileNotFoundError) else "it cannot be read"
        message = f"{folder} has no {MANIFEST} to verify against: {reason}"
        raise VerificationError(message) from None
    return parse_manifest(raw, f"{MANIFEST} in {folder}")


def parse_manifest(raw: bytes, what: str = MANIFEST) -> dict[str, Any]:
    """Return the manifest that the bytes of one are.

    Raises
        VerificationError where they are none; its message speaks of ``what``.
    """
    try:
        manifest: Any = json.loads(raw) if len(raw) <= MAX_MANIFEST_BYTES else None
    except (ValueError, RecursionError):
        manifest = None
    if not _well_formed(manifest):
        message = f"{what} is not the manifest of a run"
        raise VerificationError(message)
    checked: dict[str, Any] = manifest
    return checked


def _well_formed(manifest: Any) -> bool:
    texts = ("run_hash", "config_hash", "candle_digest", "code_version", "manifest_hash")
    return (
        isinstance(manifest, dict)
        and all(isinstance(manifest.get(name), str) for name in texts)
        and isinstance(manifest.get("plugins"), list)
        and isinstance(manifest.get("files"), list)
        and all(
            isinstance(entry, dict)
            and isinstance(entry.get("name"), str)
            and isinstance(entry.get("sha256"), str)
            and isinstance(entry.get("size"), int)
            for entry in manifest["files"]
        )
    )


def verify(folder: Path) -> Verification:
    """Return how the files in ``folder`` compare with its manifest.

    A missing, changed, linked or additional file is not ok, nor is a manifest whose own hash, or
    whose run hash over the configuration, does not come out.

    Raises
        VerificationError where there is no manifest to compare with.
    """
    manifest = read_manifest(folder)
    checks = [_check(folder, entry) for entry in manifest["files"]]
    listed = {entry["name"] for entry in manifest["files"]} | {MANIFEST}
    extra = sorted(path.name for path in folder.iterdir() if path.name not in listed)
    checks += [FileCheck(name, ok=False, reason="is not in the manifest") for name in extra]
    checks.sort(key=lambda check: check.name)
    return Verification(manifest, _config_agrees(folder, manifest), tuple(checks))


def _check(folder: Path, entry: Mapping[str, Any]) -> FileCheck:
    try:
        reason = _difference(folder, entry)
    except FileNotFoundError:
        reason = "is missing"
    except (OSError, ValueError):
        reason = "cannot be read"
    return FileCheck(entry["name"], ok=reason is None, reason=reason)


def _difference(folder: Path, entry: Mapping[str, Any]) -> str | None:
    name = entry["name"]
    if Path(name).name != name or name in {"", ".", ".."}:
        return "is not a plain file name"
    found = (folder / name).lstat()
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if found.st_size != entry["size"]:
        return f"has {found.st_size} {noun(found.st_size, 'byte')} instead of {entry['size']}"
    return None if file_sha256(folder / name) == entry["sha256"] else "has been changed"


def _config_agrees(folder: Path, manifest: Mapping[str, Any]) -> bool:
    try:
        if not stat.S_ISREG((folder / CONFIG).lstat().st_mode):  # a pipe would keep us waiting
            return False
        return hashes_agree(manifest, json.loads((folder / CONFIG).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return False


HASHES_DISAGREE = "the manifest's own hashes do not come out"


def hashes_agree(manifest: Mapping[str, Any], config: Any) -> bool:
    """Return whether a manifest's hashes of itself, the configuration and the run come out."""
    try:
        run_hash = hash_of_run(
            config, manifest["candle_digest"], manifest["code_version"], manifest["plugins"]
        )
        return (manifest_hash(manifest), canonical_hash(config), run_hash) == (
            manifest["manifest_hash"],
            manifest["config_hash"],
            manifest["run_hash"],
        )
    except (ValueError, RecursionError):
        return False
