"""The order of checks, and everything that keeps a local server closed to others."""

import asyncio
import http.client
import io
import json
import re
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.handlers import base

Server = Any
WAIT_S = 30.0
# Words that stand for the token and for one that is not.
OURS, WRONG = "ours", "wrong"
RUN = {"symbol": "SPX", "provider": "sample", "plot": False}
ORIGIN = "https://studio.example"
FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
EXPOSED = "ETag, Location, Retry-After, Content-Disposition, Content-Range"
CORS = {"Access-Control-Allow-Origin": ORIGIN, "Access-Control-Expose-Headers": EXPOSED}
ODD_METHODS = [
    "PATCH", "TRACE", "PROPFIND", "get", "head", "post", "options", "PREPARE", "REFUSE",
    "PREFLIGHT", "GET_STATUS", "CONNECT", "_EXECUTE", "ON_FINISH", "WRITE_ERROR", "DATA_RECEIVED",
    "M-SEARCH", "X" * 500, "__INIT__",
]  # fmt: skip


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


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the server has closed its side, or does within the time."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def refused(reply: Any) -> tuple[int, str]:
    return reply.status, reply.code


def check_fixed(reply: Any) -> None:
    """Assert the headers that every response has."""
    for name, value in FIXED.items():
        assert reply.headers.get_all(name) == [value]
    vary = {each.strip() for line in reply.headers.get_all("Vary") for each in line.split(",")}
    assert "Origin" in vary
    assert reply.headers["Server"] is None


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def log_lines(server: Server) -> list[dict[str, Any]]:
    text = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def is_well(server: Server) -> bool:
    """Tell whether the server still answers, and has met nothing that it did not expect."""
    assert server.get("/health").status == 200
    assert [line for line in log_lines(server) if line["level"] == "error"] == []
    return True


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:{}", "localhost:{}", "[::1]:{}", "LOCALHOST:{}", "LocalHost:{}"],
)
def test_hosts_that_are_ours(server: Server, host: str) -> None:
    """The loopback names with the bound port are the server's, in whatever case."""
    assert ask(server, host=host.format(server.port)).status == 200
    assert ask(server, path="/health", host=host.format(server.port), token=None).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:{}", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1:0{}",
        "127.0.0.1:{}0", "localhost.:{}", "localhost.evil.example:{}", "127.0.0.2:{}", "127.1:{}",
        "0.0.0.0:{}", "[::]:{}", "::1:{}", "[::1]", "[0:0:0:0:0:0:0:1]:{}", "2130706433:{}", ":{}",
        "localhost:{}.evil.example",
    ],
)  # fmt: skip
def test_hosts_that_are_not_ours(server: Server, host: str) -> None:
    """Any other Host gets a 403 on every route, with the token and without, known path or not."""
    for path, token in (("/health", None), ("/runs", OURS), ("/nowhere", None)):
        reply = ask(server, path=path, host=host.format(server.port), token=token)
        assert refused(reply) == (403, "FORBIDDEN_HOST")
        check_fixed(reply)


@pytest.mark.parametrize("path", ["/health", "/runs", "/nowhere"])
def test_a_missing_host(server: Server, path: str) -> None:
    """A request that names no host is refused, whatever its version."""
    reply = ask(server, path=path, host=None, version="1.0")
    assert refused(reply) == (403, "FORBIDDEN_HOST")
    bare = ask(server, path=path, host=None)
    assert refused(bare) == (403, "FORBIDDEN_HOST")
    check_fixed(bare)
    assert refused(ask(server, path=path, host="")) == (403, "FORBIDDEN_HOST")
    assert is_well(server)


def test_two_hosts(server: Server) -> None:
    """Two Host headers are refused, whichever comes first and even where they agree."""
    ours = f"Host: 127.0.0.1:{server.port}"
    for second in (ours, "Host: evil.example"):
        for version in ("1.0", "1.1"):
            reply = ask(server, "GET", "/health", second, version=version)
            assert refused(reply) == (403, "FORBIDDEN_HOST")
            check_fixed(reply)
    reply = ask(server, "GET", "/health", ours, host="evil.example")
    assert refused(reply) == (403, "FORBIDDEN_HOST")
    assert is_well(server)


def test_a_target_with_a_host_of_its_own(server: Server) -> None:
    """A target in absolute form does not replace the Host header, nor reach a handler."""
    for target in ("http://evil.example/health", f"http://127.0.0.1:{server.port}/health"):
        assert ask(server, path=target, host="evil.example").status == 403
    reply = ask(server, path="http://evil.example/health")
    assert refused(reply) == (404, "NOT_FOUND")


