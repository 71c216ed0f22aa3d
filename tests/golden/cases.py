"""Two runs whose files are pinned by their hashes, and what they are hashed from.

``python tests/golden/cases.py`` writes the hashes anew, after a change that moves them on purpose.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.artifacts.manifest import file_sha256
from engine.code import sha256_hex
from engine.identity import json_bytes
from engine.pipeline import run

# What tells one version of the code from another; everything else must stay to the byte.
IDENTITY = ("run_id", "run_hash", "code_version")

CASES: Mapping[str, Mapping[str, Any]] = {
    "sample": json.loads(
        (Path(__file__).parents[2] / "assets/sample/run.json").read_text(encoding="utf-8")
    ),
    "everything": {
        "symbol": "IXIC",
        "provider": "sample",
        "start": "2001-01-01",
        "end": "2010-12-31",
        "adjust": "split_dividend",
        "indicators": [
            {"name": "bbands", "params": {"length": 20}},
            {"name": "cdldoji"},
            {"name": "realized_vol"},
            {"name": "obv"},
        ],
        "strategy": {"name": "dual_sma", "params": {"fast": 5, "slow": 30, "threshold_bp": 10}},
        "risk": {"name": "kelly_fraction", "params": {"mode": "rolling", "max_leverage": 3}},
        "execution": {
            "initial_cash": 1e6,
            "fill_price": "vwap_next",
            "commission_per_share": 0.01,
            "commission_min": 1,
            "slippage_bps": 1,
            "slippage_model": {"name": "participation_rate"},
            "borrow_bps": 50,
            "lot_size": 1,
            "rebalance_band": 0.05,
            "auto_flatten_end": True,
        },
        "risk_free_annual": 0.02,
    },
}


def file_hashes(case: str, place: Path) -> dict[str, str]:
    """Run a case into ``place`` and return the SHA-256 of each file, without its identity."""
    run(CASES[case], out=place)
    hashes = {path.name: file_sha256(path) for path in place.iterdir()}
    summary = json.loads((place / "summary.json").read_bytes())
    kept = {key: value for key, value in summary.items() if key not in IDENTITY}
    hashes["summary.json"] = sha256_hex(json_bytes(kept))
    del hashes["manifest.json"]
    return dict(sorted(hashes.items()))


def main() -> None:
    """Write the hashes of today's code."""
    with tempfile.TemporaryDirectory() as scratch:
        hashes = {case: file_hashes(case, Path(scratch) / case) for case in CASES}
    path = Path(__file__).with_name("hashes.json")
    path.write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
