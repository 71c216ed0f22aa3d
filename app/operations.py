"""The table of operations: every endpoint once. Routes are made from it, and the contract."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Operation:
    """One method on one path.

    ``handler`` names the class in ``app.handlers`` that answers; ``success`` are the statuses of
    answers that are no error, ``codes`` the errors beyond those that every operation may give,
    ``takes`` the content types of the body.
    """

    method: str
    path: str
    handler: str
    summary: str
    success: tuple[int, ...]
    codes: tuple[str, ...] = ()
    query: frozenset[str] = frozenset()
    takes: tuple[str, ...] = ()
    public: bool = False


JSON = ("application/json",)
CANDLES = ("text/csv", "application/vnd.apache.parquet", "application/octet-stream")


def _query(*names: str) -> dict[str, Any]:
    return {"query": frozenset(names)}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET", "/health", "health.Health", "Whether the server is there", (200,),
        ("SHUTTING_DOWN",), public=True,
    ),
    Operation(
        "GET", "/runs", "runs.Runs", "Runs, newest first", (200,),
        ("INVALID_CURSOR",), **_query("limit", "status", "symbol", "cursor"),
    ),
    Operation(
        "POST", "/runs", "runs.Runs", "Ask for a run", (200, 201),
        (
            "INVALID_JSON", "INVALID_IDEMPOTENCY_KEY", "DATASET_NOT_FOUND", "PRESET_NOT_FOUND",
            "RUN_CANCELLING",
            "INVALID_PARAM", "INVALID_DATA", "LIMIT_EXCEEDED", "IDEMPOTENCY_KEY_REUSED",
            "QUEUE_FULL", "SHUTTING_DOWN", "STORAGE_FULL",
        ),
        takes=JSON,
    ),
    Operation(
        "GET", "/runs/{run_id}", "runs.Run", "One run", (200, 304), ("RUN_NOT_FOUND",),
    ),
    Operation(
        "DELETE", "/runs/{run_id}", "runs.Run", "Remove a finished run", (204,),
        ("RUN_NOT_FOUND", "RUN_NOT_FINISHED", "STORAGE_FULL"),
    ),
    Operation(
        "POST", "/runs/{run_id}/cancel", "runs.Cancel", "Cancel a run", (200, 202),
        ("RUN_NOT_FOUND", "RUN_ALREADY_FINISHED", "STORAGE_FULL"),
    ),
    Operation(
        "GET", "/runs/{run_id}/events", "events.Events", "What has happened", (200, 304),
        ("RUN_NOT_FOUND", "EVENT_ID_AHEAD"), **_query("after_id"),
    ),
    Operation(
        "GET", "/runs/{run_id}/events/stream", "events.Stream", "What happens", (200, 204),
        ("RUN_NOT_FOUND", "EVENT_ID_AHEAD", "TOO_MANY_STREAMS", "SHUTTING_DOWN"),
        **_query("after_id", "heartbeat_ms"),
    ),
    Operation(
        "GET", "/runs/{run_id}/artifacts", "artifacts.Manifest", "The manifest", (200, 304),
        ("RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "ARTIFACT_NOT_READY"),
    ),
    Operation(
        "GET", "/runs/{run_id}/artifact/{name}", "artifacts.Artifact",
        "One artifact; a table also as .csv and .json",
        (200, 206, 304),
        ("RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "ARTIFACT_NOT_READY", "RANGE_NOT_SATISFIABLE"),
    ),
    Operation(
        "GET", "/runs/{run_id}/verify", "runs.Verify", "Compare the files with the manifest",
        (200,), ("RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "ARTIFACT_NOT_READY"),
    ),
    Operation("GET", "/presets", "presets.Presets", "Every preset, by name", (200,)),
    Operation(
        "POST", "/presets", "presets.Presets", "Keep a preset", (200, 201),
        ("INVALID_JSON", "INVALID_PARAM", "STORAGE_FULL"), takes=JSON,
    ),
    Operation(
        "GET", "/presets/{name}", "presets.Preset", "One preset", (200,), ("PRESET_NOT_FOUND",),
    ),
    Operation(
        "DELETE", "/presets/{name}", "presets.Preset", "Remove a preset", (204,),
        ("PRESET_NOT_FOUND", "STORAGE_FULL"),
    ),
    Operation(
        "GET", "/catalog", "catalog.Catalog", "What a configuration can name", (200, 304),
    ),
    Operation("GET", "/datasets", "datasets.Datasets", "What there is to run on", (200,)),
    Operation(
        "PUT", "/datasets/{symbol}/{timeframe}", "datasets.Dataset",
        "Import candles, CSV or Parquet", (200, 201),
        (
            "INVALID_QUERY", "INVALID_DATA", "DATASET_NOT_FOUND", "DATASET_IN_USE",
            "SHUTTING_DOWN", "STORAGE_FULL",
        ),
        takes=CANDLES, **_query("tz", "date_format", "decimal", "calendar", "on_bad_rows"),
    ),
    Operation(
        "DELETE", "/datasets/{symbol}/{timeframe}", "datasets.Dataset",
        "Remove a data set of the user's own", (204,),
        ("DATASET_NOT_FOUND", "DATASET_IN_USE", "STORAGE_FULL"),
    ),
    Operation(
        "GET", "/candles", "chart.Candles", "The newest bars of a range", (200, 304),
        ("INVALID_QUERY", "DATASET_NOT_FOUND", "INVALID_DATA", "LIMIT_EXCEEDED"),
        **_query("symbol", "timeframe", "start", "end", "provider", "limit"),
    ),
    Operation(
        "GET", "/features", "chart.Features", "The same with indicators", (200, 304),
        ("INVALID_QUERY", "DATASET_NOT_FOUND", "INVALID_DATA", "LIMIT_EXCEEDED"),
        **_query("symbol", "timeframe", "start", "end", "provider", "limit", "indicators"),
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
