"""``docs/determinism.md`` says what the code does."""

import ast
import inspect
import re
from pathlib import Path

from pages import ROOT

from app import local_runs
from app.commands import verify
from engine import identity
from engine.artifacts import manifest
from engine.code import LIBRARIES
from engine.data import local
from engine.registry import unknown

PAGE = (ROOT / "docs" / "determinism.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)


def test_what_is_hashed() -> None:
    """The table has exactly what the run hash is made of, in its order."""
    source = inspect.getsource(identity.hash_of_run)
    (whole,) = (
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "whole"
    )
    assert isinstance(whole, ast.Dict)
    keys = [ast.literal_eval(key) for key in whole.keys if key is not None]
    told = [cell.strip("`") for cell in first_cells(section("What pins a run"))]
    assert told == keys


def test_the_libraries() -> None:
    """The libraries whose versions are part of the code version are named, and their number."""
    said = section("What pins a run")
    assert "numpy, TA-Lib, pyarrow, matplotlib, exchange_calendars and tzdata" in said
    assert len(LIBRARIES) == 6
    assert "one of the six libraries" in PAGE


def test_what_the_manifest_holds() -> None:
    """Every key of a manifest and of its environment is told."""
    said = section("What the manifest holds")
    source = inspect.getsource(manifest.build_manifest)
    for key in re.findall(r'"(\w+)":|manifest\["(\w+)"\]', source):
        assert f"`{key[0] or key[1]}`" in said, key
    words = {
        "python": "Python's version", "implementation": "Python's version", "system": "system",
        "machine": "processor type", "fma": "fuses multiply and add", "kernel": "compiled",
        "libraries": "libraries' versions",
    }  # fmt: skip
    assert identity.environment("compiled").keys() == words.keys()
    assert all(word in said for word in words.values())


def test_what_verify_says() -> None:
    """Each message of the table is one that the code has."""
    table = section("Verify a run on another machine")
    sources = "".join(
        Path(inspect.getsourcefile(module) or "").read_text(encoding="utf-8")
        for module in (verify, local_runs, manifest, local)
    )
    messages = [said for cell in first_cells(table) for said in re.findall(r"`(.+?)`", cell)]
    assert len(messages) >= 10
    for said in messages:
        known = said in sources or said in unknown("strategy", "x", [])
        assert known, said
