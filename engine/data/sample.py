"""The sample candles that ship with Studio."""

from importlib import resources
from pathlib import Path

from engine.config import RunConfig
from engine.data.normalize import Dataset
from engine.data.providers import DatasetInfo, FileProvider, NoParams, describe, providers
from engine.errors import DatasetNotFound

SAMPLES = (("IXIC", "1d"), ("SPX", "1d"))


@providers.register("sample", NoParams)
class SampleProvider:
    """SPX and IXIC, daily, 1999 to 2018."""

    def __init__(self, params: NoParams) -> None:
        self.params = params

    def fingerprint(self, config: RunConfig) -> str:
        """Return the hash of the shipped file."""
        return _file(config.symbol, config.timeframe).fingerprint(config)

    def datasets(self) -> list[DatasetInfo]:
        """Return both data sets."""
        return [
            describe("sample", _file(symbol, timeframe).read(symbol, timeframe, "refuse"))
            for symbol, timeframe in SAMPLES
        ]

    def n_bars_known(self, config: RunConfig) -> None:
        """Return None: the file has to be read."""

    def load(self, config: RunConfig) -> Dataset:
        """Return one of the shipped data sets.

        Raises
            DatasetNotFound for any other.
        """
        return _file(config.symbol, config.timeframe).load(config)


def _file(symbol: str, timeframe: str) -> FileProvider:
    if (symbol, timeframe) not in SAMPLES:
        message = f"the sample has no candles for {symbol} {timeframe}; it has SPX 1d and IXIC 1d"
        raise DatasetNotFound(message)
    folder = Path(str(resources.files("assets"))) / "sample"
    return FileProvider(folder / f"{symbol}_{timeframe}.csv")
