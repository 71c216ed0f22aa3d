"""Plugins: a user's own components from a Python file, named on the command line.

A plugin is code with all of its author's rights; only a path given at the start is ever loaded,
never one from a configuration or a request.
"""

import hashlib
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pydantic import PydanticUserError, ValidationError
from pydantic_core import PydanticSerializationError

from engine.code import canonical_hash
from engine.errors import ConfigError, PluginError, StudioError
from engine.execution import slippage_models
from engine.features import indicators
from engine.identity import json_bytes
from engine.registry import Params, Registry, faults_of
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
# What a component of each kind has beside what it is built from: True or False, and methods.
FLAGS = {"indicators": ("needs_volume",), "slippage": ("needs_volume",)}
METHODS = {
    "indicators": ("compute",),
    "strategies": ("features", "signals"),
    "sizing": ("features", "sizes"),
    "slippage": ("coefficients",),
    "validation": ("run",),
}
MAX_NAME = 64  # as in a configuration
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
        for kind, registry in REGISTRIES.items():
            for title in set(registry) - before[kind]:
                _check(kind, title)
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


def _check(kind: str, name: object) -> None:
    """Refuse a component whose name, parameters or members nothing could work with.

    Raises
        PluginError with a sentence; whatever its constructor raises.
    """
    what = f"the {REGISTRIES[kind].kind} {name!r}"
    if not (isinstance(name, str) and name.isprintable() and 1 <= len(name) <= MAX_NAME):
        message = f"{what} should be called by 1 to {MAX_NAME} printable characters"
        raise PluginError(message)
    params = _default_params(kind, name, what)
    try:
        component = REGISTRIES[kind].build(name, params)
    except TypeError as fault:
        if explain(fault) is not None:
            raise
        message = f"{what} cannot be built from its parameters: {fault}"
        raise PluginError(message) from None
    for member in FLAGS.get(kind, ()):
        if not isinstance(getattr(component, member, None), bool):
            message = f"{what} lacks {member}, which should be True or False"
            raise PluginError(message)
    for member in METHODS[kind]:
        if not callable(getattr(component, member, None)):
            message = f"{what} lacks the method {member}"
            raise PluginError(message)


def _default_params(kind: str, name: str, what: str) -> Params:
    """Return the parameters that hold where none are given; raises PluginError for wrong ones.

    They are kept with a run, as JSON, and read from there again.
    """
    model: object = REGISTRIES[kind].params_model(name)
    if not (isinstance(model, type) and issubclass(model, Params)):
        message = f"the parameters of {what} should be a subclass of Params"
        raise PluginError(message)
    missing = [title for title, field in model.model_fields.items() if field.is_required()]
    if missing:
        message = f"{what} has no default for its parameter {missing[0]}"
        raise PluginError(message)
    try:
        params = model()
    except ValidationError as error:
        message = f"{what} has a wrong default: {faults_of(error, model)[0]}"
        raise PluginError(message) from None
    for title in model.model_fields:
        if not _is_kept(params, title):
            message = f"{what} has a default for {title} that JSON cannot keep exactly"
            raise PluginError(message)
    try:
        json_bytes([model.model_json_schema(), REGISTRIES[kind].description(name)])
    except (PydanticUserError, ValueError):
        message = f"the parameters of {what} cannot be described as a JSON Schema"
        raise PluginError(message) from None
    return params


def _is_kept(params: Params, title: str) -> bool:
    """Tell whether a parameter is the same once it has been kept as JSON."""
    try:
        said = params.model_dump(mode="json", include={title})
        canonical_hash(said)
        return bool(getattr(type(params).model_validate(said), title) == getattr(params, title))
    except (PydanticSerializationError, ValueError):
        return False


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


@contextmanager
def plugin_errors() -> Iterator[None]:
    """Let an error that comes up in a plugin be the plugin's, with its file and line."""
    try:
        yield
    except StudioError:
        raise
    except (Exception, SystemExit) as fault:
        message = explain(fault)
        if message is None:
            raise
        raise PluginError(message) from fault
