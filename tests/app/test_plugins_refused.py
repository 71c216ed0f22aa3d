"""Plugins that cannot be loaded or built, each refused with its file and line."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from plugin_sources import COMPONENTS, SAMPLE, STRATEGY, TEST, Studio

from engine.errors import ConfigError, PluginError, StudioError
from engine.pipeline import run
from engine.plan import make_plan
from engine.plugins import REGISTRIES, Plugin


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(:\n  pass", "mine.py, line 1: invalid syntax"),
        ("\n\n1 / 0", "mine.py, line 3: ZeroDivisionError: division by zero"),
        ("import nosuchmodule", "mine.py, line 1: ModuleNotFoundError"),
        ("x = 1", "mine.py registers no component"),
        ("x = '\0'", "mine.py"),
        (STRATEGY.replace('"mine"', '"dual_sma"'), "the strategy 'dual_sma' is registered twice"),
        (STRATEGY.replace("BODY", "1") + "raise ValueError('late')", "line 13: ValueError: late"),
        (COMPONENTS.replace("needs_volume", "volume"),
         "mine.py: the indicator 'short' lacks needs_volume, which should be True or False"),
        (STRATEGY.replace("features", "reads"), "the strategy 'mine' lacks the method features"),
        (COMPONENTS.replace("def sizes", "def size"), "model 'negative' lacks the method sizes"),
        (TEST.replace("def run", "def runs"), "validation test 'odd' lacks the method run"),
        (TEST.replace("(self, params)", "(self)"), "mine.py: the validation test 'odd' cannot be"),
        (STRATEGY.replace("pass", "raise KeyError(1)"), "mine.py, line 9: KeyError: 1"),
        (STRATEGY.replace("pass", "raise TypeError(1)"), "mine.py, line 9: TypeError: 1"),
        (STRATEGY.replace('"mine"', "5"), "strategy 5 should be called by 1 to 64 printable"),
        (STRATEGY.replace('"mine"', '"\\ud800"'), "should be called by 1 to 64 printable"),
        (STRATEGY.replace("Params)", "dict)"), "of the strategy 'mine' should be a subclass of Par"),
    ],
)  # fmt: skip
def test_plugins_that_cannot_be_loaded(
    load: Callable[[str], Plugin], source: str, words: str
) -> None:
    """A file that does not load is refused with its line, and nothing of it stays."""
    before = {kind: list(registry) for kind, registry in REGISTRIES.items()}
    with pytest.raises(ConfigError, match=re.escape(words)):
        load(source)
    assert {kind: list(registry) for kind, registry in REGISTRIES.items()} == before


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("length: int", "the strategy 'mine' has no default for its parameter length"),
        ("length: int = 2.5", "the strategy 'mine' has a wrong default: length: should be a valid"),
        ("length: int = 2**60", "'mine' has a default for length that JSON cannot keep exactly"),
        ("length: tuple[int, ...] = (1,)", "default for length that JSON cannot keep exactly"),
        ("length: object = object()", "default for length that JSON cannot keep exactly"),
        ("length: str = '\\ud800'", "default for length that JSON cannot keep exactly"),
        ("length: Callable[[], int] | None = None", "cannot be described as a JSON Schema"),
        ("length: int = Field(1, description='\\ud800')", "cannot be described as a JSON Schema"),
    ],
)
@pytest.mark.usefixtures("unload_after")
def test_parameters_without_a_usable_default(
    studio: Studio, tmp_path: Path, fields: str, words: str
) -> None:
    """Forms and hashes need every default, so a plugin without one is refused by every command."""
    own = f"from typing import Callable\nfrom pydantic import Field\nclass Own(Params):\n    {fields}\n@strategies"
    source = STRATEGY.replace("Params)", "Own)").replace("@strategies", own)
    (tmp_path / "mine.py").write_text(source, encoding="utf-8")
    for command in ("catalog", "run"):
        ended = studio(command, "--plugins", "mine.py")
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert ended.err.startswith("studio: plugins: mine.py: ")
        assert words in ended.err


def test_unreadable_plugins(studio: Studio) -> None:
    """A plugin that is not there ends the command with exit code 2."""
    ended = studio("run", "--plugins", "nowhere.py")
    assert (ended.code, "nowhere.py cannot be read: no such file" in ended.err) == (2, True)


def test_a_strategy_that_reads_an_unknown_feature(load: Callable[[str], Plugin]) -> None:
    """A strategy that asks for an unknown indicator is told so before anything runs."""
    source = STRATEGY.replace("return []", "return [FeatureSpec('smaa')]").replace("BODY", "1")
    load("from engine.features import FeatureSpec\n" + source)
    with pytest.raises(ConfigError, match="unknown indicator 'smaa'; did you mean 'sma'"):
        make_plan(SAMPLE | {"strategy": {"name": "mine"}})


def test_a_faulty_constructor_is_the_plugins(load: Callable[[str], Plugin]) -> None:
    """An error while a component is built for a run carries the plugin's line as well."""
    once = "    built = []\n    def __init__(self, params): self.built.append(1 / (not self.built))"
    load(STRATEGY.replace("    def __init__(self, params): pass", once))
    with pytest.raises(PluginError, match=r"mine.py, line 10: ZeroDivisionError"):
        run(SAMPLE | {"strategy": {"name": "mine"}})


def test_a_plugin_that_exits(load: Callable[[str], Plugin]) -> None:
    """A plugin cannot end the program: neither while it loads nor in a run."""
    with pytest.raises(ConfigError, match=r"mine.py, line 1: SystemExit"):
        load("raise SystemExit(0)")
    load(
        STRATEGY.replace("BODY", "exit()").replace(
            "import numpy", "from sys import exit\nimport numpy"
        )
    )
    with pytest.raises(PluginError, match=r"mine.py, line 13: SystemExit"):
        run(SAMPLE | {"strategy": {"name": "mine"}})


@pytest.mark.parametrize(("name", "error"), [("ts", PluginError), ("sma_5", ConfigError)])
def test_two_equal_columns_are_refused(
    load: Callable[[str], Plugin], name: str, error: type[StudioError]
) -> None:
    """Two features of one column are the configuration's fault, a column ``ts`` is the plugin's."""
    source = COMPONENTS.replace('"short"', f'"{name}"').replace(
        "np.ones(2)}", "inputs.candles.close}"
    )
    load(source)
    listed = [{"name": "sma", "params": {"length": 5}}, {"name": name}]
    with pytest.raises(error, match=name):
        run(SAMPLE | {"indicators": listed})
