"""Bare connections, what comes back on them, and a server's own word that nothing went wrong."""

import contextlib
import io
import socket
from collections.abc import Callable
from http.client import parse_headers
from typing import Any

import bare_requests
import pytest
from bare_requests import FIXED, Reply


def _replies(raw: bytes) -> list[Reply]:
    """Return the answers, each with every header that all answers have."""
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, _, lines = head.partition(b"\r\n")
        version, status, *_ = first.split(b" ")
        assert version == b"HTTP/1.1"
        headers = parse_headers(io.BytesIO(lines + b"\r\n\r\n"))
        for name, value in FIXED.items():
            assert headers.get_all(name) == [value]
        assert headers["Server"] is None
        n_bytes = int(headers["Content-Length"] or 0)
        found.append(Reply(int(status), headers, rest[:n_bytes]))
        raw = rest[n_bytes:]
    return found


@pytest.fixture
def talk() -> Callable[..., list[Reply]]:
    """Send bytes on a connection of their own and return the answers, once the server closes.

    ``ends`` says that no more will come, for what the server would else wait to see the end of.
    """

    def call(server: Any, raw: bytes, *, ends: bool = False) -> list[Reply]:
        filled = raw.replace(b"PORT", b"%d" % server.port).replace(b"TOKEN", server.token.encode())
        answer = b""
        with server.socket() as connection, contextlib.suppress(ConnectionError):
            connection.sendall(filled)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(1 << 16):
                answer += chunk
        return _replies(answer)

    return call


@pytest.fixture
def is_well() -> Callable[[Any], bool]:
    """Tell whether a server still answers, and has met nothing that it did not expect."""
    return bare_requests.is_well
