import os
from contextlib import closing
from pathlib import Path

import pytest

from app.replicates import mapper_for
from app.settings import read_settings
from engine.config import Limits
from engine.errors import ConfigError
from engine.validation import ClusterMapper, ThreadMapper


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    """The first of flag, environment, settings.toml and default that is there holds."""
    (tmp_path / "settings.toml").write_text(
        "max_bars = 1\nmax_replicates = 2\nmax_indicators = 3\n", encoding="utf-8"
    )
    environment = {"STUDIO_DATA_DIR": str(tmp_path), "STUDIO_MAX_BARS": "10", "STUDIO_MAX_REPLICATES": "20"}  # fmt: skip
    settings = read_settings({"max_bars": 100, "data_dir": None}, environment)
    assert settings.limits == Limits(max_bars=100, max_replicates=20, max_indicators=3)
    assert (settings.kernel, settings.data_dir) == ("auto", tmp_path)
    assert read_settings({"data_dir": tmp_path}, {}).limits.max_bars == 1


def test_data_directory_is_the_platforms_by_default() -> None:
    """Without flag and environment the data directory is where the platform keeps such things."""
    assert read_settings({}, {}).data_dir.name == "studio"


@pytest.mark.parametrize(
    ("environment", "file", "words"),
    [
        ({"STUDIO_MAX_BARS": "many"}, "", "setting max_bars: should be a valid integer"),
        ({"STUDIO_KERNEL": "fast"}, "", "setting kernel: should be 'auto' or 'interpreted'"),
        ({}, "max_bars = 0", "setting max_bars: should be greater than or equal to 1"),
        ({}, "max_bars = ", "settings.toml: cannot be read: it is not valid TOML"),
    ],
)
def test_bad_settings_are_named(
    tmp_path: Path, environment: dict[str, str], file: str, words: str
) -> None:
    """A setting that cannot be used is named."""
    (tmp_path / "settings.toml").write_text(file, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_settings({"data_dir": tmp_path}, environment)


def test_a_settings_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A directory in the place of settings.toml is a plain error; no data directory is fine."""
    (tmp_path / "settings.toml").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        read_settings({"data_dir": tmp_path}, {})
    assert read_settings({"data_dir": tmp_path / "none"}, {}).max_bars == 2_000_000


def test_threads_and_scheduler(tmp_path: Path) -> None:
    """Replicates go to as many threads as there are cores, to those asked for, or to a cluster."""
    settings = read_settings({"data_dir": tmp_path}, {})
    assert (settings.threads, settings.scheduler) == (os.cpu_count(), None)
    environment = {"STUDIO_THREADS": "3", "STUDIO_SCHEDULER": ""}
    with closing(mapper_for(read_settings({"data_dir": tmp_path}, environment))) as mapper:
        assert isinstance(mapper, ThreadMapper)
        assert mapper.threads == 3
    settings = read_settings({"data_dir": tmp_path, "scheduler": "tcp://127.0.0.1:9"}, {})
    with closing(mapper_for(settings)) as mapper:
        assert isinstance(mapper, ClusterMapper)
    with pytest.raises(ConfigError, match="setting threads: should be greater than or equal to 1"):
        read_settings({"data_dir": tmp_path, "threads": 0}, {})


@pytest.mark.parametrize(
    "value", ["a.py,b.py", " a.py , b.py ,", '["a.py", "b.py"]'], ids=["words", "spaced", "json"]
)
def test_lists_are_words_or_json(tmp_path: Path, value: str) -> None:
    """A list in the environment is JSON or words between commas; in the file it is a list."""
    expected = (Path("a.py"), Path("b.py"))
    assert read_settings({"data_dir": tmp_path}, {"STUDIO_PLUGINS": value}).plugins == expected
    (tmp_path / "settings.toml").write_text('plugins = ["a.py", "b.py"]', encoding="utf-8")
    assert read_settings({"data_dir": tmp_path}, {}).plugins == expected


def test_a_list_that_is_not_json(tmp_path: Path) -> None:
    """A list that begins like JSON and is none is told by its setting."""
    with pytest.raises(ConfigError, match="setting plugins: "):
        read_settings({"data_dir": tmp_path}, {"STUDIO_PLUGINS": "[a.py"})
