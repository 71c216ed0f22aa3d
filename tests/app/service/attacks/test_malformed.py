"""Requests that are no proper HTTP, or hide another one: one refusal, and the end of the line."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

Server = Any
Talk = Callable[..., list[Any]]
Well = Callable[[Any], bool]
HOST = b"Host: 127.0.0.1:PORT\r\n"
OURS = HOST + b"Authorization: Bearer TOKEN\r\n"
PRESET = b'{"name": "smuggled", "config": {}}'
JSON = b"Content-Type: application/json\r\n"
# What a hidden request would do: leave a preset behind.
HIDDEN = b"POST /presets HTTP/1.1\r\n%s%sConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
    OURS,
    JSON,
    len(PRESET),
    PRESET,
)


def get(lines: bytes, first: bytes = b"GET /health HTTP/1.1") -> bytes:
    return first + b"\r\n" + lines + b"Connection: close\r\n\r\n"


REFUSED = {
    "one word": get(HOST, b"GET"),
    "HTTP/0.9": get(HOST, b"GET /health"),
    "HTTP/2.0": get(HOST, b"PRI * HTTP/2.0"),
    "HTTP/3": get(HOST, b"GET / HTTP/3"),
    "lower case version": get(HOST, b"GET /health http/1.1"),
    "words after the version": get(HOST, b"GET /health HTTP/1.1 x"),
    "two blanks": get(HOST, b"GET  /health HTTP/1.1"),
    "tab": get(HOST, b"GET\t/health HTTP/1.1"),
    "NUL in the target": get(HOST, b"GET /hea\0lth HTTP/1.1"),
    "NUL in a header": get(HOST + b"X: a\0b\r\n"),
    "control in a header": get(HOST + b"X: a\x0bb\r\n"),
    "bare CR in a header": get(HOST + b"X: a\rY: b\r\n"),
    "folded header": get(HOST + b"X: a\r\n b\r\n"),
    "folded with a tab": get(HOST + b"X: a\r\n\tb\r\n"),
    "folded host": get(HOST + b" evil.example\r\n"),
    "blank before the colon": get(HOST + b"Transfer-Encoding : chunked\r\n"),
    "no colon": get(HOST + b"nothing\r\n"),
    "no name": get(HOST + b": nothing\r\n"),
    "brackets in a name": get(HOST + b"X[]: 1\r\n"),
    "name that is no ASCII": get(HOST + b"X\xc3\xa9: 1\r\n"),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_a_head_that_is_none(server: Server, talk: Talk, is_well: Well, raw: bytes) -> None:
    """A malformed head gets our envelope with every fixed header, and then the connection ends."""
    [reply] = talk(server, raw + get(HOST))
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert reply.headers["Connection"] == "close"
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert is_well(server)


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_the_first_checks_of_a_head_that_is_none(
    serve: Callable[..., Server], talk: Talk, raw: bytes
) -> None:
    """Host and Origin are asked before a request is called malformed; an allowed page may read it."""
    server = serve(cors_origins=["https://studio.example"])
    for host in (b"Host: evil.example\r\n", b"", HOST + HOST, HOST + b"Host: evil.example\r\n"):
        [reply] = talk(server, raw.replace(HOST, host))
        assert (reply.status, reply.code) == (403, "FORBIDDEN_HOST")
    foreign, ours = b"Origin: https://evil.example\r\n", b"Origin: https://studio.example\r\n"
    for origin in (foreign, b"Origin: null\r\n", ours + foreign):
        [reply] = talk(server, raw.replace(HOST, HOST + origin, 1))
        assert (reply.status, reply.code) == (403, "FORBIDDEN_ORIGIN")
        assert reply.headers["Access-Control-Allow-Origin"] is None
    [reply] = talk(server, raw.replace(HOST, HOST + ours, 1))
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert reply.headers["Access-Control-Allow-Origin"] == "https://studio.example"


def post(lines: bytes, body: bytes) -> bytes:
    return b"POST /runs HTTP/1.1\r\n" + OURS + JSON + lines + b"\r\n\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked"
FRAMING = {
    "length and chunks": post(b"Content-Length: 4\r\n" + CHUNKED, b"0\r\n\r\n" + HIDDEN),
    "chunks and length": post(CHUNKED + b"\r\nContent-Length: 4", b"0\r\n\r\n" + HIDDEN),
    "two lengths": post(b"Content-Length: 0\r\nContent-Length: 2", HIDDEN),
    "a list of lengths": post(b"Content-Length: 0, 2", HIDDEN),
    "signed length": post(b"Content-Length: +0", HIDDEN),
    "hexadecimal length": post(b"Content-Length: 0x0", HIDDEN),
    "length with a blank": post(b"Content-Length: 0 0", HIDDEN),
    "chunked twice": post(CHUNKED + b"\r\n" + CHUNKED, b"0\r\n\r\n" + HIDDEN),
    "chunked, identity": post(CHUNKED + b", identity", b"0\r\n\r\n" + HIDDEN),
    "chunked in quotes": post(b'Transfer-Encoding: "chunked"', b"0\r\n\r\n" + HIDDEN),
    "chunked with a comma": post(b"Transfer-Encoding: ,chunked", b"0\r\n\r\n" + HIDDEN),
    "chunk extension": post(CHUNKED, b"2;a=b\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "chunk extension at the end": post(CHUNKED, b"0;a=b\r\n\r\n" + HIDDEN),
    "quoted chunk extension": post(CHUNKED, b'2;a="\r\n{}\r\n0\r\n\r\n' + HIDDEN),
    "chunk size with a blank": post(CHUNKED, b"0 \r\n\r\n" + HIDDEN),
    "chunk size with a prefix": post(CHUNKED, b"0x0\r\n\r\n" + HIDDEN),
    "negative chunk size": post(CHUNKED, b"-1\r\n\r\n" + HIDDEN),
    "no chunk size": post(CHUNKED, b"\r\n\r\n" + HIDDEN),
    "huge chunk size": post(CHUNKED, b"f" * 40 + b"\r\n" + HIDDEN),
    "chunk longer than told": post(CHUNKED, b"2\r\n{} \r\n0\r\n\r\n" + HIDDEN),
    "chunk that ends with LF": post(CHUNKED, b"2\r\n{}\n0\r\n\r\n" + HIDDEN),
    "a line in place of the end": post(CHUNKED, b"0\r\nX: y\r\n\r\n" + HIDDEN),
}


@pytest.mark.parametrize("raw", FRAMING.values(), ids=FRAMING.keys())
def test_nothing_is_smuggled(server: Server, talk: Talk, is_well: Well, raw: bytes) -> None:
    """Where two readers could disagree about a body's end the request is refused, and is the last."""
    [reply] = talk(server, raw)
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert server.get("/presets").json == {"presets": []}
    [reply] = talk(server, raw.replace(b"Bearer TOKEN", b"Bearer wrong"))
    assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert is_well(server)