def test_the_setting_of_allowed_hosts(serve: Callable[..., Server]) -> None:
    """A host of the settings is let in with the bound port or its own, and nothing near it."""
    server = serve(allowed_hosts=["Studio.example", "proxy.example:444", "[fd00::1]"])
    port = server.port
    for host in (
        f"studio.example:{port}", f"STUDIO.example:{port}", "proxy.example:444",
        f"[fd00::1]:{port}", f"127.0.0.1:{port}",
    ):  # fmt: skip
        assert ask(server, host=host).status == 200
    for host in (
        "studio.example", f"a.studio.example:{port}", "proxy.example", f"proxy.example:{port}",
    ):  # fmt: skip
        assert refused(ask(server, host=host)) == (403, "FORBIDDEN_HOST")


@pytest.mark.parametrize(("host", "named"), [("127.0.0.2", True), ("0.0.0.0", False)])  # noqa: S104  # what is tested
def test_the_setting_of_the_host(serve: Callable[..., Server], host: str, *, named: bool) -> None:
    """A host that is bound on purpose is a name of the server, unless it stands for all."""
    server = serve(host=host)
    with socket.create_connection(("127.0.0.2", server.port), timeout=WAIT_S) as connection:
        text = f"GET /health HTTP/1.1\r\nHost: {host}:{server.port}\r\n\r\n"
        connection.sendall(text.encode())
        assert read_reply(connection).status == (200 if named else 403)
        connection.sendall(
            f"GET /health HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode()
        )
        assert read_reply(connection).status == 200


def test_it_binds_the_loopback_address_only(server: Server) -> None:
    """Without the setting no other address of the machine is listened on."""
    bound = [each.getsockname() for each in server.server._http._sockets.values()]
    assert bound == [("127.0.0.1", server.port)]


@pytest.mark.parametrize(
    "origins",
    [
        ["https://evil.example"], ["null"], [""], ["*"], [ORIGIN + "/"], [ORIGIN + ":443"],
        [ORIGIN.upper()], ["http://studio.example"], [ORIGIN + ".evil.example"],
        ["https://a.studio.example"], [f"{ORIGIN} https://evil.example"], [ORIGIN, ORIGIN],
        [ORIGIN, "https://evil.example"], [f"{ORIGIN},{ORIGIN}"], ["http://127.0.0.1:{}"],
    ],
)  # fmt: skip
def test_origins_that_are_not_allowed(serve: Callable[..., Server], origins: list[str]) -> None:
    """Any origin but exactly one of the list gets a 403 without CORS headers, before the token."""
    server = serve(cors_origins=[ORIGIN])
    lines = [f"Origin: {origin.format(server.port)}" for origin in origins]
    for path, token in (("/health", None), ("/runs", OURS), ("/runs", None), ("/nowhere", None)):
        reply = ask(server, "GET", path, *lines, token=token)
        assert refused(reply) == (403, "FORBIDDEN_ORIGIN")
        check_fixed(reply)
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def test_without_a_list_every_origin_is_foreign(server: Server) -> None:
    """By default no page may ask, not even one of the server's own address."""
    for origin in (f"http://127.0.0.1:{server.port}", "null", "https://studio.example"):
        reply = ask(server, "GET", "/health", f"Origin: {origin}")
        assert refused(reply) == (403, "FORBIDDEN_ORIGIN")
    assert ask(server, path="/health").status == 200


