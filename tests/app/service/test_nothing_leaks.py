"""No token, no trace and no absolute path in anything that leaves the server."""

import base64
import contextlib
import http.client
import json
import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

Server = Any
FAST = {"symbol": "SPX", "provider": "sample", "plot": False}
SLOW = FAST | {"validation": {"permutation": {"n": 20_000}}}
# Every kind of character that a URL, JSON, a repr or a pattern writes in another way.
TOKEN = "T0ken/with+%41=\"quotes'\\and<more>&?#{}[]^$*.|~`,;:@!-secret"  # noqa: S105  # a token for this test
BARS = "Date,Open,High,Low,Close,Volume\n2024-01-01,100,101,99,100,1000\n2024-01-02,1,0,1,1,1\n"
ACCESS = {"ts", "level", "logger", "message", "method", "route", "status", "duration_ms"}
ROUTES = {
    "none", "/health", "/runs", "/runs/{run_id}", "/runs/{run_id}/cancel", "/runs/{run_id}/events",
    "/runs/{run_id}/events/stream", "/runs/{run_id}/artifacts", "/runs/{run_id}/verify",
    "/runs/{run_id}/artifact/{name}", "/presets",
}  # fmt: skip


def forms_of(token: str) -> set[str]:
    """Return how the token may be written: as it is, quoted, escaped, and in base64."""
    forms = {token, quote(token), quote(token, safe=""), repr(token)[1:-1], json.dumps(token)[1:-1]}
    forms |= {json.dumps(form)[1:-1] for form in set(forms)}
    # Whatever stands before it and wherever it begins in a group of three.
    for before in ("", "a", "ab"):
        encoded = base64.b64encode(f"{before}{token}".encode()).decode()[4:-4]
        forms |= {encoded, encoded.replace("+", "-").replace("/", "_")}
    return forms | {token[:30], token[-30:]}


def send(server: Server, raw: bytes) -> bytes:
    """Send bytes on a bare connection and return what comes back."""
    answer = b""
    with server.socket() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(1 << 16):
            answer += chunk
    return answer


def a_bit_of_everything(server: Server) -> list[bytes]:
    """Make the server say what it can, right and wrong; return what came on bare connections."""
    run_id = server.completed()["run_id"]
    ended = (server.wait_for(server.new_run(end=f"{year}-12-31")) for year in range(2005, 2015))
    run = next(run for run in ended if run["status"] == "failed")
    assert run["error"]["code"] == "STORAGE_FULL"
    for path in (
        "",
        "/events",
        "/events/stream",
        "/artifacts",
        "/artifact/summary.json",
        "/verify",
    ):
        assert server.get(f"/runs/{run_id}{path}").status == 200
    for body in ({"symbol": "NONE"}, {"symbol": "BAD", "timeframe": "1d"}, {"symbol": "/etc/passwd"}, {},
                 FAST | {"strategy": {"name": "x"}}, {"symbol": str(server.data_dir)}, [1],
                 FAST | {"end": "0001-01-01"}, {"symbol": None}, FAST | {TOKEN: 1},
                 FAST | {"strategy": {"params": {TOKEN: 1}}}):  # fmt: skip
        assert 400 <= server.post("/runs", body).status < 500
    assert server.post("/presets", {"name": TOKEN, "config": {TOKEN: 1}, TOKEN: 1}).status == 422
    server.post("/runs", b"{" + TOKEN.encode(), {"Content-Type": "application/json"})
    server.post("/runs", FAST, {"Idempotency-Key": TOKEN})
    server.post("/runs", FAST | {"plot": True}, {"Idempotency-Key": TOKEN})
    slow = server.post("/runs", SLOW).json["run_id"]
    server.wait_for(slow, "running")
    server.post(f"/runs/{slow}/cancel")
    server.wait_for(slow, "cancelled")
    quoted, basic = quote(TOKEN, safe=""), base64.b64encode(f"studio:{TOKEN}".encode()).decode()
    for path in (f"/runs?token={quoted}", f"/runs/{quoted}", f"/{quoted}", f"/runs?{quoted}=1",
                 f"/runs?cursor={quoted}", f"/runs/{run_id}/artifact/{quoted}", f"/runs?status={quoted}",
                 f"/runs/{run_id}/events?after_id={quoted}", f"/runs/{quoted}/events/stream",
                 f"/runs/{basic}", f"/runs?cursor={quote(basic)}"):  # fmt: skip
        assert 400 <= server.get(path).status < 500
        assert server.call("GET", path, token=None).status == 401
        assert server.call("PUT", path).status in {404, 405}
    for wrong in (
        f"Basic {basic}",
        f"Bearer {TOKEN}x",
        f"Bearer x{TOKEN}",
        TOKEN,
        f"Bearer {quoted}",
    ):
        assert server.call("GET", "/runs", headers={"Authorization": wrong}).status == 401
    assert server.get("/health", {"Host": "evil.example", "X-Token": TOKEN}).status == 403
    assert server.get("/health", {"Origin": TOKEN}).status == 403
    return bare_answers(server, quoted, basic)


