"""Connections below the handlers: how many there may be, and what a malformed request is told.

Tornado answers a request whose head or framing is broken by itself, with a bare status line that
has neither our headers nor our envelope, and closes. It writes that line to the connection's
stream, so each request is given a stream that says it in our words. All of this is for the loop.
"""

import asyncio
import contextlib
import logging
import re
import socket
import sys
import time
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPInputError, HTTPMessageDelegate
from tornado.iostream import IOStream, StreamClosedError

from app.api_errors import ApiError
from app.handlers.base import JSON_TYPE, METHODS, Services, to_json
from app.security import HEADERS
from engine.wording import size_in_words

if sys.platform != "win32":
    import resource

BARE = b"HTTP/1.1 400 Bad Request\r\n\r\n"  # as tornado.http1connection writes it
CONTINUE = b"HTTP/1.1 100 "
LINGER_S = 1.0
SPARE = 128  # connections beside those of streams
SELECTABLE = 512  # sockets that Python's select takes on Windows
OWN_FILES = 64  # which the process has open beside its connections
access = logging.getLogger("studio.access")


def room_for(wanted: int) -> int:
    """Return how many of these connections there may be, each of which is an open file.

    A process may have 1,024 of them, or 256: where the system allows, that is raised as needed.
    Once there are no more, a connection could neither be taken nor make room for another. On
    Windows the event loop looks after so many and no more.
    """
    if sys.platform == "win32":
        return min(wanted, SELECTABLE - OWN_FILES)
    needed = wanted + OWN_FILES
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or files >= needed:
        return wanted
    raised = needed if most == resource.RLIM_INFINITY else min(needed, most)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, most))
        files = raised
    return max(files - OWN_FILES, 1)


class Listener(HTTPServer):
    """The server, with a bound to its connections and a word of its own for malformed requests."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Take what Tornado's server takes, and find out how many connections there may be."""
        super().initialize(*args, **kwargs)
        self._room = room_for(self._services().max_streams + SPARE)

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Take a new connection; where there are too many the longest idle one makes room."""
        services = self._services()
        if len(self._connections) >= self._room:
            if not services.idle:
                stream.close()
                return
            longest = next(iter(services.idle))
            del services.idle[longest]
            longest.close()
        services.idle[stream] = None
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        """Forget a connection."""
        connection: Any = server_conn
        self._services().idle.pop(connection.stream, None)
        super().on_close(server_conn)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Wait for the next request of a connection."""
        connection: Any = request_conn
        connection.stream = RequestStream(connection.stream, self._services())
        return super().start_request(server_conn, request_conn)

    def _services(self) -> Services:
        application: Any = self.request_callback
        services: Services = application.settings["services"]
        return services


class RequestStream:
    """A connection's stream for the time of one request; but for two methods it is the stream."""

    def __init__(self, stream: IOStream, services: Services) -> None:
        self._stream = stream
        self._services = services
        self._head: Any = None
        self._is_answered = False
        self._refusal: ApiError | None = None
        self._too_long: ApiError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def refuse(self, refusal: ApiError) -> None:
        """Keep what has been decided before the body's end, which others need not wait for."""
        self._refusal = refusal  # the answer, also where the body turns out to be malformed
        self._services.idle[self._stream] = None

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Read the request's head; until it is there the connection is idle."""
        assert max_bytes is not None  # Tornado's own bound
        idle = self._services.idle
        # At which it closes the connection without a word: so a head is read until it is longer.
        too_long = b"|(?<=(?s:.{%d}))" % (max_bytes + 1)
        self._head = self._stream.read_until_regex(regex + too_long)
        idle.pop(self._stream, None)
        idle[self._stream] = None  # now the last of them
        self._head.add_done_callback(lambda _: idle.pop(self._stream, None))
        return self._bounded_head(max_bytes)

    async def _bounded_head(self, max_bytes: int) -> bytes:
        head: bytes = await self._head
        if len(head) > max_bytes:
            words = f"the head of a request has at most {size_in_words(max_bytes)}"
            self._too_long = ApiError("INVALID_REQUEST", words)
            raise HTTPInputError(words)
        return head

    def write(self, data: bytes) -> Awaitable[None]:
        """Write to the stream, but Tornado's word about a malformed request in our form."""
        if data == BARE:
            return self._refuse()
        self._is_answered |= not data.startswith(CONTINUE)
        return self._stream.write(data)

    async def _refuse(self) -> None:
        """Answer, and read on for a moment: what is closed unread takes the answer with it."""
        if self._is_answered:
            return
        with contextlib.suppress(StreamClosedError, TimeoutError, OSError):
            async with asyncio.timeout(LINGER_S):
                await self._stream.write(self._answer())
                self._stream.socket.shutdown(socket.SHUT_WR)
                while True:
                    await self._stream.read_bytes(1 << 16, partial=True)

    def _answer(self) -> bytes:
        started = time.perf_counter()
        first, *lines = re.split(r"\r?\n", self._head.result().decode("latin-1").lstrip("\r\n"))
        pairs = [line.partition(":") for line in lines]
        given = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
        hosts, origins = _all(given, "host"), _all(given, "origin")
        cors = self._services.gate.cors_headers(origins)
        # Of a head that is cut, the Host may have been still to come.
        may_lack = self._too_long is not None and not hosts
        refused = None if may_lack else self._services.gate.refusal(hosts, origins)
        malformed = ApiError("INVALID_REQUEST", "this is no well-formed HTTP request")
        fault = refused or self._refusal or self._too_long or malformed
        method = first.partition(" ")[0]
        body = to_json(fault.envelope(self._services.shorten))
        headers = {
            **HEADERS,
            **(cors or {}),
            **fault.headers,
            "Content-Type": JSON_TYPE,
            "Cache-Control": "no-store",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        head = [f"HTTP/1.1 {fault.status} {HTTPStatus(fault.status).phrase}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        access.info(
            "request",
            extra={
                "method": method if method in METHODS else "other",
                "route": "none",
                "status": fault.status,
                "duration_ms": round(1e3 * (time.perf_counter() - started), 2),
            },
        )
        text = "\r\n".join([*head, "", ""]).encode("latin-1")
        return text if method == "HEAD" else text + body


def _all(given: list[tuple[str, str]], name: str) -> list[str]:
    """Return the values of a header, however often and in whatever way it is written."""
    return [value for key, value in given if key == name]
