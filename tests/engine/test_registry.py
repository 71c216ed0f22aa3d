"""Parameters of a component: what may stand in them, and where a fault is said to be."""

import math
from typing import Any

import pytest
from pydantic import Field

from engine.errors import ConfigError
from engine.registry import Params, Registry


class Anything(Params):
    """Parameters that hold other values."""

    levels: list[float] = Field(default_factory=list)
    pair: tuple[float, float] = (1.0, 2.0)
    named: dict[str, Any] = Field(default_factory=dict)


things: Registry[object] = Registry("thing")
things.register("a", Anything)(lambda params: params)


def checked(**params: object) -> dict[str, Any]:
    return things.check("a", params, "strategy").model_dump()


def test_negative_zeros() -> None:
    """A negative zero is 0 in lists, tuples and objects too, at any depth."""
    found = checked(levels=[-0.0, -1.5], pair=(-0.0, 0.0), named={"b": [{"c": -0.0}, -0.0]})
    assert found == {
        "levels": [0.0, -1.5],
        "pair": (0.0, 0.0),
        "named": {"b": [{"c": 0.0}, 0.0]},
    }
    zeros = [
        found["levels"][0],
        *found["pair"],
        found["named"]["b"][0]["c"],
        found["named"]["b"][1],
    ]
    assert [math.copysign(1.0, zero) for zero in zeros] == [1.0] * 5


def test_deep_values() -> None:
    """Values in one another are taken 60 deep, and refused in words where no one would write them."""
    value: list[Any] = []
    for _ in range(60):
        value = [value]
    assert checked(named={"b": value})["named"]["b"] == value
    for _ in range(900):
        value = [value]
    with pytest.raises(ConfigError) as caught:
        checked(named={"b": value})
    assert str(caught.value) == "strategy.params: a value is nested too deeply"