def test_cors_headers_of_every_answer(serve: Callable[..., Server]) -> None:
    """An allowed origin reads every answer, errors and 304 included; others see no CORS headers."""
    server = serve(cors_origins=["https://first.example", ORIGIN])
    run_id = server.completed()["run_id"]
    path = f"/runs/{run_id}"
    etag = ask(server, path=path).headers["ETag"]
    origin = f"Origin: {ORIGIN}"
    json_type, empty = "Content-Type: application/json", "Content-Length: 0"
    replies = {
        200: ask(server, "GET", "/health", origin, token=None),
        304: ask(server, "GET", path, origin, f"If-None-Match: {etag}"),
        401: ask(server, "GET", path, origin, token=None),
        403: ask(server, "GET", path, origin, host="evil.example"),
        404: ask(server, "GET", "/nowhere", origin),
        405: ask(server, "PATCH", "/runs", origin),
        400: ask(server, "POST", "/runs", origin, json_type, empty),
        415: ask(server, "POST", "/runs", origin, empty),
        413: ask(server, "POST", "/runs", origin, json_type, "Content-Length: 300000", body=[b" " * 300_000]),
        409: ask(server, "POST", f"{path}/cancel", origin, empty),
        422: ask(server, "POST", "/runs", origin, json_type, "Content-Length: 2", body=[b"{}"]),
    }  # fmt: skip
    for status, reply in replies.items():
        assert reply.status == status
        check_fixed(reply)
        for name, value in CORS.items():
            assert reply.headers.get_all(name) == [value]
        assert reply.headers["Access-Control-Allow-Credentials"] is None
    bare = ask(server, path=path)
    check_fixed(bare)
    assert not [name for name in bare.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("path", ["/health", "/runs", "/runs/x/events/stream", "/nowhere", "*"])
def test_a_preflight(serve: Callable[..., Server], path: str) -> None:
    """A preflight is answered without a token, on any path, with exactly what the page allows."""
    server = serve(cors_origins=[ORIGIN])
    lines = [f"Origin: {ORIGIN}", "Access-Control-Request-Method: PUT"]
    reply = ask(server, "OPTIONS", path, *lines, token=None)
    assert (reply.status, reply.body) == (204, b"")
    check_fixed(reply)
    cors = {name: value for name, value in reply.headers.items() if name.startswith("Access")}
    assert cors == {
        **CORS,
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, "
        "If-None-Match, Last-Event-ID, Range",
        "Access-Control-Max-Age": "600",
    }
    assert reply.headers["Content-Type"] is None


def test_preflights_that_are_none(serve: Callable[..., Server]) -> None:
    """A preflight from elsewhere is refused, and OPTIONS without its headers is like any method."""
    server = serve(cors_origins=[ORIGIN])
    method, origin = "Access-Control-Request-Method: GET", f"Origin: {ORIGIN}"
    foreign = ask(server, "OPTIONS", "/runs", "Origin: https://evil.example", method)
    assert refused(foreign) == (403, "FORBIDDEN_ORIGIN")
    assert foreign.headers["Access-Control-Allow-Methods"] is None
    reply = ask(server, "OPTIONS", "/runs", origin, method, host="evil.example")
    assert refused(reply) == (403, "FORBIDDEN_HOST")
    for lines in ((), (origin,), (method,)):
        assert refused(ask(server, "OPTIONS", "/runs", *lines, token=None)) == (401, "UNAUTHORIZED")
        assert refused(ask(server, "OPTIONS", "/runs", *lines)) == (405, "METHOD_NOT_ALLOWED")
    assert ask(server, "PUT", "/runs", origin, method, token=None).status == 401


def test_tokens_that_are_refused(server: Server) -> None:
    """No token, a wrong or empty one, two, another scheme, one elsewhere: 401 and its challenge."""
    token = server.token
    cases: list[list[str]] = [
        [], ["Authorization:"], ["Authorization: Bearer"], ["Authorization: Bearer "],
        [f"Authorization: Bearer {token}x"], [f"Authorization: Bearer {token[:-1]}"],
        [f"Authorization: Bearer {token.swapcase()}"], [f"Authorization: Bearer {token} x"],
        [f"Authorization: {token}"], [f"Authorization: Basic {token}"], ["Authorization: Bearer é"],
        [f"Authorization: Bearer {token}é"], [f"Authorization: Bearer {token}, Bearer {token}"],
        [f"Authorization: Bearer {token}"] * 2, [f"Authorization: Bearer\t{token}"],
        [f"Authorization: Bearer {token}", "Authorization: Bearer x"],
        [f"Cookie: token={token}"], [f"X-Token: {token}"], [f"Proxy-Authorization: Bearer {token}"],
        ["Authorization: Bearer " + "x" * 30_000],
    ]  # fmt: skip
    for lines in cases:
        reply = ask(server, "GET", "/runs", *lines, token=None)
        assert refused(reply) == (401, "UNAUTHORIZED")
        assert reply.headers.get_all("WWW-Authenticate") == ["Bearer"]
        check_fixed(reply)
    for query in (f"token={token}", f"access_token={token}", f"Authorization=Bearer%20{token}"):
        assert refused(ask(server, path=f"/runs?{query}", token=None)) == (401, "UNAUTHORIZED")
    assert ask(server, "GET", "/runs", f"Authorization: bearer {token}", token=None).status == 200
    assert ask(server).headers["WWW-Authenticate"] is None
    assert ask(server).headers["Set-Cookie"] is None


def test_health_needs_no_token(server: Server) -> None:
    """/health tells anyone with the right Host who is there, whatever token comes with it."""
    for token in (None, WRONG, OURS):
        reply = ask(server, path="/health", token=token)
        assert reply.status == 200
        health = json.loads(reply.body)
        assert health.keys() == {"status", "version", "code_version", "instance_id", "kernel"}
        assert health["status"] == "ok"
        assert health["kernel"] in {"compiled", "interpreted"}
    assert ask(server, "HEAD", "/health", token=None).status == 200
    assert refused(ask(server, path="/health", host="evil.example")) == (403, "FORBIDDEN_HOST")


def test_health_while_stopping(server: Server) -> None:
    """While the server stops /health says so with 503, in the form of an error."""
    server.server._services.closing = True
    reply = ask(server, path="/health", token=None)
    assert refused(reply) == (503, "SHUTTING_DOWN")
    assert json.loads(reply.body)["error"]["retryable"] is True
    check_fixed(reply)
    assert ask(server, "HEAD", "/health", token=None).status == 503


@pytest.mark.parametrize(
    "path",
    ["/", "/nowhere", "/runs/", "//runs", "/RUNS", "/health/", "/runs/a/b", "/runs/..%2f..", "*",
     "/runs/x/artifact/", "/runs/x/artifact/a/b", "/%2e%2e/runs", "/favicon.ico", "runs", "/%ff"],
)  # fmt: skip
def test_an_unknown_path(server: Server, path: str) -> None:
    """A path that is nobody's is not found, by those who have the token; for others it is 401."""
    reply = ask(server, path=path)
    assert reply.status == 404
    assert reply.code in {"NOT_FOUND", "RUN_NOT_FOUND"}
    check_fixed(reply)
    assert refused(ask(server, "PUT", path, token=None)) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/health", "GET, HEAD"), ("/runs", "GET, HEAD, POST"), ("/runs/x", "DELETE, GET, HEAD"),
        ("/runs/x/cancel", "POST"), ("/runs/x/events", "GET, HEAD"),
        ("/runs/x/events/stream", "GET, HEAD"), ("/runs/x/verify", "GET, HEAD"),
    ],
)  # fmt: skip
def test_a_method_that_a_path_does_not_have(server: Server, path: str, allowed: str) -> None:
    """A known path with another method is a 405 that lists those it has."""
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE"} - set(allowed.split(", ")):
        reply = ask(server, method, path, "Content-Length: 0")
        assert reply.status == 405
        assert method == "HEAD" or reply.code == "METHOD_NOT_ALLOWED"
        assert reply.headers["Allow"] == allowed
        check_fixed(reply)


