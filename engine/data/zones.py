"""Time zones by their IANA names, from the packaged database alone.

The system's own database may be of another version, and then the same file would give other bars.
"""

from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from engine.errors import ConfigError
from engine.registry import unknown


@lru_cache(maxsize=32)
def zone(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises
        ConfigError naming ``tz`` for an unknown name.
    """
    database = resources.files("tzdata")
    names = (database / "zones").read_text(encoding="utf-8").split()
    if name not in names:
        raise ConfigError.of("tz", unknown("time zone", name, names))
    with (database / "zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
