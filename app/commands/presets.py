"""``studio presets``: parts of configurations under names, as JSON files."""

import json
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from app.backtests import check_partial
from app.commands.export import opened
from app.commands.holding import holding, say
from app.config_file import read_config
from app.data_dir import DataDir, HeldError
from app.database import open_database, open_for_reading
from app.fault_points import FaultPoints
from app.local_client import LocalClient
from app.presets import list_presets, put, wrong_in
from app.settings import read_settings
from app.terminal import Output
from app.writer import Writer
from engine.errors import ConfigError, DataError
from engine.plugins import load_plugins


def list_command(data_dir: Path | None, *, as_json: bool) -> None:
    """Print every preset, by name."""
    presets = _stored(DataDir(read_settings({"data_dir": data_dir}).data_dir))
    if as_json:
        sys.stdout.write(json.dumps({"presets": presets}, indent=2, sort_keys=True) + "\n")
        return
    if not presets:
        Output().print(Text("There are no presets: 'studio presets import FILE' keeps one."))
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("preset")
    table.add_column("configuration")
    for preset in presets:
        table.add_row(preset["name"], Text(json.dumps(preset["config"])))
    Output().print(table)


def export_command(name: str, out: Path | None, data_dir: Path | None) -> None:
    """Write a preset as JSON to a new file or standard output.

    Raises
        DataError where there is no such preset; OutputError where the file is there already.
    """
    presets = _stored(DataDir(read_settings({"data_dir": data_dir}).data_dir))
    found = next((preset for preset in presets if preset["name"] == name), None)
    if found is None:
        message = f"there is no preset {name}"
        raise DataError(message)
    kept = {"name": name, "config": found["config"]}
    text = json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    with opened(out) as file:
        file.write(text.encode())


def import_command(file: Path, name: str | None, data_dir: Path | None) -> None:
    """Keep the preset in a JSON file: ``{name, config}``, or a configuration and ``--name``.

    Raises
        ConfigError where a field is unknown or wrong, or where nobody names it.
    """
    settings = read_settings({"data_dir": data_dir})
    raw = read_config(file)
    preset: dict[str, Any] = raw if "config" in raw else {"config": raw}
    if name is not None:
        preset = {**preset, "name": name}
    elif preset is not raw:
        raise ConfigError.of("", f"{file} is a configuration; name the preset with --name")
    if faults := wrong_in(preset):
        raise ConfigError(faults)
    kept_as, config = preset["name"], preset["config"]
    try:
        with holding(settings.data_dir):
            load_plugins(settings.plugins)
            check_partial(config, settings.limits)
            _put(DataDir(settings.data_dir), kept_as, config)
    except HeldError as server:
        client = LocalClient(settings, server)
        client.call("POST", "/presets", preset)
    Output().print(Text(f"The preset {kept_as} is kept."))


def _stored(place: DataDir) -> list[dict[str, Any]]:
    if not place.db.exists():
        return []
    try:
        with closing(open_for_reading(place.db)) as connection:
            return list_presets(connection)
    except sqlite3.Error:
        message = "the database cannot be read; 'studio serve' brings it up to date"
        raise DataError(message) from None


def _put(place: DataDir, name: str, config: Mapping[str, Any]) -> None:
    database = open_database(place.db)
    say(database.notes)
    writer = Writer(database.connection, lambda *_: None, FaultPoints())
    try:
        writer.submit(put(name, config)).result()
    finally:
        writer.close()
