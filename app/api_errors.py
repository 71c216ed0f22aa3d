"""What a client is told when something is refused or fails: every code with its status.

The engine's and the program's own errors are mapped here, each class by name; what is not mapped is
an ``INTERNAL_ERROR``, and a test says that nothing is left out.
"""

from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import (
    ClusterError,
    ConfigError,
    DataError,
    DatasetNotFound,
    LimitError,
    LookaheadError,
    OutputError,
    PluginError,
    RunCancelled,
    StorageError,
    StudioError,
    VerificationError,
)

STATUS: dict[str, int] = {
    "INVALID_REQUEST": 400,
    "INVALID_JSON": 400,
    "INVALID_QUERY": 400,
    "INVALID_CURSOR": 400,
    "INVALID_IDEMPOTENCY_KEY": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN_HOST": 403,
    "FORBIDDEN_ORIGIN": 403,
    "NOT_FOUND": 404,
    "RUN_NOT_FOUND": 404,
    "ARTIFACT_NOT_FOUND": 404,
    "DATASET_NOT_FOUND": 404,
    "PRESET_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "RUN_ALREADY_FINISHED": 409,
    "RUN_NOT_FINISHED": 409,
    "RUN_CANCELLING": 409,
    "ARTIFACT_NOT_READY": 409,
    "DATASET_IN_USE": 409,
    "EVENT_ID_AHEAD": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RANGE_NOT_SATISFIABLE": 416,
    "INVALID_PARAM": 422,
    "INVALID_DATA": 422,
    "LIMIT_EXCEEDED": 422,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "QUEUE_FULL": 429,
    "TOO_MANY_STREAMS": 429,
    "INTERNAL_ERROR": 500,
    "SHUTTING_DOWN": 503,
    "STORAGE_FULL": 507,
}
INSIDE = "An error inside Studio; its log says more."
MAX_LISTED = 1_000  # faults; a body has room for so many that the answer would be megabytes
RETRYABLE = {
    "RUN_CANCELLING",
    "ARTIFACT_NOT_READY",
    "QUEUE_FULL",
    "TOO_MANY_STREAMS",
    "SHUTTING_DOWN",
    "STORAGE_FULL",
}
# What an error means where a request meets it.
IN_A_REQUEST: dict[type[StudioError], str] = {
    ConfigError: "INVALID_PARAM",
    LimitError: "LIMIT_EXCEEDED",
    DataError: "INVALID_DATA",
    DatasetNotFound: "DATASET_NOT_FOUND",
    PluginError: "INVALID_PARAM",  # a user's component that cannot be built from its parameters
    StorageError: "STORAGE_FULL",
    # Only a run meets these.
    LookaheadError: "INTERNAL_ERROR",
    ClusterError: "INTERNAL_ERROR",
    RunCancelled: "INTERNAL_ERROR",
    OutputError: "INTERNAL_ERROR",
    VerificationError: "INTERNAL_ERROR",
}
# What it means where a run ends by it; its configuration was right when it was asked for.
IN_A_RUN: dict[type[StudioError], str] = {
    ConfigError: "CODE_CHANGED",
    LimitError: "LIMIT_EXCEEDED",
    DataError: "INVALID_DATA",
    DatasetNotFound: "DATA_CHANGED",
    LookaheadError: "LOOKAHEAD",
    PluginError: "PLUGIN_FAILED",
    ClusterError: "CLUSTER_UNAVAILABLE",
    StorageError: "STORAGE_FULL",
    RunCancelled: "INTERRUPTED",
    OutputError: "INTERNAL_ERROR",
    VerificationError: "INTERNAL_ERROR",
}


class ApiError(StudioError):
    """A request that is refused: one of the codes of ``STATUS``, and a sentence for a person."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.api_code = code
        self.details = details
        self.headers = dict(headers or {})
        if code == "UNAUTHORIZED":
            self.headers["WWW-Authenticate"] = "Bearer"

    @property
    def status(self) -> int:
        """Return the status line's number."""
        return STATUS[self.api_code]

    def envelope(self, shorten: Callable[[str], str] = str) -> dict[str, Any]:
        """Return the body that carries the error; ``shorten`` hides paths and the token."""
        error: dict[str, Any] = {"code": self.api_code, "message": shorten(str(self))}
        if self.details is not None:
            error["details"] = dict(self.details)
            if "errors" in self.details:
                error["details"]["errors"] = [
                    {name: shorten(text) for name, text in each.items()}
                    for each in self.details["errors"]
                ]
        error["retryable"] = self.api_code in RETRYABLE
        return {"error": error}


def as_query_error(fault: ConfigError) -> ApiError:
    """Return what a client is told about a fault in a part of its address, not of a body."""
    error = as_api_error(fault)
    return ApiError("INVALID_QUERY", str(error), details=error.details)


def as_api_error(fault: StudioError) -> ApiError:
    """Return what a client is told about an expected error that a request met."""
    if isinstance(fault, ApiError):
        return fault
    code = code_of(fault, IN_A_REQUEST)
    if isinstance(fault, ConfigError):
        listed = fault.faults[:MAX_LISTED]
        errors = [{"field": each.field, "message": each.message} for each in listed]
        n = len(fault.faults)
        message = str(fault.faults[0]) if n == 1 else f"{n} things are wrong with the request"
        return ApiError(code, message, details={"errors": errors})
    if code == "INVALID_PARAM":
        return ApiError(
            code, str(fault), details={"errors": [{"field": "", "message": str(fault)}]}
        )
    if code == "INTERNAL_ERROR":
        return ApiError(code, INSIDE)
    return ApiError(code, str(fault))


def code_of(fault: BaseException, meanings: Mapping[type[StudioError], str]) -> str:
    """Return what an error means: by its own class, else by the nearest one above it."""
    for kind in type(fault).__mro__:
        if kind in meanings:
            return meanings[kind]
    return "INTERNAL_ERROR"
