"""Publishing: every artifact of a run into a temporary directory, then one rename."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import IO, Any

from engine.artifacts import tables
from engine.artifacts.manifest import MANIFEST, build_manifest, read_manifest, verify
from engine.artifacts.picture import Picture
from engine.artifacts.plot import draw_png
from engine.artifacts.summary import metrics_document, summary_document, validation_document
from engine.durable import PARTIAL, move, sync_folder
from engine.errors import OutputError, StorageError, VerificationError
from engine.identity import json_bytes
from engine.records import BacktestResult, CancelCheck, Identity

# Publishing takes seconds; what is older was left behind by a process that was killed.
ABANDONED_AFTER_S = 3600.0
ARTIFACTS = {
    "config.json",
    "summary.json",
    "metrics.json",
    "equity.parquet",
    "drawdown.parquet",
    "fills.parquet",
    "trades.parquet",
    "features.parquet",
    "validation_summary.json",
    "plot.png",
    MANIFEST,
}

Writer = Callable[[BacktestResult, IO[bytes]], None]


class Place(Enum):
    """What the directory asked for holds already."""

    FREE = "free"
    THIS_RUN = "this run"


def inspect_place(place: Path, identity: Identity) -> Place:
    """Return whether ``place`` is free for the run or already holds it, verified.

    Raises
        OutputError where it holds anything else.
    """
    with contextlib.suppress(OSError):  # the current directory may have been removed
        if place.resolve() == Path.cwd():
            message = "the current directory cannot become a run's directory; name one inside it"
            raise OutputError(message)
    try:
        if not any(place.iterdir()):
            return Place.FREE
    except FileNotFoundError:
        return Place.FREE
    except OSError as fault:
        reason = (fault.strerror or "it cannot be read").lower()
        message = f"{place} cannot hold a run: {reason}"
        raise OutputError(message) from None
    with contextlib.suppress(VerificationError):
        if read_manifest(place)["run_hash"] == identity.run_hash:
            if verify(place).ok:
                return Place.THIS_RUN
            message = f"{place} holds this run, but its files do not verify; remove it first"
            raise OutputError(message)
    message = f"{place} already holds something else; choose an empty or new directory"
    raise OutputError(message)


def publish(
    result: BacktestResult,
    place: Path,
    check_cancelled: CancelCheck,
    workspace: Path | None = None,
) -> dict[str, Any]:
    """Write every artifact, make them durable, and rename them to ``place``; return the manifest.

    Nothing is at ``place`` before everything is there; on any failure nothing is left behind.

    Parameters
        workspace: an existing directory, on the file system of ``place``, to write in; without one
            that is done beside ``place``, where what killed runs left is removed first
    Raises
        OutputError where the place is taken; StorageError where it is full or cannot be written.
    """
    place = place.resolve()
    try:
        with _partial_folder(place, workspace) as folder:
            for name, write in _writers(result):
                check_cancelled()
                with (folder / name).open("xb") as file:
                    write(result, file)
            names = [path.name for path in folder.iterdir()]
            manifest = build_manifest(result.identity, folder, names, result.execution.kernel)
            with (folder / MANIFEST).open("xb") as file:
                file.write(json_bytes(manifest))
            _sync_files([folder / name for name in (*names, MANIFEST)])
            sync_folder(folder)
            check_cancelled()
            move(folder, place)
            try:
                sync_folder(place.parent)
            except OSError:
                move(place, folder)  # it goes with the folder
                raise
    except OSError as fault:
        taken = {errno.ENOTEMPTY, errno.EEXIST}  # which Windows calls a refusal
        if fault.errno in taken or (sys.platform == "win32" and place.is_dir()):
            # Somebody was there first.
            inspect_place(place, result.identity)
            return read_manifest(place)
        raise StorageError.from_os_error("the run's directory", fault) from None
    return manifest


def _writers(result: BacktestResult) -> Iterator[tuple[str, Writer]]:
    yield "config.json", lambda run, file: _json(run.config.to_json(), file)
    yield "summary.json", lambda run, file: _json(summary_document(run), file)
    yield "metrics.json", lambda run, file: _json(metrics_document(run), file)
    yield "equity.parquet", lambda run, file: tables.write_parquet(tables.equity_table(run), file)
    yield (
        "drawdown.parquet",
        lambda run, file: tables.write_parquet(tables.drawdown_table(run), file),
    )
    yield "fills.parquet", lambda run, file: tables.write_parquet(tables.fills_table(run), file)
    yield "trades.parquet", lambda run, file: tables.write_parquet(tables.trades_table(run), file)
    if result.features:
        yield (
            "features.parquet",
            lambda run, file: tables.write_parquet(tables.features_table(run), file),
        )
    if result.validation:
        yield "validation_summary.json", lambda run, file: _json(validation_document(run), file)
    if result.config.plot:
        yield "plot.png", lambda run, file: draw_png(Picture.of(run), file)


def _json(document: Any, file: IO[bytes]) -> None:
    file.write(json_bytes(document))


@contextlib.contextmanager
def _partial_folder(place: Path, workspace: Path | None) -> Iterator[Path]:
    """Yield a new directory to fill; remove it, and parents made for ``place``, on failure."""
    made = [parent for parent in place.parents if not parent.exists()]
    # Named before it is made: an interrupt may come right after the making.
    name = f"{place.name}.{secrets.token_hex(4)}{PARTIAL}"
    folder = place.parent / f".{name}" if workspace is None else workspace.resolve() / name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if workspace is None:
            _remove_abandoned(place.parent)
        folder.mkdir()
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def _remove_abandoned(parent: Path) -> None:
    """Remove what killed runs left in ``parent``: by its name, its age and its content ours."""
    for path in parent.glob(f".*{PARTIAL}"):
        with contextlib.suppress(OSError):
            old = time.time() - path.lstat().st_mtime > ABANDONED_AFTER_S
            named = re.fullmatch(rf"\..+\.[0-9a-f]{{8}}{re.escape(PARTIAL)}", path.name)
            if old and named and all(entry.name in ARTIFACTS for entry in path.iterdir()):
                shutil.rmtree(path, ignore_errors=True)


def _sync_files(paths: list[Path]) -> None:
    """Make files durable, all at once: each waits for the disk, which writes them together."""
    with ThreadPoolExecutor(len(paths), "fsync") as pool:
        for _ in pool.map(_sync_file, paths):  # raises what went wrong
            pass


def _sync_file(path: Path) -> None:
    with path.open("r+b") as file:  # Windows syncs only what may be written
        os.fsync(file.fileno())
