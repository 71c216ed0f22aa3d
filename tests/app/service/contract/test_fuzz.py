"""What somebody else's program makes of the contract, against a server."""

import re

from scripts.fuzz import SHARES, fuzz_all


def test_schemathesis_finds_nothing() -> None:
    """With every check on, two hundred examples an operation find nothing but what is meant."""
    nothing_found, said = fuzz_all(200, 1)
    assert nothing_found, said
    assert len(re.findall(r"Fuzzing \(in", said)) == len(SHARES) - 1
    assert "Stateful (in" in said
