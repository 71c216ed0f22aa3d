"""What differs between window systems: ``x11``, Windows' ``win32`` and the Mac's ``aqua``."""

import contextlib
import sys
import tkinter as tk
from collections.abc import Callable
from typing import Any, NoReturn

# A Mac calls each of its pixels a point, and writes in 13 of them; others have 96 to the inch.
PIXELS_A_POINT = 96 / 72
NOTCH = 120  # of a wheel, as Windows counts
LINES_A_NOTCH = 3  # as a Mac counts
_lost: list[Any] = []  # what X11 has to call must not be collected


def name_of(widget: tk.Misc) -> str:
    """Return which window system a widget is shown by."""
    return str(widget.tk.call("tk", "windowingsystem"))


def ask_for_real_pixels() -> None:
    """Have Windows not blow up what this process draws; to be called before its first window."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415  # nobody else needs it

        with contextlib.suppress(AttributeError, OSError):  # it cannot, or has been asked already
            ctypes.OleDLL("shcore").SetProcessDpiAwareness(1)


def scale_as_elsewhere(root: tk.Misc, system: str) -> None:
    """Give a point its size on a Mac; to be called before anything is measured."""
    if system == "aqua":
        root.tk.call("tk", "scaling", PIXELS_A_POINT)


def follow_the_system(
    root: tk.Tk, system: str, quit_program: Callable[[], None], show: Callable[[], None]
) -> None:
    """Quit when the desktop session ends; on a Mac also by its menu, and show by its Dock."""
    with contextlib.suppress(tk.TclError):  # only some window systems have sessions
        root.protocol("WM_SAVE_YOURSELF", quit_program)
    if system == "aqua":  # where Tk would end the process at once
        root.createcommand("::tk::mac::Quit", quit_program)
        root.createcommand("::tk::mac::ReopenApplication", show)


def shortcut_key(system: str) -> str:
    """Return the key that is held for a shortcut, as Tk calls it."""
    return "Command" if system == "aqua" else "Control"


def wheel_notches(system: str, num: object, delta: int) -> float:
    """Return how many notches a wheel was turned, up being positive; a touchpad sends parts of one.

    Parameters
        num, delta: of the event; X11 has buttons 4 and 5 in place of a delta
    """
    if num in {4, 5}:
        return 1.0 if num == 4 else -1.0
    return delta / (LINES_A_NOTCH if system == "aqua" and abs(delta) < NOTCH else NOTCH)


def when_the_screen_is_lost(system: str, end: Callable[[], NoReturn] | None) -> None:
    """Have ``end`` called where X11's screen goes away, which lets no program go on; None: no more.

    That is how a desktop session of X11 usually ends for Tk, which takes no part in its manager's
    farewells.
    """
    if system != "x11":
        return
    import ctypes  # noqa: PLC0415  # nobody else needs it

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    _lost[:] = [] if end is None else [kind(lambda _: end())]
    with contextlib.suppress(OSError):  # Tk itself has loaded it, but perhaps under another name
        ctypes.CDLL("libX11.so.6").XSetIOErrorHandler(_lost[0] if _lost else None)