@pytest.mark.parametrize("method", ODD_METHODS)
def test_odd_methods_take_the_same_way(server: Server, method: str) -> None:
    """Host, Origin and token are asked before the method is, whatever word it is."""
    evil = "Origin: https://evil.example"
    for path in ("/runs", "/nowhere"):
        reply = ask(server, method, path, host="evil.example", token=None)
        assert refused(reply) == (403, "FORBIDDEN_HOST")
        assert ask(server, method, path, host=None, token=None, version="1.0").status == 403
        assert ask(server, method, path, host=None, token=None).status == 403
        assert refused(ask(server, method, path, evil, token=None)) == (403, "FORBIDDEN_ORIGIN")
        assert refused(ask(server, method, path, token=None)) == (401, "UNAUTHORIZED")
        body = ask(server, method, path, "Content-Length: 9", token=None, body=[b"GET /runs"])
        assert refused(body) == (401, "UNAUTHORIZED")
    reply = ask(server, method)
    assert refused(reply) == (405, "METHOD_NOT_ALLOWED")
    assert reply.headers["Allow"] == "GET, HEAD, POST"
    check_fixed(reply)
    assert refused(ask(server, method, "/nowhere")) == (404, "NOT_FOUND")
    assert is_well(server)


def test_odd_methods_are_not_words_of_the_log(server: Server) -> None:
    """A method that is no method is called other in the access line."""
    ask(server, "secret-word")
    until(lambda: any(line["logger"] == "studio.access" for line in log_lines(server)))
    [line] = [line for line in log_lines(server) if line["logger"] == "studio.access"]
    assert (line["method"], line["route"], line["status"]) == ("other", "/runs", 405)
    assert line.keys() == {
        "ts", "level", "logger", "message", "method", "route", "status", "duration_ms",
    }  # fmt: skip


