"""The way to the server: HTTP and its event streams, as any other client has them.

Everything here blocks, and belongs on a thread that is not Tk's.
"""

import contextlib
import http.client
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT_S = 30.0
# Longer than the silence after which the server gives a sign of life.
SILENCE_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0
ENDS = {"completed", "failed", "cancelled"}
Query = Mapping[str, str | int | None]


class GoneError(Exception):
    """The server does not answer."""


@dataclass(frozen=True)
class FieldFault:
    """One fault of a request: the dotted field, and what is wrong with it."""

    field: str
    message: str


class RefusedError(Exception):
    """The server has refused; ``faults`` name the fields where that is about fields."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(error["message"])
        self.status = status
        self.code = str(error["code"])
        listed = (error.get("details") or {}).get("errors", [])
        self.faults = [FieldFault(each["field"], each["message"]) for each in listed]


class Client:
    """Speaks to one server; may be used from any thread."""

    def __init__(self, url: str, token: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self.token = token
        self._timeout_s = timeout_s
        place = urlsplit(url)
        self._host, self._port = place.hostname or "", place.port
        self._bearer = {"Authorization": f"Bearer {token}"}
        self._catalog: Mapping[str, Any] | None = None

    def get(self, path: str, query: Query | None = None) -> Any:
        """Return the JSON at a path.

        Raises
            RefusedError, GoneError
        """
        return self._json("GET", path, query)

    def catalog(self) -> Mapping[str, Any]:
        """Return ``/catalog``, asked for once: a server's does not change; raises as ``get``."""
        if self._catalog is None:
            self._catalog = self.get("/catalog")
        return self._catalog

    def post(self, path: str, body: Any = None) -> Any:
        """Send JSON and return what is answered; raises as ``get``."""
        return self._json("POST", path, None, body)

    def delete(self, path: str) -> None:
        """Remove what is at a path; raises as ``get``."""
        self._json("DELETE", path)

    def put_file(self, path: str, query: Query, file: Path) -> Any:
        """Send a file and return what is answered; raises as ``get``, or OSError."""
        with file.open("rb") as opened:
            content = _Content(opened)
            size = str(os.fstat(opened.fileno()).st_size)
            headers = {"Content-Type": "application/octet-stream", "Content-Length": size}
            try:
                return _read(self._bytes("PUT", path, query, content, headers))
            except GoneError:
                if content.fault is not None:
                    raise content.fault from None
                raise

    def download(self, path: str) -> bytes:
        """Return what is at a path, whatever it is; raises as ``get``."""
        return self._bytes("GET", path)

    def follow(self, run_id: str, after: int, stop: threading.Event) -> Iterator[dict[str, Any]]:
        """Yield a run's events after one until it has ended, through every lost connection.

        A heartbeat is yielded too. Ends when ``stop`` is set, or the run has ended or is gone; a
        run that was started once more has an end in the middle, after which the stream goes on.
        """
        pause, last = FIRST_PAUSE_S, ""
        while not stop.is_set():
            try:
                for event in self._stream(run_id, after, stop):
                    after, pause, last = event["seq"], FIRST_PAUSE_S, event["type"]
                    yield event
                if last in ENDS:  # the server closes where there is no more
                    return
            except RefusedError as fault:
                if fault.status in {404, 409}:
                    return
            except GoneError:
                pass
            stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _stream(self, run_id: str, after: int, stop: threading.Event) -> Iterator[dict[str, Any]]:
        path = f"/runs/{quote(run_id)}/events/stream"
        with self._answer("GET", path, headers={"Last-Event-ID": str(after)}) as answer:
            answer_lines: IO[bytes] = answer
            try:
                for line in answer_lines:
                    if stop.is_set():
                        return
                    if line.startswith(b"data: "):
                        yield json.loads(line[6:])
            except (OSError, http.client.HTTPException, ValueError):
                raise GoneError from None

    def _json(self, method: str, path: str, query: Query | None = None, body: Any = None) -> Any:
        if body is None:
            raw = self._bytes(method, path, query)
        else:
            headers = {"Content-Type": "application/json"}
            raw = self._bytes(method, path, query, json.dumps(body), headers)
        return _read(raw) if raw else None

    def _bytes(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        with self._answer(method, path, query, body, headers) as answer:
            try:
                return answer.read()
            except (OSError, http.client.HTTPException):
                raise GoneError from None

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        timeout = SILENCE_S if path.endswith("/stream") else self._timeout_s
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        with contextlib.closing(connection):
            try:
                # What is too large is refused, and the line closed, before all of it was sent.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.request(method, target, body, {**self._bearer, **(headers or {})})
                answer = connection.getresponse()
                refused = answer.read() if answer.status >= 400 else None
            except (OSError, http.client.HTTPException):
                raise GoneError from None
            if refused is not None:
                raise _refusal(answer.status, refused)
            yield answer


class _Content:
    """A file to be sent, which tells its own faults from those of the line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.fault: OSError | None = None

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        try:
            return self._file.read(size)
        except OSError as fault:
            self.fault = fault
            raise


def _read(raw: bytes) -> Any:
    """Return an answer's JSON; what answers otherwise is none of our servers."""
    try:
        return json.loads(raw)
    except ValueError:
        raise GoneError from None


def _refusal(status: int, raw: bytes) -> RefusedError | GoneError:
    try:
        return RefusedError(status, _read(raw)["error"])
    except (LookupError, TypeError):
        return GoneError()
