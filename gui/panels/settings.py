"""The dialog of the settings that a person changes; it writes ``settings.toml``."""

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from tkinter import ttk
from typing import Any

from app.settings import PARSERS, SETTINGS_FILE, RefusedError, Settings
from gui.client import FieldFault
from gui.forms import Fields, Look, show_faults
from gui.panel import Panel
from gui.panels.import_dialog import Dialog
from gui.theme import PALETTES, pixels

SHOWN: dict[str, Any] = {
    "properties": {
        "port": {
            "type": "integer", "minimum": 0, "maximum": 65_535, "default": 8717,
            "description": "where the server listens; 0 is any free one",
        },
        "cors_origins": {
            "type": "string", "default": "",
            "description": "pages that may use the server, such as https://studio.example, "
            "with commas between them",
        },
        "studio_url": {
            "type": "string", "default": "",
            "description": "the page that Open Studio opens; it may use the server too",
        },
        "theme": {
            "type": "string", "enum": list(PALETTES), "default": "light",
            "description": "the colours of this window",
        },
    }
}  # fmt: skip
TITLES = {"cors_origins": "Allowed origins", "studio_url": "Studio URL"}
SAVED = "The settings are saved; they hold from the next start on."


class SettingsDialog(Dialog):
    """Shows the settings that hold; only those that are changed here are written."""

    def __init__(self, panel: Panel, settings: Settings, path: Path | None = None) -> None:
        super().__init__(panel, "Settings")
        self._path = path or settings.data_dir / SETTINGS_FILE
        look = Look(panel.palette, self._hint_text)
        self._hint = ttk.Label(
            self.body, style="Muted.TLabel", wraplength=pixels(self, 300), justify="left"
        )
        self.form = Fields(self.body, SHOWN, look, "")
        for name, title in TITLES.items():
            self.form.fields[name].title(title)
        shown = {name: getattr(settings, name) for name in SHOWN["properties"]}
        self.form.fill(shown | {"cors_origins": ", ".join(settings.cors_origins)})
        self.form.pack(fill="x")
        self._hint.pack(fill="x", pady=(4, 0))
        self._hint_text("")
        self.line("Muted.TLabel", f"Data directory: {settings.data_dir}")
        self.line("Muted.TLabel", "Changes hold from the next start on.")
        self.problem = self.line("Error.TLabel")
        self.save_button = self.buttons("Save", self.save)
        self.show(self.form.fields["port"].widget)

    def _hint_text(self, text: str) -> None:
        self._hint.configure(text=text + "\n" * (len(text) < 45))

    def save(self) -> None:
        """Write what has been changed, if it is what a setting can be."""
        changes: dict[str, Any] = {}
        faults: list[FieldFault] = []
        for name, field in self.form.fields.items():
            if field.is_changed:
                try:
                    changes[name] = _parsed(name, field.value())
                except RefusedError as fault:
                    faults.append(FieldFault(name, str(fault)))
        first, _ = show_faults(self.form.by_path(), faults)
        if first is not None:
            first.widget.focus_set()
            return
        if not changes:
            self.destroy()
            return
        self.save_button.state(["disabled"])
        self._panel.ask(lambda: write_settings(self._path, changes), self._saved, self._failed)

    def _saved(self, _: None) -> None:
        self.destroy()
        self._panel.say(SAVED)

    def _failed(self, fault: Exception) -> None:
        if self.winfo_exists():
            reason = fault.strerror if isinstance(fault, OSError) else None
            self.save_button.state(["!disabled"])
            self.problem.configure(
                text=f"The settings cannot be written: {(reason or str(fault)).lower()}."
            )


def _parsed(name: str, value: Any) -> Any:
    """Return a value as TOML holds it; None where the setting is to have its default."""
    if value == "" and name in TITLES:
        return None
    parsed = PARSERS[name](value)
    return list(parsed) if isinstance(parsed, tuple) else parsed


def write_settings(path: Path, changes: Mapping[str, Any]) -> None:
    """Put settings into the file, at once or not at all; all else in it stays, comments too.

    A setting that is None is taken out.

    Raises
        OSError where the file cannot be read or written.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except UnicodeDecodeError:
        raise OSError(0, "it is not text") from None
    text = with_changes(text, changes)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def with_changes(text: str, changes: Mapping[str, Any]) -> str:
    """Return TOML with top-level values put in, or taken out where they are None.

    Raises
        OSError where ``text`` is not TOML, or cannot be changed without rewriting it.
    """
    lines = text.splitlines(keepends=True)
    try:
        for name, value in changes.items():
            lines = _put(_without(lines, name), name, value)
    except tomllib.TOMLDecodeError:
        raise OSError(0, "it is not valid TOML") from None
    return "".join(lines)


def _without(lines: list[str], name: str) -> list[str]:
    """Leave out the fewest lines without which the value is gone and all else is as it was."""
    wanted = _read(lines)
    if name not in wanted:
        return lines
    del wanted[name]
    for first, line in enumerate(lines):
        if line.lstrip().lstrip("\"'").startswith(name):
            for last in range(first + 1, len(lines) + 1):
                rest = lines[:first] + lines[last:]
                if _is(rest, wanted):
                    return rest
    raise OSError(0, f"{name} is written in a way that only a person can change")


def _put(lines: list[str], name: str, value: Any) -> list[str]:
    """Add a value, as near to the end as it is still one of the top level."""
    if value is None:
        return lines
    wanted = {**_read(lines), name: value}
    if lines and not lines[-1].endswith("\n"):
        lines = [*lines[:-1], lines[-1] + "\n"]
    added = f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
    places = range(len(lines), -1, -1)
    tried = ([*lines[:place], added, *lines[place:]] for place in places)
    return next(each for each in tried if _is(each, wanted))


def _read(lines: list[str]) -> dict[str, Any]:
    return tomllib.loads("".join(lines))


def _is(lines: list[str], wanted: Mapping[str, Any]) -> bool:
    try:
        return _read(lines) == wanted
    except tomllib.TOMLDecodeError:
        return False
