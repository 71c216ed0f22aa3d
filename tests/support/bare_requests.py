"""Requests as a test writes them, on a bare connection, and what comes back."""

import http.client
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from asked_runs import Server

# Words that stand for the token and for one that is not.
OURS, WRONG = "ours", "wrong"
FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Reply:
    """An answer as it came over a bare connection; status 0 where there was none."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> str:
        """Return the code of an error."""
        envelope = json.loads(self.body)
        assert envelope.keys() == {"error"}
        error = envelope["error"]
        assert {"code", "message", "retryable"} <= error.keys()
        assert error.keys() <= {"code", "message", "details", "retryable"}
        return str(error["code"])


def ask(
    server: Server,
    method: str = "GET",
    path: str = "/runs",
    *lines: str,
    host: str | None = "ours",
    token: str | None = OURS,
    body: Iterable[bytes] = (),
    version: str = "1.1",
) -> Reply:
    """Send one request as it is written here; ``lines`` are further headers."""
    sent = [f"{method} {path} HTTP/{version}"]
    if host is not None:
        sent.append(f"Host: {f'127.0.0.1:{server.port}' if host == 'ours' else host}")
    if token is not None:
        sent.append(f"Authorization: Bearer {server.token if token == OURS else token}")
    with server.socket() as connection:
        connection.sendall("\r\n".join([*sent, *lines, "", ""]).encode("latin-1"))
        for part in body:
            connection.sendall(part)
        return read_reply(connection, method)


def read_reply(connection: socket.socket, method: str = "GET") -> Reply:
    """Return the next answer on a connection."""
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        return Reply(response.status, response.headers, response.read())
    except (http.client.HTTPException, ConnectionError):
        return Reply(0, http.client.HTTPMessage(), b"")
    finally:
        response.close()


def refused(reply: Any) -> tuple[int, str]:
    return reply.status, reply.code


def check_fixed(reply: Any) -> None:
    """Assert the headers that every response has."""
    for name, value in FIXED.items():
        assert reply.headers.get_all(name) == [value]
    vary = {each.strip() for line in reply.headers.get_all("Vary") for each in line.split(",")}
    assert "Origin" in vary
    assert reply.headers["Server"] is None


def log_lines(server: Server) -> list[dict[str, Any]]:
    text = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def is_well(server: Server) -> bool:
    """Tell whether the server still answers, and has met nothing that it did not expect."""
    assert server.get("/health").status == 200
    assert [line for line in log_lines(server) if line["level"] == "error"] == []
    return True
