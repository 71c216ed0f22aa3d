"""Parts of the form that are built from ``/catalog``: a component and its parameters; the tests."""

import tkinter as tk
from collections.abc import Callable, Mapping, Sequence
from tkinter import ttk
from typing import Any

from gui.forms import Field, Fields, Look

NONE = "none"
Listed = Sequence[Mapping[str, Any]]


class ComponentPart(ttk.Frame):
    """A component by name, and the parameters that it takes; ``path`` is its place in a request."""

    def __init__(self, parent: tk.Misc, look: Look, path: str, title: str) -> None:
        super().__init__(parent)
        self._look, self._path = look, path
        self._default: str | None = None
        self._filled: tuple[str, Mapping[str, Any]] = (NONE, {})
        self._listed: dict[str, Mapping[str, Any]] = {}
        names = {"type": "string", "enum": [], "description": title}
        self._choice = Fields(self, {"properties": {"name": names}}, look, path)
        self.name = self._choice.fields["name"]
        self.name.title(title)
        self._choice.pack(fill="x")
        self.params: Fields | None = None
        self.name.widget.bind("<<ComboboxSelected>>", lambda _: self._choose(), add=True)
        self.rebuilt: Callable[[], None] = lambda: None

    def know(self, listed: Listed, default: str | None) -> None:
        """Offer the components of the catalog, and none too where no ``default`` is named."""
        self._default = default
        self._listed = {each["name"]: each for each in listed}
        names = [*([] if self._default else [NONE]), *self._listed]
        self.name.offer(names)
        self.fill(None)

    def value(self) -> dict[str, Any] | None:
        """Return name and parameters; None for none."""
        name = self.name.value()
        if name in {"", NONE}:
            return None
        return {"name": name, "params": self.params.values() if self.params else {}}

    def fill(self, value: Mapping[str, Any] | None) -> None:
        """Show a component and its parameters; the default one where none is named."""
        name = (value or {}).get("name", self._default or NONE)
        self.name.fill(name)
        self._filled = (name, (value or {}).get("params", {}))
        self._build(*self._filled)

    def by_path(self) -> dict[str, Field]:
        """Return the fields under their dotted names."""
        params = {} if self.params is None else self.params.by_path()
        return {**self._choice.by_path(), **params, self._path: self.name}

    def _choose(self) -> None:
        """Show the parameters of what was chosen: those it was filled with, else the defaults."""
        name = self.name.value()
        self._build(name, self._filled[1] if name == self._filled[0] else {})

    def _build(self, name: str, params: Mapping[str, Any]) -> None:
        if self.params is not None:
            self.params.destroy()
            self.params = None
        known = self._listed.get(name)
        if known is not None:
            self.name.hint = known["description"]
            self.params = Fields(self, known["params"], self._look, f"{self._path}.params")
            self.params.fill(params)
            self.params.pack(fill="x")
        self.rebuilt()


class TickedTest(ttk.Frame):
    """A validation test: a tick, and while it is set, its parameters."""

    def __init__(self, parent: tk.Misc, look: Look, listed: Mapping[str, Any]) -> None:
        super().__init__(parent)
        self._name = listed["name"]
        tick = {"type": "boolean", "default": False, "description": listed["description"]}
        self._tick = Fields(self, {"properties": {self._name: tick}}, look, "validation")
        self.tick = self._tick.fields[self._name]
        self.tick.widget.bind("<<Changed>>", lambda _: self._show())
        self._tick.pack(fill="x")
        self.params = Fields(self, listed["params"], look, f"validation.{self._name}", indent=12)

    def value(self) -> dict[str, Any] | None:
        """Return the parameters; None where the test is not to be run."""
        return self.params.values() if self.tick.value() else None

    def fill(self, value: Mapping[str, Any] | None) -> None:
        """Tick the test and show its parameters, or neither."""
        self.tick.fill(value is not None)
        self.params.fill(value or {})
        self._show()

    def by_path(self) -> dict[str, Field]:
        """Return the fields under their dotted names."""
        return {**self._tick.by_path(), **self.params.by_path()}

    def _show(self) -> None:
        if self.tick.value():
            self.params.pack(fill="x")
        else:
            self.params.pack_forget()


class TestsPart(ttk.Frame):
    """The validation tests of the catalog."""

    def __init__(self, parent: tk.Misc, look: Look) -> None:
        super().__init__(parent)
        self._look = look
        self.tests: dict[str, TickedTest] = {}

    def know(self, listed: Listed) -> None:
        """Offer the tests of the catalog."""
        for part in self.tests.values():
            part.destroy()
        self.tests = {each["name"]: TickedTest(self, self._look, each) for each in listed}
        for part in self.tests.values():
            part.pack(fill="x")

    def value(self) -> dict[str, Any]:
        """Return each test's parameters, None for those that are not to be run."""
        return {name: part.value() for name, part in self.tests.items()}

    def fill(self, values: Mapping[str, Any]) -> None:
        """Tick the tests that are configured."""
        for name, part in self.tests.items():
            part.fill(values.get(name))

    def by_path(self) -> dict[str, Field]:
        """Return the fields under their dotted names."""
        found: dict[str, Field] = {}
        for part in self.tests.values():
            found |= part.by_path()
        return found
