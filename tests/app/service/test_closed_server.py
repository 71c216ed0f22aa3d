"""The order of checks: whose host, origin and token are let in, and that nobody else is."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from asked_runs import WAIT_S, Server
from bare_requests import OURS, WRONG, ask, check_fixed, is_well, read_reply, refused

ORIGIN = "https://studio.example"
EXPOSED = "ETag, Location, Retry-After, Content-Disposition, Content-Range"
CORS = {"Access-Control-Allow-Origin": ORIGIN, "Access-Control-Expose-Headers": EXPOSED}


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
