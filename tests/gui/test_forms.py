"""Forms: fields that are typed, ticked, filled, marked as changed, and told their faults."""

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk
from typing import Any

import pytest

from gui.client import FieldFault
from gui.forms import CHANGED, Field, Fields, Look, hint_of, label_of, show_faults, time_text
from gui.theme import PALETTES

Until = Callable[[Callable[[], object]], None]
SCHEMA = {
    "$defs": {"Side": {"enum": ["long", "short"], "type": "string"}},
    "properties": {
        "fast": {"type": "integer", "minimum": 1, "maximum": 100_000, "default": 20, "description": "bars"},
        "cost_bps": {"type": "number", "minimum": 0, "exclusiveMaximum": 10_000, "default": 0.5},
        "long_only": {"type": "boolean", "default": False},
        "mode": {"type": "string", "enum": ["fixed", "rolling"], "default": "fixed"},
        "side": {"$ref": "#/$defs/Side", "default": "long"},
        "block": {"anyOf": [{"type": "number", "minimum": 1}, {"type": "null"}], "default": None},
        "level": {"enum": [1, 2], "default": 1},
        "weights": {"type": "array", "default": [1, 2]},
        "note": {"type": "string", "default": ""},
    },
}  # fmt: skip
DEFAULTS = {
    "fast": 20, "cost_bps": 0.5, "long_only": False, "mode": "fixed", "side": "long", "block": None,
    "level": 1, "weights": [1, 2], "note": "",
}  # fmt: skip


@pytest.fixture
def hints() -> list[str]:
    return []


@pytest.fixture
def form(root: tk.Tk, hints: list[str]) -> Fields:
    """Return a form of every kind of field."""
    made = Fields(root, SCHEMA, Look(PALETTES["light"], hints.append), "strategy.params")
    made.pack(fill="both")
    root.update()
    return made


def write(field: Field, text: str) -> None:
    """Replace what stands in a field by keys, as a person does."""
    assert isinstance(field.widget, ttk.Entry)
    field.widget.focus_force()
    field.widget.update()
    field.widget.delete(0, "end")
    for letter in text:
        names = {".": "period", "-": "minus", "+": "plus"}
        field.widget.event_generate(f"<Key-{names.get(letter, letter)}>")
    field.widget.event_generate("<KeyRelease-Return>")
    field.widget.update()


def test_a_form_starts_with_the_defaults(form: Fields) -> None:
    """Each field holds its default, as a value of its own type, and none is marked."""
    assert form.values() == DEFAULTS
    assert not any(field.is_changed for field in form.fields.values())
    assert isinstance(form.values()["fast"], int)


def test_kinds_of_widget(form: Fields) -> None:
    """Whole numbers spin, alternatives are chosen from, truths are ticked."""
    kinds = {name: type(field.widget) for name, field in form.fields.items()}
    assert kinds == {
        "fast": ttk.Spinbox, "cost_bps": ttk.Entry, "long_only": ttk.Checkbutton, "mode": ttk.Combobox,
        "side": ttk.Combobox, "block": ttk.Entry, "level": ttk.Combobox, "weights": ttk.Entry,
        "note": ttk.Entry,
    }  # fmt: skip
    assert str(form.fields["mode"].widget.cget("state")) == "readonly"


