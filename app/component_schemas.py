"""What a configuration may hold, as JSON Schema: the models' own, made precise by the registries.

The models leave ``params`` open, since each component checks its own. The contract is for forms and
clients: it names every component that is registered, with its parameters.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

from engine.config import OWN_TESTS, RiskComponent, StrategyComponent
from engine.data import providers
from engine.execution import slippage_models
from engine.features import indicators
from engine.limits import Limits
from engine.registry import Registry
from engine.risk import sizing_models
from engine.strategy import strategies
from engine.validation import validation_tests

Schema = dict[str, Any]
REF = "#/components/schemas/"
# Other parameters for the component that a preset names.
NAMELESS = {
    "description": "The preset names it.",
    "type": "object",
    "properties": {"params": {"type": "object"}},
    "additionalProperties": False,
}


def ref(name: str) -> Schema:
    """Return a reference to a component of the contract."""
    return {"$ref": REF + name}


def tidied(schema: Any) -> Any:
    """Return a schema as pydantic writes it without the titles, which repeat the names."""
    if isinstance(schema, list):
        return [tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    named = {"properties", "$defs"}  # what is below them are names, not words of JSON Schema
    return {
        key: {name: tidied(each) for name, each in value.items()} if key in named else tidied(value)
        for key, value in schema.items()
        if key != "title"
    }


def describe_configuration(named: dict[str, Schema]) -> None:
    """Replace what the models leave open in the components of a configuration.

    ``named`` holds the schemas of the models by name; it is changed. The limits are the settings'
    defaults.
    """
    limits = Limits()
    del named["Component"], named["StrategyComponent"], named["RiskComponent"]
    default_strategy = StrategyComponent.model_fields["name"].default
    default_sizing = RiskComponent.model_fields["name"].default
    named["Strategy"] = _component(strategies, named, default_strategy)
    named["Sizing"] = _component(sizing_models, named, default_sizing)
    named["SlippageModel"] = _component(slippage_models, named)
    named["Indicator"] = _grouped(indicators)
    _describe_tests(named["ValidationConfig"], named, limits.max_replicates)
    named["ExecutionConfig"]["properties"]["slippage_model"] |= {
        "anyOf": [ref("SlippageModel"), {"type": "null"}]
    }
    fields = named["RunConfig"]["properties"]
    fields["strategy"] |= ref("Strategy")
    fields["risk"] |= ref("Sizing")
    fields["indicators"] |= {"items": ref("Indicator"), "maxItems": limits.max_indicators}
    fields["provider"] = {**_without(fields["provider"], "maxLength", "minLength")}
    fields["provider"]["enum"] = sorted(providers)
    named["Calendar"] = {"description": "An exchange.", "type": "string", "enum": _calendars()}
    fields["calendar"]["anyOf"] = [ref("Calendar"), {"type": "null"}]
    _describe_requests(named)


def _describe_tests(tests: Schema, named: dict[str, Schema], max_replicates: int) -> None:
    tests["additionalProperties"] = {"type": "null"}  # a test that is not run
    for name in validation_tests:
        model = validation_tests.params_model(name)
        if name not in OWN_TESTS:
            named[model.__name__] = tidied(model.model_json_schema())
            tests["properties"][name] = {"anyOf": [ref(model.__name__), {"type": "null"}]}
        replicates = named[model.__name__]["properties"].get("n")
        if replicates is not None:
            replicates["maximum"] = max_replicates


def _describe_requests(named: dict[str, Schema]) -> None:
    """Add what is sent: a configuration, one laid on a preset, and a part of one."""
    part = _part(named["RunConfig"])
    said = "Any part of a RunConfig; what is left out is not stored."
    named["PresetConfig"] = {**copy.deepcopy(part), "description": said}
    execution = _part(named["ExecutionConfig"])
    execution["description"] = "As ExecutionConfig; the preset may name the slippage model."
    execution["properties"]["slippage_model"]["anyOf"].append(NAMELESS)
    named["ExecutionOverPreset"] = execution
    fields = part["properties"]
    for field in ("strategy", "risk"):
        fields[field]["anyOf"] = [{"$ref": fields[field].pop("$ref")}, NAMELESS]
    part["properties"] = {
        "preset_ref": {"type": "string", "format": "portable-name", "description": "a preset"},
        **fields,
        "execution": ref("ExecutionOverPreset"),
    }
    said = (
        "A configuration laid on a preset: objects merge by key, lists and nulls replace; a "
        "component of another name replaces whole. What neither says has its default."
    )
    named["RunOverPreset"] = {**part, "description": said, "required": ["preset_ref"]}
    named["RunRequest"] = {"oneOf": [ref("RunConfig"), ref("RunOverPreset")]}
    # What was sent while a plugin was loaded may name what nobody knows any more.
    for answer, whole in (("RunDetail", "RunConfig"), ("Preset", "PresetConfig")):
        named[answer]["properties"]["config"] = {
            "description": "A plugin's components may be in it, also one that is gone.",
            "anyOf": [ref(whole), {"type": "object"}],
        }


def _part(schema: Schema) -> Schema:
    """Return a copy in which every field may lack, and none has its default then."""
    part = copy.deepcopy(_without(schema, "required"))
    for field in part["properties"].values():
        field.pop("default", None)
    return part


def _component(
    registry: Registry[Any], named: dict[str, Schema], default: str | None = None
) -> Schema:
    """Return ``{name, params}`` for each of a registry; the default one needs no name."""
    variants = []
    for name in sorted(registry):
        model = registry.params_model(name)
        named[model.__name__] = tidied(model.model_json_schema())
        shape = _variant([name], registry.description(name), ref(model.__name__))
        variants.append(_without(shape, "required") if name == default else shape)
    return {"description": f"The {registry.kind}, by name.", "anyOf": variants}


def _grouped(registry: Registry[Any]) -> Schema:
    """Return ``{name, params}`` for a large registry, names with the same parameters together."""
    return {"anyOf": list(_groups(registry))}


def _groups(registry: Registry[Any]) -> Iterator[Schema]:
    names: dict[str, list[str]] = {}
    for name in sorted(registry):
        params = _without(tidied(registry.params_model(name).model_json_schema()), "description")
        names.setdefault(json.dumps(params), []).append(name)
    for text, group in names.items():
        said = registry.description(group[0]) if len(group) == 1 else ""
        params = json.loads(text)
        yield _variant(group, said, params)
        fields = params["properties"]
        if "timeperiod" in fields:
            other = _without(fields, "timeperiod") | {"length": fields["timeperiod"]}
            said = "The same with timeperiod called length."
            yield _variant(group, said, params | {"properties": other, "required": ["length"]})


def _variant(names: list[str], description: str, params: Schema) -> Schema:
    shape: Schema = {"description": description} if description else {}
    return shape | {
        "type": "object",
        "properties": {"name": {"type": "string", "enum": names}, "params": params},
        "required": ["name"],
        "additionalProperties": False,
    }


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}


def _calendars() -> list[str]:
    import exchange_calendars  # noqa: PLC0415  # half a second, and only the contract lists them

    return sorted(exchange_calendars.get_calendar_names(include_aliases=True))
