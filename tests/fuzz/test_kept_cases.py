"""Cases of the long fuzzers that are worth keeping, and a short run of each of them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from engine.data import ReadOptions
from scripts import fuzz_config, fuzz_events, fuzz_import
from scripts.fuzz_at_length import command, fuzz, no_warnings
from scripts.fuzz_import import LIMITS

BARS = b"time,open,high,low,close\n2024-01-02,2,4,1,3\n2024-01-03,3,5,2,4\n2024-01-04,4,5,2,4\n"
FILES: dict[str, tuple[bytes, str]] = {
    "good": (BARS, "taken"),
    "packed": (gzip.compress(BARS, mtime=0), "taken"),
    "packed in two parts": (gzip.compress(BARS, mtime=0) + gzip.compress(b"", mtime=0), "taken"),
    "in another order": (b"\n".join([*BARS.split(b"\n")[:1], *BARS.split(b"\n")[:0:-1]]), "taken"),
    "a row twice": (BARS + b"2024-01-04,4,5,2,4\n", "taken"),
    "two rows of one time": (BARS + b"2024-01-04,4,5,3,4\n", "refused"),
    "nothing": (b"", "refused"),
    "a header": (BARS[:25], "refused"),
    "the end of a packed file": (gzip.compress(BARS, mtime=0)[:-9], "refused"),
    "infinity": (BARS.replace(b"5", b"inf"), "refused"),
    "beyond every number": (BARS.replace(b"5", b"1e999"), "refused"),
    "almost nothing": (BARS.replace(b"1,3", b"1e-400,3"), "refused"),
    "a year that is none": (BARS.replace(b"2024-01-04", b"0001-01-01"), "refused"),
    "a day that is none": (BARS.replace(b"2024-01-04", b"2024-02-30"), "refused"),
    "a zero byte": (BARS.replace(b"4,1", b"\x00,1"), "refused"),
    "digits of Japan": (BARS.replace(b"2,4,1", "2,4,１".encode()), "refused"),
    "four marks of Parquet": (b"PAR1PAR1PAR1PAR1", "refused"),
}
CONFIGS: dict[str, tuple[dict[str, Any], fuzz_config.Made, str]] = {
    "one bar": ({}, fuzz_config.Made("walk", 1, 0), "run"),
    "one bar, every test": (
        {
            "validation": {
                "permutation": {"n": 3},
                "block_bootstrap": {"n": 3},
                "monte_carlo": {"n": 1, "noise_bps": 0.0},
                "walk_forward": {},
            }
        },
        fuzz_config.Made("walk", 1, 0),
        "run",
    ),
    "prices that never move": ({}, fuzz_config.Made("flat", 250, 0), "run"),
    "a fall by 99 %, held twice over": (
        {
            "strategy": {"name": "buy_and_hold"},
            "risk": {"name": "fixed_fraction", "params": {"max_leverage": 2.0, "fraction": 2.0}},
            "validation": {"block_bootstrap": {"n": 5}, "monte_carlo": {"n": 5, "noise_bps": 5.0}},
        },
        fuzz_config.Made("crash", 120, 0),
        "run",
    ),
    "not a number": (
        {"risk_free_annual": float("nan")},
        fuzz_config.Made("walk", 10, 0),
        "ConfigError",
    ),
    "too many replicates": (
        {"validation": {"permutation": {"n": 31}}},
        fuzz_config.Made("walk", 10, 0),
        "LimitError",
    ),
    "nothing in the range": ({"start": "2031-01-01"}, fuzz_config.Made("walk", 10, 0), "DataError"),
}
BEGIN: list[fuzz_events.Step] = [("change", "create", 0, 1), ("change", "claim", 0, 1)]
END: fuzz_events.Step = ("change", "complete", 0, 1)
STORIES: dict[str, tuple[list[fuzz_events.Step], str]] = {
    "followed before there is a run": ([("connect", 0, 0, "header"), *BEGIN, END], "some events"),
    "beyond the tail": (
        [*BEGIN, ("connect", 0, 0, "header"), ("read", 0, 2), ("change", "progress", 0, 600),
         ("drop", 0), ("change", "progress", 0, 600), ("connect", 0, 0, "both"), END],
        "many events",
    ),
    "a restart in the middle": (
        [*BEGIN, ("connect", 0, 0, "query"), ("change", "progress", 0, 300), ("read", 0, 5),
         ("restart", 0), ("connect", 0, 0, "padded"), END],
        "many events",
    ),
    "removed and made anew": (
        [*BEGIN, ("connect", 0, 0, "header"), END, ("read", 0, 1), ("remove", 0), *BEGIN,
         ("read", 0, 1000), ("connect", 0, 0, "header")],
        "some events",
    ),
    "an end in the middle": (
        [*BEGIN, ("change", "fail", 0, 1), ("connect", 0, 0, "header"), *BEGIN, ("read", 0, 1000),
         ("ahead", 0), ("flush", 0, 0, "query"), END],
        "some events",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_file(name: str, tmp_path: Path) -> None:
    """Each file is refused in a sentence, or taken and comes back the same."""
    content, outcome = FILES[name]
    case = fuzz_import.Case(content, None, ReadOptions(limits=LIMITS), None)
    with no_warnings():
        assert fuzz_import.check(case, tmp_path) == outcome


@pytest.mark.parametrize("name", CONFIGS)
def test_config(name: str, tmp_path: Path) -> None:
    """Each configuration is refused by its field, or a run of figures that can be read."""
    config, made, outcome = CONFIGS[name]
    case = fuzz_config.Case({"symbol": "FUZZ", "plot": False, **config}, made)
    with no_warnings():
        assert fuzz_config.check(case, tmp_path) == outcome


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str, tmp_path: Path) -> None:
    """Whoever resumes sees each event once and in order."""
    story, outcome = STORIES[name]
    assert fuzz_events.check(story, tmp_path) == outcome


@pytest.mark.parametrize("script", [fuzz_import, fuzz_config, fuzz_events])
def test_short_run(script: Any) -> None:
    """A few cases of each fuzzer find nothing."""
    outcome = fuzz(script.cases(), script.check, minutes=0, first_seed=7, examples=8)
    assert outcome.findings == {}
    assert outcome.cases >= 8
    assert outcome.cases == sum(outcome.kinds.values())


def test_finding(capsys: pytest.CaptureFixture[str]) -> None:
    """What a check raises is told once, with its smallest case and the seed of its round."""

    def check(case: list[int], folder: Path) -> str:
        assert folder.is_dir()
        assert len(case) < 3, "too long"
        return "short"

    outcome = fuzz(st.lists(st.integers(0, 9)), check, minutes=0, first_seed=5)
    (words,) = outcome.findings.values()
    assert "too long" in words
    assert "[0, 0, 0]" in words
    assert "--seed 5" in capsys.readouterr().out


def test_kept_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says how many cases there were and of which kinds, and keeps it as JSON."""
    kept = tmp_path / "outcome.json"
    given = ["fuzz", "--minutes", "0", "--seed", "3", "--json", str(kept)]
    monkeypatch.setattr("sys.argv", given)
    parity = lambda case, _: "odd" if case % 2 else "even"  # noqa: E731  # a check in a line
    assert command("Fuzz.", lambda: st.integers(0, 9), parity, examples=10) == 0
    found = json.loads(kept.read_text(encoding="utf-8"))
    assert set(found["kinds"]) == {"odd", "even"}
    assert sum(found["kinds"].values()) == found["cases"] == 10
    assert (found["seed"], found["rounds"], found["findings"]) == (3, 1, {})
    assert f"odd: {found['kinds']['odd']}" in capsys.readouterr().out
