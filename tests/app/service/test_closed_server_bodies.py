"""Bodies of requests: of another type, too large, slow, without end, or never sent."""

import asyncio
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asked_runs import WAIT_S, Server, until
from bare_requests import OURS, WRONG, ask, check_fixed, is_well, log_lines, read_reply, refused

from app.handlers import base

RUN = {"symbol": "SPX", "provider": "sample", "plot": False}


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the server has closed its side, or does within the time."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
     "text/json", "application/json2", "application/jsonp", "text/csv", "*/*", "application"],
)  # fmt: skip
def test_a_content_type_that_is_not_json(server: Server, kind: str) -> None:
    """A body has to say that it is JSON, which no form of a page can."""
    body = json.dumps(RUN).encode()
    length = f"Content-Length: {len(body)}"
    reply = ask(server, "POST", "/runs", f"Content-Type: {kind}", length, body=[body])
    assert refused(reply) == (415, "UNSUPPORTED_MEDIA_TYPE")
    reply = ask(server, "POST", "/runs", length, body=[body])
    assert refused(reply) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"]
)
def test_a_content_type_that_is_json(server: Server, kind: str) -> None:
    """Parameters and case of the type do not matter."""
    body = json.dumps(RUN).encode()
    lines = [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    assert ask(server, "POST", "/runs", *lines, body=[body]).status == 201


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity", "br", ""])
def test_a_content_encoding(server: Server, encoding: str) -> None:
    """Bodies come as they are: any Content-Encoding is refused, on every method."""
    lines = [f"Content-Encoding: {encoding}", "Content-Type: application/json", "Content-Length: 2"]
    for method in ("POST", "GET"):
        reply = ask(server, method, "/runs", *lines, body=[b"{}"])
        assert refused(reply) == (415, "UNSUPPORTED_MEDIA_TYPE")


def chunked(*parts: bytes) -> list[bytes]:
    return [b"%x\r\n%s\r\n" % (len(part), part) for part in parts] + [b"0\r\n\r\n"]


def test_a_body_that_is_too_large(server: Server) -> None:
    """256 KiB are taken; one byte more is a 413, announced or in chunks, and read to its end."""
    kind = "Content-Type: application/json"
    config = json.dumps(RUN).encode()
    for n, status in ((256 << 10, 201), ((256 << 10) + 1, 413), (4 << 20, 413)):
        body = config + b" " * (n - len(config))
        reply = ask(server, "POST", "/runs", kind, f"Content-Length: {n}", body=[body])
        assert reply.status == status
        parts = chunked(*(body[i : i + 50_000] for i in range(0, n, 50_000)))
        line = "Transfer-Encoding: chunked"
        reply = ask(server, "POST", "/runs", kind, line, body=parts)
        assert reply.status == (200 if status == 201 else 413)
        if status == 413:
            assert reply.code == "PAYLOAD_TOO_LARGE"
            check_fixed(reply)
    assert is_well(server)


def test_the_setting_of_the_largest_body(serve: Callable[..., Server]) -> None:
    """``max_body`` says how large a body may be."""
    server = serve(max_body=1024)
    padded = json.dumps(RUN).encode().ljust(1024)
    kind = "Content-Type: application/json"
    assert ask(server, "POST", "/runs", kind, "Content-Length: 1024", body=[padded]).status == 201
    reply = ask(server, "POST", "/runs", kind, "Content-Length: 1025", body=[padded + b" "])
    assert refused(reply) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("line", ["Content-Length: 5000000", "Transfer-Encoding: chunked"])
def test_more_than_is_ever_read(
    serve: Callable[..., Server], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is larger than is read and thrown away gets the same answer, before its end."""
    monkeypatch.setattr(base, "DRAIN_S", 3600.0)
    server = serve(max_import_bytes=1_000_000)
    body = chunked(b"x" * 5_000_000) if "chunked" in line else [b"x" * 5_000_000]
    for token, wanted in ((None, (401, "UNAUTHORIZED")), (OURS, (413, "PAYLOAD_TOO_LARGE"))):
        with server.socket() as connection:
            head = f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{line}\r\n"
            head += "Content-Type: application/json\r\n"
            if token is not None:
                head += f"Authorization: Bearer {server.token}\r\n"
            n = 1_000_001 + body[0].index(b"x")
            connection.sendall(f"{head}\r\n".encode() + body[0][:n])
            reply = read_reply(connection)
            assert refused(reply) == wanted
            check_fixed(reply)
            assert is_closed(connection)
    assert is_well(server)


def refused_with_a_body(server: Server, *lines: str, status: int, body: bytes = b"x" * 5) -> None:
    """Assert that a refusal of a request with a body ends the connection."""
    with server.socket() as connection:
        head = [f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}", *lines, "", ""]
        connection.sendall("\r\n".join(head).encode() + body)
        reply = read_reply(connection)
        assert reply.status == status
        assert reply.headers["Connection"] == "close"
        assert is_closed(connection)


def test_after_a_refusal_the_connection_is_closed(server: Server) -> None:
    """Once the body of a refused request has been thrown away, the answer is the last."""
    token, kind = f"Authorization: Bearer {server.token}", "Content-Type: application/json"
    refused_with_a_body(server, "Content-Length: 5", status=401)
    refused_with_a_body(server, "Content-Length: 5", "Origin: null", status=403)
    refused_with_a_body(server, token, "Content-Length: 5", status=415)
    body = b"x" * 300_000
    refused_with_a_body(server, token, kind, "Content-Length: 300000", status=413, body=body)
    large = b"".join(chunked(body))
    refused_with_a_body(server, token, kind, "Transfer-Encoding: chunked", status=413, body=large)


def test_a_refused_body_is_not_the_next_request(server: Server) -> None:
    """What a refused body holds is never read as a request of its own."""
    inner = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
    with server.socket() as connection:
        head = f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        connection.sendall(f"{head}Content-Length: {len(inner)}\r\n\r\n".encode() + inner + inner)
        raw = b""
        while chunk := connection.recv(1 << 16):
            raw += chunk
    assert raw.count(b"HTTP/1.1 ") == 1
    assert raw.startswith(b"HTTP/1.1 401 ")


def peak_kb(process: Any) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


def test_thirty_megabytes_without_a_token(spawn: Callable[..., Server]) -> None:
    """Large bodies of strangers get a clean 401 each, and no memory."""
    server = spawn()
    server.completed()  # everything is loaded
    before = peak_kb(server.process)
    part = b"x" * (1 << 20)
    for _ in range(3):
        length = f"Content-Length: {30 << 20}"
        reply = ask(server, "POST", "/runs", length, token=None, body=[part] * 30)
        assert refused(reply) == (401, "UNAUTHORIZED")
        line = "Transfer-Encoding: chunked"
        reply = ask(server, "POST", "/runs", line, token=WRONG, body=chunked(*[part] * 30))
        assert refused(reply) == (401, "UNAUTHORIZED")
    assert peak_kb(server.process) - before < 20 << 10
    assert is_well(server)


def test_a_body_that_never_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not send the body of a refused request is answered after a while, and closed."""
    monkeypatch.setattr(base, "DRAIN_S", 0.1)
    for line in ("Content-Length: 1000", "Transfer-Encoding: chunked"):
        with server.socket() as connection:
            head = f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{line}\r\n\r\n"
            connection.sendall(head.encode() + b"5\r\nab")
            reply = read_reply(connection)
            assert refused(reply) == (401, "UNAUTHORIZED")
            check_fixed(reply)
            assert is_closed(connection)
    assert is_well(server)


def test_a_body_that_comes_slowly(server: Server) -> None:
    """A body that comes byte by byte is a body; others are served meanwhile."""
    body = json.dumps(RUN).encode()
    with server.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        head += f"Authorization: Bearer {server.token}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        for i in range(len(body)):
            connection.sendall(body[i : i + 1])
            if i == len(body) // 2:
                assert server.get("/health").status == 200
        assert read_reply(connection).status == 201


@pytest.mark.parametrize("token", [OURS, None])
def test_clients_that_leave_before_their_body_has_come(server: Server, token: str | None) -> None:
    """Who announces a body and goes has asked for nothing, and leaves nothing behind."""

    async def count() -> int:
        return len(asyncio.all_tasks()) - 1

    def n_tasks() -> int:
        n: int = asyncio.run_coroutine_threadsafe(count(), server.loop).result(WAIT_S)
        return n

    server.get("/health")
    before = n_tasks()
    body = json.dumps(RUN).encode()
    for n in (0, 1, len(body) - 1) * 10:
        with server.socket() as connection:
            head = f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            if token is not None:
                head += (
                    f"Authorization: Bearer {server.token}\r\nContent-Type: application/json\r\n"
                )
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:n])
    until(lambda: n_tasks() <= before)
    assert server.get("/runs").json["runs"] == []
    assert is_well(server)


