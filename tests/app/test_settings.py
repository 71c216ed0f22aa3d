"""Settings from flags, the environment, the file and the defaults, and what each refuses."""

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from app.replicates import mapper_for
from app.settings import Settings, read_settings, take_token
from engine.errors import ConfigError
from engine.limits import FileLimits, Limits
from engine.validation import ClusterMapper, ThreadMapper

CORES = os.cpu_count() or 1
LIGHT = "app.settings, engine.code, engine.kernels, engine.limits, engine.errors"
# Each setting: its default, a value as the environment has it, as settings.toml, and what it is.
EVERY: list[tuple[str, object, str, object, object]] = [
    ("host", "127.0.0.1", "0.0.0.0", "0.0.0.0", "0.0.0.0"),  # noqa: S104  # as a value
    ("port", 8717, "0", 0, 0),
    ("token_file", None, "/run/token", "/run/token", Path("/run/token")),
    ("workers", max(CORES - 1, 1), "256", 256, 256),
    ("threads", CORES, "1024", 1024, 1024),
    ("queue_limit", 32, "1", 1, 1),
    ("max_streams", 64, "1", 1, 1),
    ("heartbeat_ms", 2000, "250", 250, 250),
    ("cors_origins", (), "http://A:80, https://b:1", ["http://a", "https://B:1"], ("http://a", "https://b:1")),
    ("allowed_hosts", (), "studio.Example,[::1]:8", ["studio.example", "[::1]:8"], ("studio.example", "[::1]:8")),
    ("studio_url", None, "https://a.b/c?d", "https://a.b/c?d", "https://a.b/c?d"),
    ("theme", "light", "dark", "dark", "dark"),
    ("retention", 100, "1", 1, 1),
    ("max_body", 262_144, "1 KiB", 1024, 1024),
    ("max_import_bytes", 268_435_456, "1mib", "1 MiB", 1_048_576),
    ("max_import_rows", 5_000_000, "1", 1, 1),
    ("max_bars", 2_000_000, " 5 ", 5, 5),
    ("max_replicates", 100_000, "1", 1, 1),
    ("max_indicators", 64, "0", 0, 0),
    ("plugins", (), "a.py", ["a.py"], (Path("a.py"),)),
    ("scheduler", None, "tcp://a:1", "tcp://a:1", "tcp://a:1"),
    ("log_level", "info", "debug", "debug", "debug"),
    ("kernel", "auto", "interpreted", "interpreted", "interpreted"),
]  # fmt: skip
NO_ORIGIN = "should be an origin: http or https, a host, perhaps a port, and no path"
NO_PAGE = "should be the address of a page: http or https, a host, perhaps a path"
NO_HOST = "should be a host, perhaps with a port, without patterns"
NO_BYTES = "should be a valid integer of bytes, or such as '256 KiB'"


def refused(flags: dict[str, Any], environment: dict[str, str]) -> dict[str, str]:
    """Return what is said of each setting that is refused."""
    with pytest.raises(ConfigError) as caught:
        read_settings(flags, environment)
    return {fault.field.removeprefix("setting "): fault.message for fault in caught.value.faults}


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
        ({}, "#" * 65_537, "settings.toml: cannot be read: it is larger than 64 KiB"),
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
    with pytest.raises(ConfigError, match="is not a regular file"):
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


def test_every_setting_is_in_the_table() -> None:
    """The table below knows every setting but the data directory, which the others are read from."""
    assert [field.name for field in fields(Settings)] == ["data_dir", *(row[0] for row in EVERY)]


