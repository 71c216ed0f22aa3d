"""A process of our own, from its first import to its end; nothing of this touches another's.

Garbage is looked for seldom in it until all is imported. What is imported stays, and with Python's
own thresholds it is walked some hundred and fifty times: a quarter of the time of a short command.
"""

import contextlib
import gc
import os
from collections.abc import Iterator

RARELY = 100_000  # new objects, about as many as all the imports of a run make
AS_USUAL = gc.get_threshold()
INTERRUPTED = "Interrupted; nothing unfinished was kept."
INTERRUPTED_CODE = 130


@contextlib.contextmanager
def own_process() -> Iterator[None]:
    """Hold what a program imports and does; at its end nothing is walked once more."""
    gc.set_threshold(RARELY, *AS_USUAL[1:])
    os.environ.pop("MPLBACKEND", None)  # a notebook's; matplotlib may not be able to load it here
    try:
        yield
    finally:
        gc.freeze()


def all_is_imported() -> None:
    """Look for garbage as usual from now on, in what comes after; only in a process of our own."""
    if gc.get_threshold()[0] == RARELY:
        gc.freeze()
        gc.set_threshold(*AS_USUAL)


def look_for_garbage() -> None:
    """Look once through all that came after the imports; only in a process of our own.

    Where Python may not look by itself, as beside Tk, this does not either.
    """
    if gc.isenabled() and gc.get_freeze_count():
        gc.collect()
