"""Named components and their parameters: what a configuration's ``{name, params}`` can mean."""

import difflib
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from engine.errors import ConfigError, Fault
from engine.wording import pattern_in_words

T = TypeVar("T")
Entry = tuple[Callable[[Any], T], "type[Params]"]
MAX_INTEGER = 2**53 - 1
MAX_NESTING = 64
UNKNOWN_FIELD = "unknown field"


class Strict(BaseModel):
    """A frozen model: no unknown fields, no coercion, no NaN or infinity, no negative zero."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    @model_validator(mode="before")
    @classmethod
    def _fold_negative_zero(cls, raw: object) -> object:
        # -0.0 and 0 mean the same, hash the same, and must be the same bytes.
        return _folded(raw)


def _folded(value: object, depth: int = 0) -> object:
    """Return ``value`` with 0.0 for every -0.0 in it."""
    if isinstance(value, float):
        return 0.0 if value == 0.0 else value
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth > MAX_NESTING:
        message = "a value is nested too deeply"
        raise ValueError(message)
    if isinstance(value, Mapping):
        return {key: _folded(item, depth + 1) for key, item in value.items()}
    items = [_folded(item, depth + 1) for item in value]
    return items if isinstance(value, list) else tuple(items)


def _beyond_json(value: object, place: str) -> Iterator[Fault]:
    """Yield the numbers in ``value`` that have no one text in JSON, by where they stand."""
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        yield Fault(place, f"should be an integer from -{MAX_INTEGER} to {MAX_INTEGER}")
    if isinstance(value, float) and not math.isfinite(value):
        yield Fault(place, "should be a finite number")
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, item in items:
        yield from _beyond_json(item, f"{place}.{key}")


class Params(Strict):
    """The parameters of a component; a subclass gives each a default and its limits."""


class Registry(Generic[T]):
    """Components of one kind by name, each with the model of its parameters."""

    def __init__(self, kind: str, reserved: Iterable[str] = ()) -> None:
        self.kind = kind
        self._reserved = frozenset(reserved)
        self._entries: dict[str, Callable[[], Entry[T]]] = {}
        self._sources: dict[str, str] = {}

    def register(
        self, name: str, params: type[Params]
    ) -> Callable[[Callable[[Any], T]], Callable[[Any], T]]:
        """Return a decorator that enters a class, built from its validated ``params``."""

        def enter(factory: Callable[[Any], T]) -> Callable[[Any], T]:
            self.register_lazily({name: lambda: (factory, params)})
            return factory

        return enter

    def register_lazily(self, entries: Mapping[str, Callable[[], Entry[T]]]) -> None:
        """Enter components whose class and model are made when they are first asked for."""
        for name, make in entries.items():
            if name in self._reserved:
                message = f"no {self.kind} can be called {name!r}"
                raise ValueError(message)
            if name in self._entries:
                message = f"the {self.kind} {name!r} is registered twice"
                raise ValueError(message)
            self._entries[name] = functools.cache(make)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in order of registration."""
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        """Tell whether a component of this name is known."""
        return name in self._entries

    def claim(self, names: Iterable[str], source: str) -> None:
        """Note that ``names`` were entered by the plugin file with that SHA-256."""
        self._sources |= dict.fromkeys(names, source)

    def source(self, name: str) -> str | None:
        """Return the SHA-256 of the plugin file that defines a component, None for our own."""
        return self._sources.get(name)

    def remove(self, name: str) -> None:
        """Take out a component that a plugin entered."""
        del self._entries[name]
        self._sources.pop(name, None)

    def params_model(self, name: str) -> type[Params]:
        """Return the model of a component's parameters."""
        return self._entries[name]()[1]

    def description(self, name: str) -> str:
        """Return the first line of a component's docstring."""
        return (self._entries[name]()[0].__doc__ or "").strip().partition("\n")[0]

    def check(self, name: str, raw_params: object, field: str) -> Params:
        """Return the parameters of ``name`` with every default written out.

        Raises
            ConfigError naming ``field``.name or ``field``.params.… for every fault.
        """
        if name not in self._entries:
            raise ConfigError.of(f"{field}.name", unknown(self.kind, name, self._entries))
        return self.check_params(name, raw_params, f"{field}.params")

    def check_params(self, name: str, raw_params: object, field: str) -> Params:
        """Return the parameters of a known component, which stand under ``field``.

        Raises
            ConfigError naming ``field``.… for every fault.
        """
        model = self.params_model(name)
        try:
            params = model.model_validate(raw_params)
        except ValidationError as error:
            raise ConfigError(faults_of(error, model, field)) from None
        faults = list(_beyond_json(params.model_dump(), field))
        if faults:
            raise ConfigError(faults)
        return params

    def describe(self, name: str, params: Mapping[str, object]) -> str:
        """Return a component in words, its parameters in the order of their model."""
        order = self.params_model(name).model_fields
        given = [f"{title} {_in_words(params[title])}" for title in order if title in params]
        return f"{name} ({', '.join(given)})" if given else name

    def build(self, name: str, params: Params) -> T:
        """Return the component ``name`` with checked parameters."""
        return self._entries[name]()[0](params)


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for an unknown name: the closest known one, or a short list of all."""
    known = sorted(known)
    lowered = {title.lower(): title for title in known}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1)
    if close:
        return f"unknown {kind} {name!r}; did you mean {lowered[close[0]]!r}?"
    listed = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return f"unknown {kind} {name!r}; known: {listed}"


def faults_of(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[Fault]:
    """Return pydantic's findings on ``model`` as faults with dotted fields under ``prefix``."""
    faults = []
    for found in error.errors(include_url=False):
        parts = [prefix] if prefix else []
        parts += [str(part) for part in found["loc"]]
        faults.append(Fault(".".join(parts), _sentence(found, model)))
    return faults


def _sentence(found: Any, model: type[BaseModel]) -> str:
    if found["type"] == "extra_forbidden":
        *parents, name = (str(part) for part in found["loc"])
        close = difflib.get_close_matches(name, _fields_at(model, parents), n=1)
        what = UNKNOWN_FIELD if name else "a field without a name"
        return f"{what}; did you mean {close[0]!r}?" if close else what
    if found["type"] == "missing":
        return "is required"
    if found["type"] in {"model_type", "dict_type"}:  # the message would name our classes
        return "should be an object"
    if found["type"] == "string_pattern_mismatch":
        return pattern_in_words(found["ctx"]["pattern"])
    message = found["msg"].removeprefix("Value error, ").replace("Input should", "should")
    message = message.replace("valid tuple", "list")
    return str(message[:1].lower() + message[1:])


def _fields_at(model: type[BaseModel], parents: list[str]) -> list[str]:
    """Return the field names of the model that ``parents`` lead to from ``model``."""
    for parent in parents:
        if parent.isdigit():
            continue
        field = model.model_fields.get(parent)
        inner = models_in(field.annotation) if field else []
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a field's annotation names, such as that of ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]
