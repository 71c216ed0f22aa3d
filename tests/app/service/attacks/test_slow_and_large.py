"""Large bodies, slow requests and very many connections do not keep others from being served."""

import contextlib
import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import connections, server as server_module
from app.handlers import base

Server = Any
Serve = Callable[..., Any]
Well = Callable[[Any], bool]
WAIT_S = 30.0
PART = b"x" * (1 << 20)
N_MB = 90
N_SLOW = 100


def resident_kb(server: Server, name: str = "VmHWM") -> int:
    """Return the memory of a server's process, by default the most that it ever had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0])


def head(server: Server, method: str, path: str, *lines: str) -> bytes:
    first = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}"]
    return "\r\n".join([*first, *lines, "", ""]).encode()


def parts(*, chunked: bool) -> Iterator[bytes]:
    for _ in range(N_MB):
        yield b"%x\r\n%s\r\n" % (len(PART), PART) if chunked else PART
    if chunked:
        yield b"0\r\n\r\n"


def send_large(server: Server, method: str, path: str, line: str, answers: list[bytes]) -> None:
    """Send 90 MB in one request without a token and keep what comes back."""
    with server.socket() as connection, contextlib.suppress(ConnectionError):
        with contextlib.suppress(ConnectionError):
            connection.sendall(head(server, method, path, *filter(None, [line])))
            for part in parts(chunked="chunked" in line):
                connection.sendall(part)
        answer = b""
        while chunk := connection.recv(1 << 16):
            answer += chunk
        answers.append(answer)


@pytest.mark.parametrize(
    "line",
    [f"Content-Length: {N_MB << 20}", "Transfer-Encoding: chunked"],
    ids=["length", "chunks"],
)
def test_large_bodies_of_strangers_at_once(spawn: Callable[..., Server], line: str) -> None:
    """Five strangers sending 90 MB each get a clean 401 each, and no memory."""
    server = spawn()
    server.completed()  # everything is loaded
    before = resident_kb(server)
    targets = [("POST", "/runs"), ("PUT", "/datasets/X/1d"), ("POST", "/presets"), ("PUT", "/nowhere"), ("DELETE", "/runs")]  # fmt: skip
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=send_large, args=(server, *target, line, answers))
        for target in targets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(targets)
    assert {answer[:13] for answer in answers} == {b"HTTP/1.1 401 "}
    assert resident_kb(server) - before < 40 << 10
    assert list((server.data_dir / "tmp").iterdir()) == []
    assert server.get("/health").status == 200


def test_a_large_body_without_a_length(spawn: Callable[..., Server]) -> None:
    """What follows a request that announces no body is cut off as no request, and costs nothing."""
    server = spawn()
    server.get("/catalog")
    before = resident_kb(server)
    answers: list[bytes] = []
    send_large(server, "POST", "/runs", "", answers)
    assert [answer[:13] for answer in answers] in ([b"HTTP/1.1 401 "], [])
    assert resident_kb(server) - before < 40 << 10
    assert server.get("/health").status == 200


def closed_by_server(connection: socket.socket) -> bool:
    """Tell whether the server has ended a connection, now or within the wait."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(1 << 16):
            pass
    return True


def dribble(connections_: list[socket.socket], texts: list[bytes], ended: threading.Event) -> None:
    """Send each connection one more byte now and then."""
    for i in itertools.count():
        for connection, text in zip(connections_, texts, strict=True):
            with contextlib.suppress(OSError):
                connection.send(text[i % len(text) :][:1])
        if ended.wait(0.02):
            return


SLOW = {
    "first line": b"GET /" + b"x" * 5000,
    "headers": b"GET /health HTTP/1.1\r\n" + b"X-Y: z\r\n" * 800,
    "empty lines": b"\r" * 5000,
    "nothing": b"",
}


@pytest.mark.parametrize("text", SLOW.values(), ids=SLOW.keys())
def test_slow_heads(
    serve: Serve, is_well: Well, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    """Many heads that never end do not keep others waiting, and their connections are ended."""
    monkeypatch.setattr(server_module, "IDLE_S", 0.5)
    server = serve()
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(server.socket()) for _ in range(N_SLOW)]
        ended = threading.Event()
        thread = threading.Thread(target=dribble, args=(slow, [text or b" "] * N_SLOW, ended))
        if text:
            thread.start()
            stack.callback(thread.join)
        stack.callback(ended.set)
        assert server.get("/health").status == 200
        assert server.get("/runs").status == 200
        assert all(map(closed_by_server, slow))
    assert is_well(server)