def test_what_is_typed_is_read_back_typed(form: Fields) -> None:
    """Keys change the value and mark the field; typing the old value unmarks it."""
    fast = form.fields["fast"]
    write(fast, "35")
    assert form.values()["fast"] == 35
    assert str(fast.label.cget("text")) == "Fast" + CHANGED
    write(fast, "20")
    assert str(fast.label.cget("text")) == "Fast"
    write(form.fields["cost_bps"], "1.25")
    assert form.values()["cost_bps"] == 1.25


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("fast", "abc", "abc"), ("fast", "2.5", 2.5), ("fast", "", ""), ("fast", " 7 ", 7),
        ("fast", "9" * 400, "9" * 400), ("fast", "9" * 20, 10**20 - 1), ("cost_bps", "nan", "nan"), ("cost_bps", "1e999", "1e999"),
        ("cost_bps", "1e-3", 0.001), ("cost_bps", "3", 3), ("cost_bps", "1,5", "1,5"),
        ("block", "", None), ("block", "12", 12), ("level", "2", 2),
        ("weights", "[3, 4]", [3, 4]), ("weights", "[1e999]", ["1e999"]), ("weights", "[3", "[3"),
        ("note", "12", "12"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_stays_text(form: Fields, name: str, text: str, value: Any) -> None:
    """Only finite numbers become numbers; all else is for the server to refuse in its words."""
    form.fields[name].put(text)
    assert form.values()[name] == value


def test_a_spin_and_a_tick_count_as_changes(form: Fields, root: tk.Tk) -> None:
    """The arrow of a whole number and the box of a truth mark their fields."""
    fast, long_only = form.fields["fast"], form.fields["long_only"]
    fast.widget.event_generate("<<Increment>>")
    assert isinstance(long_only.widget, ttk.Checkbutton)
    long_only.widget.invoke()
    root.update()
    assert (form.values()["fast"], form.values()["long_only"]) == (21, True)
    assert fast.is_changed
    assert long_only.is_changed
    long_only.widget.invoke()
    assert form.values()["long_only"] is False


def test_filling_sets_what_changes_are_told_against(form: Fields) -> None:
    """After filling, only what differs from that is marked; what is not said has its default."""
    form.fill({"fast": 35, "block": 9.0, "level": 2, "side": "short"})
    filled = {"fast": 35, "block": 9, "level": 2, "side": "short"}
    assert form.values() == DEFAULTS | filled
    assert not form.fields["fast"].is_changed
    form.fields["fast"].put(20)
    assert form.fields["fast"].is_changed


def test_a_choice_that_is_not_offered_is_kept(form: Fields) -> None:
    """A value that a newer or older program knew is shown as it is."""
    form.fill({"mode": "expanding"})
    assert form.values()["mode"] == "expanding"


def test_faults_stand_under_their_fields(form: Fields, root: tk.Tk) -> None:
    """Each fault is shown in red at its field; the first such field and the rest are returned."""
    faults = [
        FieldFault("strategy.params.block", "should be at least 1"),
        FieldFault("strategy.params.weights.1", "should be a number"),
        FieldFault("strategy.params.fast", "should be a valid integer"),
        FieldFault("seed", "should be greater than or equal to 0"),
    ]
    first, others = show_faults(form.by_path(), faults)
    root.update()
    assert first is form.fields["fast"]
    assert others == faults[3:]
    assert str(form.fields["weights"].problem.cget("text")) == "Should be a number"
    assert form.fields["fast"].problem.winfo_ismapped()
    below = form.fields["fast"].problem.winfo_y() - form.fields["fast"].widget.winfo_y()
    assert below > 0
    show_faults(form.by_path(), [])
    root.update()
    assert not form.fields["fast"].problem.winfo_ismapped()


def test_a_field_in_use_says_what_may_stand_in_it(
    form: Fields, hints: list[str], until: Until
) -> None:
    """The keyboard's focus brings the description and the bounds."""
    form.fields["fast"].widget.focus_force()
    until(lambda: "Fast: bars; at least 1, at most 100,000" in hints)


def test_words() -> None:
    """Names become labels with their units, bounds become words."""
    assert [label_of(name) for name in ("slippage_bps", "n", "max_leverage", "spread_pct")] == [
        "Slippage (bps)", "Replicates", "Max leverage", "Spread (fraction)",
    ]  # fmt: skip
    nullable = {"anyOf": [{"type": "number", "exclusiveMinimum": 0.5}, {"type": "null"}]}
    assert hint_of(nullable) == "more than 0.5; may be empty"


@pytest.mark.parametrize(
    ("ms", "end_of_day", "text"),
    [
        (978_307_200_000, False, "2001-01-01"), (978_393_599_999, True, "2001-01-01"),
        (978_307_200_000, True, "2001-01-01T00:00:00.000Z"),
        (978_307_261_500, False, "2001-01-01T00:01:01.500Z"), ("2001", False, "2001"),
        (-30_610_224_000_000, False, "1000-01-01"),
    ],
)  # fmt: skip
def test_times_are_shown_as_the_server_would_read_them(
    ms: Any, text: str, *, end_of_day: bool
) -> None:
    """A date stands for the first moment of its day, or the last where a range ends."""
    assert time_text(ms, end_of_day=end_of_day) == text
