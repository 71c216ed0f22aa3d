"""Files of candles, written and read back, or refused."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.config import RunConfig
from engine.data import Dataset, FileProvider, ReadOptions
from engine.errors import DataError
from engine.limits import FileLimits

HEADER = "Date,Open,High,Low,Close,Volume"


def csv_text(
    times: Sequence[str], cells: str = "2,3,1,2,10", header: str = HEADER, end: str = "\n"
) -> str:
    """Return a file with one row of the same cells for each time."""
    return end.join([header, *(f"{time},{cells}" for time in times)]) + end


@pytest.fixture(name="csv_text", scope="session")
def csv_text_fixture() -> Callable[..., str]:
    return csv_text


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Dataset]:
    """Write a file and read it as the candles of X."""
    folder = tmp_path_factory.mktemp("candles")

    def call(
        content: str | bytes,
        *,
        timeframe: str = "1d",
        on_bad_rows: str = "refuse",
        timezone: str = "UTC",
        date_format: str | None = None,
        name: str = "X.csv",
    ) -> Dataset:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        config = {"symbol": "X", "timeframe": timeframe, "on_bad_rows": on_bad_rows}
        provider = FileProvider(path, ReadOptions(timezone=timezone, date_format=date_format))
        return provider.load(RunConfig.model_validate(config))

    return call


@pytest.fixture(name="refused")
def refused_fixture(tmp_path: Path) -> Callable[..., str]:
    """Write a file, and return the sentence that refuses it."""

    def call(content: bytes, **limits: int) -> str:
        path = tmp_path / "candles_1d.csv"
        path.write_bytes(content)
        options = ReadOptions(limits=FileLimits(**limits))
        with pytest.raises(DataError) as caught:
            FileProvider(path, options).read("X", None, "refuse")
        sentence = str(caught.value)
        assert sentence.startswith("candles_1d.csv")
        assert str(tmp_path) not in sentence
        assert "\n" not in sentence
        assert caught.value.__cause__ is None
        return sentence

    return call
