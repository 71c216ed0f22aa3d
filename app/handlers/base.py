"""What every request goes through: the order of checks, one form of error, one line in the log.

Host → Origin → preflight → authentication → route → content type and size; the body's JSON and its
meaning are each handler's own. A request that is refused is answered once its body has been read
and thrown away, since a client that is still sending would see a reset instead of the answer.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tornado.web
from tornado.httputil import HTTPServerRequest

from app.api_errors import INSIDE, ApiError, as_api_error, as_query_error
from app.candle_files import CandleFiles
from app.data_dir import RUN_ID
from app.engine_calls import EngineCalls
from app.events import EventLog
from app.operations import Operation, whole
from app.presets import PresetService
from app.runs import RunService
from app.security import HEADERS, Gate, preflight_headers
from app.strict_json import compact, parse_json
from engine.errors import ConfigError, StudioError
from engine.wording import size_in_words

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
PREFLIGHT = {"Origin", "Access-Control-Request-Method"}
DRAIN_S = 10.0
NO_LIMIT = 1 << 62
JSON_TYPE = "application/json; charset=utf-8"
log = logging.getLogger("studio.server")
access = logging.getLogger("studio.access")


@dataclass
class Services:
    """What handlers work with."""

    gate: Gate
    runs: RunService
    presets: PresetService
    engine: EngineCalls
    events: EventLog
    health: dict[str, Any]
    max_body: int
    max_import_bytes: int  # the longest body that is ever read, if only to be thrown away
    candle_files: CandleFiles
    max_streams: int
    heartbeat_ms: int
    shorten: Callable[[str], str]  # makes a message's paths relative, and hides the token
    show_panel: Callable[[], None] | None = None  # brings the window forward, where there is one
    streams: set[Any] = field(default_factory=set)
    idle: dict[Any, None] = field(default_factory=dict)  # connections that may make room
    closing: bool = False


class AnyMethod(tuple[str, ...]):
    """Every word is a method: what is none of ours is refused by our own checks, in their order."""

    __slots__ = ()

    def __contains__(self, _word: object) -> bool:
        """Agree to it."""
        return True


@tornado.web.stream_request_body
class Handler(tornado.web.RequestHandler):
    """One request; a subclass has a method in lower case for each that its route knows."""

    SUPPORTED_METHODS = AnyMethod()

    def initialize(
        self, services: Services, operations: Mapping[str, Operation], route: str
    ) -> None:
        """Take what the table of operations says about the route."""
        self.services = services
        self.operations = operations
        self.route = route
        self.started = time.perf_counter()
        self.asked = self.request.method or ""
        self.incident: str | None = None
        self._refusal: ApiError | None = None
        self._body = bytearray()
        self._n_received = 0
        self._drain_timer: asyncio.TimerHandle | None = None

    def set_default_headers(self) -> None:
        """Set what every response carries."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)
        services = self.application.settings["services"]
        cors = services.gate.cors_headers(self.request.headers.get_list("Origin"))
        for name, value in (cors or {}).items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Decide who may go on, before the body is read."""
        connection: Any = self.request.connection
        connection.set_max_body_size(NO_LIMIT)  # we count ourselves, and answer in our own words
        try:
            self._admit()
        except ApiError as refusal:
            self._refuse(refusal)

    def _admit(self) -> None:
        request, gate = self.request, self.services.gate
        hosts, origins = (request.headers.get_list(name) for name in ("Host", "Origin"))
        refusal = gate.refusal(hosts, origins)
        if refusal is not None:
            raise refusal
        if self.asked == "OPTIONS" and request.headers.keys() >= PREFLIGHT:
            request.method = "PREFLIGHT"
            return
        if not self._is_public() and not gate.verifier.matches(_only(request, "Authorization")):
            raise ApiError("UNAUTHORIZED", "a bearer token is needed; it is not this one, or none")
        self._admit_route()
        self._admit_body()

    def _is_public(self) -> bool:
        return any(operation.public for operation in self.operations.values())

    def _admit_route(self) -> None:
        if not self.operations:
            raise ApiError("NOT_FOUND", "there is nothing at this path")
        if self.asked not in self.operations:
            allowed = ", ".join(sorted(self.operations))
            message = f"this path takes {allowed}"
            raise ApiError("METHOD_NOT_ALLOWED", message, headers={"Allow": allowed})
        operation, given = self.operations[self.asked], self.request.query_arguments
        if given and not operation.query:  # a handler whose query may say something checks it all
            raise as_query_error(ConfigError(operation.query_faults(given)))

    def _admit_body(self) -> None:
        headers = self.request.headers
        if "Content-Encoding" in headers:
            raise ApiError("UNSUPPORTED_MEDIA_TYPE", "send the body without a Content-Encoding")
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        takes = self.operations[self.asked].takes
        if takes and kind not in takes:
            raise ApiError("UNSUPPORTED_MEDIA_TYPE", f"send {' or '.join(takes)}")
        if self._announced() > self.max_bytes():
            raise self._too_large()

    def max_bytes(self) -> int:
        """Return how long the body may be."""
        return self.services.max_body

    def _too_large(self) -> ApiError:
        return ApiError(
            "PAYLOAD_TOO_LARGE", f"the body has more than {size_in_words(self.max_bytes())}"
        )

    def _refuse(self, refusal: ApiError) -> None:
        """Let the answer be this refusal, when the rest of the body has gone by."""
        self._refusal = refusal
        connection: Any = self.request.connection
        connection.stream.refuse(refusal)
        self._body.clear()
        self.request.method = "REFUSE"
        self._drain_timer = asyncio.get_running_loop().call_later(DRAIN_S, self._answer_refusal)

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body, or throw it away."""
        self._n_received += len(chunk)
        if self._refusal is not None:
            if self._n_received > self.services.max_import_bytes:
                self._answer_refusal()
        elif self._n_received > self.max_bytes():
            self._refuse(self._too_large())
        else:
            try:
                self.keep(chunk)
            except StudioError as fault:
                self._refuse(as_api_error(fault))

    def keep(self, chunk: bytes) -> None:
        """Keep a part of the body until all of it is there; may raise what the answer is then."""
        self._body += chunk

    def refuse(self, *_: str, **__: str) -> None:
        """Answer what ``prepare`` or the body has led to."""
        self._answer_refusal()

    def hang_up(self) -> None:
        """Close the connection where no more can be said on it, as one that is not read."""
        connection: Any = self.request.connection
        connection.stream.close()

    def on_connection_close(self) -> None:
        """Forget a client that has gone."""
        super().on_connection_close()
        self._stop_draining()

    def _stop_draining(self) -> None:
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None

    def _answer_refusal(self) -> None:
        self._stop_draining()
        if self._finished or self._refusal is None:
            return
        if "Transfer-Encoding" in self.request.headers or self._announced():
            connection: Any = self.request.connection
            connection._disconnect_on_finish = True  # noqa: SLF001  # there is no public way to say so
        self.answer_error(self._refusal)

    def _announced(self) -> int:
        """Return the length that the body is to have; what is no length, Tornado refuses."""
        return whole(self.request.headers.get("Content-Length", "").partition(",")[0]) or 0

    def preflight(self, *_: str, **__: str) -> None:
        """Tell a browser what its page may send."""
        for name, value in preflight_headers().items():
            self.set_header(name, value)
        self.set_status(204)

    def head(self, *arguments: str, **named: str) -> Any:
        """Answer as to GET; Tornado leaves the body out."""
        return self.get(*arguments, **named)

    def json_body(self) -> Any:
        """Return the body's value.

        Raises
            ApiError where it is no JSON.
        """
        try:
            return parse_json(bytes(self._body).decode("utf-8"))
        except (ValueError, RecursionError):
            raise ApiError("INVALID_JSON", "the body is not valid JSON") from None

    def answer(self, value: Any, status: int = 200) -> None:
        """Send a JSON value."""
        self.set_status(status)
        self.set_header("Content-Type", JSON_TYPE)
        self.write(to_json(value))

    def answer_error(self, fault: ApiError) -> None:
        """Send an error in its envelope."""
        self.request.method = self.asked  # the answer to HEAD has no body
        self.set_status(fault.status)
        for name, value in fault.headers.items():
            self.set_header(name, value)
        self.set_header("Content-Type", JSON_TYPE)
        self.set_header("Cache-Control", "no-store")
        self.finish(to_json(fault.envelope(self.services.shorten)))

    def matches(self, etag: str) -> bool:
        """Tell whether the client has this very version, by ``If-None-Match``."""
        given = self.request.headers.get("If-None-Match", "")
        held = [each.strip().removeprefix("W/") for each in given.split(",")]
        return "*" in held or etag in held

    def answer_unless_known(self, value: Any, etag: str) -> None:
        """Send a JSON value, or that the client has it."""
        self.send_unless_known(to_json(value), etag)

    def send_unless_known(self, text: bytes, etag: str) -> None:
        """Send JSON that is written out already, or that the client has it."""
        self.set_header("ETag", etag)
        self.set_header("Cache-Control", "private, no-cache")
        if self.matches(etag):
            self.set_status(304)
        else:
            self.set_header("Content-Type", JSON_TYPE)
            self.write(text)

    def decode_argument(self, value: bytes, name: str | None = None) -> str:  # noqa: ARG002  # Tornado's
        """Return a part of the path; what is no UTF-8 matches no name, and so is not found."""
        return value.decode("utf-8", "replace")

    def compute_etag(self) -> str | None:
        """Leave ETags to the handlers that have one."""
        return None

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with the error, or hang up in the middle of an answer: a proper end would lie."""
        if not self._headers_written:
            super().send_error(status_code, **kwargs)
            return
        self.hang_up()
        self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send the envelope of whatever a handler raised."""
        fault = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(fault, StudioError):
            error = as_api_error(fault)
        elif isinstance(fault, tornado.web.HTTPError) and status_code < 500:
            # Tornado's own word about a path or a query that cannot be decoded.
            error = ApiError("INVALID_QUERY", "the address cannot be read")
        else:
            error = ApiError("INTERNAL_ERROR", INSIDE)
        if error.status == 500:
            self.incident = self.incident or secrets.token_hex(6)
            details = {**(error.details or {}), "incident": self.incident}
            error = ApiError(error.api_code, str(error), details=details)
        self.answer_error(error)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what was not expected, once, without the address."""
        if isinstance(value, StudioError) and as_api_error(value).status != 500:
            return
        if isinstance(value, tornado.web.HTTPError) and value.status_code < 500:
            return
        self.incident = secrets.token_hex(6)
        extra = self._what_was_asked() | {"incident": self.incident}
        log.error("a request met an error", exc_info=(typ, value, tb), extra=extra)

    def _what_was_asked(self) -> dict[str, Any]:
        """Return what the log tells of the request: of its address no more than the run."""
        asked = {"method": self.asked if self.asked in METHODS else "other", "route": self.route}
        run_id = (self.path_kwargs or {}).get("run_id", "")
        return asked | {"run_id": run_id} if RUN_ID.fullmatch(run_id) else asked

    def log_access(self) -> None:
        """Write the line of this request."""
        access.info(
            "request",
            extra=self._what_was_asked()
            | {
                "status": self.get_status(),
                "duration_ms": round(1e3 * (time.perf_counter() - self.started), 2),
            },
        )


class NotFound(Handler):
    """A path that is nobody's."""


def etag_of(content: bytes) -> str:
    """Return the ``ETag`` of a body that is known by its bytes."""
    return f'"{hashlib.sha256(content).hexdigest()}"'


def to_json(value: Any) -> bytes:
    """Return a JSON value in UTF-8; NaN and infinity never get this far."""
    return compact(value).encode()


def _only(request: HTTPServerRequest, name: str) -> str | None:
    """Return a header that is given once."""
    given = request.headers.get_list(name)
    return given[0] if len(given) == 1 else None