def test_the_run_of_a_request_is_in_the_log(server: Server) -> None:
    """Each line about a run's route has the run's id, and no other word of an address."""
    paths = ["", "/report", "/artifacts", "/artifact/summary.json", "/events", "/verify"]
    for run_id in ("0" * 20, "secret-word"):
        for path in paths:
            ask(server, path=f"/runs/{run_id}{path}")
    ask(server, "secret-word", f"/runs/{'0' * 20}")
    asked = 2 * len(paths) + 1
    until(lambda: sum(line["logger"] == "studio.access" for line in log_lines(server)) == asked)
    lines = [line for line in log_lines(server) if line["logger"] == "studio.access"]
    known, unknown = lines[: len(paths)], lines[len(paths) : -1]
    assert {line.get("run_id") for line in (*known, lines[-1])} == {"0" * 20}
    assert "secret-word" not in str(unknown)


def test_the_order_of_checks(serve: Callable[..., Server]) -> None:
    """With everything wrong the first check answers; each that is put right gives way to the next."""
    server = serve(cors_origins=[ORIGIN])
    wrong: dict[str, Any] = {"host": "evil.example", "token": None}
    origin, encoding, kind = "Origin: null", "Content-Encoding: gzip", "Content-Type: text/plain"
    big, length = [b"x" * 300_000], "Content-Length: 300000"

    def send(method: str, path: str, *lines: str, **changes: Any) -> tuple[int, str]:
        return refused(ask(server, method, path, *lines, length, body=big, **(wrong | changes)))

    assert send("PUT", "/nowhere", origin, encoding, kind) == (403, "FORBIDDEN_HOST")
    wrong["host"] = "ours"
    assert send("PUT", "/nowhere", origin, encoding, kind) == (403, "FORBIDDEN_ORIGIN")
    origin = f"Origin: {ORIGIN}"
    assert send("PUT", "/nowhere", origin, encoding, kind) == (401, "UNAUTHORIZED")
    wrong["token"] = OURS
    assert send("PUT", "/nowhere", origin, encoding, kind) == (404, "NOT_FOUND")
    assert send("PUT", "/runs", origin, encoding, kind) == (405, "METHOD_NOT_ALLOWED")
    assert send("POST", "/runs", origin, encoding, kind) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert send("POST", "/runs", origin, kind) == (415, "UNSUPPORTED_MEDIA_TYPE")
    kind = "Content-Type: application/json"
    assert send("POST", "/runs", origin, kind) == (413, "PAYLOAD_TOO_LARGE")
    length, big = "Content-Length: 14", [b'{"symbol": 1,}']
    assert send("POST", "/runs", origin, kind) == (400, "INVALID_JSON")
    big = [b'{"symbol": 1 }']
    assert send("POST", "/runs", origin, kind) == (422, "INVALID_PARAM")


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


