"""Paths, methods and queries that a closed server knows, and all others."""

from typing import Any

import pytest
from asked_runs import Server, until
from bare_requests import ask, check_fixed, is_well, log_lines, refused

ODD_METHODS = [
    "PATCH", "TRACE", "PROPFIND", "get", "head", "post", "options", "PREPARE", "REFUSE",
    "PREFLIGHT", "GET_STATUS", "CONNECT", "_EXECUTE", "ON_FINISH", "WRITE_ERROR", "DATA_RECEIVED",
    "M-SEARCH", "X" * 500, "__INIT__",
]  # fmt: skip


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
    paths = ["", "/report", "/belief", "/artifacts", "/artifact/summary.json", "/events", "/verify"]
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
