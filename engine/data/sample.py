"""The sample candles that ship with Studio."""

from importlib import resources
from pathlib import Path

from engine.config import RunConfig
from engine.data.normalize import Dataset
from engine.data.providers import FileProvider, NoParams, providers
from engine.errors import DatasetNotFound

SAMPLES = ("IXIC_1d", "SPX_1d")


@providers.register("sample", NoParams)
class SampleProvider:
    """SPX and IXIC, daily, 1999 to 2018."""

    def __init__(self, params: NoParams) -> None:
        self.params = params

    def load(self, config: RunConfig) -> Dataset:
        """Return one of the shipped data sets."""
        name = f"{config.symbol}_{config.timeframe}"
        if name not in SAMPLES:
            message = (
                f"the sample has no candles for {config.symbol} {config.timeframe}; "
                "it has SPX 1d and IXIC 1d"
            )
            raise DatasetNotFound(message)
        folder = Path(str(resources.files("assets"))) / "sample"
        return FileProvider(folder / f"{name}.csv").load(config)
