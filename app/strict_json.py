"""JSON as it is taken from a file or a request, one meaning or none, and as it is kept and sent."""

import json
from typing import Any


def parse_json(text: str) -> Any:
    """Return the value of JSON text; NaN, infinities and keys that stand twice are refused.

    Raises
        ValueError with a sentence (JSONDecodeError where it is no JSON at all); RecursionError
        where it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_repeats)


def compact(value: Any) -> str:
    """Return a JSON value as text without spaces.

    Raises
        ValueError for NaN and infinities.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _refuse_constant(name: str) -> Any:
    message = f"{name} is not a number in JSON"
    raise ValueError(message)


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            message = f"the key {key!r} stands twice in one object"
            raise ValueError(message)
        value[key] = item
    return value
