"""What of a window is cut off, outside of its place, or hard to read."""

import tkinter as tk
from collections.abc import Iterator
from tkinter import font, ttk
from typing import Any

LEAST_CONTRAST = 4.5
SLACK_PX = 1
HEADING_PX = 10  # what a table keeps free around a heading
INDENT_PX = 20  # of a row in a tree, with its mark
# What shows a part of itself where it has to, by scrolling.
SCROLLING = (ttk.Treeview, tk.Text, tk.Canvas, ttk.Entry, ttk.Scrollbar)
GROUNDS = {
    "TEntry": "fieldbackground",
    "TCombobox": "fieldbackground",
    "TSpinbox": "fieldbackground",
}
STATES: dict[str, tuple[tuple[str, ...], ...]] = {
    "TButton": ((), ("active",), ("pressed",), ("disabled",)),
    "TEntry": ((), ("disabled",)),
    "TCombobox": ((), ("readonly",), ("disabled",)),
    "TSpinbox": ((), ("disabled",)),
    "TCheckbutton": ((), ("active",)),
}  # fmt: skip


def faults_of(root: tk.Misc) -> list[str]:
    """Return a sentence for each thing of a window that is amiss, none where all is well."""
    root.update_idletasks()
    found: list[str] = []
    for widget in mapped(root):
        found += _outside(widget) + _cut_off(widget) + _faint(widget) + _squeezed_out(widget)
        if isinstance(widget, ttk.Treeview):
            found += _table(widget)
    return found


def mapped(widget: tk.Misc) -> Iterator[tk.Misc]:
    """Yield every widget that is shown, its own window's and not another one's."""
    for child in widget.winfo_children():
        if child.winfo_ismapped() and not isinstance(child, tk.Toplevel):
            yield child
            yield from mapped(child)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours ``#rrggbb``, 1 to 21 (WCAG 2.2, relative luminance)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _said(widget: tk.Misc) -> str:
    text = str(widget["text"]) if "text" in widget.keys() else ""  # noqa: SIM118  # Tk's own keys
    return f"{widget.winfo_class()} {text[:60]!r}".strip()


def _outside(widget: tk.Misc) -> list[str]:
    parent = widget.nametowidget(widget.winfo_parent())
    if isinstance(parent, tk.Canvas):
        return []
    right, bottom = (
        widget.winfo_x() + widget.winfo_width(),
        widget.winfo_y() + widget.winfo_height(),
    )
    inside = (
        widget.winfo_x() >= 0
        and widget.winfo_y() >= 0
        and right <= parent.winfo_width() + SLACK_PX
        and bottom <= parent.winfo_height() + SLACK_PX
    )
    return [] if inside else [f"{_said(widget)} reaches out of its {parent.winfo_class()}"]


def _squeezed_out(parent: tk.Misc) -> list[str]:
    """Return which children of a widget the packer shows no longer, for want of room."""
    return [
        f"{_said(child)} has found no room in its {parent.winfo_class()}"
        for child in parent.winfo_children()
        if child.winfo_manager() == "pack" and not child.winfo_ismapped()
    ]


def _cut_off(widget: tk.Misc) -> list[str]:
    if isinstance(widget, SCROLLING) or widget.winfo_children():
        return []
    if widget.winfo_width() + SLACK_PX < widget.winfo_reqwidth():
        return [f"{_said(widget)} has {widget.winfo_width()} of {widget.winfo_reqwidth()} pixels"]
    if widget.winfo_height() + SLACK_PX < widget.winfo_reqheight():
        return [f"{_said(widget)} is {widget.winfo_height()} of {widget.winfo_reqheight()} high"]
    if isinstance(widget, ttk.Label) and not int(str(widget["wraplength"]) or 0):
        shown = str(widget["font"]) or ttk.Style().lookup(widget.winfo_class(), "font")
        face = font.Font(root=widget, font=shown or "TkDefaultFont")
        wanted = max(face.measure(line) for line in f"{widget['text']}".split("\n"))
        if wanted > widget.winfo_width() + SLACK_PX:
            return [f"{_said(widget)} has {widget.winfo_width()} of {wanted} pixels"]
    return []


