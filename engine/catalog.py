"""Everything that a configuration can name, complete enough to build a form from."""

from typing import Any

from engine.plugins import REGISTRIES
from engine.registry import Registry, Strict


def catalog() -> dict[str, list[dict[str, Any]]]:
    """Return ``{indicators, strategies, sizing, slippage, validation}``.

    Each is a list of ``{name, description, params, defaults}``: the JSON Schema of the parameters,
    and the values that hold where none are given.
    """
    return {kind: _components(registry) for kind, registry in REGISTRIES.items()}


def _components(registry: Registry[Any]) -> list[dict[str, Any]]:
    return [
        _entry(name, registry.description(name), registry.params_model(name))
        for name in sorted(registry)
    ]


def _entry(name: str, description: str, model: type[Any]) -> dict[str, Any]:
    assert issubclass(model, Strict)
    return {
        "name": name,
        "description": description,
        "params": model.model_json_schema(),
        "defaults": model().model_dump(mode="json"),
    }
