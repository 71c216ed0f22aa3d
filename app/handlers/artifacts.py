"""``/runs/{id}/artifacts`` and each of them: what came out, as it lies on the disk."""

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tornado.iostream import StreamClosedError

from app.api_errors import ApiError
from app.handlers.base import Handler, etag_of
from app.run_files import OpenFile, open_file
from engine.errors import VerificationError
from engine.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    from app.backtests import Backtests

T = TypeVar("T")
MANIFEST = "manifest.json"
CHUNK = 1 << 18
FLUSH_S = 10.0
RANGE = re.compile(r"bytes=\s*(\d{0,99})\s*-\s*(\d{0,99})\s*")


VIEWS = {"csv": "text/csv; charset=utf-8; header=present", "json": "application/json"}


@dataclass(frozen=True)
class View:
    """A table in another form: ``name`` as it was asked for, and the table that it is of."""

    name: str
    table: str
    form: str


def _view_of(name: str, by_name: Mapping[str, Any]) -> View | None:
    """Return the view that a name asks for, None where there is no table for it."""
    stem, _, form = name.rpartition(".")
    table = f"{stem}.parquet"
    return View(name, table, form) if form in VIEWS and table in by_name else None


class ArtifactHandler(Handler):
    """What opens the files of a completed run."""

    def open_artifact(self, run_id: str, name: str) -> OpenFile:
        """Open a file of a completed run.

        Raises
            ApiError where the run has none of that name.
        """
        folder, _ = self.services.runs.directory(run_id)
        try:
            return open_file(folder, name)
        except FileNotFoundError:
            message = "the run's files are gone" if name == MANIFEST else "there is no such file"
            raise ApiError("ARTIFACT_NOT_FOUND", message) from None
        except OSError:
            message = f"an artifact cannot be read: {name}"
            raise VerificationError(message) from None

    def manifest(self, run_id: str) -> tuple[bytes, dict[str, Any]]:
        """Return a run's manifest, as bytes and as what they say."""
        file = self.open_artifact(run_id, MANIFEST)
        try:
            raw = file.read_all()
        finally:
            file.close()
        try:
            manifest: Any = json.loads(raw)
            listed = {entry["name"]: entry for entry in manifest["files"]}
        except (ValueError, TypeError, KeyError):
            message = "a manifest cannot be read"
            raise VerificationError(message) from None
        return raw, {**manifest, "by_name": listed}

    async def ask_of_files(self, run_id: str, make: "Callable[[Backtests, Path, str], T]") -> T:
        """Return what is made, off the loop, of a run's directory and its manifest's hash."""
        folder, run = self.services.runs.directory(run_id)
        manifest_hash = run["manifest_hash"]
        try:
            return await self.services.engine.ask(
                lambda backtests: make(backtests, folder, manifest_hash)
            )
        except VerificationError:
            self.services.runs.directory(run_id)  # where it has just been removed, that is why
            raise

    def etag_of_words(self, raw: bytes) -> str:
        """Return the tag of what changes with the manifest and the code alone."""
        return f'"{hashlib.sha256(raw).hexdigest()}-{self.services.health["code_version"]}"'


class Manifest(ArtifactHandler):
    """The list of artifacts."""

    def get(self, run_id: str) -> None:
        """Send the manifest."""
        raw, _ = self.manifest(run_id)
        self.answer_unless_known(json.loads(raw), etag_of(raw))


