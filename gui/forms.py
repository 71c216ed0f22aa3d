"""Forms from JSON Schema: the properties of an object as labelled fields, and back to values.

What is no number stays text, so that it is the server that says what is wrong with it, in the same
words and the same place as all else. Belongs to Tk's thread.
"""

import json
import math
import re
import tkinter as tk
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from tkinter import ttk
from typing import Any

from gui.client import FieldFault
from gui.theme import Palette, pixels

Schema = Mapping[str, Any]
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
NULL = re.compile(r"\bnull\b")  # which a field cannot hold
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000
LABEL_POINTS = 124
CHANGED = " •"
UNITS = {"bps": "bps", "bp": "bp", "pct": "fraction"}
LABELS = {"n": "Replicates", "p_win": "Chance of a win", "tz": "Time zone"}
BOUNDS = {
    "minimum": "at least {}", "exclusiveMinimum": "more than {}",
    "maximum": "at most {}", "exclusiveMaximum": "less than {}",
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What fields need of their surroundings: colours, and a place for the hint of one in use."""

    palette: Palette
    hint: Callable[[str], None]


def label_of(name: str) -> str:
    """Return a property's name as a person reads it: ``slippage_bps`` is ``Slippage (bps)``."""
    if name in LABELS:
        return LABELS[name]
    *words, last = name.split("_")
    if words and last in UNITS:
        return f"{' '.join(words).capitalize()} ({UNITS[last]})"
    return name.replace("_", " ").capitalize()


def hint_of(schema: Schema) -> str:
    """Return what may stand in a field: its description and its bounds, in one line."""
    shape = plain(schema)
    bounds = [form.format(_shown(shape[key])) for key, form in BOUNDS.items() if key in shape]
    said = NULL.sub("empty", str(schema.get("description", "")))
    parts = [said, ", ".join(bounds)]
    if shape.get("nullable"):
        parts.append("may be empty")
    return "; ".join(part for part in parts if part)


def plain(schema: Schema, definitions: Schema | None = None) -> dict[str, Any]:
    """Return a property without references and alternatives; ``nullable`` where null is one."""
    found = dict(schema)
    if "$ref" in found:
        name = str(found.pop("$ref")).rpartition("/")[2]
        found = {**(definitions or {}).get(name, {}), **found}
    others = [each for each in found.get("anyOf", ()) if each.get("type") != "null"]
    if "anyOf" in found:
        found["nullable"] = len(others) < len(found.pop("anyOf"))
        if len(others) == 1:
            found = {**plain(others[0], definitions), **found}
    return found


def _shown(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


class Field:
    """One property: a label, a widget, and a place for what is wrong with it."""

    def __init__(self, parent: ttk.Frame, row: int, name: str, schema: Schema, look: Look) -> None:
        self._schema = schema
        self._look = look
        self._text = label_of(name)
        self._baseline: Any = None
        self.hint = hint_of(schema)
        self.kind = str(schema.get("type", "json"))
        self.choices = {_choice(value): value for value in schema.get("enum", ())}
        if schema.get("nullable") and self.choices:
            self.choices = {"": None, **self.choices}
        self.label = ttk.Label(parent, text=self._text)
        self.widget = self._make(parent)
        self.problem = ttk.Label(
            parent, style="Error.TLabel", wraplength=pixels(parent, 235), justify="left"
        )
        gap = pixels(parent, 6)
        self.label.grid(row=2 * row, column=0, sticky="w", padx=(0, gap), pady=gap // 4)
        self.widget.grid(row=2 * row, column=1, sticky="ew", pady=gap // 4)
        self._problem_row = 2 * row + 1
        for event in ("<FocusIn>", "<Enter>"):
            self.widget.bind(event, lambda _: look.hint(f"{self._text}: {self.hint}"), add=True)

    def _make(self, parent: ttk.Frame) -> ttk.Widget:
        """Make the widget; its own content is all there is, no variable stands beside it."""
        widget: ttk.Widget
        if self.kind == "boolean" and not self._schema.get("nullable"):
            widget = ttk.Checkbutton(parent, command=self._touched)
            widget.state(["!alternate", "!selected"])
            return widget
        if self.choices or "enum" in self._schema:
            widget = ttk.Combobox(parent, values=list(self.choices), state="readonly", width=12)
        elif "examples" in self._schema:
            widget = ttk.Combobox(parent, values=list(self._schema["examples"]), width=12)
        elif self.kind == "integer":
            least = self._schema.get("minimum", -(10**9))
            most = self._schema.get("maximum", 10**9)
            widget = ttk.Spinbox(parent, from_=least, to=most, width=12, command=self._touched)
        else:
            widget = ttk.Entry(parent, width=12)
        for event in ("<KeyRelease>", "<<ComboboxSelected>>", "<<Paste>>", "<FocusOut>"):
            widget.bind(event, lambda _: self._touched(), add=True)
        return widget

    def value(self) -> Any:
        """Return what stands in the field, typed; text where it cannot be that."""
        if isinstance(self.widget, ttk.Checkbutton):
            return bool(self.widget.instate(["selected"]))
        text = str(self.widget.get()).strip()  # type: ignore[attr-defined]  # the others all have it
        if self.choices:
            return self.choices.get(text, text)
        if not text and self._schema.get("nullable"):
            return None
        if "end_of_day" in self._schema:  # 2010 is no number of milliseconds here
            return text or None
        return _READERS.get(self.kind, _read_json)(text)

    def fill(self, value: Any) -> None:
        """Put a value in; it is what changes are told against from now on."""
        self.put(value)
        self._baseline = self.value()
        self.show_fault(None)
        self._touched()

    def put(self, value: Any) -> None:
        """Put a value in, as a person would."""
        if isinstance(self.widget, ttk.Checkbutton):
            self.widget.state(["selected" if value else "!selected"])
        elif isinstance(self.widget, ttk.Combobox | ttk.Spinbox):
            self.widget.set(self._as_text(value))
        else:
            assert isinstance(self.widget, ttk.Entry)
            self.widget.delete(0, "end")
            self.widget.insert(0, self._as_text(value))
        self._touched()

    def _as_text(self, value: Any) -> str:
        if value is None:
            return ""
        if "end_of_day" in self._schema:
            return time_text(value, end_of_day=self._schema["end_of_day"])
        if self.choices:
            return _choice(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        return str(value) if isinstance(value, str | int | float) else json.dumps(value)

    @property
    def is_changed(self) -> bool:
        """Whether it holds something else than it was filled with."""
        return bool(self.value() != self._baseline)

    def title(self, text: str) -> None:
        """Have the label say something else than the property's name."""
        self._text = text
        self._touched()

    def offer(self, values: Iterable[Any]) -> None:
        """Offer other values to choose from; what stands in the field stays."""
        assert isinstance(self.widget, ttk.Combobox)
        texts = {_choice(value): value for value in values}
        if self.choices or str(self.widget.cget("state")) == "readonly":
            self.choices = texts
        self.widget.configure(values=list(texts))

    def _touched(self) -> None:
        changed = self.is_changed
        color = self._look.palette.accent if changed else self._look.palette.text
        self.label.configure(text=self._text + CHANGED * changed, foreground=color)
        self.widget.event_generate("<<Changed>>")

    def show_fault(self, message: str | None) -> None:
        """Show what is wrong with the field under it, or nothing."""
        if message is None:
            self.problem.grid_remove()
            return
        self.problem.configure(text=message[:1].upper() + message[1:])
        self.problem.grid(row=self._problem_row, columnspan=2, sticky="w", pady=(0, 4))


class Fields(ttk.Frame):
    """The properties of one object, under each other; ``prefix`` is its place in a request."""

    def __init__(
        self, parent: tk.Misc, schema: Schema, look: Look, prefix: str, *, indent: int = 0
    ) -> None:
        super().__init__(parent, padding=(pixels(parent, indent), 0, 0, 0))
        self.columnconfigure(0, minsize=pixels(parent, LABEL_POINTS - indent))
        self.columnconfigure(1, weight=1)
        self._look, self._prefix = look, prefix
        self.know(schema)

    def know(self, schema: Schema) -> None:
        """Have these properties from now on, each with its default."""
        for child in self.winfo_children():
            child.destroy()
        definitions = schema.get("$defs", {})
        self._defaults = {
            name: each.get("default") for name, each in schema.get("properties", {}).items()
        }
        self.fields = {
            name: Field(self, row, name, plain(each, definitions), self._look)
            for row, (name, each) in enumerate(schema.get("properties", {}).items())
        }
        self.fill({})

    def values(self) -> dict[str, Any]:
        """Return what stands in the fields."""
        return {name: field.value() for name, field in self.fields.items()}

    def fill(self, values: Mapping[str, Any]) -> None:
        """Fill every field, with its default where nothing is said of it."""
        for name, field in self.fields.items():
            field.fill(values.get(name, self._defaults[name]))

    def by_path(self) -> dict[str, Field]:
        """Return the fields under their dotted names."""
        dot = f"{self._prefix}." if self._prefix else ""
        return {f"{dot}{name}": field for name, field in self.fields.items()}


def show_faults(
    fields: Mapping[str, Field], faults: Iterable[FieldFault]
) -> tuple[Field | None, list[FieldFault]]:
    """Show each fault at its field; return the first such field, and the faults without one."""
    for field in fields.values():
        field.show_fault(None)
    told: dict[str, list[str]] = {}
    others = []
    for fault in faults:
        parts = fault.field.split(".")
        names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        name = next((name for name in names if name in fields), None)
        if name is None:
            others.append(fault)
        else:
            told.setdefault(name, []).append(fault.message)
    for name, messages in told.items():
        fields[name].show_fault("; ".join(messages))
    return next((field for name, field in fields.items() if name in told), None), others


def time_text(value: Any, *, end_of_day: bool) -> str:
    """Return epoch ms as a date where it is one's first (or last) moment, else as ISO-8601, UTC."""
    if not isinstance(value, int):
        return str(value)
    day, rest = divmod(value, DAY_MS)
    if rest == (DAY_MS - 1 if end_of_day else 0):
        return f"{EPOCH + timedelta(days=day):%Y-%m-%d}"
    moment = EPOCH + timedelta(milliseconds=value)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _choice(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _read_integer(text: str) -> Any:
    return int(text) if INTEGER.fullmatch(text) else _read_number(text)


def _read_number(text: str) -> Any:
    if INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text


def _read_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=str, parse_float=_read_number)
    except (ValueError, RecursionError):
        return text


_READERS: Mapping[str, Callable[[str], Any]] = {
    "integer": _read_integer,
    "number": _read_number,
    "string": str,
    "boolean": _read_json,
}
