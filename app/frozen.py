"""What is different where Studio runs as a bundle; ``app/frozen_start.py`` is how one starts."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def is_frozen() -> bool:
    """Return whether this is the bundle, not Python with the sources."""
    return bool(getattr(sys, "frozen", False))


def environment_for_others(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for another program: a browser, a file manager.

    A bundle puts its own libraries first, for itself; another program must not load them.
    """
    given = dict(os.environ if environment is None else environment)
    if not is_frozen():
        return given
    before = given.pop("LD_LIBRARY_PATH_ORIG", None)
    given.pop("LD_LIBRARY_PATH", None)
    if before is not None:
        given["LD_LIBRARY_PATH"] = before
    inside = str(getattr(sys, "_MEIPASS", ""))
    for name in ("TCL_LIBRARY", "TK_LIBRARY"):
        if inside and given.get(name, "").startswith(inside):
            del given[name]
    return {name: value for name, value in given.items() if not name.startswith("_PYI_")}


def keep_font_cache(data_dir: Path) -> None:
    """Let a bundle's matplotlib keep its list of fonts in the data directory, which takes seconds.

    To be called before matplotlib is imported. Where there is no data directory yet, and without
    a bundle, the list lies where matplotlib itself keeps it.
    """
    place = data_dir / "cache"
    if is_frozen() and place.is_dir():
        os.environ.setdefault("MPLCONFIGDIR", str(place.resolve() / "matplotlib"))