@pytest.mark.parametrize(("name", "default", "text", "written", "value"), EVERY, ids=lambda _: "")
def test_every_setting_from_everywhere(
    tmp_path: Path, name: str, default: object, text: str, written: object, value: object
) -> None:
    """A setting has its default, and the same value from a flag, the environment and the file."""
    flags, variable = {"data_dir": tmp_path}, f"STUDIO_{name.upper()}"
    assert getattr(read_settings(flags, {}), name) == default
    assert getattr(read_settings(flags, {variable: ""}), name) == default
    assert getattr(read_settings(flags, {variable: text}), name) == value
    assert getattr(read_settings(flags | {name: value}, {variable: "no"}), name) == value
    (tmp_path / "settings.toml").write_text(f"{name} = {json.dumps(written)}", encoding="utf-8")
    assert getattr(read_settings(flags, {}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("host", "", "should have at least 1 character"),
        ("host", 5, "should be a valid string"),
        ("host", "a b", "should be the name or address of a host"),
        ("host", "a\nb", "should have no control characters"),
        ("port", -1, "should be greater than or equal to 0"),
        ("port", "65536", "should be less than or equal to 65535"),
        ("port", True, "should be a valid integer"),
        ("port", 80.0, "should be a valid integer"),
        ("token_file", "", "should be a path"),
        ("token_file", 1, "should be a path"),
        ("workers", 0, "should be greater than or equal to 1"),
        ("workers", 257, "should be less than or equal to 256"),
        ("threads", 1025, "should be less than or equal to 1024"),
        ("queue_limit", 0, "should be greater than or equal to 1"),
        ("max_streams", 0, "should be greater than or equal to 1"),
        ("heartbeat_ms", 249, "should be greater than or equal to 250"),
        ("heartbeat_ms", 60_001, "should be less than or equal to 60000"),
        ("cors_origins", 1, "should be a list"),
        ("cors_origins", "[", "is not valid JSON"),
        ("cors_origins", [1], "1 should be a valid string"),
        *(
            ("cors_origins", [origin], f"{origin!r} {NO_ORIGIN}")
            for origin in (
                "*", "null", "a.b", "ftp://a", "http://", "http://*.a", "http://a/", "http://a?b",
                "http://u@a", "http://a:", "http://a:x", "http://a b", "http://ä",
            )
        ),
        ("cors_origins", "http://a:65536", "'http://a:65536' should have a port from 1 to 65535"),
        ("cors_origins", "http://a:0", "'http://a:0' should have a port from 1 to 65535"),
        ("cors_origins", "http://[1::2::3]", "'http://[1::2::3]' should hold a valid address"),
        ("allowed_hosts", "*", f"'*' {NO_HOST}"),
        ("allowed_hosts", "http://a", f"'http://a' {NO_HOST}"),
        ("studio_url", "a.b/c", NO_PAGE),
        ("studio_url", "file:///c", NO_PAGE),
        ("studio_url", "http://u@a/c", NO_PAGE),
        ("studio_url", "http://a/b c", NO_PAGE),
        ("studio_url", "*", NO_PAGE),
        ("studio_url", "http://a:99999/", "should have a port from 1 to 65535"),
        ("retention", 0, "should be greater than or equal to 1"),
        ("max_body", 1023, "should be greater than or equal to 1024"),
        ("max_body", "256 KB", NO_BYTES),
        ("max_body", "-1", NO_BYTES),
        ("max_import_bytes", 0, "should be greater than or equal to 1"),
        ("max_import_bytes", "1.5 MiB", NO_BYTES),
        ("max_import_rows", "5e6", "should be a valid integer"),
        ("max_bars", 0, "should be greater than or equal to 1"),
        ("max_replicates", 0, "should be greater than or equal to 1"),
        ("max_indicators", -1, "should be greater than or equal to 0"),
        ("plugins", {}, "should be a list"),
        ("plugins", [""], "'' should be a path"),
        ("scheduler", "", "should have at least 1 character"),
        ("log_level", "INFO", "should be 'debug', 'info', 'warning' or 'error'"),
        ("kernel", [], "should be 'auto' or 'interpreted'"),
        ("data_dir", 1, "should be a path"),
        ("data_dir", "a\0b", "should be a path"),
    ],
)  # fmt: skip
def test_what_each_setting_refuses(tmp_path: Path, name: str, value: object, message: str) -> None:
    """A value that a setting cannot have is refused with what it should be."""
    assert refused({"data_dir": tmp_path, name: value}, {}) == {name: message}


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Faults of flag, environment and file are told together, also without a usable directory."""
    (tmp_path / "settings.toml").write_text("retention = 0\ncolour = 1", encoding="utf-8")
    environment = {"STUDIO_PORT": "x"}
    found = refused({"data_dir": tmp_path, "workers": 0}, environment)
    assert set(found) == {"retention", "colour", "port", "workers"}
    assert set(refused({"data_dir": "", "workers": 0}, environment)) == {"data_dir", "workers", "port"}  # fmt: skip


def test_unknown_names_in_the_file(tmp_path: Path) -> None:
    """A name that no setting has is a fault, with the name that was perhaps meant."""
    (tmp_path / "settings.toml").write_text("max_bar = 1\n[server]\nport = 1", encoding="utf-8")
    assert refused({"data_dir": tmp_path}, {}) == {
        "max_bar": "unknown setting; did you mean 'max_bars'?",
        "server": "unknown setting",
    }


def test_what_cannot_stand_in_the_file(tmp_path: Path) -> None:
    """Neither the token nor the place of the file is taken from it; the token from no flag either."""
    (tmp_path / "settings.toml").write_text("data_dir = 'a'\ntoken = 'secret'", encoding="utf-8")
    only = "is read from STUDIO_TOKEN only; name a file with token_file"
    assert refused({"data_dir": tmp_path}, {}) == {
        "data_dir": "cannot stand in settings.toml, which is looked for there",
        "token": only,
    }
    assert refused({"data_dir": tmp_path / "none", "token": "secret"}, {}) == {"token": only}


def test_the_token_is_taken_from_the_environment(tmp_path: Path) -> None:
    """Settings leave the token where it is and never hold it; taken, it is there no longer."""
    environment = {"STUDIO_TOKEN": "secret", "OTHER": "stays"}
    assert "secret" not in repr(read_settings({"data_dir": tmp_path}, environment))
    assert set(environment) == {"STUDIO_TOKEN", "OTHER"}
    assert take_token(environment) == "secret"
    assert environment == {"OTHER": "stays"}
    assert take_token(environment) is None
    assert take_token({"STUDIO_TOKEN": ""}) is None


def test_origins_are_as_browsers_send_them(tmp_path: Path) -> None:
    """The allow-list names each origin once, that of the Studio included, in a browser's writing."""
    asked = ["HTTP://Localhost:80", "https://a.b:443", "https://a.b", "http://[0:0::1]:81"]
    flags = {"data_dir": tmp_path, "cors_origins": asked}
    own = ("http://localhost", "https://a.b", "http://[::1]:81")
    assert read_settings(flags, {}).origins == own
    for url, origin in (
        ("https://Studio.Example:443/x?y#z", "https://studio.example"),
        ("http://studio.example:8080", "http://studio.example:8080"),
        ("http://s?y", "http://s"),
    ):
        assert read_settings(flags | {"studio_url": url}, {}).origins == (*own, origin)
    assert read_settings(flags | {"studio_url": "https://a.b/c"}, {}).origins == own
    assert read_settings({"data_dir": tmp_path}, {}).origins == ()


def test_defaults_of_the_engine_hold_here() -> None:
    """Where the engine has a limit of its own, the setting's default is the same."""
    settings, file = Settings(), FileLimits()
    assert settings.limits == Limits()
    assert settings.max_import_rows == file.max_rows
    assert settings.max_import_bytes == file.max_unpacked_bytes


def test_what_a_server_starts_with_is_light() -> None:
    """Settings, the code's version and the kernel's guise are told without the slow libraries."""
    told = "engine.code.code_version(), engine.kernels.kernel_guise()"
    script = f"import sys, {LIGHT}; {told}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)  # fmt: skip
    assert not {"pydantic", "numpy", "pandas", "pyarrow"} & set(done.stdout.split())
    assert "app.settings" in done.stdout.split()
