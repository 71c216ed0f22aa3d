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
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.bench.served import Served, serving

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "contracts" / "openapi.yaml"
MODEST = {"queue_limit": 100_000, "workers": 1, "retention": 100_000, "log_level": "error"}
PLOTTED = {"plot": True, "indicators": [{"name": "sma"}], "validation": {"permutation": {"n": 9}}}


# Most of the work is to make up configurations, so those have a process of their own.
LARGE = ("post_runs", "post_presets", "get_features", "head_features")
ALONE, TOGETHER = "examples,coverage,fuzzing", "stateful"
SHARES = (
    ("--phases", ALONE, *(word for name in LARGE for word in ("--include-operation-id", name))),
    ("--phases", ALONE, *(word for name in LARGE for word in ("--exclude-operation-id", name))),
    ("--phases", TOGETHER),
)


def fuzz(share: tuple[str, ...], examples: int, seed: int | None) -> tuple[int, str]:
    """Run schemathesis against a new server; return its exit code and what it says."""
    with serving(**MODEST) as server, tempfile.TemporaryDirectory() as place:
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
            "--suppress-health-check", "all", "--no-color", *chosen, *share,
        ]  # fmt: skip
        done = subprocess.run(
            command, env=os.environ | environment, check=False, cwd=place,  # it leaves a cache
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        )  # fmt: skip
        return done.returncode, done.stdout


def fuzz_all(examples: int, seed: int | None) -> tuple[bool, str]:
    """Run every share, two at a time; tell whether nothing was found, and what was said."""
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda share: fuzz(share, examples, seed), SHARES))
    return not any(code for code, _ in ended), "\n".join(said for _, said in ended)


def _completed(server: Served, **changes: object) -> str:
    run_id = server.new_run(**changes)
    server.wait(run_id)
    return run_id


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=2000, help="for each operation")
    parser.add_argument("--seed", type=int, help="to repeat a run")
    given = parser.parse_args()
    nothing_found, said = fuzz_all(given.examples, given.seed)
    print(said)
    return 0 if nothing_found else 1


if __name__ == "__main__":
    sys.exit(main())
