"""The validation tests as the panel speaks of them; what they found is told by the server."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Test:
    """A validation test: its title, and the question that it asks."""

    title: str
    question: str


TESTS: dict[str, Test] = {
    "permutation": Test(
        "Luck",
        "The strategy on markets with the same moves in random order: is it better than on those?",
    ),
    "block_bootstrap": Test(
        "Uncertainty",
        "The same returns drawn again in blocks: how far could the figures be off?",
    ),
    "monte_carlo": Test(
        "Costs",
        "The same trades at other slippage: what is left of the result?",
    ),
    "walk_forward": Test(
        "Through time",
        "Later stretches, each beside what came before it: does the result hold?",
    ),
}


def verdict(name: str, said: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the first sentence about a test, and what else there is; ``/belief`` has them."""
    first, *more = (
        f"{each['text']}."
        if each["label"] in {"", TESTS[name].title}
        else f"{each['label']}: {each['text']}."
        for each in said
        if each["test"] == name
    )
    return first, " ".join(more)
