"""The contract: the OpenAPI document, made from the table of operations and the models.

``contracts/openapi.yaml`` holds what ``openapi`` returns; a test compares the two.
"""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from app import artifact_schemas, event_schemas, schemas, validation_schemas
from app.api_errors import STATUS
from app.component_schemas import Schema, describe_configuration, ref, tidied
from app.contract_words import (
    DESCRIPTIONS,
    INTRODUCTION,
    PATH_PARAMETERS,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
)
from app.operations import EVENT_STREAM, HTML, OPERATIONS, Operation, Parameter
from app.settings import Settings
from engine import __version__

MODELS: tuple[Any, ...] = (
    schemas.Error, schemas.Health, schemas.Catalog, schemas.DatasetList, schemas.Candles,
    schemas.Features, schemas.CreatedRun, schemas.RunList, schemas.RunDetail,
    schemas.CancelledRun, schemas.Verification, schemas.Belief, schemas.PresetList,
    schemas.StoredPreset,
    artifact_schemas.ArtifactManifest, artifact_schemas.Summary, artifact_schemas.Metrics,
    validation_schemas.ValidationSummary, event_schemas.Event, event_schemas.Heartbeat,
    *artifact_schemas.TABLES.values(),
)  # fmt: skip
DOCUMENTS = ("RunConfig", "Summary", "Metrics", "ValidationSummary", "ArtifactManifest")
# What an artifact can be beside JSON.
FILES = ("text/csv", "application/vnd.apache.parquet", "image/png")
# Errors whose answer has a header of its own.
WITH_HEADER = {
    401: ("Unauthorized", "WWW-Authenticate"),
    416: ("RangeNotSatisfiable", "Content-Range"),
    429: ("TooMany", "Retry-After"),
}
OF_RANGES = {"Range", "If-Range"}  # these are GET's alone
Examples = Mapping[str, Mapping[str, Any]]


def components() -> dict[str, Schema]:
    """Return every schema of the contract by its name; a plugin's components are among them."""
    _, found = models_json_schema(
        [(model, "validation") for model in MODELS], ref_template="#/components/schemas/{model}"
    )
    named: dict[str, Schema] = {name: tidied(schema) for name, schema in found["$defs"].items()}
    for name, row in artifact_schemas.TABLES.items():
        named[_columns_name(name)] = _columns(f"{name}.parquet", named[row.__name__])
    for name in set(named) - _of_requests(named):
        _without_defaults(named[name])
    describe_configuration(named)
    named["Frame"] = _frame(named["Event"])
    tables = map(_columns_name, artifact_schemas.TABLES)
    named["Artifact"] = {
        "description": "A JSON artifact, or a table in columns.",
        "anyOf": [ref(name) for name in (*DOCUMENTS, *tables)],
    }
    return dict(sorted(named.items()))


def _frame(event: Schema) -> Schema:
    """Return the schema of one frame of a stream, as EventSource takes it apart."""
    types = [*event["discriminator"]["mapping"], "heartbeat"]
    data = {"oneOf": [ref("Event"), ref("Heartbeat")]}
    return {
        "description": "One frame: `id`, `event`, `data`; a heartbeat has no id.",
        "type": "object",
        "properties": {
            "id": {"description": "the event's seq", "type": "string", "pattern": "^[0-9]+$"},
            "event": {"type": "string", "enum": types},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": data,
            },
            "retry": {
                "description": "milliseconds before an EventSource comes back; a block of its own, "
                "with which a stream begins"
            },
        },
        "required": ["data"],
        "additionalProperties": False,
    }


def _columns_name(table: str) -> str:
    return f"{table.title()}Columns"


