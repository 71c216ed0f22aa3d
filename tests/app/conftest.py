"""Candles in a file."""

from pathlib import Path

import pytest

SIX_DAYS = """Date,Open,High,Low,Close,Volume
2024-01-01,100,101,99,100,1000
2024-01-02,100,103,100,102,1000
2024-01-03,102,104,101,103,1000
2024-01-04,103,103,98,99,1000
2024-01-05,99,100,95,96,1000
2024-01-08,96,99,96,98,1000
"""


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    path = tmp_path / "TEST_1d.csv"
    path.write_text(SIX_DAYS, encoding="utf-8")
    return path
