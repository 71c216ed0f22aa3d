"""Every error has its code and its status, on purpose; what nobody expected tells nothing."""

import importlib
import json
import logging
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tornado.web

import app
import engine
from app.api_errors import (
    IN_A_REQUEST,
    IN_A_RUN,
    RETRYABLE,
    STATUS,
    ApiError,
    as_api_error,
    code_of,
)
from app.data_dir import StartError
from app.operations import OPERATIONS, by_path
from app.run_job import ChangedError
from engine.errors import ConfigError, Fault, LimitError, StudioError

Server = Any
# The table of the page.
PAGE = {
    400: {"INVALID_REQUEST", "INVALID_JSON", "INVALID_QUERY", "INVALID_CURSOR", "INVALID_IDEMPOTENCY_KEY"},
    401: {"UNAUTHORIZED"},
    403: {"FORBIDDEN_HOST", "FORBIDDEN_ORIGIN"},
    404: {
        "NOT_FOUND", "RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "DATASET_NOT_FOUND", "PRESET_NOT_FOUND",
    },
    405: {"METHOD_NOT_ALLOWED"},
    409: {
        "RUN_ALREADY_FINISHED", "RUN_NOT_FINISHED", "RUN_CANCELLING", "ARTIFACT_NOT_READY",
        "EVENT_ID_AHEAD", "DATASET_IN_USE",
    },
    413: {"PAYLOAD_TOO_LARGE"},
    415: {"UNSUPPORTED_MEDIA_TYPE"},
    416: {"RANGE_NOT_SATISFIABLE"},
    422: {"INVALID_PARAM", "INVALID_DATA", "LIMIT_EXCEEDED", "IDEMPOTENCY_KEY_REUSED"},
    429: {"QUEUE_FULL", "TOO_MANY_STREAMS"},
    500: {"INTERNAL_ERROR"},
    503: {"SHUTTING_DOWN"},
    507: {"STORAGE_FULL"},
}  # fmt: skip
STATUS_OF = {code: status for status, codes in PAGE.items() for code in codes}
# Given by endpoints for presets and data sets alone.
OF_OTHER_PARTS = {"PRESET_NOT_FOUND", "DATASET_IN_USE"}
CODES_OF_RUNS = {
    "INVALID_DATA", "LOOKAHEAD", "DATA_CHANGED", "CODE_CHANGED", "INTERRUPTED", "STORAGE_FULL",
    "CLUSTER_UNAVAILABLE", "INTERNAL_ERROR",
    "LIMIT_EXCEEDED",  # the server was started again with a lower limit
    "PLUGIN_FAILED",  # the user's own code, which they can mend; an INTERNAL_ERROR is ours
}  # fmt: skip
# They bring their code along.
OWN_CODE = {ApiError, ChangedError}


def all_errors() -> set[type[StudioError]]:
    """Return every subclass of StudioError of both packages, each of their modules imported."""
    for package in (app, engine):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found = set(below(StudioError))
    return {each for each in found if each.__module__.split(".")[0] in {"app", "engine"}}


def below(kind: type[StudioError]) -> Iterator[type[StudioError]]:
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


def test_every_error_is_mapped_on_purpose() -> None:
    """Each class says what it means in a request and in a run; those of a start meet neither."""
    kinds = {each for each in all_errors() if not issubclass(each, StartError)} - OWN_CODE
    assert len(kinds) >= 11
    assert kinds - IN_A_REQUEST.keys() == set()
    assert kinds - IN_A_RUN.keys() == set()


def test_a_start_error_would_be_internal() -> None:
    """What can only happen at the start is an internal error anywhere else."""
    for kind in {each for each in all_errors() if issubclass(each, StartError)}:
        assert code_of(kind("x"), IN_A_REQUEST) == code_of(kind("x"), IN_A_RUN) == "INTERNAL_ERROR"


def test_codes_and_statuses_are_those_of_the_page() -> None:
    """Every code has the page's status, there is no other, and none of this part is missing."""
    assert {code: STATUS_OF.get(code) for code in STATUS} == STATUS
    assert STATUS_OF.keys() - OF_OTHER_PARTS <= STATUS.keys()
    assert set(IN_A_REQUEST.values()) <= STATUS.keys()
    assert STATUS.keys() >= RETRYABLE
    assert {"RUN_CANCELLING", "ARTIFACT_NOT_READY"} <= RETRYABLE
    assert not {code for code in RETRYABLE if STATUS[code] not in {409, 429, 503, 507}}


def test_codes_of_a_run_are_those_of_the_page() -> None:
    """A run fails with one of the page's codes."""
    assert set(IN_A_RUN.values()) <= CODES_OF_RUNS


