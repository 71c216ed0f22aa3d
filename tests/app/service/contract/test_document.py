"""The committed contract is what the code says, and what a server answers."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from openapi_spec_validator import validate

from app.api_errors import STATUS
from app.contract_words import RESPONSE_HEADERS
from app.data_model import data_model
from app.handlers.base import NotFound
from app.operations import OPERATIONS, by_path
from app.security import CORS_EXPOSED
from app.server import application
from engine.errors import ConfigError
from engine.plan import make_plan
from engine.plugins import REGISTRIES
from scripts.contract import CONTRACTS, SCHEMAS, outdated
from scripts.examples import EXAMPLES, scenario, steady

DOCUMENT = yaml.safe_load((CONTRACTS / "openapi.yaml").read_text(encoding="utf-8"))
NAMED = DOCUMENT["components"]["schemas"]
Server = Any


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield path, method.upper(), operation


def validator(name: str) -> Any:
    whole = {"components": DOCUMENT["components"], "$ref": f"#/components/schemas/{name}"}
    return jsonschema_rs.Draft202012Validator(whole)


def test_the_committed_files_are_up_to_date() -> None:
    """Contract, schemas and data model are what the table and the models give."""
    assert outdated() == []


def test_an_outdated_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change in the table that is not in the committed files is told by their names."""
    monkeypatch.setitem(STATUS, "METHOD_NOT_ALLOWED", 410)
    assert outdated() == []  # no operation of its own has it
    monkeypatch.setitem(STATUS, "RUN_NOT_FOUND", 410)
    assert outdated() == ["contracts/openapi.yaml"]


def test_it_is_openapi() -> None:
    """The document is OpenAPI 3.1 to another program's mind."""
    assert DOCUMENT["openapi"].startswith("3.1")
    validate(DOCUMENT)


def test_the_routes_are_those_of_the_document() -> None:
    """The application answers exactly the document's paths, each with exactly its methods."""
    routes: Any = application(None).wildcard_router.rules  # type: ignore[arg-type]  # nothing is asked
    served = {}
    for rule in routes:
        if rule.target is not NotFound:
            served[rule.target_kwargs["route"]] = set(rule.target_kwargs["operations"])
            path = re.sub(r"\{\w+\}", "x", rule.target_kwargs["route"])
            assert rule.matcher.regex.match(path)
    documented: dict[str, set[str]] = {}
    for path, method, _ in operations():
        documented.setdefault(path, set()).add(method)
    assert served == documented


def test_the_statuses_are_those_of_the_table() -> None:
    """Every operation has the statuses of its answers and codes, and its codes by name."""
    for path, method, said in operations():
        operation = by_path()[path][method]
        codes = operation.all_codes
        known = {*operation.answers, *(STATUS[code] for code in codes)}
        if method == "HEAD":
            known -= {206, 416}
        assert {int(status) for status in said["responses"]} == known, (method, path)
        listed = {
            word
            for status, response in said["responses"].items()
            if int(status) >= 400
            for word in response["description"].split(", ")
        }
        assert listed == {code for code in codes if STATUS[code] in known}


def test_every_code_belongs_to_something() -> None:
    """No code is in the table of statuses that no operation and no route answers with."""
    used = {code for operation in OPERATIONS for code in operation.all_codes}
    assert used | {"NOT_FOUND", "METHOD_NOT_ALLOWED"} == STATUS.keys()


def test_the_models_that_others_build_on() -> None:
    """The components have the names that were agreed on."""
    agreed = {
        "RunConfig",
        "MetricsSummary",
        "Trade",
        "PortfolioBar",
        "ArtifactManifest",
        "Event",
        "Error",
    }
    assert agreed <= NAMED.keys()


def test_every_component_of_a_configuration_is_named() -> None:
    """Whatever the registries know is in the contract, with the defaults of its parameters."""
    for kind, name in (
        ("strategies", "Strategy"),
        ("sizing", "Sizing"),
        ("slippage", "SlippageModel"),
        ("indicators", "Indicator"),
    ):
        variants = NAMED[name]["anyOf"]
        listed = [each for variant in variants for each in variant["properties"]["name"]["enum"]]
        assert set(listed) == set(REGISTRIES[kind])
        check = validator(name)
        for each in REGISTRIES[kind]:
            defaults = REGISTRIES[kind].params_model(each)().model_dump(mode="json")
            assert check.is_valid({"name": each, "params": defaults})
            assert not check.is_valid({"name": each, "params": defaults | {"nonsense": 1}})


def test_no_schema_is_left_open_by_accident() -> None:
    """Every object of the contract says whether it may have further fields."""
    for name, schema in NAMED.items():
        if schema.get("type") == "object":
            assert "additionalProperties" in schema, name