def test_who_leaves_before_a_refusal(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal whose client has gone by the time it is due is dropped without a word."""
    monkeypatch.setattr(base, "DRAIN_S", 0.05)
    for i in range(10):
        with server.socket() as connection:
            head = f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            connection.sendall(f"{head}Content-Length: 100\r\n\r\n".encode() + b"x" * i)
    until(lambda: not server.server._http._connections)
    assert is_well(server)
    assert not [line for line in log_lines(server) if line["level"] == "error"]


def test_a_client_that_asks_before_it_sends(server: Server) -> None:
    """``Expect: 100-continue`` is answered, and then the request."""
    body = json.dumps(RUN).encode()
    with server.socket() as connection:
        head = f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nExpect: 100-continue\r\n"
        head += f"Authorization: Bearer {server.token}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert read_reply(connection).status == 201


def test_requests_in_one_breath(server: Server) -> None:
    """Requests that are sent without waiting are answered one after the other."""
    head = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
    body = json.dumps(RUN).encode()
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    requests = [
        f"GET /health HTTP/1.1\r\n{head}\r\n".encode(),
        f"POST /runs HTTP/1.1\r\n{head}{length}\r\n".encode() + body,
        f"GET /nowhere HTTP/1.1\r\n{head}\r\n".encode(),
        f"GET /runs HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode(),
    ]
    raw = b""
    with server.socket() as connection:
        connection.sendall(b"".join(requests))
        while chunk := connection.recv(1 << 16):
            raw += chunk
    assert re.findall(rb"HTTP/1\.1 (\d+) ", raw) == [b"200", b"201", b"404", b"200"]
