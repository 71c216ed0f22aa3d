"""The form for a new run, with its presets."""

import json
import tkinter as tk
from collections.abc import Callable, Mapping
from importlib import resources
from tkinter import ttk
from typing import Any
from urllib.parse import quote

from gui.client import FieldFault, RefusedError
from gui.forms import Look, show_faults
from gui.hint import Hint
from gui.panel import Panel, in_words
from gui.panels.run_form import RunForm
from gui.scrolling import Scroller
from gui.theme import scaled

NO_SYMBOL = "choose a data set, or import candles first"


class NewRunPart(ttk.Labelframe):
    """What to run; Start stays in sight, and the form scrolls."""

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent, text="New run", padding=scaled(parent, 6, 0, 4, 4))
        self._panel = panel
        self._sets: dict[str, Mapping[str, Any]] = {}
        self._make_presets()
        self._make_bottom()
        self.scroller = Scroller(self, panel.palette.window)
        self.scroller.pack(side="top", fill="both", expand=True, pady=(4, 0))
        self._bottom.lift()  # where it stands is where the keyboard comes to it
        self.form = RunForm(self.scroller.inside, Look(panel.palette, self._hint.say))
        self.form.pack(fill="both", expand=True)
        for part in (self.form.strategy, self.form.risk, self.form.slippage):
            part.rebuilt = self.scroller.adopt
        for topic, listener in (
            ("catalog", self._know), ("datasets", self._know_sets), ("presets", self._know_presets),
            ("runs", lambda _: self._offer_sample()), ("online", lambda _: self._enable()),
        ):  # fmt: skip
            panel.state.on(topic, listener)  # type: ignore[arg-type]  # a literal each
            listener(panel.state[topic])  # type: ignore[index]  # as above

    def _make_presets(self) -> None:
        row = ttk.Frame(self)
        row.pack(side="top", fill="x")
        ttk.Label(row, text="Preset").pack(side="left", padx=(0, 6))
        self.presets = ttk.Combobox(row, width=8)
        self.presets.pack(side="left", fill="x", expand=True)
        self.load = self._small_button(row, "Load", self._load_preset)
        self.save = self._small_button(row, "Save", self._save_preset)
        self.delete = self._small_button(row, "Delete", self._delete_preset)
        for event in ("<KeyRelease>", "<<ComboboxSelected>>"):
            self.presets.bind(event, lambda _: self._enable())

    @staticmethod
    def _small_button(row: ttk.Frame, text: str, command: Callable[[], None]) -> ttk.Button:
        button = ttk.Button(row, text=text, style="Compact.TButton", command=command)
        button.pack(side="left", padx=(4, 0))
        return button

    def _make_bottom(self) -> None:
        row = ttk.Frame(self)
        row.pack(side="bottom", fill="x", pady=(4, 0))
        self.try_sample = ttk.Button(
            row, text="Try it on the sample", style="Accent.TButton", command=self._start_sample
        )
        self.start_button = ttk.Button(
            row, text="Start", style="Accent.TButton", command=self.start
        )
        self.start_button.pack(side="right", fill="x", expand=True)
        self._hint = Hint(self, 255)
        self._hint.pack(side="bottom", fill="x", pady=(4, 0))
        self._bottom = row

    # What is known

    def _know(self, catalog: Mapping[str, Any]) -> None:
        if catalog:
            self.form.know(catalog)
            symbol = self.form.market.fields["symbol"]
            symbol.widget.bind("<<ComboboxSelected>>", lambda _: self._chosen(), add=True)
            symbol.offer(self._sets)
            self._choose_first()
            self.scroller.adopt()
        self._enable()

    def _know_sets(self, sets: list[Mapping[str, Any]]) -> None:
        usable = [each for each in sets if each["problem"] is None]
        self._sets = {
            f"{each['symbol']}  {each['timeframe']}  {each['provider']}": each for each in usable
        }
        if self._panel.state["catalog"]:
            self.form.market.fields["symbol"].offer(self._sets)
        self._choose_first()
        self._offer_sample()

    def _choose_first(self) -> None:
        known = self._sets and self._panel.state["catalog"]
        if known and not self.form.market.fields["symbol"].value():
            for name, value in _of_market(min(self._sets.values(), key=_preference)).items():
                self.form.market.fields[name].fill(value)

    def _chosen(self) -> None:
        found = self._sets.get(self.form.market.fields["symbol"].value())
        if found is not None:
            self.choose_set(found)

    def choose_set(self, found: Mapping[str, Any]) -> None:
        """Put a data set of the list into the form, as a person would type it."""
        if not self._panel.state["catalog"]:
            return
        for name, value in _of_market(found).items():
            self.form.market.fields[name].put(value)

    def _offer_sample(self) -> None:
        own = any(each["provider"] == "local" for each in self._panel.state["datasets"])
        is_first = not own and not self._panel.state["runs"]
        self.start_button.configure(style="TButton" if is_first else "Accent.TButton")
        if not is_first:
            self.try_sample.pack_forget()
        else:
            self.try_sample.pack(side="left", fill="x", expand=True, padx=(0, 8))

    def _enable(self) -> None:
        ready = bool(self._panel.state["catalog"]) and self._panel.state["online"]
        known = self.presets.get() in self._names()
        for button, enabled in (
            (self.start_button, ready), (self.try_sample, ready), (self.load, known),
            (self.delete, known), (self.save, ready and bool(self.presets.get().strip())),
        ):  # fmt: skip
            button.state(["!disabled" if enabled else "disabled"])

    # A run

    def configuration(self) -> dict[str, Any]:
        """Return the configuration that the form makes."""
        return self.form.configuration()

    def fill(self, config: Mapping[str, Any]) -> None:
        """Show a configuration; from now on fields that differ from it are marked."""
        self.form.fill(config)
        self.scroller.adopt()
        self._choose_first()

    def start(self) -> None:
        """Ask for the run."""
        if self.start_button.instate(["disabled"]):
            return
        self._show_faults([])
        config = self.configuration()
        if not config["symbol"]:
            self._show_faults([FieldFault("symbol", NO_SYMBOL)], "Not started")
            return
        self.start_button.state(["disabled"])
        self._panel.ask(
            lambda: self._panel.client.post("/runs", config),
            self._started,
            lambda fault: self._refused(fault, "Not started"),
        )

    def _start_sample(self) -> None:
        text = (resources.files("assets") / "sample" / "run.json").read_text(encoding="utf-8")
        self.fill(json.loads(text))
        self.start()

    def _started(self, answer: Mapping[str, Any]) -> None:
        self._enable()
        self._panel.state["selected"] = answer["run_id"]
        self._panel.watcher.look()
        if answer["reused"]:
            words = {"completed": "was there already, with its results"}
            what = words.get(answer["status"], f"was there already and is {answer['status']}")
            self._panel.say(f"This very run {what}: nothing is computed twice.")
        else:
            again = " again" if answer["attempt"] > 1 else ""
            self._panel.say(f"The run has been put in the queue{again}.")

    def _refused(self, fault: Exception, outcome: str) -> None:
        self._enable()
        faults = fault.faults if isinstance(fault, RefusedError) else []
        if isinstance(fault, RefusedError) and fault.code == "DATASET_NOT_FOUND":
            faults = [FieldFault("symbol", str(fault))]
        if faults:
            self._show_faults(faults, outcome)
        else:
            self._panel.complain(f"{outcome}: {in_words(fault)}")

    def _show_faults(self, faults: list[FieldFault], outcome: str = "") -> None:
        """Show faults at their fields, the first of them in sight, and say what has no field."""
        first, others = show_faults(self.form.by_path(), faults)
        if others:
            told = "; ".join(f"{each.field}: {each.message}" for each in others)
            self._panel.complain(f"{outcome}: {told}.")
        elif faults:
            self._panel.complain(f"{outcome}: see the words in red.")
        if first is not None:
            self.scroller.show(first.problem)
            self.scroller.show(first.widget)
            first.widget.focus_set()

    # Presets

    def _names(self) -> list[str]:
        return [preset["name"] for preset in self._panel.state["presets"]]

    def _know_presets(self, _: Any) -> None:
        self.presets.configure(values=self._names())
        self._enable()

    def _load_preset(self) -> None:
        name = self.presets.get()
        found = next(each for each in self._panel.state["presets"] if each["name"] == name)
        self.fill(found["config"])
        self._panel.say(f"The form shows the preset {name}.")

    def _save_preset(self) -> None:
        name = self.presets.get().strip()
        body = {"name": name, "config": self.configuration()}
        self._show_faults([])
        instead = ", in place of the one before" if name in self._names() else ""

        def saved(_: Any) -> None:
            self._panel.load("presets", "/presets", "presets")
            self._panel.say(f"Saved as the preset {name}{instead}.")

        self._panel.ask(
            lambda: self._panel.client.post("/presets", body),
            saved,
            lambda fault: self._refused(fault, "Not saved"),
        )

    def _delete_preset(self) -> None:
        name = self.presets.get()

        def deleted(_: None) -> None:
            self._panel.load("presets", "/presets", "presets")
            self.presets.set("")
            self._panel.say(f"The preset {name} is deleted.")

        def failed(fault: Exception) -> None:
            self._panel.load("presets", "/presets", "presets")  # another client may have deleted it
            self._panel.complain(in_words(fault))

        path = f"/presets/{quote(name)}"
        self._panel.ask(lambda: self._panel.client.delete(path), deleted, failed)


def _of_market(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the form that name a data set."""
    return {name: found[name] for name in ("symbol", "provider", "timeframe")}


def _preference(found: Mapping[str, Any]) -> tuple[bool, bool]:
    """Sort a user's own sets before the samples, and the usual sample before the other."""
    return found["provider"] != "local", found["symbol"] != "SPX"
