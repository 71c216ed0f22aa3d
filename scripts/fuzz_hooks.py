"""What schemathesis has to know of Studio: formats, files, runs, and the refusals that are meant.

JSON Schema states each field by itself. Where two fields, the candles or what came before decide,
a refusal of valid data is right; ``MEANT`` lists all of these, with the reason of each.
"""

import json
import os
import re
from typing import Any

import schemathesis
from hypothesis import strategies as st

from engine.wording import is_portable_name

RUNS = json.loads(os.environ["STUDIO_FUZZ_RUNS"])
CHARTS = {"/candles", "/features"}
TIMEFRAMES = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]
RUN_ID = re.compile(r"[0-9a-f]{20}")
SYMBOL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
PORTABLE = r"\A[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?\Z"
ARTIFACTS = ("config.json", "metrics.json", "manifest.json", "plot.png", "features.parquet",
             "equity.csv", "trades.json")  # fmt: skip
FIRST_CURSOR = "WzEsIjAwMDAwMDAwMDAwMDAwMDAwMDAwIl0"  # of a run that queued at 1 ms
MOST_REPLICATES = 20
COMPONENTS = ("strategy", "risk", "execution.slippage_model")

# Code, field and message (of each fault that the refusal lists), and why it is right to refuse.
MEANT: tuple[tuple[str, str, str], ...] = (
    ("INVALID_QUERY|INVALID_PARAM", r"end: must not be before start", "two fields decide"),
    ("INVALID_QUERY|INVALID_PARAM", r"(start|end): '\d{4}-02-29.*", "a leap day in no leap year"),
    ("INVALID_PARAM", r"strategy\.params\.slow: must be greater than fast .*", "two fields decide"),
    ("INVALID_PARAM", r"risk\.params\.fraction: must be at most max_lev.*", "two fields decide"),
    ("INVALID_QUERY|INVALID_PARAM", r"indicators\.\d+: gives the same column .*", "two of a list"),
    (
        "INVALID_QUERY|INVALID_PARAM",
        r"indicators\.\d+\.params: TA-Lib does not .*",
        "fields together",
    ),
    ("INVALID_DATA", r": .*", "candles and range, calendar or columns do not go together"),
    ("LIMIT_EXCEEDED", r"start: .* bars are more .*", "range and timeframe make too many bars"),
    ("IDEMPOTENCY_KEY_REUSED", r": .*", "the key came with another body before"),
)

# In lower case, so that none differs from another in case alone.
schemathesis.openapi.format("portable-name", st.from_regex(PORTABLE).filter(is_portable_name))
schemathesis.openapi.format("time-zone", st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo"]))
schemathesis.openapi.format("strftime", st.just("%Y-%m-%d"))
schemathesis.openapi.format("cursor", st.just(FIRST_CURSOR))
schemathesis.openapi.format("artifact-name", st.sampled_from(ARTIFACTS))


def _csv(days: list[int]) -> bytes:
    rows = (b"%d-01-02,10,12,9,11,%d\n" % (1990 + day, day) for day in sorted(days))
    return b"date,open,high,low,close,volume\n" + b"".join(rows)


FILES = st.lists(st.integers(1, 60), min_size=1, unique=True).map(_csv)
for kind in ("text/csv", "application/vnd.apache.parquet", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, FILES)


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Ask for runs that are there, where any would do."""
    run_id = (path_parameters or {}).get("run_id")
    if isinstance(run_id, str) and RUN_ID.fullmatch(run_id) and run_id[0] in "01234567":
        return {**path_parameters, "run_id": RUNS[int(run_id[1], 16) % len(RUNS)]}
    return path_parameters


@schemathesis.hook
def map_query(context: Any, query: dict[str, Any]) -> dict[str, Any]:
    """Ask for candles that are there, where any would do."""
    if not query or context.operation.path not in CHARTS:
        return query
    if query.get("limit") in range(0, 10_000, 2):  # half of them ask for the whole
        query = {name: value for name, value in query.items() if name not in {"start", "end"}}
    return _of_sample(query)


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """Run on candles that are there, with few replicates, where any would do."""
    body = _with_whole_numbers(body)
    if not isinstance(body, dict) or "name" in body:
        return body
    tests = body.get("validation")
    if isinstance(tests, dict):
        body = {**body, "validation": {name: _quick(test) for name, test in tests.items()}}
    return _of_sample(body)


def _with_whole_numbers(value: Any) -> Any:
    """Return a value with 20.0 written as 20: to us only that is an integer."""
    if isinstance(value, dict):
        return {key: _with_whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _of_sample(given: dict[str, Any]) -> dict[str, Any]:
    symbol = given.get("symbol")
    if isinstance(symbol, str) and SYMBOL.fullmatch(symbol) and len(symbol) % 4:
        known = {"symbol": "SPX"}
        if given.get("provider", "local") in ["local", "sample", "synthetic"]:
            known["provider"] = "sample"
        if given.get("timeframe", "1d") in TIMEFRAMES:
            known["timeframe"] = "1d"
        return {**given, **known}
    return given


def _quick(test: Any) -> Any:
    n = test.get("n") if isinstance(test, dict) else None
    if isinstance(n, int) and not isinstance(n, bool) and 0 < n <= 100_000:
        return {**test, "n": 1 + n % MOST_REPLICATES}
    return test


@schemathesis.hook
def filter_failure(_context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Keep every failure but the refusals that are meant."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    if case.method == "HEAD":  # it does not say why, and GET is asked the same
        return response.status_code not in {400, 422}
    error = json.loads(response.content)["error"]
    whole = [{"field": "", "message": error["message"]}]
    faults = error.get("details", {}).get("errors", whole)
    return not all(
        _is_meant(error["code"], **each) or _is_of_the_preset(case.body, each["field"])
        for each in faults
    )


def _is_meant(code: str, field: str, message: str) -> bool:
    said = f"{field}: {message}"
    return any(re.fullmatch(codes, code) and re.fullmatch(texts, said) for codes, texts, _ in MEANT)


def _is_of_the_preset(body: Any, field: str) -> bool:
    """Tell whether a request leaves a field, the symbol or a component's, to its preset."""
    if not isinstance(body, dict) or "preset_ref" not in body:
        return False
    if field == "symbol":
        return field not in body
    for place in COMPONENTS:
        if field.startswith(f"{place}."):
            component = body
            for part in place.split("."):
                component = component.get(part, {})
            return "name" not in component
    return False
