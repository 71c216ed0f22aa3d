"""A run whose steps a test takes itself, and clients that follow its stream."""

import contextlib
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

from asked_runs import FAST, WAIT_S, Server

from app import transitions
from app.creation import create
from app.transitions import NewRun
from app.writer import Writer
from engine.metrics import HEADLINE

MIDDLING = FAST | {"validation": {"permutation": {"n": 4_000}}}
RUN_ID = "ab" * 10
QUIET = "?heartbeat_ms=60000"
METRICS = dict.fromkeys(HEADLINE)


class ByHand:
    """A run whose every step the test takes itself, through a writer or a server's."""

    def __init__(self, place: Any, run_id: str = RUN_ID) -> None:
        self.writer: Writer = place if isinstance(place, Writer) else place.server._writer
        self.run_id, self.attempt = run_id, 0
        self.path = f"/runs/{run_id}/events/stream"
        self.queue()
        self.claim()

    def queue(self) -> None:
        new = NewRun(self.run_id, (self.run_id * 4)[:64], "SPX", FAST, "c" * 64, "code")
        self.do(create(new, None, queue_limit=32, is_there=lambda _: True))

    def claim(self) -> None:
        claimed = self.do(transitions.claim)
        assert claimed.run_id == self.run_id
        self.attempt = claimed.attempt

    def do(self, work: Callable[..., Any]) -> Any:
        return self.writer.submit(work).result(WAIT_S)

    def note(self, n: int = 1, message: str = "so") -> None:
        data = {"code": "so"}
        work = transitions.note(self.run_id, self.attempt, "warning", message=message, data=data)
        for each in [self.writer.submit(work) for _ in range(n)]:
            each.result(WAIT_S)

    def complete(self) -> None:
        end = transitions.complete(
            self.run_id, self.attempt, metrics=METRICS, validation=None, manifest_hash="d" * 64
        )
        assert self.do(end)

    def cancel(self) -> None:
        self.do(transitions.ask_to_cancel(self.run_id))
        assert self.do(transitions.confirm_cancel(self.run_id, self.attempt))


def request(server: Server, path: str, *headers: str, method: str = "GET") -> bytes:
    """Return a request of HTTP/1.0, whose answer comes without chunks and ends with the line."""
    lines = [f"{method} {path} HTTP/1.0", f"Host: 127.0.0.1:{server.port}", *headers]
    lines.append(f"Authorization: Bearer {server.token}")
    return "\r\n".join([*lines, "", ""]).encode()


class Follower:
    """Reads one stream, block by block."""

    def __init__(self, server: Server, path: str, *headers: str) -> None:
        self.socket = server.socket()
        self.socket.sendall(request(server, path, *headers))
        self.file = self.socket.makefile("rb")
        self.head = self._block()
        assert self.head.startswith(b"HTTP/1.1 200 "), self.head

    def _block(self) -> bytes:
        lines = []
        for line in self.file:
            lines.append(line)
            if not line.strip():
                break
        return b"".join(lines)

    def block(self) -> bytes:
        """Return the next block that is an event or the stream's first; b"" at the end."""
        return self._block()

    def event(self) -> Any:
        """Return the data of the next event, None at the end."""
        while (block := self.block()) and b"data: " not in block:
            pass
        return json.loads(block.split(b"data: ")[1]) if block else None

    def rest(self) -> bytes:
        """Return what comes until the server closes."""
        raw: bytes = self.file.read()
        return raw

    def leave(self, *, rudely: bool = False) -> None:
        """Go away, with a reset where that is rude."""
        if rudely:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.file.close()
        self.socket.close()


Follow = Callable[..., Follower]


def deaf_socket(server: Server, path: str) -> socket.socket:
    """Ask for a stream through a line that takes next to nothing until it is read."""
    deaf = socket.socket()
    deaf.settimeout(WAIT_S)
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.connect(("127.0.0.1", server.port))
    deaf.sendall(request(server, path))
    return deaf


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the line ends, however it does."""
    raw = b""
    with connection, contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(1 << 20):
            raw += chunk
    return raw


def ids(raw: bytes) -> list[int]:
    return [int(line[4:]) for line in raw.splitlines() if line.startswith(b"id: ")]


def n_streams(server: Server) -> int:
    return len(server.server._services.streams)


def errors_logged(server: Server) -> list[str]:
    lines = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if json.loads(line)["level"] not in {"info", "debug"}]
