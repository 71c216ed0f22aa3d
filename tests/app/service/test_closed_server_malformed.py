"""Requests that are no proper HTTP: refused or cut off, and nothing else happens."""

import http.client
import io
import re
import socket

import pytest
from asked_runs import Server
from bare_requests import OURS, WRONG, Reply, ask, check_fixed, is_well

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
