"""Plugins: a user's own components from a Python file, named on the command line.

A plugin is code with all of its author's rights; only a path given at the start is ever loaded,
never one from a configuration or a request.
"""

import hashlib
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from engine.errors import ConfigError, PluginError
from engine.execution import slippage_models
from engine.features import indicators
from engine.registry import Registry
from engine.risk import sizing_models
from engine.strategy import strategies
from engine.validation import validation_tests

REGISTRIES: dict[str, Registry[Any]] = {
    "indicators": indicators,
    "strategies": strategies,
    "sizing": sizing_models,
    "slippage": slippage_models,
    "validation": validation_tests,
}
# How the code of a plugin names its file, so that a traceback can be told to be in one.
MARK = "<plugin "
# Name and content of every loaded file by its SHA-256, and what it entered.
_loaded: dict[str, tuple[str, bytes]] = {}
_plugins: "dict[str, Plugin]" = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class Plugin:
    """A loaded file: the SHA-256 of its content and the components it entered, by registry."""

    name: str
    sha256: str
    components: dict[str, tuple[str, ...]]

    def unload(self) -> None:
        """Take its components out of the registries again, those that are still there."""
        for kind, names in self.components.items():
            for name in names:
                if REGISTRIES[kind].source(name) == self.sha256:
                    REGISTRIES[kind].remove(name)
        _loaded.pop(self.sha256, None)
        _plugins.pop(self.sha256, None)


def load_plugins(paths: Iterable[Path]) -> list[Plugin]:
    """Run plugin files and return what each entered into the registries.

    Raises
        ConfigError for a file that cannot be read or run, with its line; nothing stays of it.
    """
    return [_load(path) for path in paths]


@dataclass(frozen=True)
class LoadedPlugins:
    """All plugins that are loaded here, to be loaded elsewhere; can be pickled."""

    sources: Mapping[str, tuple[str, bytes]]

    @classmethod
    def here(cls) -> "LoadedPlugins":
        """Return the plugins of this process, name and content by SHA-256."""
        known = (registry.source(name) for registry in REGISTRIES.values() for name in registry)
        return cls({digest: _loaded[digest] for digest in known if digest is not None})

    def __call__(self) -> None:
        """Let this process have them and no others: an older version gives its names free."""
        with _loading:
            for plugin in [each for each in _plugins.values() if each.sha256 not in self.sources]:
                plugin.unload()
            for digest, (name, source) in self.sources.items():
                if digest not in _loaded:
                    _enter(name, source)

    def explain(self, fault: BaseException) -> str | None:
        """Return where in a plugin an error came up; None where it was not in one."""
        return explain(fault)


def _load(path: Path) -> Plugin:
    try:
        source = path.read_bytes()
    except OSError as fault:
        reason = (fault.strerror or "unreadable").lower()
        raise ConfigError.of("plugins", f"{path} cannot be read: {reason}") from None
    return _enter(path.name, source)


def _enter(name: str, source: bytes) -> Plugin:
    digest = hashlib.sha256(source).hexdigest()
    before = {kind: set(registry) for kind, registry in REGISTRIES.items()}
    try:
        _execute(_compile(source, name), digest)
    except (Exception, SystemExit) as fault:  # noqa: BLE001  # it is the user's code: anything may come
        _entered(before, digest, name).unload()
        raise ConfigError.of("plugins", explain(fault) or f"{name}: {fault}") from None
    plugin = _entered(before, digest, name)
    if not any(plugin.components.values()):
        raise ConfigError.of("plugins", f"{name} registers no component")
    _loaded[digest], _plugins[digest] = (name, source), plugin
    return plugin


def _compile(source: bytes, name: str) -> CodeType:
    try:
        return compile(source, f"{MARK}{name}>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as fault:
        line = getattr(fault, "lineno", None)
        where = f"{name}, line {line}" if line else name
        reason = fault.msg if isinstance(fault, SyntaxError) else str(fault)
        raise ConfigError.of("plugins", f"{where}: {reason}") from None


def _execute(code: CodeType, digest: str) -> None:
    module = ModuleType(f"studio_plugin_{digest[:12]}")
    # Registered like any module: dataclasses and pydantic look their own module up by name.
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)  # noqa: S102  # to run it is what it was named for
    except BaseException:
        del sys.modules[module.__name__]
        raise


def _entered(before: dict[str, set[str]], digest: str, name: str) -> Plugin:
    components = {}
    for kind, registry in REGISTRIES.items():
        names = tuple(title for title in registry if title not in before[kind])
        registry.claim(names, digest)
        components[kind] = names
    return Plugin(name, digest, components)


def explain(fault: BaseException) -> str | None:
    """Return where in a plugin an error came up and what it is; None where it was not in one."""
    if isinstance(fault, ConfigError):
        return "; ".join(each.message for each in fault.faults)
    for frame in reversed(traceback.extract_tb(fault.__traceback__)):
        if frame.filename.startswith(MARK):
            name = frame.filename.removeprefix(MARK).removesuffix(">")
            reason = f"{type(fault).__name__}: {fault}".removesuffix(": ")
            return f"{name}, line {frame.lineno}: {reason}"
    return None


def as_plugin_error(fault: BaseException) -> BaseException:
    """Return the error to raise for one that came up in a run: the plugin's, or itself."""
    message = explain(fault)
    return fault if message is None else PluginError(message)
