"""Who a run is: canonical JSON, digests, the version of the code, the run's hash."""

import functools
import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from importlib import resources
from importlib.metadata import version as metadata_version
from pathlib import Path
from typing import Any

import numpy as np
import rfc8785

import engine
from engine.config import RunConfig
from engine.records import Candles, Identity

SCHEMA = 1
LIBRARIES = ("numpy", "ta_lib", "pyarrow", "matplotlib", "exchange_calendars", "tzdata")


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_hash(value: Any) -> str:
    """Return the SHA-256 of a JSON value in its canonical form (RFC 8785)."""
    return sha256_hex(rfc8785.dumps(value))


def json_bytes(value: Any) -> bytes:
    """Return a JSON artifact's bytes: sorted keys, two spaces, shortest round-trip numbers."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def candle_digest(candles: Candles) -> str:
    """Return the SHA-256 over the data itself, whatever file it came from.

    The header (canonical JSON: column names in order, number of bars, symbol, timeframe, the time
    zone where it is not UTC) and a newline, then each column's values as little-endian int64,
    float64, or bytes of 0 and 1.
    """
    columns: dict[str, tuple[Any, str]] = {
        "ts": (candles.ts, "<i8"),
        "open": (candles.open, "<f8"),
        "high": (candles.high, "<f8"),
        "low": (candles.low, "<f8"),
        "close": (candles.close, "<f8"),
        "volume": (candles.volume, "<f8"),
        "vwap": (candles.vwap, "<f8"),
        "gap_flag": (candles.gap_flag, "u1"),
    }
    present = {name: column for name, column in columns.items() if column[0] is not None}
    header: dict[str, Any] = {
        "columns": list(present),
        "bars": len(candles),
        "symbol": candles.symbol,
        "timeframe": candles.timeframe,
    }
    if candles.timezone != "UTC":  # it decides which day a bar belongs to, so the bars in a year
        header["timezone"] = candles.timezone
    digest = hashlib.sha256(rfc8785.dumps(header) + b"\n")
    for values, kind in present.values():
        digest.update(np.ascontiguousarray(values, dtype=kind).data)
    return digest.hexdigest()


@functools.cache
def library_versions() -> Mapping[str, str]:
    """Return the installed versions of the libraries whose results reach an artifact.

    Read from the names of the ``.dist-info`` folders on the path; ``importlib.metadata`` costs
    75 ms for the same and is asked only about what is not found that way.
    """
    found: dict[str, str] = {}
    for place in sys.path:
        folder = Path(place)
        if not folder.is_dir():
            continue
        for entry in folder.glob("*.dist-info"):
            name, _, version = entry.name.removesuffix(".dist-info").partition("-")
            if name.lower() in LIBRARIES:
                found.setdefault(name.lower(), version)
    return {name: found.get(name) or metadata_version(name) for name in LIBRARIES}


@functools.cache
def sources_digest() -> str:
    """Return the SHA-256 over the engine's own Python sources, by path and content."""
    digest = hashlib.sha256()
    root = Path(str(resources.files("engine")))
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\n{sha256_hex(path.read_bytes())}\n".encode())
    return digest.hexdigest()


@functools.cache
def code_version() -> str:
    """Return the package's version and a digest of its sources and of the libraries it uses."""
    parts = {"sources": sources_digest(), "libraries": dict(library_versions())}
    return f"{engine.__version__}+{canonical_hash(parts)[:16]}"


def environment(kernel: str) -> dict[str, Any]:
    """Return where a run happened, as far as it could ever matter to its bytes."""
    core: Any = np
    features = getattr(core._core._multiarray_umath, "__cpu_features__", {})  # noqa: SLF001  # numpy has no public name for it
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": platform.system(),
        "machine": platform.machine(),
        # Scalar exp, log and pow round alike only among processors with fused multiply-add.
        "fma": bool(features.get("FMA3", False)),
        "kernel": kernel,
        "libraries": dict(library_versions()),
    }


def identify(config: RunConfig, digest: str, plugins: tuple[str, ...] = ()) -> Identity:
    """Return the identity of a run: what decides its result, hashed.

    Parameters
        config: validated, every default written out
        digest: of the candles the run uses
        plugins: SHA-256 of the plugin files that define a component of the run
    """
    values = config.to_json()
    listed = sorted(plugins)
    whole = {
        "schema": SCHEMA,
        "config": values,
        "candle_digest": digest,
        "code_version": code_version(),
        "plugins": listed,
    }
    return Identity(
        run_hash=canonical_hash(whole),
        config_hash=canonical_hash(values),
        candle_digest=digest,
        code_version=code_version(),
        plugins=tuple(listed),
    )