def test_a_length_may_be_called_so() -> None:
    """The window of an indicator has two names, and only one of them is used at a time."""
    check = validator("Indicator")
    for params, good in (
        ({"length": 9}, True),
        ({"timeperiod": 9}, True),
        ({"length": 9, "timeperiod": 9}, False),
    ):
        assert check.is_valid({"name": "sma", "params": params}) is good
        raw = {"symbol": "SPX", "indicators": [{"name": "sma", "params": params}]}
        if good:
            make_plan(raw)
        else:
            with pytest.raises(ConfigError):
                make_plan(raw)


def test_a_request_over_a_preset_has_no_defaults() -> None:
    """What a preset or a request over one leaves out is not said to have the configuration's."""
    for name in ("PresetConfig", "RunOverPreset", "ExecutionOverPreset"):
        assert not any("default" in field for field in NAMED[name]["properties"].values())
    assert NAMED["RunConfig"]["properties"]["timeframe"]["default"] == "1d"


def test_a_request_over_a_preset_may_leave_names_to_it(server: Server) -> None:
    """Parameters alone go to the component that the preset names; contract and server agree."""
    named = {
        "strategy": {"name": "dual_sma", "params": {"fast": 5}},
        "risk": {"name": "volatility_target"},
        "execution": {"slippage_model": {"name": "participation_rate"}},
    }
    assert server.post("/presets", {"name": "mine", "config": named}).status == 201
    sent = {
        "preset_ref": "mine", "symbol": "SPX", "provider": "sample", "plot": False,
        "strategy": {"params": {"slow": 9}},
        "risk": {"params": {"target_vol": 0.2}},
        "execution": {"slippage_model": {"params": {"participation_pct": 0.2}}},
    }  # fmt: skip
    validator("RunRequest").validate(sent)
    assert server.post("/runs", sent).status == 201
    assert not validator("RunRequest").is_valid(sent | {"preset_ref": None})


def test_a_preset_s_name_is_described() -> None:
    """Whoever writes a preset's name is told what it may be, and the fuzzing knows its format."""
    for said in (NAMED["StoredPreset"], NAMED["Preset"], NAMED["RunOverPreset"]):
        name = said["properties"].get("name") or said["properties"]["preset_ref"]
        assert name["format"] == "portable-name"
        assert name["description"]


def test_a_range_is_not_asked_for_by_head() -> None:
    """HEAD has every parameter of GET but those that are for GET alone."""
    for path, method, said in operations():
        if method == "HEAD":
            names = {each["name"] for each in said["parameters"]}
            of_get = {each["name"] for each in DOCUMENT["paths"][path]["get"]["parameters"]}
            assert of_get - names <= {"Range", "If-Range"}
            assert not names & {"Range", "If-Range"}


def test_a_page_may_read_what_is_documented() -> None:
    """Every header of the contract is shown to pages, but the one that browsers keep."""
    exposed = set(CORS_EXPOSED.split(", "))
    assert exposed == RESPONSE_HEADERS.keys() - {"WWW-Authenticate"}


# What the page says in words, or what is a list or columns of something on it.
NOT_ON_THE_PAGE = {
    "Artifact", "DatasetList", "DrawdownColumns", "EquityColumns", "Event", "ExecutionOverPreset",
    "FeaturesColumns", "FillsColumns", "Frame", "JsonValue", "PresetConfig", "PresetList",
    "RunDetail", "RunOverPreset", "RunRequest", "StoredPreset", "TradesColumns",
}  # fmt: skip


def test_the_data_model_is_whole() -> None:
    """Every component has its part of the page, and no link on it leads nowhere."""
    page = data_model()
    parts = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
    assert NAMED.keys() - parts == NOT_ON_THE_PAGE
    assert set(re.findall(r"\]\(#(\w+)\)", page)) <= {part.lower() for part in parts}


