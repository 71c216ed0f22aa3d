"""Colours, type and spacing of the panel, light and dark, on ttk's own ``clam``."""

import tkinter as tk
from dataclasses import dataclass
from tkinter import font, ttk
from typing import Any

POINTS = 10
BASE_DPI = 72.0


@dataclass(frozen=True)
class Palette:
    """The colours of a theme; text keeps a contrast of 4.5 on what it stands on."""

    window: str
    surface: str
    field: str
    line: str
    text: str
    muted: str
    accent: str
    on_accent: str
    accent_pressed: str
    selected: str
    gain: str
    loss: str
    warning: str


PALETTES: dict[str, Palette] = {
    "light": Palette(
        window="#f5f7f9", surface="#ffffff", field="#ffffff", line="#d3d9e0", text="#1f2933",
        muted="#52606d", accent="#1a5fd0", on_accent="#ffffff", accent_pressed="#164fae",
        selected="#dbe8fd", gain="#146c3f", loss="#b02a21", warning="#8a5200",
    ),
    "dark": Palette(
        window="#15191e", surface="#1c2128", field="#242b33", line="#3a434e", text="#e6eaef",
        muted="#a4afbb", accent="#3d7ff0", on_accent="#0b1220", accent_pressed="#6ea0f5",
        selected="#1d345c", gain="#5fc08c", loss="#f0867c", warning="#f0c674",
    ),
}  # fmt: skip


def apply_theme(root: tk.Tk, name: str) -> Palette:
    """Dress every widget of ``root``, also those that are there already."""
    palette = PALETTES[name]
    _set_fonts()
    style = ttk.Style(root)
    style.theme_use("clam")
    root.configure(background=palette.window)
    _set_base(root, style, palette)
    _set_buttons(root, style, palette)
    _set_fields(root, style, palette)
    _set_tables(root, style, palette)
    return palette


def _set_fonts() -> None:
    for name in ("TkDefaultFont", "TkTextFont", "TkMenuFont", "TkHeadingFont", "TkFixedFont"):
        font.nametofont(name).configure(size=POINTS)


def pixels(root: tk.Misc, points: float) -> int:
    """Return a length in pixels of this screen; a point is a 72nd of an inch."""
    return round(points * float(root.winfo_fpixels("1i")) / BASE_DPI)


def scaled(root: tk.Misc, *points: float) -> Any:
    """Return several lengths in pixels of this screen, as Tk takes them."""
    return tuple(pixels(root, each) for each in points)


def _set_base(root: tk.Tk, style: ttk.Style, p: Palette) -> None:
    style.configure(
        ".", background=p.window, foreground=p.text, bordercolor=p.line, lightcolor=p.window,
        darkcolor=p.window, troughcolor=p.field, focuscolor=p.accent, insertcolor=p.text,
    )  # fmt: skip
    style.configure("Muted.TLabel", foreground=p.muted)
    style.configure("Heading.TLabel", font=("TkDefaultFont", POINTS + 2, "bold"))
    style.configure("Error.TLabel", foreground=p.loss)
    style.configure("Empty.TLabel", foreground=p.muted, background=p.surface)
    style.configure(
        "TLabelframe", borderwidth=0, relief="flat", labelmargins=scaled(root, 6, 5, 6, 3)
    )
    style.configure("TLabelframe.Label", foreground=p.text, font=("TkDefaultFont", POINTS, "bold"))
    style.configure(
        "TScrollbar", background=p.line, troughcolor=p.window, arrowcolor=p.muted, gripcount=0,
        bordercolor=p.window, arrowsize=pixels(root, 9),
    )  # fmt: skip
    style.map(
        "TScrollbar", background=[("disabled", p.window)], arrowcolor=[("disabled", p.window)]
    )
    style.configure("Sash", gripcount=0)
    style.configure(
        "Horizontal.TProgressbar", background=p.accent, bordercolor=p.line,
        lightcolor=p.accent, darkcolor=p.accent, thickness=pixels(root, 9),
    )  # fmt: skip


