"""Which fields of a configuration the forms show, in which order; what they are says ``/catalog``.

``config`` is the catalog's JSON Schema of a configuration.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]
CALENDARS = ["XNYS", "XNAS", "XLON", "XETR", "XPAR", "XTKS", "XHKG", "CMES"]
ZONES = [
    "America/New_York", "America/Chicago", "Europe/London", "Europe/Berlin", "Asia/Tokyo",
]  # fmt: skip
DATE_FORMATS = ["%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y%m%d"]
COSTS_FIRST = (
    "initial_cash", "commission_bps", "slippage_bps", "commission_per_share", "commission_min",
    "borrow_bps",
)  # fmt: skip
CALENDAR: Schema = {"calendar": {"examples": ["", *CALENDARS]}}


def market(config: Schema) -> Schema:
    """Return what is run on: which candles, from when to when."""
    also = {
        "symbol": {
            "description": "one of your data sets, or of the sample", "default": "", "examples": [],
        },
        "provider": {
            "description": "where the candles come from: local is what you have imported; "
            "synthetic makes SEED-1, SEED-2, … for trying things out",
        },
        "timeframe": {"description": "length of a bar; longer ones are made of shorter"},
        "start": {
            "description": "first bar, such as 2001-01-31, UTC; empty is from the beginning",
            "end_of_day": False,
        },
        "end": {
            "description": "last bar, a date with all of its day, UTC; empty is to the end",
            "end_of_day": True,
        },
    }  # fmt: skip
    return _chosen(config, also, also)


def execution(config: Schema) -> Schema:
    """Return how orders become fills, costs first; the slippage model is a component."""
    inner = _inner(config, "ExecutionConfig")
    others = [name for name in inner["properties"] if name not in COSTS_FIRST]
    return _chosen(inner, [*COSTS_FIRST, *(name for name in others if name != "slippage_model")])


def statistic(config: Schema) -> Schema:
    """Return what the tests compare."""
    return _chosen(_inner(config, "ValidationConfig"), ["statistic"])


def default(config: Schema, component: str) -> str:
    """Return the component of a kind, such as ``RiskComponent``, that is taken if none is named."""
    name: str = _inner(config, component)["properties"]["name"]["default"]
    return name


def rest(config: Schema) -> Schema:
    """Return what has no part of its own in the form; indicators have no field."""
    elsewhere = {*market(config)["properties"], "strategy", "risk", "execution", "validation"}
    names = [name for name in config["properties"] if name not in elsewhere | {"indicators"}]
    return _chosen(config, sorted(names, key=lambda name: name != "seed"), CALENDAR)


def importing(config: Schema) -> Schema:
    """Return what may be said of a file of candles: what a run may say too, and how to read it."""
    chosen = _chosen(
        config,
        ["symbol", "timeframe"],
        {
            "symbol": {
                "default": "",
                "description": "what the data set is called: letters, digits, dots, dashes, _",
            }
        },
    )
    reading: Schema = {
        "tz": _text("of times without an offset, such as Europe/Berlin; empty is UTC", ZONES),
        "date_format": _text("such as %d.%m.%Y, where it is unusual", DATE_FORMATS),
        "decimal": {
            "anyOf": [{"type": "string", "enum": [".", ","]}, {"type": "null"}], "default": None,
            "description": "the decimal mark; empty is told from the file",
        },
    }  # fmt: skip
    last = _chosen(config, ["calendar", "on_bad_rows"], CALENDAR)
    return {"properties": {**chosen["properties"], **reading, **last["properties"]}}


def _text(description: str, examples: list[str]) -> Schema:
    return {
        "anyOf": [{"type": "string"}, {"type": "null"}], "default": None,
        "description": description, "examples": ["", *examples],
    }  # fmt: skip


def _inner(config: Schema, name: str) -> Schema:
    return {**config["$defs"][name], "$defs": config["$defs"]}


def _chosen(schema: Schema, names: Iterable[str], also: Schema | None = None) -> Schema:
    """Return an object's schema with only some properties, and more said of them."""
    fields = schema["properties"]
    chosen = {name: {**fields[name], **(also or {}).get(name, {})} for name in names}
    return {"properties": chosen, "$defs": schema.get("$defs", {})}
