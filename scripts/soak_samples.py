"""What is measured of a server while it is used, and whether it stays level.

A sample at rest is taken while nobody asks and nothing runs: what a process holds then, it keeps.
Samples at work are recorded beside them, and judge nothing: they show what work takes meanwhile.
"""

import contextlib
import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MB = 1 << 20
Sample = Mapping[str, float]
# The most that each may grow in an hour; disk without the log, which is bounded by itself.
ALLOWED_AN_HOUR = {
    "rss_mb": 1.0,
    "handles": 1.0,
    "threads": 1.0,
    "disk_mb": 1.0,
    "database_mb": 1.0,
    "streams": 1.0,
}
KEPT_AS_THEY_ARE = {"minute", "at_rest"}
LAGS = 10  # neighbours that are not independent: what is held changes slowly


@dataclass(frozen=True)
class Slope:
    """A straight line through samples: its rise in an hour, and that rise's standard error."""

    per_hour: float
    standard_error: float
    n: int


def slope(minutes: Sequence[float], values: Sequence[float]) -> Slope:
    """Return the least-squares slope, with a standard error that heeds neighbours.

    β = Σ (t − t̄) y / Σ (t − t̄)²; its error from e (t − t̄) and their products with up to ten
    neighbours, weighted by Bartlett's triangle.

    Raises
        ValueError for fewer than three samples, or samples at one time.
    Source: Newey and West (1987), equation 5.
    """
    n = len(minutes)
    if n < 3 or len(set(minutes)) == 1:
        raise ValueError("a slope needs three samples at different times")
    hours = [minute / 60 for minute in minutes]
    mean_t, mean_y = (sum(each) / n for each in (hours, values))
    centred = [t - mean_t for t in hours]
    spread = math.fsum(t * t for t in centred)
    rise = math.fsum(t * y for t, y in zip(centred, values, strict=True)) / spread
    scores = [t * (y - mean_y - rise * t) for t, y in zip(centred, values, strict=True)]
    total = math.fsum(s * s for s in scores)
    lags = min(LAGS, n // 4)
    for lag in range(1, lags + 1):
        products = math.fsum(a * b for a, b in zip(scores, scores[lag:], strict=False))
        total += 2 * (1 - lag / (lags + 1)) * products
    error = math.sqrt(max(total, 0.0) * n / (n - 2)) / spread
    return Slope(rise, error, n)


def is_level(found: Slope, allowed: float) -> bool:
    """Tell whether a slope is below what is allowed; the error forgives nothing."""
    return found.per_hour < allowed


def verdict(samples: Sequence[Sample], from_minute: float) -> dict[str, Any]:
    """Return, for each quantity, its slope at rest from a minute on, and whether it is level."""
    at_rest = [each for each in samples if each["at_rest"] and each["minute"] >= from_minute]
    minutes = [each["minute"] for each in at_rest]
    found: dict[str, Any] = {}
    for name in sorted({name for each in at_rest for name in each} - KEPT_AS_THEY_ARE):
        values = [each[name] for each in at_rest]
        line = slope(minutes, values)
        third = len(values) // 3
        found[name] = {
            "per_hour": round(line.per_hour, 3),
            "standard_error": round(line.standard_error, 3),
            "first_third": round(statistics.median(values[:third] or values), 2),
            "last_third": round(statistics.median(values[-third:] or values), 2),
            "min": round(min(values), 2),
            "max": round(max(values), 2),
            "samples": line.n,
        }
        if name in ALLOWED_AN_HOUR:
            allowed = ALLOWED_AN_HOUR[name]
            found[name] |= {"allowed_per_hour": allowed, "level": is_level(line, allowed)}
    return found


def measure(pid: int, data_dir: Path) -> dict[str, float]:
    """Return what a process and its data directory hold now.

    Raises
        OSError where the process has gone.
    """
    place = Path(f"/proc/{pid}")
    status = _fields(place / "status")
    rolled = _fields(place / "smaps_rollup")
    logs = _size(data_dir / "logs")
    return {
        "rss_mb": round(status["VmRSS"] / 1024, 3),
        "anonymous_mb": round(rolled["Anonymous"] / 1024, 3),
        "pss_mb": round(rolled["Pss"] / 1024, 3),
        "handles": len(list((place / "fd").iterdir())),
        "threads": status["Threads"],
        "disk_mb": round((_size(data_dir) - logs) / MB, 3),
        "log_mb": round(logs / MB, 3),
        "database_mb": round(_sizes(data_dir.glob("studio.db*")) / MB, 3),
        "wal_mb": round(_sizes(data_dir.glob("studio.db-wal")) / MB, 3),
    }


def _fields(path: Path) -> dict[str, float]:
    """Return the numbers of a file of ``name: number`` lines."""
    found = {}
    for line in path.read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        with contextlib.suppress(ValueError, IndexError):
            found[name] = float(rest.split()[0])
    return found


def _size(folder: Path) -> int:
    # A walk passes over folders that go meanwhile.
    return _sizes(Path(place) / name for place, _, files in os.walk(folder) for name in files)


def _sizes(paths: Any) -> int:
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):  # it has gone meanwhile
            if path.is_file():
                total += path.stat().st_size
    return total


def told(found: Mapping[str, Any], say: Callable[[str], None] = print) -> None:
    """Say each slope on a line."""
    for name, each in found.items():
        words = f"{name:>13}: {each['per_hour']:+9.3f} ± {each['standard_error']:.3f} an hour,"
        words += f" {each['first_third']} to {each['last_third']}"
        if "level" in each:
            words += ", level" if each["level"] else f", NOT below {each['allowed_per_hour']}"
        say(words)
