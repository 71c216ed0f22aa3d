"""``GET /catalog``: every component and every figure, with its words, those of plugins too."""

from typing import Any

from app.catalog import whole_catalog
from engine.config import RunConfig
from engine.metrics import REASONS as METRIC_REASONS
from engine.metrics.definitions import METRICS
from engine.validation import REASONS as TEST_REASONS

Server = Any


def test_everything_that_a_configuration_can_name(server: Server) -> None:
    """The catalogue holds every component with schema and defaults, and is sent once."""
    answer = server.get("/catalog")
    assert answer.json == whole_catalog()
    assert set(answer.json) == {
        "indicators", "strategies", "sizing", "slippage", "validation",
        "config", "metrics", "reasons", "row_findings",
    }  # fmt: skip
    fields = answer.json["config"]["properties"]
    assert list(fields) == list(RunConfig.model_fields)
    assert fields["provider"]["enum"] == ["local", "sample", "synthetic"]
    costs = answer.json["config"]["$defs"]["ExecutionConfig"]["properties"]
    assert (costs["commission_bps"]["minimum"], costs["commission_bps"]["maximum"]) == (0, 10_000)
    dual_sma = next(each for each in answer.json["strategies"] if each["name"] == "dual_sma")
    assert dual_sma["defaults"]["fast"] == 20
    assert dual_sma["params"]["properties"]["fast"]["type"] == "integer"
    again = server.get("/catalog", {"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert server.call("HEAD", "/catalog").headers["ETag"] == answer.headers["ETag"]


def test_the_words_for_figures(server: Server) -> None:
    """Whatever a run may report, and every reason why it may not, has its words."""
    said = server.get("/catalog").json
    named = {each["name"]: each for each in said["metrics"]}
    assert list(named) == sorted(METRICS, key=list(named).index)
    assert named["sharpe"] == {
        "name": "sharpe",
        "label": "Sharpe",
        "unit": "ratio",
        "definition": METRICS["sharpe"].definition,
        "group": "For that risk",
        "digits": 3,
        "signed": False,
    }
    assert said["reasons"] == {"metrics": METRIC_REASONS, "validation": TEST_REASONS}
    assert said["row_findings"]["gap"] == "after a gap"


def test_a_users_own_components_are_in_it(serve: Any, plugin: Any) -> None:
    """What a plugin registers can be named like everything else."""
    server = serve(plugins=(plugin.path,))
    found = {each["name"]: each for each in server.get("/catalog").json["strategies"]}
    assert found["broken"]["description"] == "Raises."