class Artifact(ArtifactHandler):
    """One file."""

    async def get(self, run_id: str, name: str) -> None:
        """Send it, or the part that was asked for."""
        raw, manifest = self.manifest(run_id)
        entry: dict[str, Any]
        if name == MANIFEST:
            digest = hashlib.sha256(raw).hexdigest()
            entry = {"size": len(raw), "sha256": digest, "mime": "application/json"}
        elif name in manifest["by_name"]:
            entry = manifest["by_name"][name]
        elif (form := _view_of(name, manifest["by_name"])) is not None:
            await self._send_view(run_id, form, manifest["by_name"])
            return
        else:
            raise ApiError("ARTIFACT_NOT_FOUND", "the run has no artifact of this name")
        etag = f'"{entry["sha256"]}"'
        self.set_header("ETag", etag)
        self.set_header("Cache-Control", "private, no-cache")
        self.set_header("Accept-Ranges", "bytes")
        if self.matches(etag):
            self.set_status(304)
            return
        with self._opened(run_id, entry | {"name": name}) as file:
            first, last = self._range(file.size, etag)
            self._describe(run_id, name, entry["mime"])
            self.set_header("Content-Length", last - first + 1)
            if self.asked != "HEAD":
                await self._send(file, first, last)

    @contextlib.contextmanager
    def _opened(self, run_id: str, entry: Mapping[str, Any]) -> Iterator[OpenFile]:
        """Open a file that is as long as the manifest says."""
        file = self.open_artifact(run_id, entry["name"])
        try:
            if file.size != entry["size"]:
                message = f"{entry['name']} is not as long as the manifest says"
                raise VerificationError(message)
            yield file
        finally:
            file.close()

    def _describe(self, run_id: str, name: str, mime: str) -> None:
        self.set_header("Content-Type", mime)
        self.set_header("Content-Disposition", f'attachment; filename="{run_id}_{name}"')

    async def _send_view(self, run_id: str, view: View, by_name: Mapping[str, Any]) -> None:
        """Send a table in another form, piece by piece, each made off the loop."""
        entry = by_name[view.table]
        etag = f'"{entry["sha256"]}-{view.form}"'
        self.set_header("ETag", etag)
        self.set_header("Cache-Control", "private, no-cache")
        if self.matches(etag):
            self.set_status(304)
            return
        engine = self.services.engine
        with self._opened(run_id, entry) as file, file.reader() as reader:
            pieces = await engine.ask(lambda backtests: backtests.pieces(view.form, reader))
            try:
                piece = await engine.off_loop(lambda: next(pieces, b""))
                self._describe(run_id, view.name, VIEWS[view.form])
                while piece and self.asked != "HEAD":
                    self.write(piece)
                    await asyncio.wait_for(self.flush(), FLUSH_S)
                    piece = await engine.off_loop(lambda: next(pieces, b""))
                await self.flush()
            except (StreamClosedError, TimeoutError):
                self.hang_up()
            finally:
                await engine.off_loop(pieces.close)

    def _range(self, size: int, etag: str) -> tuple[int, int]:
        """Return the first and last byte to send; one range is honoured, several are not.

        Raises
            ApiError where the range lies outside.
        """
        given = self.request.headers.get_list("Range")
        found = RANGE.fullmatch(given[0]) if len(given) == 1 else None
        if self.asked == "HEAD" or found is None or found.groups() == ("", ""):
            return 0, size - 1
        if self.request.headers.get("If-Range", etag) != etag:  # the part of another version
            return 0, size - 1
        start, end = found.groups()
        if start == "":
            first, last = max(0, size - int(end)), size - 1
        else:
            first, last = int(start), min(int(end), size - 1) if end else size - 1
            if end and int(end) < int(start):  # no range at all, as RFC 9110 has it
                return 0, size - 1
        if first >= size or first > last:
            headers = {"Content-Range": f"bytes */{size}"}
            message = f"the file has {counted(size, 'byte')}"
            raise ApiError("RANGE_NOT_SATISFIABLE", message, headers=headers)
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {first}-{last}/{size}")
        return first, last

    async def _send(self, file: OpenFile, first: int, last: int) -> None:
        """Send bytes in pieces, each awaited, so that a slow client costs one piece of memory."""
        try:
            while first <= last:
                part = file.read(first, min(CHUNK, last - first + 1))
                if not part:  # it has become shorter while it was read
                    self.hang_up()
                    return
                first += len(part)
                self.write(part)
                await asyncio.wait_for(self.flush(), FLUSH_S)
        except (StreamClosedError, TimeoutError):
            self.hang_up()
