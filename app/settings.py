"""Settings: flag, else ``STUDIO_<NAME>``, else ``settings.toml``, else the default.

None of them changes a result. Read without pydantic-settings, which takes 0.17 s to import.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from engine.config import Limits
from engine.errors import ConfigError, Fault
from engine.registry import faults_of

PREFIX = "STUDIO_"
SETTINGS_FILE = "settings.toml"


class Settings(BaseModel):
    """What surrounds runs; values from the environment arrive as text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_dir: Path
    kernel: Literal["auto", "interpreted"] = "auto"
    max_bars: int = Field(2_000_000, ge=1)
    max_replicates: int = Field(100_000, ge=1)
    max_indicators: int = Field(64, ge=0)
    plugins: tuple[Path, ...] = ()
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024)
    scheduler: str | None = Field(None, min_length=1)

    @field_validator("plugins", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """Take a list as JSON, or as words between commas."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return [word.strip() for word in value.split(",") if word.strip()]

    @property
    def limits(self) -> Limits:
        """Return how much one run may ask for."""
        return Limits(
            max_bars=self.max_bars,
            max_replicates=self.max_replicates,
            max_indicators=self.max_indicators,
        )


def read_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings that hold; flags that are None were not given.

    Raises
        ConfigError naming the setting, or the file where it cannot be read.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in flags.items() if value is not None}
    for name in Settings.model_fields:
        if name not in given and environment.get(PREFIX + name.upper()):
            given[name] = environment[PREFIX + name.upper()]
    data_dir = Path(given.get("data_dir") or platformdirs.user_data_path("studio"))
    try:
        return Settings.model_validate(
            {**_read_file(data_dir / SETTINGS_FILE), **given, "data_dir": data_dir}
        )
    except ValidationError as error:
        faults = faults_of(error, Settings)
        raise ConfigError(Fault(f"setting {f.field}", f.message) for f in faults) from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not valid TOML"
        raise ConfigError.of(SETTINGS_FILE, f"cannot be read: {reason}") from None
