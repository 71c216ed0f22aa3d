"""The table of data sets, and the dialog that imports one."""

import os
import tkinter as tk
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.quality import RULES
from engine.config import TIMEFRAME_MS
from engine.data.store import read_metadata
from gui.panel import Panel
from gui.panels.data import DataPart, words_of
from gui.panels.import_dialog import guess_name

Until = Callable[[Callable[[], object]], None]
Press = Callable[[tk.Misc, str], None]
GOOD = """Date,Open,High,Low,Close,Volume
2024-01-02,100,103,100,102,1000
2024-01-03,102,104,101,103,1000
2024-01-04,103,103,98,99,1000
"""
# The second row is out of order, the last has a price of nothing.
UNTIDY = GOOD + "2024-01-01,100,101,99,100,1000\n2024-01-05,0,100,95,96,1000\n"


@pytest.fixture
def part(panel: Panel, root: tk.Tk) -> DataPart:
    made = DataPart(root, panel)
    made.pack(fill="both", expand=True)
    root.update()
    return made


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    path = tmp_path / "DAX_1d.csv"
    path.write_text(GOOD, encoding="utf-8")
    return path


def rows(part: DataPart) -> dict[str, tuple[str, ...]]:
    """Return what the table shows, by the symbol."""
    values = [part.table.item(row, "values") for row in part.table.get_children()]
    return {str(each[0]): tuple(map(str, each[1:])) for each in values}


