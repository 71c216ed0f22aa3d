"""Candles in the user's data directory."""

from pathlib import Path

from engine.config import RunConfig
from engine.data.normalize import Dataset
from engine.data.providers import FileProvider, NoParams, providers
from engine.errors import DatasetNotFound


@providers.register("local", NoParams)
class LocalProvider:
    """CSV files in ``candles/`` of the data directory, named ``<symbol>_<timeframe>.csv``."""

    def __init__(self, params: NoParams, data_dir: Path | None = None) -> None:
        self.params = params
        self.data_dir = data_dir

    def load(self, config: RunConfig) -> Dataset:
        """Return the data set of that symbol and timeframe.

        Raises
            DatasetNotFound where there is no such file; DataError where it cannot be used.
        """
        name = f"{config.symbol}_{config.timeframe}.csv"
        if self.data_dir is not None:
            path = self.data_dir / "candles" / name
            if path.is_file():
                return FileProvider(path).load(config)
        message = (
            f"there are no candles for {config.symbol} {config.timeframe}: "
            f"give a file with --candles, or put {name} into candles/ of the data directory"
        )
        raise DatasetNotFound(message)
