"""The table of operations: every endpoint once. Routes are made from it, and the contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.transitions import STATUSES
from engine.errors import Fault
from engine.wording import one_of

JSON = ("application/json",)
CANDLES = ("text/csv", "application/vnd.apache.parquet", "application/octet-stream")
EVENT_STREAM = "text/event-stream"
HTML = "text/html"
# What is said by every operation, and by every one that needs the token.
COMMON = ("INVALID_REQUEST", "INVALID_QUERY", "FORBIDDEN_HOST", "FORBIDDEN_ORIGIN",
          "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "INTERNAL_ERROR")  # fmt: skip
PRIVATE = ("UNAUTHORIZED",)
DIGITS = 19  # a number with as many is beyond every bound, body and log


@dataclass(frozen=True)
class Parameter:
    """A query parameter and the JSON Schema of its value.

    One without a schema is the field of this name of a run's configuration.
    """

    schema: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    required: bool = False

    def fault(self, values: Sequence[bytes]) -> str | None:
        """Return what is wrong with its values in a query, None where the schema allows them."""
        if len(values) > 1:
            return "is given more than once"
        try:
            text = values[0].decode("utf-8")
        except UnicodeDecodeError:
            return "is not UTF-8"
        if text not in self.schema.get("enum", [text]):
            return one_of(self.schema["enum"])
        if self.schema.get("type") == "integer":
            return self._fault_of_number(whole(text))
        return None

    def _fault_of_number(self, number: int | None) -> str | None:
        least, most = self.schema["minimum"], self.schema.get("maximum")
        if number is not None and least <= number and (most is None or number <= most):
            return None
        bounds = f", {least} or more" if most is None else f" from {least} to {most:,}"
        return f"should be a whole number{bounds}"


@dataclass(frozen=True)
class Operation:
    """One method on one path.

    ``handler`` names the class in ``app.handlers`` that answers. ``answers`` are the statuses of
    answers that are no error, each with the model of its JSON, or its media type, or nothing;
    ``codes`` the errors beyond those that every operation may give. ``takes`` are the content types
    of the body, ``body`` is the model of one that is JSON; ``headers`` are those that are heeded.
    """

    method: str
    path: str
    handler: str
    summary: str
    answers: Mapping[int, str]
    codes: tuple[str, ...] = ()
    query: Mapping[str, Parameter] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    body: str = ""
    public: bool = False

    @property
    def all_codes(self) -> tuple[str, ...]:
        """Return every error that the operation may answer with."""
        return (*COMMON, *(() if self.public else PRIVATE), *self.codes)

    def query_faults(self, given: Mapping[str, Sequence[bytes]]) -> list[Fault]:
        """Return what is wrong with a query, as far as the parameters themselves tell."""
        faults = []
        for name, values in given.items():
            known = self.query.get(name)
            words = "unknown parameter" if known is None else known.fault(values)
            if words is not None:
                faults.append(Fault(name, words))
        return faults


def whole(text: str) -> int | None:
    """Return a whole number from 0 on as it is written, None for anything else.

    One that is beyond everything here is cut to ``DIGITS``.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text.lstrip("0")[:DIGITS] or 0)


def _whole(least: int, most: int | None = None, default: int | None = None) -> dict[str, Any]:
    said = {"minimum": least, "maximum": most, "default": default}
    return {"type": "integer", **{key: value for key, value in said.items() if value is not None}}


