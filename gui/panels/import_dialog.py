"""The dialog that asks what a file of candles is."""

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from gui.client import RefusedError
from gui.forms import Fields, Look, show_faults
from gui.hint import Hint
from gui.panel import Panel, in_words
from gui.panels.dialog import WIDTH, Dialog
from gui.panels.run_fields import importing

ENDINGS = re.compile(r"(\.(csv|tsv|txt|parquet|pq))?(\.gz)?$", re.IGNORECASE)


def guess_name(name: str, timeframes: Collection[str]) -> tuple[str, str]:
    """Return symbol and timeframe as a file's name tells them: ``SPX_1d.csv``; the latter or ""."""
    stem = ENDINGS.sub("", name)
    symbol, _, tail = stem.rpartition("_")
    if symbol and tail.lower() in timeframes:
        return symbol, tail.lower()
    return stem, ""


class ImportDialog(Dialog):
    """Asks what a file is; ``send`` is called with symbol, timeframe and what else was said."""

    def __init__(
        self,
        panel: Panel,
        path: Path,
        send: Callable[[str, str, Mapping[str, Any]], None],
    ) -> None:
        super().__init__(panel, "Import candles")
        self._send = send
        schema = importing(panel.state["catalog"]["config"])
        symbol, timeframe = guess_name(path.name, schema["properties"]["timeframe"]["enum"])
        heading = self.line("Heading.TLabel", path.name)
        heading.pack(pady=(0, 6))
        hint = Hint(self.body, WIDTH)
        self.form = Fields(self.body, schema, Look(panel.palette, hint.say), "")
        self.form.fill({"symbol": symbol, "timeframe": timeframe})
        self.form.pack(fill="x")
        hint.pack(fill="x", pady=(4, 0))
        self.problem = self.line("Error.TLabel")
        self.import_button = self.buttons("Import", self.confirm)
        self.show(self.form.fields["symbol"].widget)

    def confirm(self) -> None:
        """Import the file as the fields say."""
        self._tell(None)
        said = self.form.values()
        symbol, timeframe = said.pop("symbol"), said.pop("timeframe")
        if not timeframe:
            self.problem.configure(text="Say how long a bar of this file is.")
            return
        if not symbol:
            self.problem.configure(text="Say what the data set should be called.")
            return
        self.import_button.state(["disabled"])
        self.problem.configure(
            text="Importing… It goes on if this window is closed.", style="Muted.TLabel"
        )
        self.cancel_button.configure(text="Close")
        self._send(symbol, timeframe, said)

    def refuse(self, fault: Exception) -> None:
        """Show what the server says against the file; it can be sent again, said otherwise."""
        if self.winfo_exists():
            self.import_button.state(["!disabled"])
            self.cancel_button.configure(text="Cancel")
            self._tell(fault)

    def _tell(self, fault: Exception | None) -> None:
        faults = fault.faults if isinstance(fault, RefusedError) else []
        _, others = show_faults(self.form.by_path(), faults)
        in_general = fault is not None and (others or not faults)
        text = in_words(fault) if fault and in_general else ""
        self.problem.configure(text=text, style="Error.TLabel")