def _table(table: ttk.Treeview) -> list[str]:
    """Return which headings and cells of a table are cut off, and whether the table itself is."""
    found = []
    style = ttk.Style()
    tree = "tree" in str(table["show"])
    shown = tuple(table["displaycolumns"])
    columns = [*(["#0"] if tree else []), *(table["columns"] if shown == ("#all",) else shown)]
    head = font.Font(root=table, font=style.lookup("Treeview.Heading", "font") or "TkHeadingFont")
    body = font.Font(root=table, font=style.lookup("Treeview", "font") or "TkDefaultFont")
    for column in columns:
        title = str(table.heading(column, "text"))
        width = int(table.column(column, "width"))
        needed = head.measure(title) + HEADING_PX
        if title and needed > width:
            found.append(f"the heading {title!r} has {width} of {needed} pixels")
        for depth, row in _rows(table):
            if not table.bbox(row, column):
                continue
            aside = INDENT_PX * (depth + 1) if column == "#0" else 0
            text = str(table.item(row, "text") if column == "#0" else table.set(row, column))
            if body.measure(text) + aside + 6 > width:
                needed = body.measure(text) + aside + 6
                found.append(f"the cell {text!r} has {width} of {needed} pixels")
    whole = sum(int(table.column(column, "width")) for column in columns)
    if whole > table.winfo_width() + SLACK_PX and not str(table["xscrollcommand"]):
        found.append(f"a table with {columns[0]} has {table.winfo_width()} of {whole} pixels")
    return found


def _rows(table: ttk.Treeview, parent: str = "", depth: int = 0) -> Iterator[tuple[int, str]]:
    """Yield the first rows of a table, how deep they lie, and what is in them."""
    for row in table.get_children(parent)[:20]:
        yield depth, row
        yield from _rows(table, row, depth + 1)


def _faint(widget: tk.Misc) -> list[str]:
    """Return which text of a widget stands out too little from its ground."""
    pairs = list(_colors(widget))
    return [
        f"{_said(widget)}: {what} {text} on {ground} has a contrast of {contrast(text, ground):.1f}"
        for what, text, ground in pairs
        if contrast(text, ground) < LEAST_CONTRAST
    ]


def _colors(widget: tk.Misc) -> Iterator[tuple[str, str, str]]:
    if isinstance(widget, tk.Text):
        for name in ("", *widget.tag_names()):
            color = widget.tag_cget(name, "foreground") if name and name != "sel" else ""
            yield (
                name,
                _rgb(widget, color or widget["foreground"]),
                _rgb(widget, widget["background"]),
            )
    elif isinstance(widget, ttk.Treeview):
        style = ttk.Style()
        for state in ((), ("selected",)):
            ground = style.lookup("Treeview", "background", state)
            yield (
                f"row {state}",
                *_pair(widget, style.lookup("Treeview", "foreground", state), ground),
            )
            for _, row in _rows(widget):
                for tag in widget.item(row, "tags"):
                    color = str(widget.tag_configure(str(tag), "foreground"))
                    if color:
                        yield f"{tag} {state}", *_pair(widget, color, ground)
        heading = "Treeview.Heading"
        yield (
            "heading",
            *_pair(
                widget, style.lookup(heading, "foreground"), style.lookup(heading, "background")
            ),
        )
    elif isinstance(widget, ttk.Label | ttk.Button | ttk.Checkbutton | ttk.Entry):
        yield from _styled(widget)


def _styled(widget: ttk.Widget) -> Iterator[tuple[str, str, str]]:
    style = ttk.Style()
    kind = widget.winfo_class()
    name = str(widget["style"]) or kind
    for state in STATES.get(kind, ((),)):
        given: Any = widget["foreground"] if "foreground" in widget.keys() else ""  # noqa: SIM118  # Tk's own keys
        text = str(given) or style.lookup(name, "foreground", state)
        ground = style.lookup(name, GROUNDS.get(kind, "background"), state)
        if text and ground:
            yield f"{'+'.join(state)} text", *_pair(widget, text, ground)


def _pair(widget: tk.Misc, text: Any, ground: Any) -> tuple[str, str]:
    return _rgb(widget, text), _rgb(widget, ground)


def _rgb(widget: tk.Misc, color: Any) -> str:
    red, green, blue = (part // 257 for part in widget.winfo_rgb(str(color)))
    return f"#{red:02x}{green:02x}{blue:02x}"