def _columns(file: str, row: Schema) -> Schema:
    """Return the schema of a table in columns from that of a row."""
    more = row["additionalProperties"]
    return {
        "description": f"{file} in columns of equal length.",
        "type": "object",
        "properties": {name: _array(each) for name, each in row["properties"].items()},
        "required": row["required"],
        "additionalProperties": _array(more) if more else False,
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _of_requests(named: Mapping[str, Schema]) -> set[str]:
    """Return the models that are sent to us, whose defaults say what holds."""
    return {name for name in named if name.endswith(("Config", "Component"))}


def _without_defaults(schema: Schema) -> None:
    """Take the defaults out of an answer's schema: there they only mean that a field may lack."""
    for each in schema.get("properties", {}).values():
        each.pop("default", None)


def openapi(examples: Examples) -> Schema:
    """Return the OpenAPI 3.1 document.

    ``examples`` are real answers: by operation, and there ``request`` or a status.
    """
    named = components()
    fields = named["RunConfig"]["properties"]
    paths: Schema = {}
    for operation in OPERATIONS:
        said = examples.get(operation_id(operation), {})
        methods = paths.setdefault(operation.path, {"parameters": _in_path(operation)})
        methods[operation.method.lower()] = _operation(operation, fields, said)
        if operation.method == "GET":
            methods["head"] = _head(operation, fields)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Studio",
            "version": __version__,
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [
            {"url": f"http://127.0.0.1:{Settings.port}", "description": "the default port"}
        ],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": _error_responses(examples.get("Error", {})),
            "schemas": named,
        },
    }


def operation_id(operation: Operation) -> str:
    """Return an operation's name in the document, such as ``get_runs_run_id``."""
    words = operation.path.translate(str.maketrans("/", "_", "{}"))
    return f"{operation.method.lower()}{words}"


def _operation(operation: Operation, fields: Schema, said: Mapping[str, Any]) -> Schema:
    described: Schema = {
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "description": DESCRIPTIONS[operation_id(operation)],
        "parameters": _parameters(operation, fields),
    }
    if operation.takes:
        described["requestBody"] = _body(operation, said)
    described["responses"] = _responses(operation, said)
    if operation.public:
        described["security"] = []
    return described


def _head(operation: Operation, fields: Schema) -> Schema:
    heeded = tuple(name for name in operation.headers if name not in OF_RANGES)
    operation = dataclasses.replace(operation, headers=heeded)
    responses = _responses(operation, {})
    for status in operation.answers:
        responses[str(status)].pop("content", None)
    responses.pop("206", None)
    responses.pop("416", None)
    described: Schema = {
        "operationId": operation_id(operation).replace("get", "head", 1),
        "summary": f"{operation.summary}: the headers alone",
        "parameters": _parameters(operation, fields),
        "responses": responses,
    }
    if operation.public:
        described["security"] = []
    return described


def _in_path(operation: Operation) -> list[Schema]:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, **PATH_PARAMETERS[operation.path, name]}
        if (operation.path, name) in PATH_PARAMETERS
        else {"name": name, "in": "path", "required": True, **PATH_PARAMETERS["", name]}
        for name in names
    ]


def _parameters(operation: Operation, fields: Schema) -> list[Schema]:
    in_query = [_query(name, said, fields) for name, said in operation.query.items()]
    return in_query + [
        {"name": name, "in": "header", **REQUEST_HEADERS[name]} for name in operation.headers
    ]


def _query(name: str, said: Parameter, fields: Schema) -> Schema:
    """Return a query parameter; one without a schema of its own is a field of a configuration."""
    parameter: Schema = {"name": name, "in": "query"}
    if said.required:
        parameter["required"] = True
    field = fields[name] if not said.schema else {}
    if description := said.description or field.get("description"):
        parameter["description"] = description
    if not said.schema and field.get("type") == "array":  # JSON text in the query
        content = {key: value for key, value in field.items() if key != "description"}
        return parameter | {"content": {"application/json": {"schema": content}}}
    return parameter | {"schema": dict(said.schema) or _of_field(field)}


def _of_field(field: Schema) -> Schema:
    """Return a field's schema as a query can say it: null is to leave it out."""
    kept = {key: value for key, value in field.items() if key != "description"}
    if "anyOf" in kept:
        kept["anyOf"] = [each for each in kept["anyOf"] if each != {"type": "null"}]
    if kept.get("default", 0) is None:
        del kept["default"]
    return kept


