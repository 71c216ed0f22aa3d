"""Candles and features as a chart wants them: columns of the newest bars, as JSON."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.pipeline import PreparedRun

Prepare = Callable[[Mapping[str, Any]], PreparedRun]
NUMBER = re.compile(r"-?[0-9]{1,18}")
COLUMNS = ("ts", "open", "high", "low", "close", "volume")


def candles(prepare: Prepare, query: Mapping[str, str], limit: int) -> bytes:
    """Return ``{ts, open, high, low, close, volume, truncated}``: the newest ``limit`` bars.

    ``query`` has symbol, timeframe, start, end, provider, as far as they are given; times are
    epoch ms or ISO-8601. A volume that is not known is null.

    Raises
        ConfigError, LimitError, DataError
    """
    prepared = prepare(config_of(query))
    return _written(_candles(prepared, limit), prepared, limit)


def features(prepare: Prepare, query: Mapping[str, str], indicators: Any, limit: int) -> bytes:
    """Return the same with a column for each series, computed on all bars and then cut.

    The values are those that a strategy sees at the bar: shifted by one, null in the warm-up.
    """
    prepared = prepare(config_of(query, indicators))
    columns = _candles(prepared, limit) | {
        name: series[-limit:] for name, series in prepared.features().items()
    }
    return _written(columns, prepared, limit)


def config_of(query: Mapping[str, str], indicators: Any = ()) -> dict[str, Any]:
    """Return the configuration of a run on the bars that a query names."""
    config: dict[str, Any] = {**query, "indicators": indicators}
    for name in ("start", "end"):
        if NUMBER.fullmatch(config.get(name, "")):
            config[name] = int(config[name])
    return config


def _candles(prepared: PreparedRun, limit: int) -> dict[str, Any]:
    found = prepared.loaded.candles
    columns = {name: getattr(found, name) for name in COLUMNS}
    return {name: None if x is None else x[-limit:] for name, x in columns.items()}


def _written(columns: Mapping[str, Any], prepared: PreparedRun, limit: int) -> bytes:
    """Write column by column: one long call would keep the other threads waiting."""
    parts = [f"{json.dumps(name)}:{_column(values)}" for name, values in columns.items()]
    truncated = len(prepared.loaded.candles) > limit
    parts.append(f'"truncated":{json.dumps(truncated)}')
    return f"{{{','.join(parts)}}}".encode()


def _column(values: Any) -> str:
    if values is None:
        return "null"
    listed = values.tolist()
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        listed = [x if np.isfinite(x) else None for x in listed]
    return json.dumps(listed, allow_nan=False, separators=(",", ":"))
