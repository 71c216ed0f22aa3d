from typing import Any

from engine.catalog import catalog

Server = Any


def test_everything_that_a_configuration_can_name(server: Server) -> None:
    """The catalogue holds every component with schema and defaults, and is sent once."""
    answer = server.get("/catalog")
    assert answer.json == catalog()
    assert set(answer.json) == {"indicators", "strategies", "sizing", "slippage", "validation"}
    dual_sma = next(each for each in answer.json["strategies"] if each["name"] == "dual_sma")
    assert dual_sma["defaults"]["fast"] == 20
    assert dual_sma["params"]["properties"]["fast"]["type"] == "integer"
    again = server.get("/catalog", {"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert server.call("HEAD", "/catalog").headers["ETag"] == answer.headers["ETag"]


def test_a_users_own_components_are_in_it(serve: Any, plugin: Any) -> None:
    """What a plugin registers can be named like everything else."""
    server = serve(plugins=(plugin.path,))
    found = {each["name"]: each for each in server.get("/catalog").json["strategies"]}
    assert found["broken"]["description"] == "Raises."
