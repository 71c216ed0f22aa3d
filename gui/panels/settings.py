"""The dialog of the settings that a person changes; it writes ``settings.toml``."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from app.settings import PARSERS, SETTINGS_FILE, SettingError, Settings
from gui.client import FieldFault
from gui.forms import Fields, Look, show_faults
from gui.hint import Hint
from gui.panel import Panel
from gui.panels.dialog import WIDTH, Dialog
from gui.saving import write_whole
from gui.theme import PALETTES

SHOWN: dict[str, Any] = {
    "properties": {
        "port": {
            "type": "integer", "minimum": 0, "maximum": 65_535, "default": Settings.port,
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
EMPTY = (None, "")
SAVED = "The settings are saved; they hold from the next start on."


class SettingsDialog(Dialog):
    """Shows the settings of the file; only those that are changed here are written."""

    def __init__(self, panel: Panel, settings: Settings, path: Path | None = None) -> None:
        super().__init__(panel, "Settings")
        self._path = path or settings.data_dir / SETTINGS_FILE
        hint = Hint(self.body, WIDTH)
        self.form = Fields(self.body, SHOWN, Look(panel.palette, hint.say), "")
        for name, title in TITLES.items():
            self.form.fields[name].title(title)
        written = _written(self._path)
        self.form.fill({name: _as_text(value) for name, value in written.items()})
        self.form.pack(fill="x")
        hint.pack(fill="x", pady=(4, 0))
        in_force = {name: _as_text(getattr(settings, name)) for name in SHOWN["properties"]}
        others = [
            f"{field.label['text']} {'none' if in_force[name] in EMPTY else in_force[name]}"
            for name, field in self.form.fields.items()
            if ("" if in_force[name] in EMPTY else in_force[name]) != field.value()
        ]
        if others:  # of a flag, of the environment, or until the next start
            self.line("Muted.TLabel", f"In force now: {'; '.join(others)}.")
        self.line("Muted.TLabel", f"Data directory: {settings.data_dir}")
        self.line("Muted.TLabel", "Changes hold from the next start on.")
        self.problem = self.line("Error.TLabel")
        self.save_button = self.buttons("Save", self.save)
        self.show(self.form.fields["port"].widget)

    def save(self) -> None:
        """Write what has been changed, if it is what a setting can be."""
        changes: dict[str, Any] = {}
        faults: list[FieldFault] = []
        for name, field in self.form.fields.items():
            if field.is_changed:
                try:
                    changes[name] = _parsed(name, field.value())
                except SettingError as fault:
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


def _written(path: Path) -> dict[str, Any]:
    """Return what the file says; nothing where it cannot be read, which a start would tell."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _as_text(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


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
        with path.open(encoding="utf-8", newline="") as file:  # line ends stay as they are
            text = file.read()
    except FileNotFoundError:
        text = ""
    except UnicodeDecodeError:
        raise OSError(0, "it is not text") from None
    write_whole(path, with_changes(text, changes).encode())


def with_changes(text: str, changes: Mapping[str, Any]) -> str:
    """Return TOML with top-level values put in, or taken out where they are None.

    Raises
        OSError where ``text`` is not TOML.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError:
        raise OSError(0, "it is not valid TOML") from None
    for name, value in changes.items():
        if value is not None:
            document[name] = value
        elif name in document:
            del document[name]
    return tomlkit.dumps(document)