def _set_buttons(root: tk.Tk, style: ttk.Style, p: Palette) -> None:
    style.configure("TButton", padding=scaled(root, 7, 2.5), width=0)
    style.configure("Compact.TButton", padding=scaled(root, 4.5, 2))
    style.configure(
        "Accent.TButton", foreground=p.on_accent, bordercolor=p.accent, focuscolor=p.on_accent
    )
    for kind, plain, pressed, active in (
        ("TButton", p.field, p.line, p.selected),
        ("Accent.TButton", p.accent, p.accent_pressed, p.accent),
    ):
        ground: Any = [("disabled", p.window), ("pressed", pressed), ("active", active)]
        # The edges within the border have the colour of the ground, so that all is flat.
        for part in ("background", "lightcolor", "darkcolor"):
            style.configure(kind, **{part: plain})
            style.map(kind, None, **{part: ground})
        style.map(
            kind,
            foreground=[("disabled", p.muted)],
            bordercolor=[("disabled", p.line), ("focus", p.accent)],
        )


def _set_fields(root: tk.Tk, style: ttk.Style, p: Palette) -> None:
    for kind in ("TEntry", "TCombobox", "TSpinbox"):
        style.configure(
            kind, fieldbackground=p.field, arrowcolor=p.text, padding=pixels(root, 2),
            background=p.field, lightcolor=p.field, darkcolor=p.field,
            arrowsize=pixels(root, 6 if kind == "TSpinbox" else 9),
        )  # fmt: skip
        style.map(
            kind,
            fieldbackground=[("readonly", p.field), ("disabled", p.window)],
            foreground=[("disabled", p.muted)],
            bordercolor=[("focus", p.accent)],
            lightcolor=[("focus", p.field)],
            background=[("active", p.selected)],
            arrowcolor=[("disabled", p.muted)],
            selectbackground=[("!focus", p.field)],
            selectforeground=[("!focus", p.text)],
        )
    root.option_add("*TCombobox*Listbox.background", p.field)
    root.option_add("*TCombobox*Listbox.foreground", p.text)
    root.option_add("*TCombobox*Listbox.selectBackground", p.accent)
    root.option_add("*TCombobox*Listbox.selectForeground", p.on_accent)
    style.map("TCheckbutton", background=[("active", p.window)])
    style.configure(
        "TCheckbutton", indicatorbackground=p.field, indicatorforeground=p.accent,
        indicatorsize=pixels(root, 9), upperbordercolor=p.muted, lowerbordercolor=p.muted,
    )  # fmt: skip


def _set_tables(root: tk.Tk, style: ttk.Style, p: Palette) -> None:
    height = font.nametofont("TkDefaultFont").metrics("linespace") + pixels(root, 6)
    style.configure(
        "Treeview", background=p.surface, fieldbackground=p.surface, foreground=p.text,
        rowheight=height, borderwidth=1, bordercolor=p.line, lightcolor=p.surface,
        darkcolor=p.surface,
    )  # fmt: skip
    style.configure(
        "Treeview.Heading", background=p.window, foreground=p.muted, relief="flat",
        font="TkDefaultFont", padding=scaled(root, 2, 1),
    )  # fmt: skip
    style.map("Treeview.Heading", background=[("active", p.selected)])
    style.map(
        "Treeview", background=[("selected", p.selected)], foreground=[("selected", p.text)],
        bordercolor=[("focus", p.accent)],
    )  # fmt: skip
    style.configure(
        "TNotebook", background=p.window, bordercolor=p.line, lightcolor=p.window,
        darkcolor=p.window, tabmargins=scaled(root, 2, 2, 2, 0),
    )  # fmt: skip
    style.configure(
        "TNotebook.Tab", background=p.window, foreground=p.muted, padding=scaled(root, 9, 3.5),
        bordercolor=p.line, lightcolor=p.window,
    )  # fmt: skip
    style.map(
        "TNotebook.Tab",
        background=[("selected", p.surface), ("active", p.selected)],
        foreground=[("selected", p.text)],
        lightcolor=[("selected", p.surface)],
        padding=[("selected", scaled(root, 9, 3.5))],
        expand=[("selected", (0, 0, 0, 0))],
    )
