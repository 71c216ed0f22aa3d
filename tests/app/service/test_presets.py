"""Presets are kept, listed, replaced and removed, and a run's configuration is laid on one."""

from typing import Any

import pytest

from app.backtests import check_partial
from app.presets import merged
from engine.limits import Limits
from engine.wording import is_portable_name

Server = Any
FAST = {"symbol": "SPX", "provider": "sample", "plot": False}


def keep(server: Server, name: Any, config: Any) -> Any:
    return server.post("/presets", {"name": name, "config": config})


def faults(answer: Any) -> dict[str, str]:
    return {fault["field"]: fault["message"] for fault in answer.json["error"]["details"]["errors"]}


def test_kept_listed_replaced_removed(serve: Any) -> None:
    """A preset is kept under its name over restarts, replaced by another, and removed once."""
    server = serve()
    assert keep(server, "b", {"seed": 1}).status == 201
    assert keep(server, "a", FAST).status == 201
    again = keep(server, "b", {"seed": 2})
    assert (again.status, again.json) == (200, {"name": "b", "config": {"seed": 2}})
    server.stop()
    server = serve()
    listed = server.get("/presets").json["presets"]
    assert [(each["name"], each["config"]) for each in listed] == [("a", FAST), ("b", {"seed": 2})]
    assert all(set(each) == {"name", "config", "updated_ts"} for each in listed)
    assert server.get("/presets/b").json["config"] == {"seed": 2}
    assert server.call("DELETE", "/presets/b").status == 204
    assert server.call("DELETE", "/presets/b").code == "PRESET_NOT_FOUND"
    assert server.get("/presets/b").code == "PRESET_NOT_FOUND"


def test_what_is_wrong_is_refused_what_is_missing_is_not(server: Server) -> None:
    """Unknown and wrong fields are named; a part that another configuration completes is taken."""
    answer = keep(server, "x", {"seed": -1, "sed": 1, "strategy": {"params": {"fast": 0}}})
    assert (answer.status, answer.code) == (422, "INVALID_PARAM")
    assert set(faults(answer)) == {"seed", "sed", "strategy.params.fast"}
    assert keep(server, "x", {"strategy": {"name": "dual_sna"}}).code == "INVALID_PARAM"
    assert keep(server, "x", {"strategy": {"params": {"fast": 20, "slow": 10}}}).status == 422
    assert keep(server, "x", {"indicators": [{"name": "sma"}, {"name": "no"}]}).status == 422
    assert keep(server, "x", {"preset_ref": "y"}).status == 422
    assert keep(server, "x", {"calendar": "NYSE?"}).status == 422
    assert keep(server, "x", {"indicators": [{"params": {}}]}).status == 422
    assert keep(server, "x", {"execution": {"slippage_model": {"params": {}}}}).status == 422
    assert server.get("/presets").json["presets"] == []
    assert keep(server, "x", {}).status == 201
    # Longer than the default slow one: the request may bring its own.
    assert keep(server, "x", {"strategy": {"params": {"fast": 60}}}).status == 200


def test_limits_are_those_of_the_server(serve: Any) -> None:
    """What a run may not ask for, a preset may not either, and is refused by the same code."""
    server = serve(max_replicates=500, max_indicators=1)
    many = {"validation": {"permutation": {"n": 600}}}
    answer = keep(server, "x", many)
    assert (answer.code, set(faults(answer))) == ("LIMIT_EXCEEDED", {"validation.permutation.n"})
    assert server.post("/runs", FAST | many).json == answer.json
    assert keep(server, "x", {"indicators": [{"name": "sma"}, {"name": "rsi"}]}).status == 422
    mixed = keep(server, "x", many | {"seed": -1})
    assert (mixed.code, set(faults(mixed))) == (
        "INVALID_PARAM",
        {"validation.permutation.n", "seed"},
    )
    # What the request may still bring is no reason to call it anything else.
    later = keep(server, "x", many | {"strategy": {"params": {"fast": 60}}})
    assert (later.code, set(faults(later))) == ("LIMIT_EXCEEDED", {"validation.permutation.n"})
    assert keep(server, "x", {"validation": {"permutation": {}}}).status == 201
    check_partial({"validation": {"permutation": {"n": 150_000}}}, Limits(max_replicates=150_000))


@pytest.mark.parametrize(
    "body",
    [[], {}, {"name": "x"}, {"config": {}}, {"name": "x", "config": []}, {"name": 1, "config": {}},
     {"name": "x", "config": {}, "more": 1}, {"name": "a/b", "config": {}},
     {"name": "con", "config": {}}, {"name": "", "config": {}}, {"name": "x" * 65, "config": {}}],
)  # fmt: skip
def test_what_is_no_preset(server: Server, body: Any) -> None:
    """A body of another shape, and a name that no file could have everywhere, are refused."""
    assert server.post("/presets", body).code == "INVALID_PARAM"


def test_every_fault_is_told(server: Server) -> None:
    """A body that is wrong in several ways is refused with all of them at once."""
    answer = server.post("/presets", {"name": "con", "config": {"foo": 1, "seed": -1}, "y": 2})
    assert (answer.code, set(faults(answer))) == ("INVALID_PARAM", {"y", "name", "foo", "seed"})
    answer = server.post("/presets", {"config": {"foo": 1}})
    assert set(faults(answer)) == {"name", "foo"}
    answer = server.post("/presets", {"name": "con", "config": 1})
    assert set(faults(answer)) == {"name", "config"}
    answer = server.post("/runs", {"preset_ref": 1, "foo": 1, "symbol": 2})
    assert (answer.code, set(faults(answer))) == ("INVALID_PARAM", {"preset_ref", "foo", "symbol"})


