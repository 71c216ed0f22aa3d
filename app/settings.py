"""Settings: flag, else ``STUDIO_<NAME>``, else ``settings.toml``, else the default.

None of them changes a result. A server reads them before it answers anything, so they are read
with the standard library: pydantic takes longer to import than a server may take to start.
"""

import dataclasses
import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from app.runtime_file import NotPrivateError, opened_private
from engine.errors import ConfigError, Fault
from engine.limits import FileLimits, Limits
from engine.wording import one_of, size_in_words

PREFIX = "STUDIO_"
SETTINGS_FILE = "settings.toml"
MAX_FILE_BYTES = 65_536
TOKEN = "token"  # noqa: S105  # the name of the setting
# What is no setting of the file, and why.
NOT_IN_FILE = {
    "data_dir": f"cannot stand in {SETTINGS_FILE}, which is looked for there",
    TOKEN: f"is read from {PREFIX}TOKEN only; name a file with token_file",
}
KIB, MIB = 1 << 10, 1 << 20
UNITS = {"": 1, "kib": KIB, "mib": MIB, "gib": 1 << 30}
ORIGIN = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE)
DEFAULT_PORTS = {"http": 80, "https": 443}
LIMITS, FILE_LIMITS = Limits(), FileLimits()


class SettingError(Exception):
    """A value that a setting cannot have; the message says what it should be."""


# Takes a value as it is written on a flag, in the environment or in TOML; returns the setting's.
Parser = Callable[[object], Any]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise SettingError("should be a valid string")
    if not value.strip():
        raise SettingError("should have at least 1 character")
    if not value.isprintable():
        raise SettingError("should have no control characters")
    return value.strip()


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise SettingError("should be a path")
    return Path(value)


def _integer(least: int, most: int | None = None) -> Parser:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise SettingError("should be a valid integer")
        try:
            number = int(value)
        except ValueError:
            raise SettingError("should be a valid integer") from None
        if number < least:
            raise SettingError(f"should be greater than or equal to {least}")
        if most is not None and number > most:
            raise SettingError(f"should be less than or equal to {most}")
        return number

    return parse


def _bytes(least: int) -> Parser:
    """Take a number of bytes, or one with its unit as in ``256 KiB``."""
    bounded = _integer(least)

    def parse(value: object) -> int:
        if isinstance(value, str):
            found = re.fullmatch(r"\s*([0-9]{1,18})\s*([KMG]iB)?\s*", value, re.IGNORECASE)
            if found is None:
                raise SettingError("should be a valid integer of bytes, or such as '256 KiB'")
            value = int(found[1]) * UNITS[(found[2] or "").lower()]
        number: int = bounded(value)
        return number

    return parse


def _choice(*known: str) -> Parser:
    def parse(value: object) -> str:
        if value not in known:
            raise SettingError(one_of(known))
        return str(value)

    return parse


def _list(item: Parser) -> Parser:
    """Take a list, a list written as JSON, or words between commas."""

    def parse(value: object) -> tuple[Any, ...]:
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise SettingError("is not valid JSON") from None
        elif isinstance(value, str):
            value = [word.strip() for word in value.split(",") if word.strip()]
        if not isinstance(value, list | tuple):
            raise SettingError("should be a list")
        return tuple(map(parse_item, value))

    def parse_item(value: object) -> Any:
        try:
            return item(value)
        except SettingError as fault:
            raise SettingError(f"{value!r:.80} {fault}") from None

    return parse


def _host(value: object) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9.:_%-]+", text):
        raise SettingError("should be the name or address of a host")
    return text


