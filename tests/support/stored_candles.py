"""Files of candles in a data directory, dropped there or imported."""

from pathlib import Path
from typing import Any

from engine.config import RunConfig
from engine.data import LocalProvider, NoParams

HEADER = "Date,Open,High,Low,Close,Adj Close,Volume,VWAP\n"
ROWS = [f"2024-01-0{i},10,19,9,1{i},5,10{i},11\n" for i in range(1, 6)]


def text(rows: list[str] = ROWS) -> str:
    return HEADER + "".join(rows)


def config(**fields: Any) -> RunConfig:
    return RunConfig.model_validate({"symbol": "X", **fields})


def local(folder: Path) -> LocalProvider:
    return LocalProvider(NoParams(), folder)


def drop(folder: Path, content: str, name: str = "X_1d.csv") -> Path:
    (folder / "candles").mkdir(exist_ok=True, parents=True)
    path = folder / "candles" / name
    path.write_text(content, encoding="utf-8")
    return path
