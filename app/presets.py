"""Presets: parts of a configuration under a name, and how one is laid under a request's own."""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from app.api_errors import ApiError
from app.config_file import COMPONENTS
from app.engine_calls import EngineCalls
from app.strict_json import compact
from app.writer import Transaction, Writer, now_ms
from engine.errors import ConfigError, Fault, faults_from
from engine.wording import NAME_RULE, is_portable_name

FIELDS = {"name", "config"}


def merged(base: Mapping[str, Any], over: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Return ``base`` with ``over`` laid on it: objects merge, lists and nulls replace.

    A ``{name, params}`` of another name replaces the whole component: its parameters are others.
    ``place`` is the dotted field at which both stand.
    """
    result = {**base, **over}
    for key, value in over.items():
        below, field = base.get(key), f"{place}.{key}".lstrip(".")
        if not (isinstance(value, Mapping) and isinstance(below, Mapping)):
            continue
        if _same(below, value, COMPONENTS.get(field)):
            result[key] = merged(below, value, field)
    return result


def _same(below: Mapping[str, Any], value: Mapping[str, Any], default: str | None) -> bool:
    """Tell whether two objects are about the same thing, by their names or what none means."""
    return "name" not in value or below.get("name", default) == value["name"]


def check_name(name: object) -> str:
    """Return a preset's name.

    Raises
        ConfigError where it is none.
    """
    if not isinstance(name, str) or not is_portable_name(name):
        raise ConfigError.of("name", NAME_RULE)
    return name


def wrong_in(preset: object) -> list[Fault]:
    """Return what keeps something from being ``{name, config}``, but for what the latter holds.

    Raises
        ConfigError where it is no object at all.
    """
    if not isinstance(preset, dict):
        raise ConfigError.of("", "should be an object")
    faults = [Fault(field, "unknown field") for field in sorted(preset.keys() - FIELDS)]
    faults += [Fault(field, "is required") for field in sorted(FIELDS - preset.keys())]
    if "config" in preset and not isinstance(preset["config"], dict):
        faults.append(Fault("config", "should be an object"))
    if "name" in preset:
        faults += faults_from(check_name, preset["name"])
    return faults


def put(name: str, config: Mapping[str, Any]) -> Callable[[Transaction], bool]:
    """Store a preset under its name; True where there was none. Raises as ``check_name``."""

    def work(transaction: Transaction) -> bool:
        other = transaction.row("SELECT name FROM presets WHERE folded = ?", (name.casefold(),))
        if other is not None and other["name"] != name:
            message = f"differs only in case from the preset {other['name']}"
            raise ConfigError.of("name", message)
        transaction.execute(
            "INSERT OR REPLACE INTO presets (name, folded, config, updated_ts) VALUES (?, ?, ?, ?)",
            (name, name.casefold(), compact(config), now_ms()),
        )
        return other is None

    return work


def remove(name: str) -> Callable[[Transaction], bool]:
    """Remove a preset; False where there is none."""

    def work(transaction: Transaction) -> bool:
        gone = transaction.execute("DELETE FROM presets WHERE name = ?", (name,))
        return bool(gone.rowcount)

    return work


def read_preset(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Return ``{name, config, updated_ts}``.

    Raises
        ApiError where there is no preset of that name.
    """
    row = connection.execute(
        "SELECT name, config, updated_ts FROM presets WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        raise no_such_preset()
    return _shown(row)


def list_presets(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return every preset, by name."""
    rows = connection.execute("SELECT name, config, updated_ts FROM presets ORDER BY folded")
    return [_shown(row) for row in rows]


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {**dict(row), "config": json.loads(row["config"])}


class PresetService:
    """Presets as the handlers ask for them, on the loop."""

    def __init__(self, connection: sqlite3.Connection, writer: Writer, engine: EngineCalls) -> None:
        self._connection = connection
        self._writer = writer
        self._engine = engine

    def list(self) -> list[dict[str, Any]]:
        """Return every preset, by name."""
        return list_presets(self._connection)

    def get(self, name: str) -> dict[str, Any]:
        """Return a preset; raises as ``read_preset``."""
        return read_preset(self._connection, name)

    async def refuse(self, faults: Iterable[Fault], config: object) -> NoReturn:
        """Raise these faults, with those of the configuration that came along."""
        beside: tuple[Fault, ...] = ()
        if isinstance(config, Mapping):
            beside = await self._engine.ask(
                lambda backtests: faults_from(backtests.check_partial, config)
            )
        raise ConfigError([*faults, *beside])

    async def put(self, name: str, config: Mapping[str, Any]) -> bool:
        """Check and store a preset; True where there was none.

        Raises
            ConfigError where a field is unknown or wrong; StorageError.
        """
        await self._engine.ask(lambda backtests: backtests.check_partial(config))
        return await asyncio.wrap_future(self._writer.submit(put(name, config)))

    async def delete(self, name: str) -> None:
        """Remove a preset; raises as ``read_preset``, or StorageError."""
        if not await asyncio.wrap_future(self._writer.submit(remove(name))):
            raise no_such_preset()

    async def resolved(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's configuration laid on the preset that its ``preset_ref`` names.

        Raises
            ConfigError where that is no name, with what else is wrong; ApiError where there is no
            such preset.
        """
        own = {key: value for key, value in config.items() if key != "preset_ref"}
        if "preset_ref" not in config:
            return own
        name = config["preset_ref"]
        if not isinstance(name, str):
            await self.refuse([Fault("preset_ref", "should be a valid string")], own)
        return merged(self.get(name)["config"], own)


def no_such_preset() -> ApiError:
    """Return the error for a name that is nobody's."""
    return ApiError("PRESET_NOT_FOUND", "there is no preset of this name")
