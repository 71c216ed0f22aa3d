"""The runs in ``cases.py`` still give the bytes that are pinned in ``hashes.json``."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def load_cases() -> Any:
    spec = importlib.util.spec_from_file_location("golden_cases", HERE / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = load_cases()


@pytest.mark.parametrize("case", list(cases.CASES))
def test_golden_run(case: str, tmp_path: Path) -> None:
    """A run of these candles gives the bytes that it has always given."""
    expected = json.loads((HERE / "hashes.json").read_text(encoding="utf-8"))
    assert cases.file_hashes(case, tmp_path / "r") == expected[case]
