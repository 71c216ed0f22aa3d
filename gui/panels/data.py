"""The data sets: what there is to run on, and how more comes in."""

import tkinter as tk
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tkinter import filedialog, ttk
from typing import Any
from urllib.parse import quote

from gui.panel import Panel, fill_width, in_words, scrolled
from gui.panels.import_dialog import ImportDialog
from gui.theme import pixels, scaled

COLUMNS = {
    "symbol": ("Symbol", 51),
    "timeframe": ("Bar", 28),
    "bars": ("Bars", 38),
    "range": ("Range (UTC)", 131),
}
ENDINGS = ("csv", "tsv", "txt", "gz", "parquet", "pq")
# X11's dialog tells capitals apart.
KINDS = [
    ("Candles", " ".join(f"*.{each}" for ending in ENDINGS for each in (ending, ending.upper()))),
    ("All files", "*"),
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DataPart(ttk.Labelframe):
    """The table of data sets, Import and Open folder, and what is to be said of the chosen one."""

    def __init__(self, parent: tk.Misc, panel: Panel) -> None:
        super().__init__(parent, text="Data", padding=scaled(parent, 6, 0, 4, 4))
        self._panel = panel
        self._sets: dict[str, Mapping[str, Any]] = {}
        self._listeners: list[Callable[[Mapping[str, Any]], None]] = []
        self._awaited: str | None = None
        self._told: str | None = None
        self.dialog: ImportDialog | None = None
        self.table: ttk.Treeview = scrolled(self, self._make_table)
        self.table.bind("<<TreeviewSelect>>", lambda _: self._select())
        self.table.bind("<ButtonRelease-1>", self._click)
        row = ttk.Frame(self)
        row.pack(fill="x", pady=(4, 0))
        self.import_button = ttk.Button(row, text="Import candles…", command=self.choose_file)
        self.import_button.pack(side="left")
        self.folder_button = ttk.Button(row, text="Open folder", command=self.open_folder)
        self.folder_button.pack(side="left", padx=(pixels(self, 5), 0))
        self.words = ttk.Label(self, wraplength=pixels(self, 255), justify="left")
        panel.state.on("datasets", self._show)
        panel.state.on("catalog", lambda _: self._enable())
        self._show(panel.state["datasets"])
        self._enable()

    def _make_table(self, parent: tk.Misc) -> ttk.Treeview:
        table = ttk.Treeview(
            parent, columns=list(COLUMNS), show="headings", selectmode="browse", height=3
        )
        for name, (title, points) in COLUMNS.items():
            anchor: Any = "e" if name in {"bars", "range"} else "w"
            width = pixels(parent, points)
            table.heading(name, text=title, anchor=anchor)
            table.column(name, width=width, anchor=anchor, stretch=False)
        fill_width(table, "symbol", pixels(parent, COLUMNS["symbol"][1]))
        table.tag_configure("problem", foreground=self._panel.palette.loss)
        return table

    def on_choose(self, listener: Callable[[Mapping[str, Any]], None]) -> None:
        """Tell ``listener`` the data set that is chosen, whenever one that can be used is."""
        self._listeners.append(listener)

    def _show(self, sets: list[Mapping[str, Any]]) -> None:
        chosen = self.table.selection()
        self._sets = {_key(each): each for each in sets}
        self.table.delete(*self.table.get_children())
        for key, each in self._sets.items():
            tags = ["problem"] if each["problem"] is not None else []
            self.table.insert("", "end", key, values=cells(each), tags=tags)
        wanted = [key for key in chosen if key in self._sets]
        if self._awaited in self._sets:
            wanted, self._awaited = [self._awaited], None
        self.table.selection_set(wanted)
        for key in wanted:
            self.table.focus(key)
            self.table.see(key)

    def _click(self, event: "tk.Event[tk.Misc]") -> None:
        """Take the data set that is clicked, also if it was the last one that was taken."""
        if self.table.identify_row(event.y) in self.table.selection():
            self._told = None
            self._select()

    def _select(self) -> None:
        for key in self.table.selection():
            found = self._sets[key]
            self._say(words_of(found, self._row_findings()), is_bad=found["problem"] is not None)
            if found["problem"] is None and key != self._told:
                self._told = key
                for listener in self._listeners:
                    listener(found)

    def _row_findings(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._panel.state["catalog"].get("row_findings", {})
        return found

    def _say(self, text: str, *, is_bad: bool) -> None:
        self.words.configure(text=text, style="Error.TLabel" if is_bad else "Muted.TLabel")
        self.words.pack(fill="x", pady=(4, 0))

    def _enable(self) -> None:
        """What a file may be said to be stands in the catalog."""
        self.import_button.state(["!disabled" if self._panel.state["catalog"] else "disabled"])

    def choose_file(self) -> None:
        """Ask for a file of candles, then what it is."""
        if self.import_button.instate(["disabled"]):
            return
        chosen = filedialog.askopenfilename(
            parent=self._panel.root, title="Import candles", filetypes=KINDS
        )
        if chosen:
            self.ask_about(Path(chosen))

    def ask_about(self, path: Path) -> None:
        """Ask what a file is, and import it as that."""

        def send(symbol: str, timeframe: str, said: Mapping[str, Any]) -> None:
            self._send(path, symbol, timeframe, said, dialog)

        dialog = self.dialog = ImportDialog(self._panel, path, send)

    def import_file(self, path: Path, symbol: str, timeframe: str, **said: str | None) -> None:
        """Send a file to the server; what it finds in it is shown, or why it is refused.

        ``said`` may hold tz, date_format, decimal, calendar and on_bad_rows.
        """
        self._send(path, symbol, timeframe, said, None)

    def _send(
        self,
        path: Path,
        symbol: str,
        timeframe: str,
        said: Mapping[str, Any],
        dialog: ImportDialog | None,
    ) -> None:
        place = f"/datasets/{quote(symbol, safe='')}/{quote(timeframe, safe='')}"
        said = {**said, "source": path.name.encode(errors="replace").decode()}
        self._panel.say(f"Importing {path.name}…")
        self._panel.ask(
            lambda: self._panel.client.put_file(place, said, path),
            lambda found: self._imported(found, dialog),
            lambda fault: self._refused(fault, dialog),
        )

    def _imported(self, found: Mapping[str, Any], dialog: ImportDialog | None) -> None:
        if dialog is not None:
            dialog.destroy()
        instead = ", in place of the one before" if _key(found) in self._sets else ""
        name = f"{found['symbol']} {found['timeframe']}"
        self._panel.say(f"Imported {name}: {found['bars']:,} bars{instead}.")
        self._say(words_of(found, self._row_findings()), is_bad=False)
        self._awaited, self._told = _key(found), None
        self._panel.load("datasets", "/datasets", "datasets")

    def _refused(self, fault: Exception, dialog: ImportDialog | None) -> None:
        self._panel.complain("Nothing was imported.")
        if dialog is not None and dialog.winfo_exists():
            dialog.refuse(fault)
        else:
            self._say(in_words(fault), is_bad=True)

    def open_folder(self) -> None:
        """Show the folder of candles, into which files can be dropped too."""
        folder = self._panel.data_dir / "candles"
        folder.mkdir(parents=True, exist_ok=True)
        self._panel.show_folder(folder)


def _key(found: Mapping[str, Any]) -> str:
    return f"{found['provider']}/{found['symbol']}/{found['timeframe']}"


def cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a data set as the table shows it."""
    name = (str(found["symbol"]), str(found["timeframe"] or ""))
    if found["problem"] is not None:
        return (*name, "", "cannot be used")
    return (*name, f"{found['bars']:,}", f"{day(found['first_ts'])} – {day(found['last_ts'])}")


def day(ts_ms: int) -> str:
    """Return the UTC day of a time."""
    return f"{EPOCH + timedelta(milliseconds=ts_ms):%Y-%m-%d}"


def words_of(found: Mapping[str, Any], row_findings: Mapping[str, str]) -> str:
    """Return what is to be said of a data set: its problem, or what was found in its rows.

    ``row_findings`` are those of ``/catalog``.
    """
    name = f"{found['symbol']} {found['timeframe']}"
    if found["problem"] is not None:
        text = str(found["problem"])
        return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    parts = ["the sample that comes with Studio"] if found["provider"] == "sample" else []
    if found["calendar"]:
        parts.append(f"sessions of {found['calendar']}")
    if not found["volume_known"]:
        parts.append("no volume")
    quality = found["quality"] or {"rows_in": 0, "counts": {}}
    counts = [
        f"{quality['counts'][rule]:,} {what}"
        for rule, what in row_findings.items()
        if quality["counts"].get(rule)
    ]
    said = f"of {quality['rows_in']:,} rows, {'; '.join(counts)}" if counts else "no row was amiss"
    return f"{name}: {'; '.join([*parts, said])}."
