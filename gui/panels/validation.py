"""What the validation tests of a run found: a verdict and a drawing for each."""

import tkinter as tk
from collections.abc import Mapping, Sequence
from tkinter import ttk
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gui.client import Client
from gui.forms import label_of
from gui.panel import Panel
from gui.panels.pane import Pane, Run, label_that_wraps
from gui.panels.verdicts import TESTS, verdict
from gui.theme import POINTS, pixels

if TYPE_CHECKING:
    from gui.panels.picture import Picture

NOT_RUN = "not run"
Document = Mapping[str, Any]


class ValidationPane(Pane):
    """The tests to the left, what the chosen one found to the right."""

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent, panel)
        self.picture: Picture | None = None
        self._found: Document = {}
        self._said: Sequence[Document] = ()
        self.choices = ttk.Treeview(
            self.body, columns=["state"], show="tree headings", selectmode="browse", height=4
        )
        self.choices.heading("#0", text="Question", anchor="w")
        self.choices.heading("state", text="Result", anchor="w")
        self.choices.column("#0", width=pixels(self, 86), stretch=False)
        self.choices.column("state", width=pixels(self, 72), stretch=False)
        for name, test in TESTS.items():
            self.choices.insert("", "end", name, text=test.title)
        self.choices.pack(side="left", fill="y")
        self.choices.bind("<<TreeviewSelect>>", lambda _: self._choose())
        side = ttk.Frame(self.body, padding=(pixels(self, 8), pixels(self, 5), 0, 0))
        side.pack(side="left", fill="both", expand=True)
        self.verdict = label_that_wraps(side, font=("TkDefaultFont", POINTS, "bold"))
        self.verdict.pack(side="top", fill="x")
        self.explanation = label_that_wraps(side, style="Muted.TLabel")
        self.explanation.pack(side="top", fill="x", pady=(pixels(self, 2), 0))
        self._place = ttk.Frame(side)
        self._place.pack(fill="both", expand=True)
        self._place.pack_propagate(False)  # noqa: FBT003  # Tk's way
        self.bind("<<ThemeChanged>>", lambda _: self._dress())
        self.bind("<Destroy>", lambda _: self._end())

    def read(self, client: Client, run: Run) -> Any:
        """Return what each test found, nothing where none was asked for, and that in words."""
        import gui.panels.validation_pictures  # noqa: F401, PLC0415  # half a second, which Tk need not wait for

        path = f"/runs/{quote(run['run_id'])}"
        names = {each["name"] for each in client.get(f"{path}/artifacts")["files"]}
        name = "validation_summary.json"
        found = client.get(f"{path}/artifact/{name}") if name in names else {}
        return found, client.get(f"{path}/belief")["said"]

    def show(self, read: tuple[Document, Sequence[Document]]) -> None:
        """Show the tests; the one that was chosen stays chosen."""
        found, self._said = read
        self._found = found
        others = [name for name in self.choices.get_children() if name not in TESTS]
        self.choices.delete(*others)
        for name in found:
            if name not in TESTS:
                self.choices.insert("", "end", name, text=name, values=("run",))
        for name in TESTS:
            self.choices.set(name, "state", in_short(name, found.get(name)))
        chosen = next(iter(self.choices.selection()), "")
        if not chosen:
            first = next((name for name in TESTS if found.get(name)), next(iter(TESTS)))
            self.choices.selection_set(first)  # which shows it
            self.choices.focus(first)
        else:
            self._choose()

    def _choose(self) -> None:
        name = next(iter(self.choices.selection()), None)
        if name is None:
            return
        test, found = TESTS.get(name), self._found.get(name)
        if test is None:
            self.verdict.configure(text=f"{name}: a test of your own.")
            self.explanation.configure(text=figures_of(found or {}))
            self._place.pack_forget()
        elif not found:
            self.verdict.configure(text=f"{test.title}: not run.")
            tick = f"Tick “{label_of(name)}” under Validation in New run"
            self.explanation.configure(text=f"{test.question} {tick} and start the run again.")
            self._place.pack_forget()
        else:
            first, more = verdict(name, self._said)
            self.verdict.configure(text=first)
            self.explanation.configure(text=more or test.question)
            self._draw(name, found)

    def _draw(self, name: str, found: Document) -> None:
        if not (found["histogram"]["counts"] or found.get("cost_grid")):
            self._place.pack_forget()
            return
        self._place.pack(fill="both", expand=True)
        from gui.panels.picture import Picture  # noqa: PLC0415  # imported by ``read``
        from gui.panels.validation_pictures import draw  # noqa: PLC0415  # imported by ``read``

        if self.picture is None:
            self.picture = Picture(self._place, self.panel.palette)
            self.picture.widget.configure(takefocus=False)
            self.picture.widget.pack(fill="both", expand=True)
        draw(self.picture, name, found)

    def _end(self) -> None:
        self.picture = None

    def _dress(self) -> None:
        if self.picture is not None:
            self.picture.dress(self.panel.palette)
            self._choose()


NO_VERDICT = "no verdict"
# The worst that can be and the best; a verdict either way.
NO_BREAKEVEN = {"loses_without_costs": "loses anyway", "above_range": "> 1,000 bps"}


def in_short(name: str, found: Document | None) -> str:
    """Return a test's result in a few characters."""
    if not found:
        return NOT_RUN
    match name:
        case "permutation" if found["p_value"] is not None:
            return f"p {found['p_value']:.3f}"
        case "block_bootstrap" if found["sharpe"]["studentized"] is not None:
            low, high = found["sharpe"]["studentized"]
            return f"{low:.2f} to {high:.2f}"
        case "monte_carlo":
            bps, reason = found["breakeven_slippage_bps"], found["breakeven_reason"]
            return NO_BREAKEVEN.get(reason, NO_VERDICT) if bps is None else f"{bps:.1f} bps"
        case "walk_forward" if found["folds"]:
            return f"{round(found['positive_folds'] * found['n'])} of {found['n']}"
    return NO_VERDICT


def figures_of(found: Document) -> str:
    """Return the plain figures of a document in a line."""
    said = [
        f"{name.replace('_', ' ')} {value:.6g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in found.items()
        if isinstance(value, str | int | float)
    ]
    return "; ".join(said)
