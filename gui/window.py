"""The window: its parts and where they stand."""

import logging
import time
import tkinter as tk
from collections.abc import Callable, Mapping
from importlib.resources import files
from tkinter import ttk
from types import TracebackType
from typing import Any

from app.settings import Settings
from gui.client import Client
from gui.inbox import Inbox
from gui.panel import Panel
from gui.panels.bottom_bar import BottomBar
from gui.panels.data import DataPart
from gui.panels.new_run import NewRunPart
from gui.panels.pane import label_that_wraps
from gui.panels.results import ResultsPart
from gui.panels.runs import RunsPart
from gui.panels.top_bar import TopBar
from gui.state import State
from gui.theme import apply_theme, pixels
from gui.watcher import Watcher
from gui.window_system import name_of, shortcut_key

# In points: 1024 × 640 and 1280 × 800 pixels on a screen of 96 to the inch.
LEAST, USUAL = (768, 480), (960, 600)
ICONS = tuple(f"studio-{size}.png" for size in (256, 48, 32, 16))
LOOK_AGAIN_S = 1.0
ENDED = (
    "The server has ended by itself. Quit and start Studio again: what ran goes on then. "
    "The log says why."
)
log = logging.getLogger("studio.panel")


class Window:
    """Everything one sees; made, used and closed on Tk's thread."""

    def __init__(
        self,
        root: tk.Tk,
        client: Client,
        *,
        settings: Settings,
        quit_program: Callable[[], None],
    ) -> None:
        self.root = root
        self._closed = False
        self._looked = 0.0
        self.log_file = settings.data_dir / "logs" / "studio.log"
        root.title("Studio")
        self._icons = [
            tk.PhotoImage(master=root, data=(files("assets") / "icon" / name).read_bytes())
            for name in ICONS
        ]
        root.iconphoto(True, *self._icons)  # noqa: FBT003  # of its dialogs too
        root.minsize(*_fitting(root, LEAST))
        root.geometry("{}x{}".format(*_fitting(root, USUAL)))
        root.report_callback_exception = self._tell_of_fault
        inbox, state = Inbox(root), State()
        watcher = Watcher(client, inbox, state)
        palette = apply_theme(root, settings.theme)
        self.panel = Panel(root, client, inbox, state, watcher, palette, settings.data_dir)
        self.top_bar = TopBar(root, self.panel, settings, quit_program)
        self.top_bar.pack(side="top", fill="x")
        self.bottom_bar = BottomBar(root, self.panel, self._use)
        self.bottom_bar.pack(side="bottom", fill="x")
        self._lay_out()
        self._bind_keys(quit_program)
        self.bottom_bar.lift()  # where it stands is where the keyboard comes to it

    def _lay_out(self) -> None:
        sides = ttk.PanedWindow(self.root, orient="horizontal")
        sides.pack(side="top", fill="both", expand=True)
        left = ttk.Frame(sides, width=pixels(self.root, 270))
        right = ttk.PanedWindow(sides, orient="vertical")
        sides.add(left, weight=0)
        sides.add(right, weight=1)
        self.data = DataPart(left, self.panel)
        self.data.pack(side="top", fill="x")
        self.new_run = NewRunPart(left, self.panel)
        self.new_run.pack(side="top", fill="both", expand=True)
        self.data.on_choose(self.new_run.choose_set)
        left.pack_propagate(False)  # noqa: FBT003  # Tk's way; long words do not move the sash
        self.runs = RunsPart(right, self.panel)
        self.results = ResultsPart(right, self.panel)
        right.add(self.runs, weight=1)
        right.add(self.results, weight=2)

    def _bind_keys(self, quit_program: Callable[[], None]) -> None:
        control = shortcut_key(name_of(self.root))
        for q, o in ("qo", "QO"):  # with Caps Lock on too
            self.root.bind_all(f"<{control}-{q}>", lambda _: quit_program())  # in dialogs too
            self.root.bind(f"<{control}-{o}>", lambda _: self.data.choose_file())
        self.root.bind(f"<{control}-Return>", lambda _: self.new_run.start())
        # The arrow keys move from the row that has the focus, of which there is none at first.
        self.root.bind_class("Treeview", "<FocusIn>", _begin_at_a_row, add="+")
        for kind in ("TButton", "TCheckbutton"):
            self.root.bind_class(kind, "<Return>", lambda event: event.widget.invoke())
            # Else Return with a key held would press the button too that has the focus.
            self.root.bind_class(kind, f"<{control}-Return>", lambda _: None)

    def start(self) -> None:
        """Begin to show what the server knows."""
        self.panel.inbox.start()
        self.panel.watcher.start()
        self.panel.load_catalog()
        self._look_again()
        self.panel.state.on("online", lambda online: self._come_back() if online else None)
        self.root.bind("<FocusIn>", self._return_here, add="+")

    def _look_again(self) -> None:
        """Ask for what others may have changed: files put into the folder, another client."""
        self._looked = time.monotonic()
        self.panel.load("datasets", "/datasets", "datasets")
        self.panel.load("presets", "/presets", "presets")

    def _return_here(self, event: "tk.Event[tk.Misc]") -> None:
        if event.widget is self.root and time.monotonic() - self._looked > LOOK_AGAIN_S:
            self._look_again()

    def _come_back(self) -> None:
        if not self.panel.state["catalog"]:
            self.panel.load_catalog()
        self._look_again()

    def close(self) -> bool:
        """Stop the panel's threads once the server has stopped; tell whether they have ended."""
        self._closed = True
        all_ended = self.panel.watcher.close()
        return self.panel.inbox.close() and all_ended

    def warn_of_the_end(self) -> None:
        """Say above everything else, for good, that the server has ended by itself."""
        banner = ttk.Frame(self.root, padding=pixels(self.root, 6))
        button = ttk.Button(
            banner, text="Open log folder", style="Compact.TButton",
            command=lambda: self.panel.show_folder(self.log_file.parent),
        )  # fmt: skip
        button.pack(side="right", anchor="n")
        self.warning = label_that_wraps(banner, style="Error.TLabel", text=ENDED)
        self.warning.pack(side="left", fill="x", expand=True)
        banner.pack(side="top", fill="x", before=self.top_bar)

    def say_farewell(self, text: str) -> None:
        """Show a sentence in place of the window, which is gone, until the program has ended."""
        sheet = tk.Toplevel(self.root, background=self.panel.palette.window)
        sheet.title("Studio")
        ttk.Label(sheet, text=text, padding=pixels(sheet, 14)).pack()
        sheet.geometry(f"+{self.root.winfo_rootx()}+{self.root.winfo_rooty()}")
        sheet.update()

    def show(self) -> None:
        """Bring the window to the front."""
        self.root.deiconify()
        self.root.lift()
        self.root.focus_force()

    def _use(self, run_id: str) -> None:
        """Fill the form with a run's configuration."""
        path = f"/runs/{run_id}"
        self.panel.ask(lambda: self.panel.client.get(path), self._fill)

    def _fill(self, run: Mapping[str, Any]) -> None:
        self.new_run.fill(run["config"])
        self.panel.say("The form holds the run's configuration.")

    def _tell_of_fault(
        self, kind: type[BaseException], fault: BaseException, trace: TracebackType | None
    ) -> None:
        """Show and log an error of a callback: none is swallowed.

        But a dialog that was open when the window closed finds Tk gone, as it should.
        """
        if self._closed and isinstance(fault, tk.TclError):
            return
        log.error("an error in the panel", exc_info=(kind, fault, trace))
        if not self._closed:
            self.panel.complain(f"An error in the panel; {self.log_file} says more.")


def _begin_at_a_row(event: "tk.Event[tk.Misc]") -> None:
    table = event.widget
    assert isinstance(table, ttk.Treeview)
    rows = table.get_children()
    if rows and not table.focus():
        table.focus(next(iter(table.selection()), rows[0]))


def _fitting(root: tk.Tk, size: tuple[int, int]) -> tuple[int, int]:
    """Return a size in points as pixels of this screen, which it does not exceed."""
    wide, high = (pixels(root, points) for points in size)
    return min(wide, root.winfo_screenwidth()), min(high, root.winfo_screenheight())