def test_a_hidden_request_would_be_one(server: Server, talk: Talk) -> None:
    """The request that the attacks hide is carried out where it stands by itself."""
    first, second = talk(server, get(HOST).replace(b"close", b"keep-alive") + HIDDEN)
    assert (first.status, second.status) == (200, 201)
    assert [preset["name"] for preset in server.get("/presets").json["presets"]] == ["smuggled"]


def test_lines_that_end_with_a_bare_lf(server: Server, talk: Talk) -> None:
    """A head whose lines end with LF alone passes the same checks, each line for itself."""
    raw = get(OURS, b"GET /runs HTTP/1.1").replace(b"\r\n", b"\n")
    assert [reply.status for reply in talk(server, raw)] == [200]
    [reply] = talk(server, raw.replace(b"TOKEN", b"x"))
    assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
    [reply] = talk(server, raw.replace(b"127.0.0.1", b"evil.example"))
    assert (reply.status, reply.code) == (403, "FORBIDDEN_HOST")


def test_bytes_that_are_no_http(server: Server, talk: Talk, is_well: Well) -> None:
    """A TLS greeting, HTTP/2's preface and noise get nothing of the server, and do no harm."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2
    for raw in (
        hello,
        hello + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        b"GET /health\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n\r\n",
        bytes(range(256)) * 300,
        b"\r\n" * 40_000,
    ):
        for reply in talk(server, raw, ends=True):
            assert reply.code == ("FORBIDDEN_HOST" if b"\r\n\r\n" in raw else "INVALID_REQUEST")
    assert is_well(server)


@pytest.mark.parametrize(
    "lines",
    [
        b"X: " + b"x" * (1 << 20) + b"\r\n",
        b"x" * (1 << 20) + b": x\r\n",
        b"".join(b"X-%d: y\r\n" % i for i in range(10_000)),
        b"Cookie: a=b\r\n" * 100_000,
    ],
    ids=["long line", "long name", "many", "many alike"],
)
def test_heads_beyond_the_bound(server: Server, talk: Talk, is_well: Well, lines: bytes) -> None:
    """A head of more than 64 KiB is refused while it comes, and none of it is carried out."""
    [reply] = talk(server, HIDDEN.replace(JSON, JSON + lines))
    assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
    assert b"the head of a request has at most 64 KiB" in reply.body
    [reply] = talk(
        server, HIDDEN.replace(JSON, JSON + lines).replace(b"127.0.0.1", b"evil.example")
    )
    assert (reply.status, reply.code) == (403, "FORBIDDEN_HOST")
    assert server.get("/presets").json == {"presets": []}
    assert is_well(server)


@pytest.mark.parametrize("n_bytes", [0, 1, 2, 3, 4, 100, 1 << 20])
def test_an_address_beyond_the_bound(
    server: Server, talk: Talk, is_well: Well, n_bytes: int
) -> None:
    """An address that makes the head too long is told so, and its access line is like any other."""
    rest = len(get(HOST.replace(b"PORT", b"%d" % server.port), b"GET /?x= HTTP/1.1"))
    raw = get(HOST, b"GET /?x=%s HTTP/1.1" % (b"y" * (65_536 - rest + n_bytes)))
    [reply] = talk(server, raw)
    if n_bytes == 0:
        assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
    else:
        assert (reply.status, reply.code) == (400, "INVALID_REQUEST")
        assert reply.headers["Connection"] == "close"
    assert is_well(server)
    text = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    assert ('"method": "GET", "route": "none", "status": 400' in text) == (n_bytes > 0)
    assert "yyy" not in text


def test_ten_thousand_headers_within_the_bound(server: Server, talk: Talk, is_well: Well) -> None:
    """As many headers as the bound holds are read, and change nothing about the answer."""
    lines = b"a:b\r\n" * 10_000
    [reply] = talk(server, get(HOST + lines))
    assert reply.status == 200
    [reply] = talk(server, get(HOST + lines, b"GET /runs HTTP/1.1"))
    assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
    assert is_well(server)


@pytest.mark.parametrize("method", [b"GET", b"CONNECT", b"OPTIONS", b"POST", b"PROPFIND"])
def test_targets_of_other_forms(server: Server, talk: Talk, method: bytes) -> None:
    """An absolute, authority or asterisk target names no path of ours and never replaces the Host."""
    targets = [
        b"http://evil.example/runs", b"http://127.0.0.1:PORT/runs", b"https://127.0.0.1:PORT/runs",
        b"127.0.0.1:PORT", b"evil.example:443", b"*", b"file:///etc/passwd", b"//evil.example/runs",
        b"http://TOKEN@127.0.0.1:PORT/runs", b"http://studio:TOKEN@127.0.0.1:PORT/runs",
    ]  # fmt: skip
    for target, version in itertools.product(targets, (b"HTTP/1.1", b"HTTP/1.0")):
        first = b" ".join((method, target, version))
        [reply] = talk(server, get(OURS, first))
        assert (reply.status, reply.code) == (404, "NOT_FOUND")
        [reply] = talk(server, get(HOST, first))
        assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
        [reply] = talk(server, get(OURS.replace(HOST, b"Host: evil.example\r\n"), first))
        assert (reply.status, reply.code) == (403, "FORBIDDEN_HOST")


def test_the_answer_outlives_an_unread_body(server: Server) -> None:
    """Who is refused in the middle of sending still gets the answer, not a reset."""
    raw = post(b"Content-Length: 4\r\n" + CHUNKED, b"x" * 3_000_000)
    with server.socket() as connection:
        filled = raw.replace(b"PORT", b"%d" % server.port).replace(b"TOKEN", server.token.encode())
        connection.sendall(filled)
        assert connection.recv(12) == b"HTTP/1.1 400"


def test_who_never_stops_sending(server: Server) -> None:
    """The rest of a malformed request is read for a moment only, then the connection is closed."""
    endless = itertools.repeat(b"x" * 65_536)
    with server.socket() as connection:
        connection.sendall(get(b"Host: x\r\n", b"GET"))
        with pytest.raises(ConnectionError):  # a time-out, where nobody reads and nobody closes
            all(connection.sendall(part) is None for part in endless)


def test_words_of_a_malformed_request_are_not_logged(
    server: Server, talk: Talk, is_well: Well
) -> None:
    """The access line of a malformed request is like any other, without a word of it."""
    talk(server, get(HOST + b"secret words\r\n", b"GET /secret?words HTTP/1.1"))
    talk(server, get(HOST + b"secret words\r\n", b"SECRET /words HTTP/1.1"))
    assert is_well(server)
    text = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    assert "secret" not in text.lower()
    assert '"method": "GET", "route": "none", "status": 400' in text
    assert '"method": "other", "route": "none", "status": 400' in text


def test_tokens_in_an_address(server: Server, talk: Talk) -> None:
    """A token in an address lets nobody in, and is neither echoed, not even to who has it, nor logged."""
    targets = [
        b"/runs?token=TOKEN", b"/runs?access_token=TOKEN", b"/runs?Authorization=Bearer%20TOKEN",
        b"/runs?api_key=TOKEN", b"/runs;TOKEN", b"/runs#TOKEN", b"/TOKEN/runs", b"/runs/TOKEN",
        b"http://TOKEN@127.0.0.1:PORT/runs", b"http://x:TOKEN@127.0.0.1:PORT/runs", b"//TOKEN@x/runs",
        b"/runs?cursor=TOKEN", b"/presets/TOKEN", b"/candles?symbol=TOKEN",
    ]  # fmt: skip
    for target in targets:
        for lines in (HOST, OURS, HOST + b"no colon\r\n", b"Host: TOKEN\r\n", HOST + b"Cookie: token=TOKEN\r\n"):  # fmt: skip
            [reply] = talk(server, get(lines, b"GET " + target + b" HTTP/1.1"))
            assert reply.status in ({400, 404} if lines == OURS else {400, 401, 403})
            assert reply.code
            assert server.token.encode() not in reply.body + str(reply.headers).encode()
    log = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    assert server.token not in log


def test_head_of_a_malformed_request(server: Server) -> None:
    """The answer to a malformed HEAD has no body."""
    with server.socket() as connection:
        raw = get(HOST + b"no colon\r\n", b"HEAD /health HTTP/1.1")
        connection.sendall(raw.replace(b"PORT", b"%d" % server.port))
        answer = b""
        while chunk := connection.recv(1 << 16):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"\r\n\r\n")
