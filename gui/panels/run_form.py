"""The form of a run's configuration: from one to fields, and back."""

import tkinter as tk
from collections.abc import Mapping
from tkinter import ttk
from typing import Any

from gui.forms import Field, Fields, Look
from gui.panels import run_fields
from gui.panels.components import ComponentPart, TestsPart
from gui.theme import pixels

SLIPPAGE = "execution.slippage_model"
TITLES = {"provider": "Source", "start": "From (UTC)", "end": "To (UTC)"}


class RunForm(ttk.Frame):
    """Every field of a configuration; what has none, such as extra indicators, is kept as it is."""

    def __init__(self, parent: tk.Misc, look: Look) -> None:
        super().__init__(parent)
        self._filled: Mapping[str, Any] = {}
        self.market = Fields(self._section("Market"), {}, look, "")
        self.strategy = ComponentPart(self._section("Strategy"), look, "strategy", "Strategy")
        self.risk = ComponentPart(self._section("Sizing"), look, "risk", "Sizing")
        costs = self._section("Execution and costs")
        self.execution = Fields(costs, {}, look, "execution")
        self.slippage = ComponentPart(costs, look, SLIPPAGE, "Slippage model")
        validation = self._section("Validation")
        self.tests = TestsPart(validation, look)
        self.statistic = Fields(validation, {}, look, "validation")
        more = self._section("More")
        self.rest = Fields(more, {}, look, "")
        self._kept = ttk.Label(more, style="Muted.TLabel", wraplength=pixels(self, 230))
        for part in self._parts():
            part.pack(fill="x")

    def _section(self, title: str) -> ttk.Frame:
        top = 0 if not self.winfo_children() else pixels(self, 8)
        ttk.Label(self, text=title, style="Heading.TLabel").pack(anchor="w", pady=(top, 2))
        frame = ttk.Frame(self)
        frame.pack(fill="x")
        return frame

    def _parts(self) -> list[Any]:
        """Return the parts from top to bottom."""
        return [
            self.market, self.strategy, self.risk, self.execution, self.slippage, self.tests,
            self.statistic, self.rest,
        ]  # fmt: skip

    def know(self, catalog: Mapping[str, Any]) -> None:
        """Have the fields that the catalog tells of, offer what it has, and fill the form anew."""
        config = catalog["config"]
        for part, fields in (
            (self.market, run_fields.market), (self.execution, run_fields.execution),
            (self.statistic, run_fields.statistic), (self.rest, run_fields.rest),
        ):  # fmt: skip
            part.know(fields(config))
        for name, title in TITLES.items():
            self.market.fields[name].title(title)
        self.statistic.fields["statistic"].title("Compared by")
        self.strategy.know(catalog["strategies"], run_fields.default(config, "StrategyComponent"))
        self.risk.know(catalog["sizing"], run_fields.default(config, "RiskComponent"))
        self.slippage.know(catalog["slippage"], None)
        self.tests.know(catalog["validation"])
        self.fill(self._filled)

    def fill(self, config: Mapping[str, Any]) -> None:
        """Show a configuration, which may be a part of one: the rest are defaults."""
        self._filled = config
        execution, validation = config.get("execution", {}), config.get("validation", {})
        self.market.fill(config)
        self.strategy.fill(config.get("strategy"))
        self.risk.fill(config.get("risk"))
        self.execution.fill(execution)
        self.slippage.fill(execution.get("slippage_model"))
        self.tests.fill(validation)
        self.statistic.fill(validation)
        self.rest.fill(config)
        extra = len(config.get("indicators", ()))
        self._kept.configure(text=f"Extra indicators kept with the run: {extra}.")
        if extra:
            self._kept.pack(anchor="w")
        else:
            self._kept.pack_forget()

    def configuration(self) -> dict[str, Any]:
        """Return the configuration that the fields make."""
        shown = {
            **self.market.values(),
            "strategy": self.strategy.value(),
            "risk": self.risk.value(),
            "execution": {**self.execution.values(), "slippage_model": self.slippage.value()},
            "validation": {
                **self._filled.get("validation", {}),
                **self.statistic.values(),
                **self.tests.value(),
            },
            **self.rest.values(),
        }
        return {**self._filled, **shown}

    def by_path(self) -> dict[str, Field]:
        """Return every field under its dotted name, from top to bottom."""
        found: dict[str, Field] = {}
        for part in self._parts():
            found |= part.by_path()
        return found