@pytest.mark.parametrize("token", [True, False])
@pytest.mark.parametrize("path", ["/runs", "/datasets/X/1d"])
def test_slow_bodies(
    serve: Serve, is_well: Well, monkeypatch: pytest.MonkeyPatch, path: str, *, token: bool
) -> None:
    """Many bodies that never end are given up, and leave nothing behind."""
    monkeypatch.setattr(server_module, "IDLE_S", 0.5)
    monkeypatch.setattr(base, "DRAIN_S", 0.5)
    server = serve()
    kind = "text/csv" if "datasets" in path else "application/json"
    lines = [f"Content-Type: {kind}"]
    if token:
        lines.append(f"Authorization: Bearer {server.token}")
    method = "PUT" if "datasets" in path else "POST"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(server.socket()) for _ in range(N_SLOW)]
        texts = []
        for i, connection in enumerate(slow):
            how = "Transfer-Encoding: chunked" if i % 2 else "Content-Length: 5000"
            connection.sendall(head(server, method, path, *lines, how))
            texts.append(b"1\r\nx\r\n" if i % 2 else b" ")
        ended = threading.Event()
        thread = threading.Thread(target=dribble, args=(slow, texts, ended))
        thread.start()
        stack.callback(thread.join)
        stack.callback(ended.set)
        assert server.get("/health").status == 200
        assert all(map(closed_by_server, slow))
    until = time.monotonic() + WAIT_S
    while list((server.data_dir / "tmp").iterdir()):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert server.get("/runs").json["runs"] == []
    assert is_well(server)


def test_more_connections_than_there_may_be(
    serve: Serve, is_well: Well, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who opens connections without end loses the oldest idle ones; others are served all along."""
    monkeypatch.setattr(connections, "SPARE", 20)
    server = serve(max_streams=10)
    with contextlib.ExitStack() as stack:
        opened = []
        for i in range(120):
            opened.append(stack.enter_context(server.socket()))
            if i % 10 == 0:
                assert server.get("/health").status == 200
                assert (
                    sum(not each.stream.closed() for each in list(server.server._http._connections))
                    <= 30
                )
        assert all(map(closed_by_server, opened[:80]))
        opened[-1].sendall(head(server, "GET", "/health"))
        assert opened[-1].recv(13) == b"HTTP/1.1 200 "
    assert is_well(server)


def until_none_is_open(server: Server) -> None:
    """Wait until the server has seen that those who asked are gone."""
    until = time.monotonic() + WAIT_S
    while server.server._http._connections:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_connections_that_are_all_at_work(
    serve: Serve, plugin: Any, is_well: Well, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no connection is idle a new one is not taken; the streams that are open go on."""
    monkeypatch.setattr(connections, "SPARE", 0)
    server = serve(max_streams=3, plugins=(plugin.path,), workers=1)
    run_id = server.new_run(strategy={"name": "waits"})
    server.wait_for(run_id, "running")
    path = f"/runs/{run_id}/events/stream"
    until_none_is_open(server)
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(server.socket()) for _ in range(3)]
        for stream in streams:
            stream.sendall(head(server, "GET", path, f"Authorization: Bearer {server.token}"))
            assert stream.recv(13) == b"HTTP/1.1 200 "
        with server.socket() as late:
            assert closed_by_server(late)
        plugin.gate.touch()
        for stream in streams:
            text = b""
            while chunk := stream.recv(1 << 16):
                text += chunk
                if b"event: completed" in text and text.endswith(b"0\r\n\r\n"):
                    break
            assert b"event: completed" in text
    until_none_is_open(server)
    assert is_well(server)


def test_who_is_refused_makes_room(
    serve: Serve, is_well: Well, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers whose bodies are only read to be thrown away do not keep others out meanwhile."""
    monkeypatch.setattr(connections, "SPARE", 0)
    server = serve(max_streams=3)
    with contextlib.ExitStack() as stack:
        lines = ("Content-Length: 5000", "Expect: 100-continue")
        for _ in range(3):
            stranger = stack.enter_context(server.socket())
            stranger.sendall(head(server, "POST", "/runs", *lines))
            assert stranger.recv(12) == b"HTTP/1.1 100"  # it is decided, and the body awaited
        assert server.get("/health").status == 200
        assert server.get("/runs").status == 200
    assert is_well(server)


def test_answers_that_nobody_reads(server: Server, is_well: Well) -> None:
    """A thousand requests in one breath, whose answers nobody reads, are answered one at a time."""
    raw = head(server, "GET", "/catalog", f"Authorization: Bearer {server.token}")
    with server.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            connection.sendall(raw * 1000)
        log = server.data_dir / "logs" / "studio.log"
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        assert sum(line.get("route") == "/catalog" for line in lines) < 500
        assert server.get("/health").status == 200
    assert is_well(server)