def _allowed_host(value: object) -> str:
    """Take what a browser may send as ``Host``: a name or address, perhaps with a port."""
    text = _text(value).lower()
    if not re.fullmatch(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", text):
        raise SettingError("should be a host, perhaps with a port, without patterns")
    return text


def _origin(value: object) -> str:
    found = ORIGIN.fullmatch(_text(value))
    if found is None:
        message = "should be an origin: http or https, a host, perhaps a port, and no path"
        raise SettingError(message)
    return _normalised(found)


def _normalised(origin: re.Match[str]) -> str:
    """Return an origin as browsers send it: in lower case, without its scheme's own port."""
    scheme, host = origin[1].lower(), origin[2].lower()
    if host.startswith("["):
        try:
            host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            raise SettingError("should hold a valid address") from None
    port = int(origin[3] or DEFAULT_PORTS[scheme])
    if not 1 <= port <= 65_535:
        raise SettingError("should have a port from 1 to 65535")
    return f"{scheme}://{host}" + ("" if port == DEFAULT_PORTS[scheme] else f":{port}")


def _origin_of(url: str) -> str:
    found = ORIGIN.match(url)
    if found is None or not re.fullmatch(r"([/?#]\S*)?", url[found.end() :]):
        raise SettingError("should be the address of a page: http or https, a host, perhaps a path")
    return _normalised(found)


def _url(value: object) -> str:
    text = _text(value)
    _origin_of(text)
    return text


def _setting(parse: Parser, default: Any) -> Any:
    """Declare a setting; a default that can be called is called for each ``Settings``."""
    how = "default_factory" if callable(default) else "default"
    return dataclasses.field(metadata={"parse": parse}, **{how: default})


def _default_data_dir() -> Path:
    return platformdirs.user_data_path("studio")


def _cores() -> int:
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """What surrounds runs and the server; the token is none of it (``take_token``)."""

    data_dir: Path = _setting(_path, _default_data_dir)  # noqa: RUF009  # it returns a field
    host: str = _setting(_host, "127.0.0.1")
    port: int = _setting(_integer(0, 65_535), 8717)
    token_file: Path | None = _setting(_path, None)  # noqa: RUF009  # as above
    workers: int = _setting(_integer(1, 256), lambda: max(_cores() - 1, 1))
    threads: int = _setting(_integer(1, 1024), _cores)
    queue_limit: int = _setting(_integer(1), 32)
    max_streams: int = _setting(_integer(1), 64)
    heartbeat_ms: int = _setting(_integer(250, 60_000), 2000)
    cors_origins: tuple[str, ...] = _setting(_list(_origin), ())
    allowed_hosts: tuple[str, ...] = _setting(_list(_allowed_host), ())
    studio_url: str | None = _setting(_url, None)
    theme: str = _setting(_choice("light", "dark"), "light")
    retention: int = _setting(_integer(1), 100)
    max_body: int = _setting(_bytes(KIB), 256 * KIB)
    max_import_bytes: int = _setting(_bytes(1), FILE_LIMITS.max_unpacked_bytes)
    max_import_rows: int = _setting(_integer(1), FILE_LIMITS.max_rows)
    max_bars: int = _setting(_integer(1), LIMITS.max_bars)
    max_replicates: int = _setting(_integer(1), LIMITS.max_replicates)
    max_indicators: int = _setting(_integer(0), LIMITS.max_indicators)
    plugins: tuple[Path, ...] = _setting(_list(_path), ())
    scheduler: str | None = _setting(_text, None)
    log_level: str = _setting(_choice("debug", "info", "warning", "error"), "info")
    kernel: str = _setting(_choice("auto", "interpreted"), "auto")

    @property
    def limits(self) -> Limits:
        """Return how much one run may ask for."""
        names = [field.name for field in dataclasses.fields(Limits)]
        return Limits(**{name: getattr(self, name) for name in names})

    @property
    def file_limits(self) -> FileLimits:
        """Return how much a file of candles may hold."""
        return FileLimits(max_rows=self.max_import_rows, max_unpacked_bytes=self.max_import_bytes)

    @property
    def origins(self) -> tuple[str, ...]:
        """Return the origins whose pages may ask the server, that of ``studio_url`` among them."""
        studio = [] if self.studio_url is None else [_origin_of(self.studio_url)]
        return tuple(dict.fromkeys([*self.cors_origins, *studio]))


PARSERS: Mapping[str, Parser] = {
    field.name: field.metadata["parse"] for field in dataclasses.fields(Settings)
}


def read_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings that hold; flags that are None were not given.

    Raises
        ConfigError naming every bad setting, or the file where it cannot be read.
    """
    environment = os.environ if environment is None else environment
    given: dict[str, object] = {
        name: environment[PREFIX + name.upper()]
        for name in PARSERS
        if environment.get(PREFIX + name.upper())
    }
    given |= {name: value for name, value in flags.items() if value is not None}
    try:
        data_dir = _path(given.get("data_dir", _default_data_dir()))
    except SettingError:  # told below, with the other faults
        written = {}
    else:
        written = _read_file(data_dir / SETTINGS_FILE)
    faults = [_fault(name, NOT_IN_FILE[name]) for name in NOT_IN_FILE if name in written]
    values = {}
    for name, value in (written | given).items():
        try:
            if name in given or name not in NOT_IN_FILE:
                values[name] = _parser(name)(value)
        except SettingError as fault:
            faults.append(_fault(name, str(fault)))
    if faults:
        raise ConfigError(faults)
    return Settings(**values)


def _parser(name: str) -> Parser:
    if name in PARSERS:
        return PARSERS[name]
    if name == TOKEN:
        raise SettingError(NOT_IN_FILE[TOKEN])
    close = difflib.get_close_matches(name, PARSERS, n=1)
    raise SettingError("unknown setting" + (f"; did you mean {close[0]!r}?" if close else ""))


def _fault(name: str, message: str) -> Fault:
    return Fault(f"setting {name}", message)


def take_token(environment: MutableMapping[str, str]) -> str | None:
    """Return the token that the environment gives, and remove it there; an empty one is none."""
    return environment.pop(f"{PREFIX}{TOKEN.upper()}", None) or None


def _read_file(path: Path) -> dict[str, Any]:
    """Return what is in the file, which names code to load: nobody else may have put it there."""
    try:
        with opened_private(path) as (descriptor, _):
            content = os.read(descriptor, MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigError.of(
                SETTINGS_FILE, f"cannot be read: it is larger than {size_in_words(MAX_FILE_BYTES)}"
            )
        return tomllib.loads(content.decode("utf-8").replace("\r\n", "\n"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except NotPrivateError as fault:
        raise ConfigError.of(SETTINGS_FILE, f"cannot be read: it {fault}") from None
    except OSError as fault:
        raise ConfigError.of(SETTINGS_FILE, f"cannot be read: {fault.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigError.of(SETTINGS_FILE, "cannot be read: it is not valid TOML") from None
