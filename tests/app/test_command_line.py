"""What the command line says of itself: help, usage errors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from app.cli import cli
from engine.config import TIMEFRAME_MS

Studio = Callable[..., Any]


def commands() -> Iterator[list[str]]:
    """Yield the words of every command."""
    program: Any = typer.main.get_command(cli)
    for name, command in program.commands.items():
        inner = getattr(command, "commands", {})
        yield [name]
        yield from ([name, each] for each in inner)


def test_without_a_command_the_help_is_shown_as_it_is(studio: Studio) -> None:
    """It is wrong usage still, and nothing goes to whoever waits for results."""
    for words in ([], ["presets"]):
        ended = studio(*words)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith(" ".join(["Usage: studio", *words, "[OPTIONS] COMMAND"]))
        assert ended.err.strip() == studio(*words, "--help").out.strip()


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_its_help(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """-h, --help and the command help show the same page, no line over 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    page = studio(*words, "--help")
    assert (page.code, page.err) == (0, "")
    assert page.out.startswith(" ".join(["Usage: studio", *words]))
    assert studio(*words, "-h").out == studio("help", *words).out == page.out
    assert all(len(line) <= 80 for line in page.out.splitlines())
    assert "list[" not in page.out.partition("Options:")[2]


def test_every_command_is_listed_in_full(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what a command does is cut off at 80 columns; every option says what it is."""
    monkeypatch.setenv("COLUMNS", "80")
    top = studio("help").out
    assert "..." not in top.partition("Options:")[2]
    for words in commands():
        listed = studio(*words, "--help").out.partition("Commands:")[2]
        assert "..." not in listed
    assert "--version   Show the version" in top


def test_the_help_of_run_has_examples(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them stand at its end, one a line."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = studio("run", "--help").out.rstrip().splitlines()
    assert [line.split()[:2] for line in lines[-3:]] == [["Examples:"], *[["studio", "run"]] * 2]


def test_the_timeframes_are_told(studio: Studio) -> None:
    """All of them, in the help of the flag."""
    for command in ("run", "import"):
        page = " ".join(studio(command, "--help").out.split())
        assert f"From bar to bar: {' '.join(TIMEFRAME_MS)} [" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope'. See 'studio --help'."),
        (["help", "nope"], "No such command 'nope'. See 'studio --help'."),
        (["presets", "nope"], "No such command 'nope'. See 'studio presets --help'."),
        (["export", "x"], "Missing argument 'TABLE'. See 'studio export --help'."),
        (["run", "--out"], "Option '--out' requires an argument. See 'studio run --help'."),
        (["presets", "import", "--name"], "Option '--name' requires an argument. See 'studio presets import --help'."),
        (["verify", "--nope"], "No such option: --nope. See 'studio verify --help'."),
        (
            ["run", "--qqqqqqqq", "10"],
            "No such option: --qqqqqqqq. A field of the configuration is set with --set field=value. See 'studio run --help'.",
        ),
    ],
)  # fmt: skip
def test_wrong_usage_names_the_page_to_read(
    studio: Studio, arguments: list[str], said: str
) -> None:
    """A usage error is a sentence, then the page of the very command."""
    ended = studio(*arguments)
    assert (ended.code, ended.out, ended.err) == (2, "", f"studio: {said}\n")


@pytest.mark.parametrize(
    ("command", "parameter"),
    [
        (["serve", "--data-dir"], "--data-dir"),
        (["serve", "--token-file"], "--token-file"),
        (["desktop", "--plugins"], "--plugins"),
        (["run"], "CONFIG"),
        (["run", "--candles"], "--candles"),
        (["run", "--out"], "--out"),
        (["import"], "FILE"),
        (["presets", "import"], "FILE"),
        (["presets", "export", "mine", "--out"], "--out"),
        (["verify"], "RUN"),
        (["report", "x", "--out"], "--out"),
        (["export"], "RUN"),
    ],
)
def test_an_empty_path_is_not_this_directory(
    studio: Studio, tmp_path: Path, command: list[str], parameter: str
) -> None:
    """What a variable that is not set leaves of a path is refused, and nothing is made."""
    ended = studio(*command, "", *(["equity"] if command == ["export"] else []))
    assert (ended.code, ended.out) == (2, "")
    assert f"Invalid value for '{parameter}': a path should not be empty. See " in ended.err
    assert list(tmp_path.iterdir()) == []


def test_the_width_of_what_a_pipe_gets(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is COLUMNS where that says one, and no line ends in blanks."""
    monkeypatch.delenv("COLUMNS", raising=False)
    for columns, widest in (("", 160), ("0", 160), ("wide", 160), ("60", 60)):
        monkeypatch.setenv("COLUMNS", columns)
        lines = studio("datasets").out.splitlines()
        assert max(map(len, lines)) <= widest
        assert lines == [line.rstrip() for line in lines]
    results = studio("run", "--no-plot", "--set", "validation={}").out.splitlines()
    assert results == [line.rstrip() for line in results]
