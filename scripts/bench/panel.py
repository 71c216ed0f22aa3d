"""How late the panel's ticks come while two runs with heavy validation work beside it.

The whole program in one process, as ``studio desktop`` starts it; needs a display (xvfb-run will
do). A tick is late by what passes beyond its time.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import tkinter as tk
from pathlib import Path
from typing import Any

from app.commands.desktop import Desktop
from app.settings import read_settings

TICK_MS = 100
BUDGET_MS, SHARE = 50.0, 0.95
HEAVY = {
    "symbol": "SPX", "provider": "sample", "execution": {"slippage_bps": 2.0},
    "validation": {
        "permutation": {"n": 100_000}, "block_bootstrap": {"n": 100_000},
        "monte_carlo": {"n": 20_000}, "walk_forward": {},
    },
}  # fmt: skip


class Ticks:
    """Ticks of a window, and how late each was."""

    def __init__(self, root: tk.Tk) -> None:
        self.late_ms: list[float] = []
        self._root = root
        self._due = 0.0

    def begin(self) -> None:
        """Count from now on."""
        self.late_ms.clear()
        self._due = time.perf_counter() + TICK_MS / 1000
        self._root.after(TICK_MS, self._tick)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late_ms.append(max(0.0, 1e3 * (now - self._due)))
        self._due = now + TICK_MS / 1000
        self._root.after(TICK_MS, self._tick)


def measure(seconds: float, data_dir: Path) -> dict[str, Any]:
    """Return the lateness of the ticks while two runs work."""
    root = tk.Tk(className="Studio")
    flags = {"data_dir": data_dir, "port": 0, "workers": 2}
    desktop = Desktop(root, read_settings(flags, {}), None)
    ticks, client = Ticks(root), desktop.window.panel.client
    seen: dict[str, Any] = {}

    def begin() -> None:
        for seed in (1, 2):
            client.post("/runs", HEAVY | {"seed": seed})
        root.after(2_000, ticks.begin)  # both are at their replicates by then
        root.after(2_000 + round(1e3 * seconds), end)

    def end() -> None:
        seen["late_ms"] = list(ticks.late_ms)
        seen["at_work"] = sum(run["status"] == "running" for run in client.get("/runs")["runs"])
        desktop.stop()

    root.after(1_000, begin)
    desktop.run()
    return figures(seen["late_ms"], seen["at_work"])


def figures(late_ms: list[float], at_work: int) -> dict[str, Any]:
    """Return what is told of the lateness of ticks."""
    ordered = sorted(late_ms)
    return {
        "ticks": len(ordered),
        "runs_at_work": at_work,
        "late_ms_p50": round(statistics.median(ordered), 2),
        "late_ms_p95": round(ordered[int(0.95 * (len(ordered) - 1))], 2),
        "late_ms_max": round(ordered[-1], 2),
        "share_within_50_ms": round(sum(x <= BUDGET_MS for x in ordered) / len(ordered), 4),
    }


def main() -> int:
    """Measure, print, and tell by the exit code whether the budget is met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true", help="only the figures")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as place:
        found = measure(given.seconds, Path(place) / "data")
    if not given.json:
        print(f"Budget: {SHARE:.0%} of the ticks within {BUDGET_MS:.0f} ms.")
    print(json.dumps(found))
    return 0 if found["share_within_50_ms"] >= SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
