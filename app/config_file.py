"""Configurations as people write them: JSON files, ``--set`` overrides, the sample's."""

import json
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from app.strict_json import parse_json
from engine.errors import ConfigError
from engine.wording import size_in_words

MAX_BYTES = 256 * 1024
# Where a component stands, with the one that is meant where none is named: as `engine.plan` has it,
# which a server that starts cannot wait for.
COMPONENTS: dict[str, str | None] = {
    "strategy": "dual_sma",
    "risk": "fixed_fraction",
    "execution.slippage_model": None,
}


def sample_config() -> dict[str, Any]:
    """Return the configuration of the shipped sample."""
    text = (resources.files("assets") / "sample" / "run.json").read_text(encoding="utf-8")
    return parse_config(text, "run.json")


def read_config(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises
        ConfigError where it is missing, too large, or not a JSON object.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as fault:
        reason = (fault.strerror or "it cannot be read").lower()
        raise ConfigError.of("", f"the configuration {path} cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError.of(
            "", f"the configuration {path} is larger than {size_in_words(MAX_BYTES)}"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError.of("", f"the configuration {path} is not text in UTF-8") from None
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> dict[str, Any]:
    """Return the JSON object in ``text``; NaN, infinities and repeated keys are refused."""
    try:
        value = parse_json(text)
    except json.JSONDecodeError as fault:
        where = f"line {fault.lineno}, column {fault.colno}"
        raise ConfigError.of("", f"{name} is not valid JSON: {fault.msg} ({where})") from None
    except (ValueError, RecursionError) as fault:
        reason = "it is nested too deeply" if isinstance(fault, RecursionError) else str(fault)
        raise ConfigError.of("", f"{name} is not valid JSON: {reason}") from None
    if not isinstance(value, dict):
        raise ConfigError.of("", f"{name} does not hold a JSON object")
    return value


def with_overrides(raw: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return the configuration with each ``dotted.field=value`` put in, whatever their order.

    A value is JSON where it parses as JSON, else text; a symbol is text though it may look like a
    number, and so is a start or end of no more digits than a date has. Text in place of a
    component is its name, and another name than before brings that component's defaults.

    Raises
        ConfigError for an override that is malformed or leads into something without fields.
    """
    result: dict[str, Any] = json.loads(json.dumps(raw))
    # What holds others is put in before them, and a name before the parameters beside it.
    for field, value in sorted(map(_parsed, overrides), key=_turn):
        _put(result, field, value)
    return result


def _parsed(override: str) -> tuple[str, Any]:
    field, equals, text = override.partition("=")
    if not equals or not all(field.split(".")) or not field.isprintable():
        raise ConfigError.of("--set", f"{override!r} is not of the form field.name=value")
    try:
        value = parse_json(text)
    except (ValueError, RecursionError):
        value = text
    is_date = field in {"start", "end"} and text.isdigit() and len(text) <= len("20100131")
    if (field == "symbol" or is_date) and not isinstance(value, str):
        value = text  # 2010 is hardly two seconds after 1970
    if isinstance(value, str) and _is_component(field):
        field += ".name"
    return field, value


def _is_component(field: str) -> bool:
    listed, _, number = field.partition(".")
    return field in COMPONENTS or (listed == "indicators" and number.isdecimal())


def _turn(override: tuple[str, Any]) -> tuple[int, bool]:
    *parents, last = override[0].split(".")
    return len(parents), last != "name"


def _put(target: Any, field: str, value: Any) -> None:
    *parents, last = field.split(".")
    for part in parents:
        if isinstance(target, dict):
            if target.get(part) is None:
                target[part] = {}
            target = target[part]
        else:
            target = _item(target, part, field)
    if isinstance(target, dict):
        place = ".".join(parents)
        names = last == "name" and _is_component(place)
        if names and value != target.get("name", COMPONENTS.get(place)):
            target.pop("params", None)
        target[last] = value
    else:
        _item(target, last, field)
        target[int(last)] = value


def _item(target: Any, part: str, field: str) -> Any:
    if not isinstance(target, list):
        raise ConfigError.of("--set", f"{field} leads into a plain value")
    if not (part.isascii() and part.isdecimal()) or int(part) >= len(target):
        raise ConfigError.of("--set", f"{field} names no item of a list of {len(target)}")
    return target[int(part)]
