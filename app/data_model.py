"""The contract's components as a page to read: ``docs/data-model.md``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.component_schemas import Schema
from app.contract import components

HEAD = """\
# The data model

What goes over the wire and what lies in a run's directory, field by field. This page is made from
the models, as `contracts/openapi.yaml` is (`make contract`); change it there. Times are UTC epoch
milliseconds. A number that is not defined is null, and a reason stands beside it.
"""
CONFIGURATION = """\
What `POST /runs` takes and `config.json` holds. Every field but `symbol` has a default.
`POST /runs` also takes `preset_ref`, the name of a preset that the rest is laid on: objects merge
by key, lists and nulls replace, a component of another name replaces whole."""
# Title, what it is about, and the components in the order in which they are read.
SECTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "A configuration",
        CONFIGURATION,
        ("RunConfig", "ExecutionConfig", "ValidationConfig", "PermutationConfig",
         "BlockBootstrapConfig", "MonteCarloConfig", "WalkForwardConfig"),
    ),
    (
        "Components",
        "A component is `{name, params}`; `/catalog` and `studio catalog` also have the plugins'.",
        ("Strategy", "Sizing", "SlippageModel", "DualSmaParams", "BuyAndHoldParams",
         "FixedFractionParams", "VolatilityTargetParams", "KellyFractionParams", "SpreadPctParams",
         "ParticipationRateParams", "Indicator", "Calendar"),
    ),
    (
        "Runs",
        "What the server says about a run; `GET /runs/{id}` adds `config`, with every default.",
        ("CreatedRun", "RunRow", "RunError", "RunList", "CancelledRun", "Verification",
         "FileVerdict"),
    ),
    (
        "Metrics",
        "`metrics.json`, and the headline in `summary.json` and in every run that has completed.",
        ("Metrics", "AllMetrics", "LongTrades", "ShortTrades", "Benchmark", "Headline",
         "MetricsSummary"),
    ),
    (
        "Validation",
        "`validation_summary.json`: what each test found.",
        ("ValidationSummary", "Permutation", "BlockBootstrap", "BootstrapSharpe",
         "BootstrapReturn", "BootstrapDrawdown", "MonteCarlo", "CostLevel", "WalkForward",
         "WalkForwardFold", "Stretch", "Stitched", "SharpeDecay", "Spread", "Histogram",
         "ValidationFigures"),
    ),
    (
        "Documents of a run",
        "Beside its configuration, metrics and validation.",
        ("Summary", "PeriodsPerYear", "DataQuality", "RunWarning", "Causality",
         "ArtifactManifest", "ManifestFile", "Environment"),
    ),
    (
        "Tables",
        "Parquet, a row each. As `.json` they are one object with a list for each column.",
        ("PortfolioBar", "DrawdownBar", "Fill", "Trade", "FeatureBar"),
    ),
    (
        "Events",
        "The `data` of each frame of `/runs/{id}/events` and its stream, by `type`.",
        ("Queued", "StageBegins", "ProgressMade", "ValidationProgress", "ReplicatesDone", "Warned",
         "WarningNote", "Completed", "ManifestPointer", "Failed", "FailureCode", "Cancelled",
         "Requeued", "RequeueReason", "Heartbeat"),
    ),
    (
        "Data sets, charts, presets, errors",
        "The rest of what the server says.",
        ("Dataset", "ImportQuality", "Candles", "Features", "Catalog", "CatalogEntry",
         "CatalogMetric", "CatalogReasons", "Preset", "Belief", "Sentence",
         "Health", "Error", "ErrorBody", "ErrorDetails", "FieldFault"),
    ),
)  # fmt: skip


# What has no part of its own on the page.
ELSEWHERE = {"PresetConfig": "part of a [RunConfig](#runconfig)", "JsonValue": "any JSON"}


def data_model() -> str:
    """Return the page."""
    named = components()
    lines = [HEAD]
    for title, about, names in SECTIONS:
        lines += [f"## {title}\n", f"{about}\n"]
        for name in names:
            lines += _component(name, named[name])
    return "\n".join(lines)


def _component(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}\n"
    if said := schema.get("description"):
        yield f"{_plain(said)}\n"
    if "anyOf" in schema:
        for variant in schema["anyOf"]:
            yield _variant(variant)
        yield ""
        return
    if "enum" in schema:
        yield f"{type_of(schema)}.\n"
        return
    if "properties" in schema and not schema["properties"]:
        return
    yield "| field | type | |"
    yield "|---|---|---|"
    required = set(schema.get("required", ()))
    for field, each in schema.get("properties", {}).items():
        yield f"| `{field}` | {type_of(each)} | {_about(each, optional=field not in required)} |"
    if isinstance(more := schema.get("additionalProperties"), dict) and more != {"type": "null"}:
        yield f"| … | {type_of(more)} | further ones by their names |"
    yield ""


def _variant(variant: Schema) -> str:
    names = ", ".join(f"`{name}`" for name in variant["properties"]["name"]["enum"])
    params, said = variant["properties"]["params"], variant.get("description", "")
    if "$ref" not in params:
        given = [_parameter(*each) for each in params["properties"].items()]
        return f"- {names}: {', '.join(given) or 'no parameters'}. {said}".rstrip()
    return f"- {names}: {type_of(params)}. {said}"


def _parameter(name: str, schema: Schema) -> str:
    bounds = _bounds(schema)
    default = f" {_value(schema['default'])}" if "default" in schema else ""
    return f"`{name}`{default}{f' ({bounds})' if bounds else ''}"


def _about(schema: Schema, *, optional: bool) -> str:
    said = [_plain(schema["description"])] if "description" in schema else []
    if bounds := _bounds(schema):
        said.append(bounds)
    if "default" in schema:
        said.append(f"default {_value(schema['default'])}")
    elif optional:
        said.append("may be left out")
    return "; ".join(said).replace("|", "\\|")


def _bounds(schema: Mapping[str, Any]) -> str:
    for each in (schema, *schema.get("anyOf", ())):
        if "maxItems" in each and each.get("minItems") == each["maxItems"]:
            return f"exactly {each['maxItems']}"
        signs = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"),
                 ("exclusiveMaximum", "<"), ("maxItems", "at most"))  # fmt: skip
        found = [f"{sign} {_value(each[key])}" for key, sign in signs if key in each]
        if found:
            return ", ".join(found)
    return ""


def _value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def type_of(schema: Schema) -> str:
    """Return a schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return ELSEWHERE.get(name, f"[{name}](#{name.lower()})")
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return _either(type_of(each) for each in schema[union])
    if words := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return _either(f"`{each}`" for each in words)
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if isinstance(more := schema.get("additionalProperties"), dict):
        return f"object of {type_of(more)}"
    return str(schema.get("type", "any JSON"))


def _either(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