SYMBOL = Parameter(required=True)
RANGE = {
    "symbol": SYMBOL,
    "timeframe": Parameter(),
    "start": Parameter(),
    "end": Parameter(),
    "provider": Parameter(),
    "limit": Parameter(_whole(1, 10_000, 1_000), "the newest so many bars of the range"),
}
AFTER_ID = Parameter(
    _whole(0, default=0), "the last event that is known, 0 for all; Last-Event-ID wins"
)
CACHED = ("If-None-Match",)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET", "/health", "health.Health", "Whether the server is there", {200: "Health"},
        ("SHUTTING_DOWN",), public=True,
    ),
    Operation(
        "GET", "/runs", "runs.Runs", "Runs, newest first", {200: "RunList"}, ("INVALID_CURSOR",),
        query={
            "limit": Parameter(_whole(1, 200, 50), "how many in a page"),
            "status": Parameter({"type": "string", "enum": list(STATUSES)}, "in this state alone"),
            "symbol": Parameter({"type": "string"}, "runs on this one alone"),
            "cursor": Parameter(
                {"type": "string", "format": "cursor"}, "next_cursor of the page before"
            ),
        },
    ),
    Operation(
        "POST", "/runs", "runs.Runs", "Ask for a run", {200: "CreatedRun", 201: "CreatedRun"},
        (
            "INVALID_JSON", "INVALID_IDEMPOTENCY_KEY", "DATASET_NOT_FOUND", "PRESET_NOT_FOUND",
            "RUN_CANCELLING",
            "INVALID_PARAM", "INVALID_DATA", "LIMIT_EXCEEDED", "IDEMPOTENCY_KEY_REUSED",
            "QUEUE_FULL", "SHUTTING_DOWN", "STORAGE_FULL",
        ),
        headers=("Idempotency-Key",), takes=JSON, body="RunRequest",
    ),
    Operation(
        "GET", "/runs/{run_id}", "runs.Run", "One run", {200: "RunDetail", 304: ""},
        ("RUN_NOT_FOUND",), headers=CACHED,
    ),
    Operation(
        "DELETE", "/runs/{run_id}", "runs.Run", "Remove a finished run", {204: ""},
        ("RUN_NOT_FOUND", "RUN_NOT_FINISHED", "STORAGE_FULL"),
    ),
    Operation(
        "POST", "/runs/{run_id}/cancel", "runs.Cancel", "Cancel a run",
        {200: "CancelledRun", 202: "CancelledRun"},
        ("RUN_NOT_FOUND", "RUN_ALREADY_FINISHED", "STORAGE_FULL"),
    ),
    Operation(
        "GET", "/runs/{run_id}/events", "events.Events", "What has happened",
        {200: EVENT_STREAM, 304: ""}, ("RUN_NOT_FOUND", "EVENT_ID_AHEAD"),
        query={"after_id": AFTER_ID}, headers=("Last-Event-ID", *CACHED),
    ),
    Operation(
        "GET", "/runs/{run_id}/events/stream", "events.Stream", "What happens",
        {200: EVENT_STREAM, 204: ""},
        ("RUN_NOT_FOUND", "EVENT_ID_AHEAD", "TOO_MANY_STREAMS", "SHUTTING_DOWN"),
        query={
            "after_id": AFTER_ID,
            "heartbeat_ms": Parameter(
                _whole(250, 60_000), "silence before a sign of life; else the server's setting"
            ),
        },
        headers=("Last-Event-ID",),
    ),
    Operation(
        "GET", "/runs/{run_id}/artifacts", "artifacts.Manifest", "The manifest",
        {200: "ArtifactManifest", 304: ""},
        ("RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "ARTIFACT_NOT_READY"), headers=CACHED,
    ),
    Operation(
        "GET", "/runs/{run_id}/artifact/{name}", "artifacts.Artifact",
        "One artifact; a table also as .csv and .json",
        {200: "Artifact", 206: "Artifact", 304: ""},
        ("RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "ARTIFACT_NOT_READY", "RANGE_NOT_SATISFIABLE"),
        headers=("Range", "If-Range", *CACHED),
    ),
    Operation(
        "GET", "/runs/{run_id}/report", "report.Report", "The report of a run, one HTML file",
        {200: HTML, 304: ""}, ("RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "ARTIFACT_NOT_READY"),
        headers=CACHED,
    ),
    Operation(
        "GET", "/runs/{run_id}/belief", "belief.Belief", "What the validation tests say, in words",
        {200: "Belief", 304: ""}, ("RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "ARTIFACT_NOT_READY"),
        headers=CACHED,
    ),
    Operation(
        "GET", "/runs/{run_id}/verify", "runs.Verify", "Compare the files with the manifest",
        {200: "Verification"}, ("RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "ARTIFACT_NOT_READY"),
    ),
    Operation(
        "GET", "/presets", "presets.Presets", "Every preset, by name", {200: "PresetList"},
    ),
    Operation(
        "POST", "/presets", "presets.Presets", "Keep a preset",
        {200: "StoredPreset", 201: "StoredPreset"},
        ("INVALID_JSON", "INVALID_PARAM", "LIMIT_EXCEEDED", "STORAGE_FULL"), takes=JSON,
        body="StoredPreset",
    ),
    Operation(
        "GET", "/presets/{name}", "presets.Preset", "One preset", {200: "Preset"},
        ("PRESET_NOT_FOUND",),
    ),
    Operation(
        "DELETE", "/presets/{name}", "presets.Preset", "Remove a preset", {204: ""},
        ("PRESET_NOT_FOUND", "STORAGE_FULL"),
    ),
    Operation(
        "GET", "/catalog", "catalog.Catalog", "What a configuration can name",
        {200: "Catalog", 304: ""}, headers=CACHED,
    ),
    Operation(
        "GET", "/datasets", "datasets.Datasets", "What there is to run on", {200: "DatasetList"},
    ),
    Operation(
        "PUT", "/datasets/{symbol}/{timeframe}", "datasets.Dataset",
        "Import candles, CSV or Parquet", {200: "Dataset", 201: "Dataset"},
        ("INVALID_DATA", "DATASET_NOT_FOUND", "DATASET_IN_USE", "SHUTTING_DOWN", "STORAGE_FULL"),
        takes=CANDLES,
        query={
            "tz": Parameter(
                {"type": "string", "format": "time-zone", "default": "UTC"},
                "time zone of times without an offset, such as Europe/Berlin",
            ),
            "date_format": Parameter(
                {"type": "string", "format": "strftime"}, "such as %d.%m.%Y, where it is unusual"
            ),
            "decimal": Parameter({"type": "string", "enum": [".", ","]}, "the decimal mark"),
            "calendar": Parameter(),
            "on_bad_rows": Parameter(),
            "source": Parameter(
                {"type": "string"},
                "what the file is called, kept with the candles; of a path the last part",
            ),
        },
    ),
    Operation(
        "DELETE", "/datasets/{symbol}/{timeframe}", "datasets.Dataset",
        "Remove a data set of the user's own", {204: ""},
        ("DATASET_NOT_FOUND", "DATASET_IN_USE", "STORAGE_FULL"),
    ),
    Operation(
        "GET", "/candles", "chart.Candles", "The newest bars of a range",
        {200: "Candles", 304: ""}, ("DATASET_NOT_FOUND", "INVALID_DATA", "LIMIT_EXCEEDED"),
        query=RANGE, headers=CACHED,
    ),
    Operation(
        "GET", "/features", "chart.Features", "The same with indicators",
        {200: "Features", 304: ""}, ("DATASET_NOT_FOUND", "INVALID_DATA", "LIMIT_EXCEEDED"),
        query={**RANGE, "indicators": Parameter(description="a JSON list")}, headers=CACHED,
    ),
    Operation(
        "POST", "/panel/show", "panel.Show", "Show the window of the panel", {204: ""},
        ("NOT_FOUND",),
    ),
)  # fmt: skip


def by_path() -> dict[str, dict[str, Operation]]:
    """Return path → method → operation; GET brings HEAD with it."""
    found: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        methods = found.setdefault(operation.path, {})
        methods[operation.method] = operation
        if operation.method == "GET":
            methods["HEAD"] = operation
    return found
