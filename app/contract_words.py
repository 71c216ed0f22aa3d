"""What the contract says in words, beside what the table of operations and the models say."""

from typing import Any

from engine.config import TIMEFRAME_MS
from engine.wording import NAME_WORDS, SYMBOL_PATTERN

INTRODUCTION = """\
Studio answers on this machine only, JSON in UTF-8. Times are UTC epoch milliseconds; `start` and
`end` may also be ISO-8601. Every request carries `Authorization: Bearer <token>`, but for
`/health`; no token ever stands in an address. The exact `Host` is needed, and an `Origin` has to be
one of those that are allowed.

A request is checked in this order: host, origin, preflight, token, route (404 `NOT_FOUND`, 405
`METHOD_NOT_ALLOWED` with `Allow`), content type and size, JSON, meaning. Requests refuse fields and
query parameters that are unknown; an integer is written without a point, 20.0 is none. An error is
always an `Error`; the codes of each operation stand with its statuses.

Configurations are described with the components that come with Studio and with the default limits;
what a plugin adds stands in `/catalog`, and the limits are settings of the server.
"""

PORTABLE_NAME = f"{NAME_WORDS}; no device's name, such as nul; no two names differ in case alone"
_RUN_ID = {"schema": {"type": "string", "pattern": "^[0-9a-f]{20}$"}}
PATH_PARAMETERS: dict[tuple[str, str], dict[str, Any]] = {
    ("", "run_id"): _RUN_ID,
    ("", "symbol"): {"schema": {"type": "string", "pattern": SYMBOL_PATTERN}},
    ("", "timeframe"): {"schema": {"type": "string", "enum": list(TIMEFRAME_MS)}},
    ("/presets/{name}", "name"): {
        "description": "a preset",
        "schema": {"type": "string", "format": "portable-name"},
    },
    ("/runs/{run_id}/artifact/{name}", "name"): {
        "description": "as in the manifest, manifest.json, or a table as .csv or .json",
        "schema": {"type": "string", "format": "artifact-name"},
    },
}
REQUEST_HEADERS: dict[str, dict[str, Any]] = {
    "If-None-Match": {"description": "an ETag that is known", "schema": {"type": "string"}},
    "If-Range": {"description": "the ETag that the range is of", "schema": {"type": "string"}},
    "Range": {
        "description": "one range of bytes; several are answered with the whole",
        "schema": {"type": "string", "examples": ["bytes=0-99"]},
    },
    "Last-Event-ID": {
        "description": "the last event that is known; 0 or nothing for all",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "Idempotency-Key": {
        "description": "makes a repeated request find the run of the first, for 24 hours",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
}
_TEXT = {"schema": {"type": "string"}}
RESPONSE_HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {"description": "the version, to be sent as If-None-Match", **_TEXT},
    "Location": {"description": "the run's path", **_TEXT},
    "Content-Range": {"description": "which bytes, of how many", **_TEXT},
    "Content-Disposition": {"description": "the file's name", **_TEXT},
    "WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}},
    "Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 0}},
}
DESCRIPTIONS = {
    "get_health": "Needs no token. While the server stops: 503.",
    "get_runs": "By the time of the current attempt; the configurations are left out.",
    "post_runs": "201 with a new run or a new attempt at one that failed, was cancelled or whose "
    "directory is gone; 200 where the same configuration, data and code are queued, running or "
    "completed already, or where the Idempotency-Key is known.",
    "get_runs_run_id": "Its state, its configuration with every default, what came out.",
    "delete_runs_run_id": "Row, events, keys and files go.",
    "post_runs_run_id_cancel": "A queued run is cancelled (200), one at work asked to stop (202).",
    "get_runs_run_id_events": "Every stored event after the cursor as frames `id`, `event`, "
    "`data`, then the end; the data of each is an `Event`.",
    "get_runs_run_id_events_stream": "The same, then each event as it comes and a `Heartbeat` "
    "after silence, until the run has ended. 204 where nothing more can come.",
    "get_runs_run_id_artifacts": "What files there are, with their hashes.",
    "get_runs_run_id_artifact_name": "The file as it lies on the disk, its ETag the SHA-256; "
    "`equity.csv` and `equity.json` are converted from `equity.parquet`, without ranges.",
    "get_runs_run_id_report": "One self-contained HTML file: configuration, metrics with their "
    "definitions, plots, validation in words, hashes.",
    "get_runs_run_id_belief": "The sentences of the report: the verdict, and what each test says; "
    "one that was not run is named as such.",
    "get_runs_run_id_verify": "A missing, additional, linked or changed file is not ok.",
    "get_presets": "Kept until they are deleted.",
    "post_presets": "Takes the place of a preset of the same name (200), or is a new one (201). "
    "Fields may be missing; those that are there are checked.",
    "get_presets_name": "With the time of its last change.",
    "delete_presets_name": "It goes.",
    "get_catalog": "Every component with the JSON Schema of its parameters and their defaults, "
    "that of the rest of a configuration, and the words for figures: enough to build forms from, "
    "and to show results. It stays the same while the server runs.",
    "get_datasets": "The user's own and those that come with Studio; a file that cannot be used "
    "is listed with its problem.",
    "put_datasets_symbol_timeframe": "Told apart by content, checked row by row, stored whole or "
    "not at all; answers what was found. Other content is refused while a run uses what is there.",
    "delete_datasets_symbol_timeframe": "Finished runs keep their artifacts.",
    "get_candles": "In columns, oldest first.",
    "post_panel_show": "What a second start of the program asks for; 404 where there is no panel.",
    "get_features": "A column for each series, as a strategy sees it: shifted by one bar.",
}
