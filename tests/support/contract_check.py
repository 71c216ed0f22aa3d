"""Holds every answer that a test gets against the contract, and counts what has been answered."""

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from app.api_errors import STATUS
from app.contract import FILES, WITH_HEADER, components, operation_id, own_headers
from app.operations import OPERATIONS, Operation, by_path

PATTERNS = {re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))): path for path in by_path()}
EVENT = re.compile(rb"^data: (.*)$", re.MULTILINE)
Produced = tuple[str, int, str]


class Checker:
    """Checks answers; ``produced`` are the operations, statuses and codes that have been seen."""

    def __init__(self) -> None:
        self.produced: set[Produced] = set()

    def check(self, method: str, target: str, status: int, headers: Any, body: bytes) -> None:
        """Fail where the contract does not know such an answer to such a request."""
        path = target.partition("?")[0]
        route = next((PATTERNS[p] for p in PATTERNS if p.fullmatch(path)), None)
        methods = by_path()[route] if route else {}
        operation = methods.get(method)
        if status >= 400:
            code = "" if method == "HEAD" else str(validated("Error", body)["error"]["code"])
            self._check_error(operation, status, code)
            if status in WITH_HEADER:
                assert WITH_HEADER[status][1] in headers, (method, target, status)
            return
        if operation is None:
            assert (method, status) == ("OPTIONS", 204), (method, target, status)
            return
        assert status in operation.answers, (method, route, status)
        missing = [name for name in own_headers(operation, status) if name not in headers]
        assert not missing, (method, route, status, missing)
        self.produced.add((name_of(operation, method), status, ""))
        if method == "HEAD" or status in {204, 304}:
            assert not body
            return
        _check_body(operation.answers[status], status, headers.get("Content-Type", ""), body)

    def _check_error(self, operation: Operation | None, status: int, code: str) -> None:
        if code:
            assert STATUS[code] == status
        of_the_path = {"NOT_FOUND", "METHOD_NOT_ALLOWED"} - set(
            operation.codes if operation else ()
        )
        if operation is None or code in of_the_path:
            return
        if not code:
            assert status in {STATUS[each] for each in operation.all_codes}
            return
        assert code in operation.all_codes, (operation.method, operation.path, code)
        self.produced.add((operation_id(operation), status, code))


CHECKER = Checker()


def name_of(operation: Operation, method: str) -> str:
    """Return the operation's name in the contract."""
    name = operation_id(operation)
    return name.replace("get", "head", 1) if method == "HEAD" else name


def _check_body(answer: str, status: int, kind: str, body: bytes) -> None:
    media_type = kind.partition(";")[0]
    if answer == "text/event-stream":
        assert media_type == answer
        for line in EVENT.findall(body):
            event = json.loads(line)
            validated("Heartbeat" if event["type"] == "heartbeat" else "Event", line)
    elif "/" in answer:
        assert media_type == answer
    elif answer == "Artifact":
        assert media_type in {"application/json", *FILES}
        if status == 200 and media_type == "application/json":
            validated(answer, body)
    else:
        assert media_type == "application/json"
        validated(answer, body)


def validated(name: str, body: bytes) -> Any:
    """Return the JSON value in ``body``, which must be what the contract calls so."""
    value = json.loads(body)
    fault = next(_validator(name).iter_errors(value), None)
    assert fault is None, f"{name}: {fault}"
    return value


@functools.cache
def _components() -> dict[str, Any]:
    return components()


@functools.cache
def _validator(name: str) -> Any:
    document = {"components": {"schemas": _components()}, "$ref": f"#/components/schemas/{name}"}
    return jsonschema_rs.Draft202012Validator(document)


def declared() -> Iterator[Produced]:
    """Yield every operation, status and code that the contract knows."""
    for operation in OPERATIONS:
        for status in operation.answers:
            yield operation_id(operation), status, ""
        for code in operation.all_codes:
            yield operation_id(operation), STATUS[code], code
