"""Parameters of a component: what may stand in them, and where a fault is said to be."""

import math
from typing import Any

import pytest
from pydantic import Field

from engine.errors import ConfigError
from engine.registry import Params, Registry


class Anything(Params):
    """Parameters that hold other values."""

    count: int = 1
    counts: list[int] = Field(default_factory=list)
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
    assert found["levels"][1] == -1.5
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


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"count": 2**53}, "strategy.params.count"),
        ({"count": -(2**53)}, "strategy.params.count"),
        ({"counts": [1, 10**30]}, "strategy.params.counts.1"),
        ({"named": {"b": [0, {"c": 2**64}]}}, "strategy.params.named.b.1.c"),
    ],
)
def test_integers_without_one_text(params: dict[str, Any], field: str) -> None:
    """An integer that JSON's readers would round is refused where it stands."""
    with pytest.raises(ConfigError) as caught:
        checked(**params)
    (fault,) = caught.value.faults
    said = "should be an integer from -9007199254740991 to 9007199254740991"
    assert (fault.field, fault.message) == (field, said)


def test_the_largest_integers() -> None:
    """Integers up to 2^53 - 1 and floats of any size are taken."""
    largest = 9_007_199_254_740_991
    found = checked(count=-largest, counts=[largest], levels=[10**30])
    assert (found["count"], found["counts"], found["levels"]) == (-largest, [largest], [1e30])


def test_infinity_where_anything_may_stand() -> None:
    """A number that is not finite is refused where the model itself asks for nothing."""
    with pytest.raises(ConfigError) as caught:
        checked(named={"b": math.inf, "c": [math.nan, 1.0]})
    assert [(fault.field, fault.message) for fault in caught.value.faults] == [
        ("strategy.params.named.b", "should be a finite number"),
        ("strategy.params.named.c.0", "should be a finite number"),
    ]
