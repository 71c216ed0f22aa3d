"""``/runs/{id}/artifacts`` and each of them: what came out, as it lies on the disk."""

import asyncio
import hashlib
import json
import re
from typing import Any

from tornado.iostream import StreamClosedError

from app.api_errors import ApiError
from app.handlers.base import Handler
from app.run_files import OpenFile, open_file
from engine.errors import VerificationError

MANIFEST = "manifest.json"
CHUNK = 1 << 18
FLUSH_S = 10.0
RANGE = re.compile(r"bytes=\s*(\d{0,99})\s*-\s*(\d{0,99})\s*")


class _ArtifactHandler(Handler):
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


class Manifest(_ArtifactHandler):
    """The list of artifacts."""

    def get(self, run_id: str) -> None:
        """Send the manifest."""
        raw, _ = self.manifest(run_id)
        self.answer_unless_known(json.loads(raw), f'"{hashlib.sha256(raw).hexdigest()}"')


class Artifact(_ArtifactHandler):
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
        else:
            raise ApiError("ARTIFACT_NOT_FOUND", "the run has no artifact of this name")
        etag = f'"{entry["sha256"]}"'
        self.set_header("ETag", etag)
        self.set_header("Cache-Control", "private, no-cache")
        self.set_header("Accept-Ranges", "bytes")
        if self.matches(etag):
            self.set_status(304)
            return
        file = self.open_artifact(run_id, name)
        try:
            if file.size != entry["size"]:
                message = f"{name} is not as long as the manifest says"
                raise VerificationError(message)
            first, last = self._range(file.size, etag)
            self.set_header("Content-Type", entry["mime"])
            self.set_header("Content-Disposition", f'attachment; filename="{run_id}_{name}"')
            self.set_header("Content-Length", last - first + 1)
            if self.asked != "HEAD":
                await self._send(file, first, last)
        finally:
            file.close()

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
            raise ApiError("RANGE_NOT_SATISFIABLE", f"the file has {size} bytes", headers=headers)
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
