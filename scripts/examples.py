"""Record the contract's examples: answers of a real server, written to ``contracts/examples.json``.

By operation, and there ``request`` or a status. The test asks a server the same and compares.
"""

import http.client
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scripts.bench.served import serving

EXAMPLES = Path(__file__).resolve().parent.parent / "contracts" / "examples.json"
Call = Callable[..., tuple[int, bytes]]
CSV = b"""date,open,high,low,close,volume
2024-01-02,100,102,99,101,1200
2024-01-03,101,103,100,102,1350
2024-01-04,102,104,101,103,1100
2024-01-05,103,104,100,101,1600
2024-01-08,101,102,97,98,2100
"""
CONFIG = {
    "symbol": "SPX",
    "provider": "sample",
    "start": "2009-01-01",
    "end": "2018-12-31",
    "indicators": [{"name": "rsi", "params": {"timeperiod": 14}}],
    "strategy": {"name": "dual_sma", "params": {"fast": 10, "slow": 30, "long_only": True}},
    "execution": {"commission_bps": 5, "slippage_bps": 2},
    "validation": {"permutation": {"n": 199}},
    "plot": False,
    "seed": 42,
}
LONG = CONFIG | {"validation": {"permutation": {"n": 100_000}}, "seed": 7}
WRONG = {"symbol": "SPX", "timeframe": "2d", "strategy": {"params": {"fast": 50, "slow": 20}}}
# What is another value each time, or with each change of the code.
VARYING = {
    "queued_ts", "started_ts", "finished_ts", "updated_ts", "run_id", "hash", "run_hash",
    "code_version", "version", "instance_id", "manifest_hash", "sha256", "size", "environment",
    "kernel", "progress",
}  # fmt: skip


def scenario(call: Call) -> dict[str, dict[str, Any]]:
    """Return the examples; ``call`` takes method, path, body and answers status and bytes."""
    found: dict[str, dict[str, Any]] = {}

    def ask(name: str, method: str, path: str, body: Any = None) -> Any:
        status, raw = call(method, path, body)
        said = found.setdefault(name, {})
        is_json = raw.startswith(b"{")
        said[str(status)] = json.loads(raw) if is_json else raw.decode()
        if isinstance(body, dict) and status < 300:
            said["request"] = body
        return json.loads(raw) if is_json else raw

    ask("get_health", "GET", "/health")
    ask("put_datasets_symbol_timeframe", "PUT", "/datasets/ACME/1d", CSV)
    ask("get_datasets", "GET", "/datasets")
    chart = "symbol=SPX&provider=sample&end=2018-12-31&limit=3"
    ask("get_candles", "GET", f"/candles?{chart}")
    indicators = quote(json.dumps(CONFIG["indicators"]))
    ask("get_features", "GET", f"/features?{chart}&indicators={indicators}")
    run_id = ask("post_runs", "POST", "/runs", CONFIG)["run_id"]
    _wait(call, run_id, "completed")
    ask("post_runs", "POST", "/runs", CONFIG)
    ask("Error", "POST", "/runs", WRONG)
    of_run = f"/runs/{run_id}"
    ask("get_runs", "GET", "/runs")
    ask("get_runs_run_id", "GET", of_run)
    ask("get_runs_run_id_events", "GET", f"{of_run}/events")
    ask("get_runs_run_id_artifacts", "GET", f"{of_run}/artifacts")
    ask("get_runs_run_id_artifact_name", "GET", f"{of_run}/artifact/metrics.json")
    ask("get_runs_run_id_verify", "GET", f"{of_run}/verify")
    preset = {"name": "costs", "config": {"execution": CONFIG["execution"]}}
    ask("post_presets", "POST", "/presets", preset)
    ask("get_presets", "GET", "/presets")
    ask("get_presets_name", "GET", "/presets/costs")
    catalog = ask("get_catalog", "GET", "/catalog")
    found["get_catalog"]["200"] = {  # one of many each
        name: said[:1] if isinstance(said, list) else said for name, said in catalog.items()
    }
    run_id = json.loads(call("POST", "/runs", LONG)[1])["run_id"]
    _wait(call, run_id, "running")
    ask("post_runs_run_id_cancel", "POST", f"/runs/{run_id}/cancel")
    _wait(call, run_id, "cancelled")
    ask("post_runs_run_id_cancel", "POST", f"/runs/{run_id}/cancel")
    return found


def _wait(call: Call, run_id: str, status: str) -> None:
    until = time.monotonic() + 60
    while json.loads(call("GET", f"/runs/{run_id}", None)[1])["status"] != status:
        assert time.monotonic() < until, f"the run is not {status}"
        time.sleep(0.01)


def steady(value: Any) -> Any:
    """Return an example without what is another value each time."""
    if isinstance(value, list):
        return [steady(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, str) and value.startswith("id: "):  # a run's events
        kinds = re.findall(r"^event: (\w+)$", value, re.MULTILINE)
        return [kind for kind in kinds if "progress" not in kind]  # that comes at will
    if isinstance(value, dict):
        return {key: None if key in VARYING else steady(each) for key, each in value.items()}
    return value


def main() -> None:
    """Start a server, ask it, write what it says."""
    with serving() as server:

        def call(method: str, path: str, body: Any) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            kind = "text/csv" if isinstance(body, bytes) else "application/json"
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, sent, server.headers | {"Content-Type": kind})
            answer = connection.getresponse()
            raw = answer.read()
            connection.close()
            return answer.status, raw

        found = scenario(call)
    text = json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True)
    EXAMPLES.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