def contents(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "example" in node and "schema" in node:
            yield node
        for each in node.values():
            yield from contents(each)
    elif isinstance(node, list):
        for each in node:
            yield from contents(each)


def test_the_examples_are_what_the_schemas_say() -> None:
    """Every example of the document is valid by the schema beside it."""
    found = [*contents(DOCUMENT["paths"]), *contents(DOCUMENT["components"]["responses"])]
    assert len(found) > 20
    for content in found:
        whole = {"components": DOCUMENT["components"], **content["schema"]}
        check = jsonschema_rs.Draft202012Validator(whole)
        if content["schema"] == {"$ref": "#/components/schemas/Frame"}:
            for block in content["example"].strip().split("\n\n"):
                frame = dict(line.split(": ", 1) for line in block.splitlines())
                check.validate(frame)
                validator("Event").validate(json.loads(frame["data"]))
        else:
            check.validate(content["example"])


def test_the_examples_are_real_answers(server: Server) -> None:
    """A server that is asked the same says the same, but for times and versions."""

    def call(method: str, path: str, body: Any) -> tuple[int, bytes]:
        kind = {"Content-Type": "text/csv"} if isinstance(body, bytes) else None
        answer = server.call(method, path, body, kind)
        return answer.status, answer.body

    recorded = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    assert steady(scenario(call)) == steady(recorded)


def test_the_command_prints_it() -> None:
    """``studio openapi`` prints the document, from any directory."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "openapi"], capture_output=True, check=True, cwd="/"
    )
    assert done.stdout == (CONTRACTS / "openapi.yaml").read_bytes()
    assert done.stderr == b""


DOCUMENTS = {
    "config.json": ("RunConfig", "run_config"),
    "summary.json": ("Summary", "summary"),
    "metrics.json": ("Metrics", "metrics"),
    "validation_summary.json": ("ValidationSummary", "validation_summary"),
    "manifest.json": ("ArtifactManifest", "manifest"),
}
TESTED = {
    "indicators": [{"name": "macd"}, {"name": "rsi"}],
    "execution": {"slippage_bps": 1, "slippage_model": {"name": "spread_pct"}},
    "validation": {
        "permutation": {"n": 19}, "block_bootstrap": {"n": 19}, "monte_carlo": {"n": 19}, "walk_forward": {},
    },
}  # fmt: skip


def test_a_run_is_what_the_schemas_say(server: Server) -> None:
    """Documents, tables and events of a run with everything in it are valid by the contract."""
    run = server.completed(**TESTED)
    place = f"/runs/{run['run_id']}"
    for file, (component, schema) in DOCUMENTS.items():
        value = server.get(f"{place}/artifact/{file}").json
        validator(component).validate(value)
        alone = json.loads((CONTRACTS / f"{schema}.schema.json").read_text(encoding="utf-8"))
        jsonschema_rs.Draft202012Validator(alone).validate(value)
        validator("Artifact").validate(value)
    for table in ("equity", "drawdown", "fills", "trades", "features"):
        columns = server.get(f"{place}/artifact/{table}.json").json
        validator(f"{table.title()}Columns").validate(columns)
        rows = zip(*columns.values(), strict=True)
        row = {
            "equity": "PortfolioBar",
            "drawdown": "DrawdownBar",
            "fills": "Fill",
            "trades": "Trade",
            "features": "FeatureBar",
        }[table]
        for values in list(rows)[:5]:
            validator(row).validate(dict(zip(columns, values, strict=True)))
        header = server.get(f"{place}/artifact/{table}.csv").body.partition(b"\n")[0].decode()
        assert header.split(",") == list(columns)
        assert [*NAMED[row]["properties"]] == list(columns)[: len(NAMED[row]["properties"])]
    validator("RunConfig").validate(run["config"])
    alone = json.loads((CONTRACTS / "event.schema.json").read_text(encoding="utf-8"))
    for event in server.events(run["run_id"]):
        jsonschema_rs.Draft202012Validator(alone).validate(event.data)


def test_undefined_numbers_are_what_the_schemas_say(server: Server) -> None:
    """A run without a trade, whose tests have nothing to say, is valid by the contract too."""
    run = server.completed(
        **TESTED
        | {
            "start": "2018-12-20",
            "strategy": {"name": "dual_sma", "params": {"fast": 2, "slow": 900}},
            "indicators": [],
        }
    )
    place = f"/runs/{run['run_id']}"
    for file, (component, _) in DOCUMENTS.items():
        value = server.get(f"{place}/artifact/{file}").json
        validator(component).validate(value)
    found = server.get(f"{place}/artifact/validation_summary.json").json
    assert found["permutation"]["p_value"] is None
    assert found["permutation"]["reason"] is not None
    assert server.get(f"{place}/artifact/trades.json").json["pnl"] == []


def test_the_schemas_are_listed() -> None:
    """Each JSON Schema stands for itself: it refers to nothing outside."""
    for name in SCHEMAS:
        text = (CONTRACTS / f"{name}.schema.json").read_text(encoding="utf-8")
        assert set(re.findall(r'"\$ref": "([^#]*)#', text)) == {""}
    assert {path.name for path in Path(CONTRACTS).glob("*.json")} == {
        "examples.json", *(f"{name}.schema.json" for name in SCHEMAS)
    }  # fmt: skip
