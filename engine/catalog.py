"""Everything that a configuration can name, complete enough to build a form from."""

from typing import Any

from engine.config import VALIDATION_TESTS, ValidationConfig
from engine.plugins import REGISTRIES
from engine.registry import Registry, Strict, models_in


def catalog() -> dict[str, list[dict[str, Any]]]:
    """Return ``{indicators, strategies, sizing, slippage, validation}``.

    Each is a list of ``{name, description, params, defaults}``: the JSON Schema of the parameters,
    and the values that hold where none are given.
    """
    known = {kind: _components(registry) for kind, registry in REGISTRIES.items()}
    return known | {"validation": [_test(name) for name in VALIDATION_TESTS]}


def _components(registry: Registry[Any]) -> list[dict[str, Any]]:
    return [
        _entry(name, registry.description(name), registry.params_model(name))
        for name in sorted(registry)
    ]


def _test(name: str) -> dict[str, Any]:
    (model,) = models_in(ValidationConfig.model_fields[name].annotation)
    return _entry(name, (model.__doc__ or "").partition("\n")[0], model)


def _entry(name: str, description: str, model: type[Any]) -> dict[str, Any]:
    assert issubclass(model, Strict)
    return {
        "name": name,
        "description": description,
        "params": model.model_json_schema(),
        "defaults": model().model_dump(mode="json"),
    }