def bare_answers(server: Server, quoted: str, basic: str) -> list[bytes]:
    """Return what is said to requests that hold the token where none belongs."""
    host = f"Host: 127.0.0.1:{server.port}\r\n"
    return [
        send(server, line.encode())
        for line in (
            f"GET /health HTTP/1.1\r\nHost: {TOKEN}\r\n\r\n",
            f"GET /health HTTP/1.1\r\nHost: {basic}/\r\n\r\n",
            f"GET /health HTTP/1.1\r\n{host}Authorization: Basic {basic}\x01\r\n\r\n",
            f"GET /health HTTP/1.1\r\n{host}Authorization: Bearer {TOKEN}\x01\r\n\r\n",
            f"GET /health HTTP/1.1\r\n{host}Authorization Basic {basic}\r\n\r\n",
            f"GET /health HTTP/1.1\r\n{host}Basic {basic}: x\r\n\r\n",
            f"GET /health HTTP/1.1\r\n{host}{basic}: x\r\n {basic}\r\n\r\n",
            f"GET /{quoted} HTTP/1.1 {TOKEN}\r\n{host}\r\n",
            f"GET /?{quoted} HTTP/{TOKEN[0]}\r\n{host}\r\n",
            f"{basic.rstrip('=')} /?{quoted} HTTP/1.1\r\n{host}\r\n",
            f"POST /runs HTTP/1.1\r\n{host}Content-Length: {basic}\r\n\r\n",
            f"POST /runs HTTP/1.1\r\n{host}Content-Length: 1, {basic}\r\n\r\n",
            f"POST /runs HTTP/1.1\r\n{host}Transfer-Encoding: {basic}\r\n\r\n",
            f"POST /runs HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n{basic}\r\n",
            TOKEN * 2000,
        )
    ]


def incidents(server: Server, run_id: str) -> None:
    """Provoke errors that nobody expects: a changed artifact, and a table that is gone."""
    path = server.data_dir / "runs" / run_id / "equity.parquet"
    path.chmod(0o600)
    path.write_bytes(b"x")
    assert server.get(f"/runs/{run_id}/artifact/equity.parquet").status == 500
    with contextlib.closing(sqlite3.connect(server.data_dir / "studio.db")) as database:
        database.execute("DROP TABLE runs")
    quoted = quote(TOKEN, safe="")
    for method, url in (("GET", f"/runs?symbol={quoted}"), ("GET", f"/runs/{run_id}"),
                        ("POST", "/runs"), ("GET", f"/runs/{run_id}/events/stream")):  # fmt: skip
        answer = server.call(method, url, FAST if method == "POST" else None)
        assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")


def test_nothing_leaks(spawn: Callable[..., Server], tmp_path: Path) -> None:
    """Whatever is asked, no answer, line or page of the log holds a token, a trace or a path."""
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    (data_dir / "token").write_text(TOKEN, encoding="ascii")
    (data_dir / "token").chmod(0o600)
    (data_dir / "candles").mkdir(mode=0o700)
    (data_dir / "candles" / "BAD_1d.csv").write_text(BARS, encoding="utf-8")
    server = spawn(STUDIO_LOG_LEVEL="debug", STUDIO_FAULT="artifact_write:enospc:40-99")
    assert server.token == TOKEN
    command = Path(f"/proc/{server.process.pid}/cmdline")
    assert not command.exists() or TOKEN not in command.read_text()
    run_id = server.completed()["run_id"]
    bare = a_bit_of_everything(server)
    incidents(server, run_id)
    assert server.end() == 0
    out, err = server.process.communicate()
    log = "".join(
        path.read_text(encoding="utf-8") for path in sorted((data_dir / "logs").iterdir())
    )
    answers = [str(answer.headers) + answer.body.decode() for answer in server.answers]
    answers += [raw.decode("latin-1") for raw in bare]

    assert len(answers) > 80
    everything = {"out": out, "err": err, "log": log} | {
        str(i): text for i, text in enumerate(answers)
    }
    for name, text in everything.items():
        for form in forms_of(TOKEN):
            assert form not in text, (name, text[:2000])
    places = [
        str(tmp_path),
        str(Path.home()),
        str(Path(http.client.__file__).parent),
        str(Path.cwd()),
    ]
    told = out.replace(str(data_dir / "token"), "")  # where the token is, the user should know
    for text in (told, err, *answers):
        assert "Traceback" not in text
        assert 'File "' not in text
        for place in places:
            assert place not in text, text[:2000]
    check_log(log, places)


def check_log(log: str, places: list[str]) -> None:
    """Assert that traces name no absolute path, and access lines neither URL nor query."""
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["route"] for line in lines if "route" in line} <= ROUTES
    access = [line for line in lines if line["logger"] == "studio.access"]
    assert len(access) > 60
    for line in access:
        assert line.keys() - {"run_id"} == ACCESS
        assert re.fullmatch("[0-9a-f]{20}", line.get("run_id", "0" * 20))
        assert line["message"] == "request"
    traces = [line["trace"] for line in lines if "trace" in line]
    assert len(traces) >= 4
    for place in places:
        assert place not in log
    for trace in traces:
        names = re.findall(r'File "([^"]+)"', trace)
        assert names
        assert not [name for name in names if Path(name).is_absolute()]
    for line in lines:
        assert "Traceback" not in line["message"]
        assert "\n" not in line["message"]