def test_the_nearest_class_decides() -> None:
    """A class that is not in the table means what the nearest one above it means."""

    class OwnLimitError(LimitError):
        pass

    assert code_of(OwnLimitError([]), IN_A_REQUEST) == "LIMIT_EXCEEDED"
    assert code_of(ConfigError([]), IN_A_REQUEST) == "INVALID_PARAM"
    assert code_of(ValueError(), IN_A_REQUEST) == "INTERNAL_ERROR"


def test_every_fault_is_listed() -> None:
    """A validation error lists each fault with its dotted field."""
    faults = [Fault("strategy.params.fast", "should be less"), Fault("symbol", "is missing")]
    for kind, code in ((ConfigError, "INVALID_PARAM"), (LimitError, "LIMIT_EXCEEDED")):
        error = as_api_error(kind(faults))
        assert (error.status, error.api_code) == (422, code)
        assert error.envelope()["error"]["details"] == {
            "errors": [
                {"field": "strategy.params.fast", "message": "should be less"},
                {"field": "symbol", "message": "is missing"},
            ]
        }


def test_the_codes_of_the_operations_exist() -> None:
    """Every code in the table of operations is one that has a status."""
    for operation in OPERATIONS:
        assert set(operation.all_codes) <= STATUS.keys()
        assert all(200 <= status < 400 for status in operation.answers)


def test_the_handlers_of_the_operations_exist() -> None:
    """Every operation's handler is there and has its method, and no method has no operation."""
    for path, methods in by_path().items():
        assert len({operation.handler for operation in methods.values()}) == 1
        module, _, name = next(iter(methods.values())).handler.partition(".")
        handler = getattr(importlib.import_module(f"app.handlers.{module}"), name)
        assert issubclass(handler, tornado.web.RequestHandler)
        for method in methods:
            assert callable(getattr(handler, method.lower()))
        own = {"get", "post", "put", "delete", "patch"} & {
            word for kind in handler.__mro__ if kind.__module__.startswith("app.") for word in vars(kind)
        }  # fmt: skip
        assert own == {method.lower() for method in methods} - {"head"}, path


def test_an_incident(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody expected is a 500 with a number; the log has its trace under it, we do not."""
    place = str(server.data_dir.absolute() / "secret" / "file")

    def fail(*_: Any) -> None:
        message = f"{place} with {server.token} of {Path(__file__).absolute()}"
        raise RuntimeError(message) from OSError(2, "No such file", place)

    monkeypatch.setattr(server.server._runs, "list", fail)
    answers = [server.get("/runs"), server.get("/runs?limit=3&symbol=secret-query")]
    incidents = []
    for answer in answers:
        assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
        assert answer.json["error"]["details"].keys() == {"incident"}
        incidents.append(answer.json["error"]["details"]["incident"])
        for word in (b"Traceback", b'File "', b"secret", b"/", server.token.encode()):
            assert word not in answer.body
    assert len(set(incidents)) == 2
    text = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    found = [line for line in lines if line["level"] == "error"]
    assert [line["incident"] for line in found] == incidents
    for line in found:
        assert "Traceback" in line["trace"]
        assert 'File "app/handlers/runs.py"' in line["trace"]
        assert "RuntimeError: <data>/secret/file with [token] of " in line["trace"]
        assert (line["method"], line["route"]) == ("GET", "/runs")
    assert server.token not in text
    assert str(server.data_dir.parent) not in text
    assert not re.search(r'File \\"/', text)
    assert "secret-query" not in text


def test_an_expected_error_is_no_incident(server: Server) -> None:
    """Refusals have no number and leave only their access line."""
    for path in ("/runs/x", "/nowhere", "/runs?limit=x"):
        assert "incident" not in server.get(path).json["error"].get("details", {})
    text = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    assert {json.loads(line)["level"] for line in text.splitlines()} == {"info"}


def test_an_expected_error_that_is_internal(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the engine's that no request should meet is an incident as well."""

    def fail(*_: Any) -> None:
        raise StudioError("a plain sentence about /etc/passwd")

    monkeypatch.setattr(server.server._runs, "list", fail)
    with caplog.at_level(logging.ERROR):
        answer = server.get("/runs")
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert b"passwd" not in answer.body
    text = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    [line] = [line for line in map(json.loads, text.splitlines()) if line["level"] == "error"]
    assert line["incident"] == answer.json["error"]["details"]["incident"]
    assert "/etc" not in line["trace"]


def test_no_path_in_a_refusal(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence of a refusal loses the absolute paths that are in it, and so do its details."""
    place = str(server.data_dir.absolute() / "candles" / "X_1d.csv")

    def fail(*_: Any) -> None:
        raise ConfigError.of("symbol", f"{place} is bad")

    monkeypatch.setattr(server.server._runs, "create", fail)
    answer = server.post("/runs", {"symbol": "SPX"})
    assert (answer.status, answer.code) == (422, "INVALID_PARAM")
    assert place.encode() not in answer.body
    assert answer.json["error"]["details"]["errors"][0]["field"] == "symbol"