def _body(operation: Operation, said: Mapping[str, Any]) -> Schema:
    if not operation.body:
        return {"required": True, "content": {kind: {} for kind in operation.takes}}
    content: Schema = {"schema": ref(operation.body)}
    if "request" in said:
        content["example"] = said["request"]
    return {"required": True, "content": dict.fromkeys(operation.takes, content)}


def _responses(operation: Operation, said: Mapping[str, Any]) -> Schema:
    found: dict[int, Schema] = {}
    for status, answer in operation.answers.items():
        found[status] = _answer(operation, status, answer, said.get(str(status)))
    codes: dict[int, list[str]] = {}
    for code in operation.all_codes:
        codes.setdefault(STATUS[code], []).append(code)
    for status, listed in codes.items():
        name, _ = WITH_HEADER.get(status, ("Error", ""))
        found[status] = {
            "$ref": f"#/components/responses/{name}",
            "description": ", ".join(listed),
        }
    return {str(status): found[status] for status in sorted(found)}


REASONS = {
    200: "as asked for", 201: "made", 202: "under way", 204: "done, and nothing to say",
    206: "the part that was asked for", 304: "the client has this version",
}  # fmt: skip


def _answer(operation: Operation, status: int, answer: str, example: Any) -> Schema:
    response: Schema = {"description": REASONS[status]}
    if headers := own_headers(operation, status):
        response["headers"] = {name: RESPONSE_HEADERS[name] for name in headers}
    if answer == "Artifact":
        whole = {"schema": ref(answer)} if status == 200 else {}
        response["content"] = {"application/json": whole, **{kind: {} for kind in FILES}}
    elif answer == EVENT_STREAM:
        response["content"] = {answer: {"schema": ref("Frame")}}
    elif "/" in answer:
        response["content"] = {answer: {"schema": {"type": "string"}}}
    elif answer:
        response["content"] = {"application/json": {"schema": ref(answer)}}
    if example is not None:
        next(iter(response["content"].values()))["example"] = example
    return response


def own_headers(operation: Operation, status: int) -> list[str]:
    """Return the headers of an answer that are not those of every answer."""
    is_file = operation.answers.get(200) in {"Artifact", HTML}
    said = {
        "ETag": "If-None-Match" in operation.headers,
        "Location": operation.path == "/runs" and operation.method == "POST",
        "Content-Range": status == 206,
        "Content-Disposition": is_file and status != 304,
    }
    return [name for name, holds in said.items() if holds]


def _error_responses(examples: Mapping[str, Any]) -> Schema:
    content: Schema = {"application/json": {"schema": ref("Error")}}
    named: Schema = {"Error": {"description": "an error", "content": copy.deepcopy(content)}}
    for example in examples.values():
        named["Error"]["content"]["application/json"]["example"] = example
    for name, header in WITH_HEADER.values():
        said = {header: RESPONSE_HEADERS[header]}
        named[name] = {"description": "an error", "headers": said, "content": content}
    return named


def json_schema(names: tuple[str, ...], title: str) -> Schema:
    """Return a JSON Schema of its own for one or several components, with all that they use."""
    named = components()
    wanted = list(names)
    used: dict[str, Schema] = {}
    while wanted:
        name = wanted.pop()
        if name not in used:
            used[name] = named[name]
            wanted += _references(named[name])
    whole: Schema = {"$ref": f"#/$defs/{names[0]}"}
    if len(names) > 1:
        whole = {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in names]}
    dialect = "https://json-schema.org/draft/2020-12/schema"
    document = {"$schema": dialect, "title": title, **whole, "$defs": dict(sorted(used.items()))}
    moved: Schema = _moved(document)
    return moved


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for each in schema for name in _references(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"].rpartition("/")[2]] if isinstance(schema.get("$ref"), str) else []
    return own + [name for each in schema.values() for name in _references(each)]


def _moved(schema: Any) -> Any:
    """Return a schema whose references lead into its own definitions."""
    if isinstance(schema, list):
        return [_moved(each) for each in schema]
    if isinstance(schema, dict):
        return {key: _moved(value) for key, value in schema.items()}
    if isinstance(schema, str):
        return schema.replace("#/components/schemas/", "#/$defs/")
    return schema
