"""The fields of a run's configuration that no component brings: what ``/catalog`` does not say.

A test holds them against the server's own models.
"""

from typing import Any

TIMEFRAMES = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"]
CALENDARS = ["XNYS", "XNAS", "XLON", "XETR", "XPAR", "XTKS", "XHKG", "CMES"]


def _number(description: str, most: float, default: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "type": "number", "description": description, "default": default, "minimum": 0,
        "maximum": most, **more,
    }  # fmt: skip


MARKET: dict[str, Any] = {
    "properties": {
        "symbol": {
            "type": "string", "description": "one of your data sets, or of the sample",
            "default": "", "examples": [],
        },
        "provider": {
            "type": "string", "description": "where the candles come from: local is what you "
            "have imported; synthetic makes SEED-1, SEED-2, … for trying things out",
            "default": "local", "enum": ["local", "sample", "synthetic"],
        },
        "timeframe": {
            "type": "string", "description": "length of a bar; longer ones are made of shorter",
            "default": "1d", "enum": TIMEFRAMES,
        },
        "start": {
            "description": "first bar, such as 2001-01-31, UTC; empty is from the beginning",
            "default": None, "end_of_day": False,
        },
        "end": {
            "description": "last bar, a date with all of its day, UTC; empty is to the end",
            "default": None, "end_of_day": True,
        },
    }
}  # fmt: skip

EXECUTION: dict[str, Any] = {
    "properties": {
        "initial_cash": _number("in currency", 1e15, 100_000.0, minimum=1e-6),
        "commission_bps": _number("basis points of the value", 10_000.0),
        "slippage_bps": _number("basis points a fill, flat", 10_000.0),
        "commission_per_share": _number("currency a unit", 1e6),
        "commission_min": _number("currency a fill, at least", 1e9),
        "borrow_bps": _number("basis points a year on what is short", 1e6),
        "fill_price": {
            "type": "string", "default": "open_next",
            "enum": ["open_next", "mid_next", "vwap_next"],
            "description": "of the bar after the order: open, middle of high and low, or vwap",
        },
        "zero_volume": {
            "type": "string", "default": "carry", "enum": ["carry", "skip", "fill"],
            "description": "an order at a bar without volume waits, is dropped, or is filled",
        },
        "lot_size": _number("units; 0 trades any quantity", 1e15),
        "rebalance_band": _number(
            "change of weight below which a position is left as it is", 100.0
        ),
        "auto_flatten_end": {
            "type": "boolean", "default": False,
            "description": "close the position at the last bar",
        },
        "periods_per_year": {
            "anyOf": [{"type": "number", "minimum": 1, "maximum": 1e7}, {"type": "null"}],
            "default": None, "description": "bars a year; empty reads it from the candles",
        },
    }
}  # fmt: skip

STATISTIC: dict[str, Any] = {
    "properties": {
        "statistic": {
            "type": "string", "default": "sharpe", "enum": ["sharpe", "total_return"],
            "description": "what the permutation compares",
        },
    }
}  # fmt: skip

REST: dict[str, Any] = {
    "properties": {
        "seed": {
            "type": "integer", "default": 0, "minimum": 0, "maximum": 2**53 - 1,
            "description": "root of every random stream",
        },
        "plot": {"type": "boolean", "default": True, "description": "draw plot.png"},
        "risk_free_annual": {
            "type": "number", "default": 0.0, "exclusiveMinimum": -1, "maximum": 10,
            "description": "a fraction: 0.02 is 2 %",
        },
        "adjust": {
            "type": "string", "default": "none", "enum": ["none", "split_dividend"],
            "description": "scale prices by adjusted over plain close",
        },
        "calendar": {
            "anyOf": [{"type": "string"}, {"type": "null"}], "default": None,
            "description": "exchange whose sessions the bars follow, such as XNYS",
            "examples": ["", *CALENDARS],
        },
        "on_bad_rows": {
            "type": "string", "default": "refuse", "enum": ["refuse", "drop"],
            "description": "what to do with a file that has rows which cannot be used",
        },
    }
}  # fmt: skip

IMPORT: dict[str, Any] = {
    "properties": {
        "symbol": {
            "type": "string", "default": "",
            "description": "what the data set is called: letters, digits, dots, dashes, _",
        },
        "timeframe": {
            "type": "string", "default": "1d", "enum": TIMEFRAMES,
            "description": "length of a bar",
        },
        "tz": {
            "anyOf": [{"type": "string"}, {"type": "null"}], "default": None,
            "description": "of times without an offset, such as Europe/Berlin; empty is UTC",
            "examples": [
                "", "America/New_York", "America/Chicago", "Europe/London", "Europe/Berlin",
                "Asia/Tokyo",
            ],
        },
        "date_format": {
            "anyOf": [{"type": "string"}, {"type": "null"}], "default": None,
            "description": "such as %d.%m.%Y, where it is unusual",
            "examples": ["", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y%m%d"],
        },
        "decimal": {
            "anyOf": [{"type": "string", "enum": [".", ","]}, {"type": "null"}], "default": None,
            "description": "the decimal mark; empty is told from the file",
        },
        "calendar": REST["properties"]["calendar"],
        "on_bad_rows": REST["properties"]["on_bad_rows"],
    }
}  # fmt: skip
