"""The data sets there are, and how one goes; off the loop, since it reads and writes files."""

import dataclasses
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from app.api_errors import ApiError
from engine.data import DatasetInfo, LocalProvider, NoParams, providers


def list_datasets(data_dir: Path) -> list[DatasetInfo]:
    """Return the data sets of every provider, the user's own first."""
    local = LocalProvider(NoParams(), data_dir).datasets()
    others = [name for name in providers if name != "local"]
    listed = (providers.build(name, providers.check(name, {}, name)).datasets() for name in others)
    return [*sorted(local, key=lambda info: (info.symbol, info.timeframe)), *chain(*listed)]


def datasets_document(data_dir: Path) -> dict[str, Any]:
    """Return ``{datasets: […]}`` as the API and the command show it."""
    return {"datasets": [dataclasses.asdict(info) for info in list_datasets(data_dir)]}


def delete_dataset(
    data_dir: Path, symbol: str, timeframe: str, live: Iterable[Mapping[str, Any]]
) -> None:
    """Remove a data set of the user's own; ``live`` configurations keep the one that they use.

    Raises
        DatasetNotFound where there is none of that name; ApiError while a run uses it; StorageError
        where it cannot be removed.
    """
    local = LocalProvider(NoParams(), data_dir)
    place = local.place(symbol, timeframe)
    for config in live:
        if config["provider"] == "local" and place == local.place_used(config):
            message = f"{symbol} {timeframe} is used by a run that has not finished"
            raise ApiError("DATASET_IN_USE", message)
    local.remove(place)
