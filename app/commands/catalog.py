"""``studio catalog``: what a configuration can name."""

import json
import sys
from pathlib import Path

from rich.text import Text

from app.catalog import whole_catalog
from app.settings import read_settings
from app.terminal import Output
from engine.catalog import catalog
from engine.plugins import load_plugins


def catalog_command(plugins: tuple[Path, ...], *, as_json: bool) -> None:
    """Print every component, with what it does and its defaults."""
    load_plugins(read_settings({"plugins": plugins or None}).plugins)
    if as_json:
        sys.stdout.write(json.dumps(whole_catalog(), indent=2, sort_keys=True) + "\n")
        return
    output = Output()
    for kind, components in catalog().items():
        output.print(Text(f"{kind} ({len(components)})", style="bold"))
        for component in components:
            given = ", ".join(f"{name} {value}" for name, value in component["defaults"].items())
            output.print(Text(f"  {component['name']:<20} {component['description']} {{{given}}}"))