def click(part: DataPart, key: str) -> None:
    """Press the mouse on a row."""
    part.table.update()
    box = part.table.bbox(key)
    assert not isinstance(box, str)
    for event in ("<ButtonPress-1>", "<ButtonRelease-1>"):
        part.table.event_generate(event, x=box[0] + box[2] // 2, y=box[1] + box[3] // 2)
    part.table.update()


def test_shows_what_there_is(part: DataPart) -> None:
    """The samples stand in the table with their bars and range."""
    assert rows(part) == {
        "IXIC": ("1d", "5,031", "1999-01-04 – 2018-12-31"),
        "SPX": ("1d", "5,031", "1999-01-04 – 2018-12-31"),
    }


def test_an_import_shows_the_set_and_what_was_in_it(
    part: DataPart, panel: Panel, candles: Path, until: Until
) -> None:
    """A file that is sent becomes a set of the table, chosen, with its quality in words."""
    candles.write_text(UNTIDY, encoding="utf-8")
    told: list[Mapping[str, Any]] = []
    part.on_choose(told.append)
    part.import_file(candles, "DAX", "1d", on_bad_rows="drop")
    until(lambda: "DAX" in rows(part))
    assert rows(part)["DAX"] == ("1d", "4", "2024-01-01 – 2024-01-04")
    assert part.table.selection() == ("local/DAX/1d",)
    until(lambda: told)
    assert [each["symbol"] for each in told] == ["DAX"]
    words = str(part.words.cget("text"))
    assert words == "DAX 1d: of 5 rows, 1 dropped for a bad price; 1 out of order and sorted."
    assert panel.notice.get() == "Imported DAX 1d: 4 bars."
    (kept,) = panel.data_dir.glob("candles/DAX_1d.parquet")
    assert read_metadata(kept)["source"] == candles.name


def test_a_refused_file_says_the_servers_words(part: DataPart, candles: Path, until: Until) -> None:
    """What is wrong with a file is told, and nothing has changed."""
    candles.write_text(UNTIDY, encoding="utf-8")
    before = rows(part)
    part.import_file(candles, "DAX", "1d")
    until(lambda: "price" in str(part.words.cget("text")))
    assert "not above zero" in str(part.words.cget("text"))
    assert rows(part) == before


def test_a_missing_file_is_told(part: DataPart, tmp_path: Path, until: Until) -> None:
    """A file that has gone meanwhile is told without its path."""
    part.import_file(tmp_path / "GONE_1d.csv", "GONE", "1d")
    until(lambda: part.words.cget("text"))
    assert str(part.words.cget("text")) == "The file cannot be used: no such file or directory."


def test_the_dialog_guesses_and_imports(part: DataPart, candles: Path, until: Until) -> None:
    """The dialog starts with what the name tells; Import sends the file and closes it."""
    part.ask_about(candles)
    dialog = part.dialog
    assert dialog is not None
    said = dialog.form.values()
    assert (said["symbol"], said["timeframe"], said["on_bad_rows"]) == ("DAX", "1d", "refuse")
    dialog.import_button.invoke()
    until(lambda: "DAX" in rows(part))
    assert not dialog.winfo_exists()


def test_the_dialog_can_be_tried_again(part: DataPart, candles: Path, until: Until) -> None:
    """A refusal stands in the dialog, at its field where it is about one; then it can succeed."""
    candles.write_text(UNTIDY, encoding="utf-8")
    part.ask_about(candles)
    dialog = part.dialog
    assert dialog is not None
    dialog.form.fields["tz"].put("Mars/Olympus")
    dialog.confirm()
    tz = dialog.form.fields["tz"]
    until(lambda: tz.problem.winfo_ismapped() or dialog.problem.cget("text"))
    tz.put("")
    dialog.confirm()
    until(lambda: "not above zero" in str(dialog.problem.cget("text")))
    dialog.form.fields["on_bad_rows"].put("drop")
    dialog.confirm()
    until(lambda: "DAX" in rows(part))


def test_the_dialog_wants_a_name_and_a_timeframe(
    part: DataPart, tmp_path: Path, press: Press
) -> None:
    """A name that tells no timeframe leaves it open, and it has to be said; Escape leaves."""
    path = tmp_path / "prices.csv"
    path.write_text(GOOD, encoding="utf-8")
    part.ask_about(path)
    dialog = part.dialog
    assert dialog is not None
    dialog.confirm()
    assert str(dialog.problem.cget("text")) == "Say how long a bar of this file is."
    dialog.form.fields["timeframe"].put("1d")
    dialog.form.fields["symbol"].put("")
    dialog.confirm()
    assert "called" in str(dialog.problem.cget("text"))
    press(dialog, "Escape")
    assert not dialog.winfo_exists()


def test_a_click_chooses(part: DataPart) -> None:
    """The set that is clicked is told to who wants to know, and described."""
    told: list[Mapping[str, Any]] = []
    part.on_choose(told.append)
    click(part, "sample/IXIC/1d")
    assert [each["symbol"] for each in told] == ["IXIC"]
    assert "the sample that comes with Studio" in str(part.words.cget("text"))


def test_a_file_that_cannot_be_used_shows_its_problem(
    part: DataPart, panel: Panel, until: Until
) -> None:
    """A file dropped into the folder that is no candles is listed in red, and says why."""
    folder = panel.data_dir / "candles"
    folder.mkdir(exist_ok=True)
    (folder / "BAD_1d.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    told: list[Mapping[str, Any]] = []
    part.on_choose(told.append)
    panel.load("datasets", "/datasets", "datasets")
    until(lambda: "BAD" in rows(part))
    assert rows(part)["BAD"][2] == "cannot be used"
    click(part, "local/BAD/1d")
    assert str(part.words.cget("style")) == "Error.TLabel"
    assert part.words.cget("text")
    assert not told


def test_a_file_with_the_wrong_name_is_listed(part: DataPart, panel: Panel, until: Until) -> None:
    """A file whose name tells no data set stands in the table under it, with what to call it."""
    folder = panel.data_dir / "candles"
    folder.mkdir(exist_ok=True)
    for name in ("SPX-daily.csv", "bad {name_1d.csv"):
        (folder / name).write_text(GOOD, encoding="utf-8")
    panel.load("datasets", "/datasets", "datasets")
    until(lambda: "SPX-daily.csv" in rows(part))
    assert (
        rows(part)["SPX-daily.csv"] == rows(part)["bad {name_1d.csv"] == ("", "", "cannot be used")
    )
    part.table.selection_set(part.table.get_children()[0])
    until(lambda: part.words.cget("text"))
    assert "call it SYMBOL_TIMEFRAME.csv" in str(part.words.cget("text"))


def test_open_folder(
    part: DataPart, panel: Panel, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of candles is made and given to the file manager; a missing one is told."""
    for name in ("xdg-open", "open"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/shown"\n', encoding="utf-8")
        program.chmod(0o700)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        part.folder_button.invoke()
        folder = panel.data_dir / "candles"
        shown = tmp_path / "shown"
        until(lambda: shown.exists() and shown.read_text(encoding="utf-8") == str(folder))
        assert folder.is_dir()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path / "nothing"))
        part.folder_button.invoke()
        until(lambda: "No file manager" in panel.notice.get())
    assert str(folder) in panel.notice.get()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SPX_1d.csv", ("SPX", "1d")), ("BTC_USD_1H.parquet", ("BTC_USD", "1h")),
        ("x.csv.gz", ("x", "")), ("a_b.csv", ("a_b", "")), ("_1d.csv", ("_1d", "")),
    ],
)  # fmt: skip
def test_what_a_name_tells(name: str, told: tuple[str, str]) -> None:
    """Symbol and timeframe stand in a name as they do for the command."""
    assert guess_name(name, TIMEFRAME_MS) == told


def test_words_of_a_tidy_set() -> None:
    """A set with a calendar and without volume says so."""
    found = {
        "symbol": "DAX", "timeframe": "1d", "provider": "local", "problem": None, "calendar": "XETR",
        "volume_known": False, "quality": {"rows_in": 3, "counts": {}},
    }  # fmt: skip
    assert words_of(found, RULES) == "DAX 1d: sessions of XETR; no volume; no row was amiss."
