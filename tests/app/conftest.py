"""Candles in a file, a run and its report, plugins that go again, and a log."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from log_lines import TOKEN
from plugin_sources import forget
from report_pages import SAMPLE, TESTS

from app.data_dir import DataDir
from app.logs import start_logging
from app.report import make_report
from engine.pipeline import run
from engine.plugins import Plugin, load_plugins

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run with every test, which no test may change."""
    place = tmp_path_factory.mktemp("runs") / "whole"
    run(SAMPLE | {"validation": TESTS}, out=place)
    return place


@pytest.fixture(scope="module")
def content(folder: Path) -> bytes:
    """Return its report."""
    return make_report(folder)[1]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[str], Plugin]]:
    """Load a plugin from its source, and take it out again afterwards."""
    loaded: list[Plugin] = []

    def call(source: str) -> Plugin:
        path = tmp_path / "mine.py"
        path.write_text(source, encoding="utf-8")
        loaded.extend(load_plugins([path]))
        return loaded[-1]

    yield call
    for plugin in loaded:
        plugin.unload()


@pytest.fixture
def unload_after() -> Iterator[None]:
    """Take out whatever a command loaded."""
    yield
    forget()


@pytest.fixture
def place(tmp_path: Path) -> DataDir:
    place = DataDir(tmp_path / "data")
    place.prepare()
    return place


@pytest.fixture
def start(place: DataDir) -> Iterator[Callable[[], Callable[[], None]]]:
    """Start logging, and stop it whatever comes."""
    stops = []

    def call() -> Callable[[], None]:
        stops.append(start_logging(place, "info", TOKEN))
        return stops[-1]

    yield call
    for stop in reversed(stops):
        stop()
