"""The dialog of settings, and what it changes in ``settings.toml``."""

import os
import stat
import tkinter as tk
import tomllib
from collections.abc import Callable
from pathlib import Path
from tkinter import ttk

import pytest

from app.settings import Settings, read_settings
from gui.panel import Panel
from gui.panels.settings import SAVED, SettingsDialog, with_changes, write_settings

Until = Callable[[Callable[[], object]], None]
Press = Callable[[tk.Misc, str], None]
WRITTEN = """# mine
port = 9000 # as ever
cors_origins = [
    "https://a.example",  # the first
    "https://b.example",
]
workers = 2
"""


@pytest.fixture
def settings(panel: Panel) -> Settings:
    path = panel.data_dir / "settings.toml"
    path.write_text(WRITTEN, encoding="utf-8", newline="\r\n")
    path.chmod(0o600)
    return read_settings({"data_dir": panel.data_dir}, {})


def held(panel: Panel) -> Settings:
    """Return what the next start would find."""
    return read_settings({"data_dir": panel.data_dir}, {})


def test_shows_what_holds(panel: Panel, settings: Settings, press: Press) -> None:
    """The dialog starts with the settings that hold, and names the data directory."""
    dialog = SettingsDialog(panel, settings)
    assert dialog.form.values() == {
        "port": 9000, "cors_origins": "https://a.example, https://b.example", "studio_url": "",
        "theme": settings.theme,
    }  # fmt: skip
    words = [str(x.cget("text")) for x in dialog.body.winfo_children() if isinstance(x, ttk.Label)]
    assert any(str(panel.data_dir) in text for text in words)
    press(dialog, "Escape")
    assert not dialog.winfo_exists()


def test_any_port_is_no_missing_one(panel: Panel) -> None:
    """Port 0, which takes any, is shown as it is, and not as in force beside the file."""
    path = panel.data_dir / "settings.toml"
    path.write_text("port = 0\n", encoding="utf-8")
    path.chmod(0o600)
    for given, told in (({}, False), ({"port": 9001}, True)):
        settings = read_settings({"data_dir": panel.data_dir, **given}, {})
        dialog = SettingsDialog(panel, settings)
        lines = [
            str(each.cget("text"))
            for each in dialog.body.winfo_children()
            if isinstance(each, ttk.Label)
        ]
        assert ("In force now: Port 9001." in lines) is told
        assert any("Port" in line for line in lines) is told
        dialog.destroy()


def test_writes_only_what_was_changed(panel: Panel, settings: Settings, until: Until) -> None:
    """Changed settings are those of the next start; all else in the file stays, comments too."""
    dialog = SettingsDialog(panel, settings)
    dialog.form.fields["studio_url"].put("https://studio.example/app")
    dialog.form.fields["theme"].put("dark")
    dialog.save_button.invoke()
    until(lambda: panel.notice.get() == SAVED)
    assert not dialog.winfo_exists()
    now = held(panel)
    assert (now.studio_url, now.theme) == ("https://studio.example/app", "dark")
    assert (now.port, now.workers, now.cors_origins) == (9000, 2, settings.cors_origins)
    path = panel.data_dir / "settings.toml"
    assert path.read_bytes().decode().startswith(WRITTEN.replace("\n", "\r\n"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_refuses_what_a_setting_cannot_be(panel: Panel, settings: Settings, root: tk.Tk) -> None:
    """Each bad value is told at its field, in the words of a start, and nothing is written."""
    dialog = SettingsDialog(panel, settings)
    dialog.form.fields["port"].put(70_000)
    dialog.form.fields["cors_origins"].put("https://a.example, *")
    dialog.save()
    root.update()
    told = {name: str(field.problem.cget("text")) for name, field in dialog.form.fields.items()}
    assert told["port"] == "Should be less than or equal to 65535"
    assert "should be an origin" in told["cors_origins"].lower()
    assert dialog.form.fields["port"].problem.winfo_ismapped()
    assert held(panel) == settings
    dialog.destroy()


def test_a_place_that_cannot_be_written_is_told(
    panel: Panel, settings: Settings, until: Until
) -> None:
    """The dialog stays open and says why the file could not be written."""
    dialog = SettingsDialog(panel, settings, panel.data_dir / "missing" / "settings.toml")
    dialog.form.fields["port"].put(9001)
    dialog.save()
    until(lambda: "cannot be written" in str(dialog.problem.cget("text")))
    assert dialog.save_button.instate(["!disabled"])
    dialog.destroy()


def test_nothing_changed_writes_nothing(panel: Panel, settings: Settings, root: tk.Tk) -> None:
    """Save without a change only closes."""
    dialog = SettingsDialog(panel, settings)
    before = os.stat(panel.data_dir / "settings.toml").st_mtime_ns  # noqa: PTH116  # the exact time
    dialog.save()
    root.update()
    assert not dialog.winfo_exists()
    assert (panel.data_dir / "settings.toml").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("text", "changes", "wanted"),
    [
        ("", {"port": 1}, "port = 1\n"),
        ("port = 2", {"port": 1}, "port = 1"),
        ("port = 2 # two\r\na = 1\r\n", {"port": 1}, "port = 1 # two\r\na = 1\r\n"),
        ("port = 2\n", {"port": None}, ""),
        ("a = 1\n\n[b]\nport = 3\n", {"port": 1}, "a = 1\nport = 1\n\n[b]\nport = 3\n"),
        ('x = """\nport = 5\n"""\n', {"port": 1}, 'x = """\nport = 5\n"""\nport = 1\n'),
        ('"port" = 2\n', {"port": 1}, '"port" = 1\n'),
        ("a = [\n1,\n]\n", {"port": 1, "a": None}, "port = 1\n"),
        ("", {"studio_url": 'https://a/"ä\\'}, 'studio_url = "https://a/\\"ä\\\\"\n'),
    ],
)
def test_changes_to_a_file(text: str, changes: dict[str, object], wanted: str) -> None:
    """Values are put in at the top level, in place of what was there."""
    assert with_changes(text, changes) == wanted
    tomllib.loads(wanted)


def test_a_broken_file_is_left_alone(tmp_path: Path) -> None:
    """A file that is not TOML is not overwritten, and no other file is left."""
    path = tmp_path / "settings.toml"
    path.write_text("port = ", encoding="utf-8")
    with pytest.raises(OSError, match="not valid TOML"):
        write_settings(path, {"port": 1})
    assert path.read_text(encoding="utf-8") == "port = "
    assert list(tmp_path.iterdir()) == [path]


def test_opened_again(panel: Panel, settings: Settings, until: Until) -> None:
    """What has been saved is shown again, beside what is in force, and can be taken back."""
    dialog = SettingsDialog(panel, settings)
    dialog.form.fields["port"].put(9001)
    dialog.save()
    until(lambda: held(panel).port == 9001)
    dialog = SettingsDialog(panel, settings)
    assert dialog.form.fields["port"].value() == 9001
    words = [str(x.cget("text")) for x in dialog.body.winfo_children() if isinstance(x, ttk.Label)]
    assert "In force now: Port 9000." in words
    dialog.form.fields["port"].put(9000)
    dialog.save()
    until(lambda: held(panel).port == 9000)


def test_return_in_a_field_saves(
    panel: Panel, settings: Settings, until: Until, press: Press
) -> None:
    """Return in a field does what the dialog is for, and on a button what that says."""
    dialog = SettingsDialog(panel, settings)
    dialog.form.fields["port"].put(9002)
    press(dialog.form.fields["port"].widget, "Return")
    until(lambda: held(panel).port == 9002)
    until(lambda: not dialog.winfo_exists())
