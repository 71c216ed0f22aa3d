"""How a command speaks to the server that holds the data directory."""

import contextlib
import http.client
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from app.data_dir import DataDir, HeldError
from app.settings import Settings, take_token
from app.token_file import known_token
from engine.errors import ConfigError, DataError, Fault, StorageError, StudioError

TIMEOUT_S = 60.0
# What a command's own work would have raised, by the status of an answer that lists no fields.
MEANINGS: dict[int, type[StudioError]] = {
    404: DataError,
    409: DataError,
    422: DataError,
    507: StorageError,
}


class LocalClient:
    """Asks the server that ``HeldError`` names, with the token of environment or settings.

    Raises
        HeldError where it is no server; StudioError, TokenError where its token is not known.
    """

    def __init__(self, settings: Settings, held: HeldError) -> None:
        if held.holder is None:  # not a server, or one that is only starting
            raise held
        self._server = held.holder
        data_dir = DataDir(settings.data_dir)
        known = known_token(take_token(os.environ), settings.token_file, data_dir)
        if known is None:
            raise self._refused()
        self._token = known.token

    def put_file(self, path: str, query: Mapping[str, str | None], file: Path) -> Any:
        """Send a file and return the JSON of the answer; raises as ``call``, or DataError."""
        given = urlencode({name: value for name, value in query.items() if value is not None})
        try:
            with file.open("rb") as content:
                length = {"Content-Length": str(os.fstat(content.fileno()).st_size)}
                headers = {"Content-Type": "application/octet-stream", **length}
                return self._send("PUT", f"{path}?{given}", content, headers)
        except OSError as fault:
            message = f"{file.name} cannot be read: {(fault.strerror or 'unreadable').lower()}"
            raise DataError(message) from None

    def call(self, method: str, path: str, body: Any) -> Any:
        """Send JSON, or nothing where it is None, and return the JSON of the answer.

        Raises
            ConfigError, DataError, StorageError as the command's own work would;
            StudioError where the server does not answer.
        """
        if body is None:
            return self._send(method, path, None, {})
        return self._send(method, path, json.dumps(body), {"Content-Type": "application/json"})

    def download(self, path: str) -> bytes:
        """Return an answer that is no JSON; raises as ``call``."""
        return self._receive("GET", path, None, {})

    def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        raw = self._receive(method, path, body, headers)
        return json.loads(raw) if raw else None

    def _receive(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> bytes:
        place = urlsplit(self._server.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            try:
                bearer = {"Authorization": f"Bearer {self._token}"}
                connection.request(method, path, body, {**headers, **bearer})
                answer = connection.getresponse()
                raw = answer.read()
            except (OSError, http.client.HTTPException):
                message = f"the server at {self._server.url} does not answer"
                raise StudioError(message) from None
        if answer.status == 401:
            raise self._refused()
        if answer.status >= 400:
            raise _as_raised(answer.status, json.loads(raw)["error"])
        return raw

    def _refused(self) -> StudioError:
        return StudioError(
            f"Studio is running at {self._server.url} with another token; "
            "give it in STUDIO_TOKEN, or its file in STUDIO_TOKEN_FILE."
        )


def _as_raised(status: int, error: Any) -> StudioError:
    listed = (error.get("details") or {}).get("errors")
    if listed or status == 400:
        listed = listed or [error | {"field": ""}]
        return ConfigError(Fault(each["field"], each["message"]) for each in listed)
    return MEANINGS.get(status, StudioError)(error["message"])
