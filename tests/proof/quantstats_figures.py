"""Records what quantstats says of the runs in ``test_quantstats.py``, in quantstats_figures.json.

quantstats imports a client of a market data service, which brings a dozen packages with it, so it
is no requirement of the tests. Once, by hand:

    python -m venv build/quantstats-env
    build/quantstats-env/bin/pip install quantstats==0.0.86 pandas==3.1.1 numpy==2.4.6
    .venv/bin/python tests/proof/quantstats_figures.py build/quantstats-env/bin/python
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "quantstats_figures.json"
RISK_FREE_ANNUAL = 0.03
RUNS: dict[str, dict[str, Any]] = {
    f"{symbol}, {kind}": {
        "symbol": symbol,
        "provider": "sample",
        "strategy": {"name": "dual_sma", "params": {"long_only": kind == "long only"}},
        "execution": {"commission_bps": 1.0, "slippage_bps": 2.0, "borrow_bps": 50.0},
        "risk_free_annual": RISK_FREE_ANNUAL,
        "plot": False,
    }
    for symbol in ("SPX", "IXIC")
    for kind in ("long only", "long and short")
}


def series(config: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the dates and returns of a run."""
    from engine.pipeline import run  # noqa: PLC0415  # the path is set below, by main

    result = run(config)
    equity = result.execution.curve.equity
    before = np.concatenate([[result.config.execution.initial_cash], equity[:-1]])
    dates = result.candles.ts.astype("M8[ms]").astype("M8[D]").astype(str).tolist()
    return {"dates": dates, "returns": (equity / before - 1).tolist()}


def main() -> None:
    """Ask the given Python and write down its answers."""
    sys.path.insert(0, str(HERE.parents[1]))
    asked = json.dumps({name: series(config) for name, config in RUNS.items()})
    command = [sys.argv[1], str(HERE / "quantstats_answers.py")]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, input=asked, capture_output=True, text=True, check=True, env=clean
    )
    answer = json.dumps({"runs": RUNS} | json.loads(done.stdout), indent=1, sort_keys=True)
    RECORDED.write_text(answer + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
