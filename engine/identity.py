"""Who a run is: the bytes of its JSON, the digest of its candles, where it ran, its hash."""

import hashlib
import json
import platform
import sys
from typing import Any

import numpy as np
import rfc8785

from engine.code import canonical_hash, code_version, library_versions
from engine.config import RunConfig
from engine.records import Candles, Identity

SCHEMA = 1


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


def hash_of_run(config: Any, digest: str, code: str, plugins: list[str]) -> str:
    """Return the hash of a run: of its configuration, candles, code and sorted plugins.

    Raises
        ValueError, RecursionError where ``config`` is not what JSON can say.
    """
    whole = {
        "schema": SCHEMA,
        "config": config,
        "candle_digest": digest,
        "code_version": code,
        "plugins": plugins,
    }
    return canonical_hash(whole)


def identify(config: RunConfig, digest: str, plugins: tuple[str, ...] = ()) -> Identity:
    """Return the identity of a run: what decides its result, hashed.

    Parameters
        config: validated, every default written out
        digest: of the candles the run uses
        plugins: SHA-256 of the plugin files that define a component of the run
    """
    values = config.to_json()
    listed = sorted(plugins)
    return Identity(
        run_hash=hash_of_run(values, digest, code_version(), listed),
        config_hash=canonical_hash(values),
        candle_digest=digest,
        code_version=code_version(),
        plugins=tuple(listed),
    )