HEAD = b"Host: 127.0.0.1:PORT\r\nAuthorization: Bearer TOKEN\r\nContent-Type: application/json\r\n"
MALFORMED = [
    b"\r\n\r\n\r\n\r\n", b"\0" * 200, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 300,
    b"GET\r\n\r\n", b"GET /runs\r\n\r\n", b"GET /runs HTTP/9.9\r\n" + HEAD + b"\r\n",
    b"GET /runs HTTP/1.1 x\r\n" + HEAD + b"\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /ru ns HTTP/1.1\r\n" + HEAD + b"\r\n", b"GET /runs HTTP/1.1\r\n" + HEAD + b"no colon\r\n\r\n",
    b"GET /runs HTTP/1.1\r\n" + HEAD + b" folded: x\r\n\r\n",
    b"GET /runs HTTP/1.1\r\n" + HEAD + b"X: a\0b\r\n\r\n", b"GET /runs HTTP/1.1\r\n" + HEAD + b": x\r\n\r\n",
    b"GET /runs HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    b"GET /runs?" + b"x" * 100_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /runs?" + b"&".join(b"a=%d" % i for i in range(2000)) + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"G\xc3\x8bT /runs HTTP/1.1\r\n" + HEAD + b"\r\n", b"GET /\xff HTTP/1.1\r\n" + HEAD + b"\r\n",
    *(
        b"POST /runs HTTP/1.1\r\n" + HEAD + lines + b"\r\n\r\n{}"
        for lines in (
            b"Content-Length: x", b"Content-Length:", b"Content-Length: -1", b"Content-Length: +2",
            b"Content-Length: 2.0", b"Content-Length: 0x2", b"Content-Length: 1_0", b"Content-Length: 2,3",
            b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: \xb2", b"Content-Length: " + b"9" * 30,
            b"Content-Length: " + b"9" * 5000, b"Content-Length: 2\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: x",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        )
    ),
    *(
        b"POST /runs HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body
        for body in (
            b"x\r\n{}\r\n0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}}\r\n0\r\n\r\n", b"2;a=b\r\n{}\r\n0\r\n\r\n",
            b"2\r\n{}\r\n0\r\nX: y\r\n\r\n", b"f" * 100 + b"\r\n{}", b"ffffffffffff\r\n{}",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("raw", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("token", [OURS, WRONG])
def test_malformed_requests(server: Server, raw: bytes, token: str) -> None:
    """What is no proper request is refused or cut off, is no incident, and changes nothing."""
    given = server.token if token == OURS else WRONG
    raw = raw.replace(b"PORT", b"%d" % server.port).replace(b"TOKEN", given.encode())
    with server.socket() as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := connection.recv(1 << 16):
                answer += chunk
        except ConnectionResetError:
            pass
    statuses = [int(each) for each in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]
    assert set(statuses) <= {400, 401, 404, 413, 415} | ({403} if b"Host: " not in raw else set())
    assert len(statuses) <= 1
    if statuses:
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = io.BytesIO(head.partition(b"\r\n")[2] + b"\r\n\r\n")
        reply = Reply(statuses[0], http.client.parse_headers(lines), body)
        check_fixed(reply)
        assert reply.code
    assert server.get("/runs").json["runs"] == []
    assert is_well(server)


def test_a_length_that_is_given_twice_alike(server: Server) -> None:
    """The same Content-Length twice is that length, as HTTP allows, or refused; no incident."""
    length = "Content-Length: 2"
    kind = "Content-Type: application/json"
    reply = ask(server, "POST", "/runs", kind, length, length, body=[b"{}"])
    assert reply.status in {400, 422}
    assert is_well(server)


@pytest.mark.parametrize(
    "query",
    ["limit=%ff", "cursor=%ff%fe", "symbol=%C3", "status=%ff", "%ff=1", "limit=1&%ff", "=%ff", "limit=%"],
)  # fmt: skip
def test_a_query_that_cannot_be_decoded(server: Server, query: str) -> None:
    """A query that is no UTF-8, or no number where one belongs, is an error of the client's."""
    reply = ask(server, path=f"/runs?{query}")
    assert refused(reply) == (400, "INVALID_QUERY")
    check_fixed(reply)
    assert is_well(server)


@pytest.mark.parametrize("query", ["unknown=1", "limit=1&limit=2", "limit", "Limit=1", "token=x"])
def test_a_query_that_is_not_known(server: Server, query: str) -> None:
    """A parameter that the path does not have, or twice, or without its value, is refused."""
    assert refused(ask(server, path=f"/runs?{query}")) == (400, "INVALID_QUERY")


def test_an_answer_to_head_has_no_body(server: Server) -> None:
    """HEAD gets the status and the headers of GET wherever there is one, errors included."""
    run_id = server.completed()["run_id"]
    for path in (
        "/health", "/runs", f"/runs/{run_id}", f"/runs/{run_id}/events", "/nowhere", "/runs/x",
        f"/runs/{run_id}/artifacts", f"/runs/{run_id}/verify", "/runs?limit=x",
        f"/runs/{run_id}/artifact/equity.parquet",
    ):  # fmt: skip
        get, head = ask(server, "GET", path), ask(server, "HEAD", path)
        assert (head.status, head.body) == (get.status, b"")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        check_fixed(head)
    assert refused(ask(server, "GET", "/runs", token=None)) == (401, "UNAUTHORIZED")
    assert ask(server, "HEAD", "/runs", token=None).body == b""


def test_the_headers_of_an_incident(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 500 has the fixed headers too, is not stored, and has no ETag or other header of success."""

    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(server.server._runs, "list", fail)
    reply = ask(server)
    assert refused(reply) == (500, "INTERNAL_ERROR")
    check_fixed(reply)
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert ask(server, "HEAD").body == b""
