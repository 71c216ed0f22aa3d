"""Ask a server everything that the contract allows, and much that it does not, with schemathesis.

    python -m scripts.fuzz --examples 2000

Every check of schemathesis is on. ``fuzz_hooks`` says what valid text of our formats is, and which
refusals of valid data are meant, each with its reason.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from scripts.bench.served import Served, serving

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "contracts" / "openapi.yaml"
MODEST = {"queue_limit": 100_000, "workers": 1, "retention": 100_000, "log_level": "error"}
PLOTTED = {"plot": True, "indicators": [{"name": "sma"}], "validation": {"permutation": {"n": 9}}}


def fuzz(examples: int, seed: int | None, *, more: tuple[str, ...] = ()) -> int:
    """Run schemathesis against a new server; return its exit code."""
    with serving(**MODEST) as server:
        known = [_completed(server, **PLOTTED), _completed(server, seed=1)]
        environment = {
            "SCHEMATHESIS_HOOKS": "scripts.fuzz_hooks",
            "STUDIO_FUZZ_RUNS": json.dumps(known),
            "PYTHONPATH": str(ROOT),
        }
        chosen = ["--seed", str(seed)] if seed is not None else []
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", str(DOCUMENT),
            "--url", f"http://127.0.0.1:{server.port}",
            "--header", f"Authorization: {server.headers['Authorization']}",
            "--checks", "all", "--max-examples", str(examples), "--continue-on-failure",
            "--suppress-health-check", "all", "--no-color", *chosen, *more,
        ]  # fmt: skip
        return subprocess.run(command, env=os.environ | environment, check=False).returncode


def _completed(server: Served, **changes: object) -> str:
    run_id = server.new_run(**changes)
    server.wait(run_id)
    return run_id


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=2000, help="for each operation")
    parser.add_argument("--seed", type=int, help="to repeat a run")
    given, more = parser.parse_known_args()
    return fuzz(given.examples, given.seed, more=tuple(more))


if __name__ == "__main__":
    sys.exit(main())