def test_what_a_preset_may_be_called(server: Server) -> None:
    """A name that is refused is told what is allowed, in words."""
    for name in ("a b", "con", "", "x" * 65, 5):
        found = faults(keep(server, name, {}))
        assert found.keys() == {"name"}
        assert found["name"].startswith("should be 1 to 64 letters (A to Z, a to z), digits")
        assert found["name"].endswith("no device's name, such as nul")
    answer = keep(server, "fine", {"symbol": "a b"})
    assert "digits, dots, dashes or underscores" in faults(answer)["symbol"]


def test_names_differ_in_more_than_case(server: Server) -> None:
    """A name that differs from another's in case alone is refused; names in paths are exact."""
    assert keep(server, "Mine", {}).status == 201
    answer = keep(server, "mine", {})
    assert (answer.code, "differs only in case" in faults(answer)["name"]) == (
        "INVALID_PARAM",
        True,
    )
    for name in ("mine", "nul", "..%2f..", "%00", "a" * 300):
        assert server.get(f"/presets/{name}").code == "PRESET_NOT_FOUND"
        assert server.call("DELETE", f"/presets/{name}").code == "PRESET_NOT_FOUND"


def test_a_run_from_a_preset(server: Server) -> None:
    """A request is laid on its preset; the merged configuration decides which run it is."""
    keep(server, "base", FAST | {"strategy": {"params": {"fast": 60}}, "seed": 5})
    body = {"preset_ref": "base", "strategy": {"params": {"slow": 200}}, "seed": 7}
    answer = server.post("/runs", body)
    assert answer.status == 201
    run = server.wait_for(answer.json["run_id"])
    assert run["config"]["strategy"]["params"] == {
        "fast": 60, "slow": 200, "threshold_bp": 0.0, "long_only": False
    }  # fmt: skip
    assert run["config"]["seed"] == 7
    assert "preset_ref" not in run["config"]
    by_hand = FAST | {"strategy": {"params": {"fast": 60, "slow": 200}}, "seed": 7}
    assert server.post("/runs", by_hand).json["run_id"] == run["run_id"]
    assert server.post("/runs", {"preset_ref": "none"}).code == "PRESET_NOT_FOUND"
    assert set(faults(server.post("/runs", {"preset_ref": 1}))) == {"preset_ref"}


def test_a_preset_that_names_no_component(server: Server) -> None:
    """Parameters without a name are the default component's, which the request may name."""
    keep(server, "nl", FAST | {"strategy": {"params": {"fast": 10}}})
    named = {"strategy": {"name": "dual_sma", "params": {"slow": 60}}}
    run_id = server.post("/runs", {"preset_ref": "nl", **named}).json["run_id"]
    params = server.get(f"/runs/{run_id}").json["config"]["strategy"]["params"]
    assert (params["fast"], params["slow"]) == (10, 60)
    other = {"strategy": {"name": "buy_and_hold"}}
    assert server.post("/runs", {"preset_ref": "nl", **other}).status == 201


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": None}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        (
            {"s": {"name": "p", "params": {"x": 1}}},
            {"s": {"name": "q", "params": {"y": 1}}},
            {"s": {"name": "q", "params": {"y": 1}}},
        ),
        (
            {"s": {"name": "p", "params": {"x": 1}}},
            {"s": {"name": "p", "params": {"y": 1}}},
            {"s": {"name": "p", "params": {"x": 1, "y": 1}}},
        ),
        (
            {"s": {"name": "p", "params": {"x": 1}}},
            {"s": {"params": {"x": 2}}},
            {"s": {"name": "p", "params": {"x": 2}}},
        ),
        (
            {"strategy": {"params": {"fast": 10}}},
            {"strategy": {"name": "dual_sma", "params": {"slow": 60}}},
            {"strategy": {"name": "dual_sma", "params": {"fast": 10, "slow": 60}}},
        ),
        (
            {"strategy": {"params": {"fast": 10}}},
            {"strategy": {"name": "buy_and_hold"}},
            {"strategy": {"name": "buy_and_hold"}},
        ),
        (
            {"risk": {"params": {"fraction": 0.5}}},
            {"risk": {"name": "fixed_fraction"}},
            {"risk": {"name": "fixed_fraction", "params": {"fraction": 0.5}}},
        ),
        (
            {"execution": {"slippage_model": {"params": {"x": 1}}}},
            {"execution": {"slippage_model": {"name": "spread_pct"}}},
            {"execution": {"slippage_model": {"name": "spread_pct"}}},
        ),
    ],
)
def test_how_two_are_merged(base: Any, over: Any, result: Any) -> None:
    """Objects merge by key, lists and nulls replace, a component of another name replaces whole."""
    assert merged(base, over) == result


def test_portable_names() -> None:
    """Names are files' names on every system: no devices, no ends that one of them drops."""
    assert all(map(is_portable_name, ["a", "SPX", "BRK.B", "a-b_c.d", "x" * 64, "con1", "console"]))
    names = ["", ".", "a.", ".a", "-a", "a/b", "a b", "ä", "con", "NUL", "com1.x", "lpt0", "x" * 65]
    assert not any(map(is_portable_name, [*names, "a\n"]))
