"""The bar at the top: whether the server is there, where, and what one can do with that."""

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk
from typing import Literal

from app.settings import Settings
from gui.panel import Panel
from gui.panels.settings import SettingsDialog
from gui.theme import pixels, scaled

DOT = "●"


class TopBar(ttk.Frame):
    """Status, address, Studio, quit."""

    def __init__(
        self, parent: tk.Misc, panel: Panel, settings: Settings, quit_program: Callable[[], None]
    ) -> None:
        super().__init__(parent, padding=scaled(parent, 6, 4))
        self._panel, self._settings = panel, settings
        self._dot = ttk.Label(self, text=DOT, foreground=panel.palette.gain)
        self._dot.pack(side="left")
        self._status = ttk.Label(self, text="running")
        self._status.pack(side="left", padx=scaled(self, 3, 9))
        ttk.Label(self, text=panel.client.url, style="Muted.TLabel").pack(
            side="left", padx=(0, pixels(self, 6))
        )
        self.copy_url = self._button("Copy URL", lambda: self._copy("address", panel.client.url))
        self.copy_token = self._button(
            "Copy token", lambda: self._copy("token", panel.client.token)
        )
        self.open_studio = self._button("Open Studio", self._open_studio)
        self.settings_button = self._button("Settings…", self.open_settings, "right")
        self.quit_button = self._button("Quit", quit_program, "right")
        self.quit_button.pack(before=self.settings_button)
        panel.state.on("online", self._show)

    def _button(
        self, text: str, command: Callable[[], object], side: Literal["left", "right"] = "left"
    ) -> ttk.Button:
        button = ttk.Button(self, text=text, style="Compact.TButton", command=command)
        button.pack(side=side, padx=(pixels(self, 4), 0))
        return button

    def _copy(self, what: str, text: str) -> None:
        self._panel.root.clipboard_clear()
        self._panel.root.clipboard_append(text)
        self._panel.say(f"The {what} is in the clipboard.")

    def _open_studio(self) -> None:
        """Open the page of the settings, without the token; without one, the settings."""
        if self._settings.studio_url is None:
            self.open_settings()
        else:
            self._panel.show_page(self._settings.studio_url)

    def open_settings(self) -> SettingsDialog:
        """Show the settings."""
        return SettingsDialog(self._panel, self._settings)

    def _show(self, online: bool) -> None:  # noqa: FBT001  # the topic's value
        palette = self._panel.palette
        self._dot.configure(foreground=palette.gain if online else palette.loss)
        self._status.configure(text="running" if online else "does not answer")
