"""JSON as it is taken from a file or a request, one meaning or none, and as it is kept and sent."""

import json
from typing import Any


def parse_json(text: str) -> Any:
    """Return the value of JSON text.

    NaN, infinities, keys that stand twice and half characters, which no file or answer could hold,
    are refused.

    Raises
        ValueError with a sentence (JSONDecodeError where it is no JSON at all); RecursionError
        where it is nested too deeply.
    """
    value = json.loads(
        text,
        parse_int=_whole_number,
        parse_constant=_refuse_constant,
        object_pairs_hook=_refuse_repeats,
    )
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as fault:
        message = f"{fault.object[fault.start]!r} is half a character, not text"
        raise ValueError(message) from None
    return value


def compact(value: Any) -> str:
    """Return a JSON value as text without spaces.

    Raises
        ValueError for NaN and infinities.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _whole_number(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # Python's own limit
        message = f"a whole number of {len(digits):,} digits is too long"
        raise ValueError(message) from None


def _refuse_constant(name: str) -> Any:
    message = f"{name} is not a number in JSON"
    raise ValueError(message)


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            message = f"the key {key[:40]!r} stands twice in one object"
            raise ValueError(message)
        value[key] = item
    return value
