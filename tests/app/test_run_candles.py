"""Runs on candle files given by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.config_file import sample_config

Studio = Callable[..., Any]


def test_candles_from_a_file_are_named_by_it(studio: Studio, candles: Path) -> None:
    """Symbol and timeframe are taken from the file's name where nothing else tells them."""
    summary = json.loads(studio("run", "--candles", candles, "--json", "--no-plot").out)
    assert (summary["symbol"], summary["timeframe"], summary["provider"]) == ("TEST", "1d", "local")
    assert summary["n_bars"] == 6
    assert [warning["code"] for warning in summary["warnings"]] == ["no_trade", "short_sample"]


def test_candles_alone_are_run_as_the_sample_is(studio: Studio, candles: Path) -> None:
    """Without a configuration the sample's holds: its costs, its tests, its seed."""
    ended = studio("run", "--candles", candles, "--out", "r", "--no-plot")
    assert (ended.code, "Whether to believe it" in ended.out) == (0, True), ended.err
    written = json.loads(Path("r/config.json").read_bytes())
    sample = sample_config()
    assert written["execution"].items() >= sample["execution"].items()
    assert all(written["validation"][name] for name in sample["validation"])
    assert (written["seed"], written["provider"]) == (sample["seed"], "local")
    bare = studio("run", "--candles", candles, "--set", "validation={}", "--no-plot")
    assert (bare.code, "Whether to believe it: not tested" in bare.out) == (0, True)


def test_no_other_origin_is_claimed(studio: Studio, candles: Path) -> None:
    """Candles of a file are local ones; a run of them that says otherwise is refused."""
    ended = studio("run", "--candles", candles, "--set", "provider=sample", "--no-plot")
    assert (ended.code, ended.err) == (
        2, "studio: provider: is local where --candles names a file\n",
    )  # fmt: skip
    assert studio("run", "--candles", candles, "--set", "provider=local", "--no-plot").code == 0


def test_timeframe_is_told_by_the_bars(studio: Studio, candles: Path) -> None:
    """A file whose name tells no timeframe is taken for what the step between its bars is."""
    plain = candles.rename(candles.with_name("TEST.csv"))
    summary = json.loads(studio("run", "--candles", plain, "--json", "--no-plot").out)
    assert (summary["symbol"], summary["timeframe"]) == ("TEST", "1d")
    named = studio("run", "--candles", plain, "--symbol", "X", "--timeframe", "1h")
    assert (named.code, "bars are 1 day apart, which does not fit 1h" in named.err) == (3, True)


def test_a_configuration_for_a_file(studio: Studio, candles: Path, tmp_path: Path) -> None:
    """A configuration may leave the timeframe to the file's name, or to its bars."""
    (tmp_path / "data").mkdir()
    config = tmp_path / "data/c.json"
    config.write_text('{"symbol": "OWN", "provider": "sample", "plot": false}', encoding="utf-8")
    named = json.loads(studio("run", config, "--candles", candles, "--json").out)
    assert (named["symbol"], named["timeframe"], named["provider"]) == ("OWN", "1d", "local")
    odd = candles.rename(tmp_path / "data/bars of mine.csv")
    told = json.loads(studio("run", config, "--candles", odd, "--json").out)
    assert told["run_hash"] == named["run_hash"]


def test_numbers_with_decimal_commas(studio: Studio, candles: Path) -> None:
    """A file with decimal commas is the same run; where it does not tell, --decimal does."""
    plain = json.loads(studio("run", "--candles", candles, "--json", "--no-plot").out)
    six_days = candles.read_text(encoding="utf-8")
    commas = six_days.replace(",", ";").replace("102;103", "102,0;103")
    candles.write_text(commas, encoding="utf-8")
    comma = json.loads(studio("run", "--candles", candles, "--json", "--no-plot").out)
    assert comma["run_hash"] == plain["run_hash"]
    thousands = six_days.replace(",", ";").replace(";1000", ";1.000")
    candles.write_text(thousands, encoding="utf-8")
    asked = studio("run", "--candles", candles, "--json", "--no-plot")
    assert (asked.code, "give decimal" in asked.err) == (3, True)
    given = studio("run", "--candles", candles, "--decimal", ",", "--json", "--no-plot")
    assert json.loads(given.out)["run_hash"] == plain["run_hash"]
    assert studio("run", "--candles", candles, "--decimal", "x").code == 2


def test_file_and_data_directory_give_the_same_run(
    studio: Studio, candles: Path, tmp_path: Path
) -> None:
    """Candles given by hand and the same in the data directory are one and the same run."""
    by_hand = json.loads(studio("run", "--candles", candles, "--json", "--no-plot").out)
    (tmp_path / "data/candles").mkdir(parents=True)
    candles.rename(tmp_path / "data/candles/TEST_1d.csv")
    again = studio("run", "--set", "symbol=TEST", "--set", "provider=local", "--json", "--no-plot")
    assert json.loads(again.out)["run_hash"] == by_hand["run_hash"]


def test_bad_candles_name_file_rule_and_rows(studio: Studio, candles: Path, tmp_path: Path) -> None:
    """Bad rows end the run with the file, the rule, the count and the first rows."""
    bad = candles.read_text(encoding="utf-8").replace("102,104,101,103", "102,104,101,-3")
    candles.write_text(bad, encoding="utf-8")
    ended = studio("run", "--candles", candles)
    assert ended.code == 3
    assert (
        "TEST_1d.csv: a price that is missing, not a number, or not above zero (1 row, first 3)"
        in ended.err
    )
    assert [path.name for path in tmp_path.iterdir()] == ["TEST_1d.csv"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"2024-01-01,{'9' * 400},1,1,1,1", "a price that is missing, not a number"),
        ("0001-01-01,1,1,1,1,1", "a time that is missing or cannot be read"),
    ],
)
def test_rows_that_are_all_bad(studio: Studio, candles: Path, row: str, words: str) -> None:
    """A file of bad rows alone is refused for them; that they were dropped is said if they were."""
    plain = candles.rename(candles.with_name("TEST.csv"))
    plain.write_text(f"Date,Open,High,Low,Close,Volume\n{row}\n{row}\n", encoding="utf-8")
    ended = studio("run", "--candles", plain)
    assert (ended.code, words in ended.err, "dropped" in ended.err) == (3, True, False)
    for drop in (("--on-bad-rows", "drop"), ("--set", "on_bad_rows=drop")):
        ended = studio("run", "--candles", plain, *drop)
        assert (ended.code, "no row is left after the bad" in ended.err) == (3, True)


def test_one_bar_tells_no_timeframe(studio: Studio, candles: Path) -> None:
    """What the bars do not tell is asked for, and --set may give it."""
    plain = candles.rename(candles.with_name("TEST.csv"))
    lines = plain.read_text(encoding="utf-8").splitlines()
    plain.write_text("\n".join(lines[:2]), encoding="utf-8")
    ended = studio("run", "--candles", plain)
    assert (ended.code, "one bar does not tell its timeframe; give it: 1m, " in ended.err) == (
        3,
        True,
    )
    assert studio("run", "--candles", plain, "--no-plot", "--set", "timeframe=1d").code == 0


def test_dropped_rows_are_said(studio: Studio, candles: Path) -> None:
    """What normalisation changed is said on standard error, not in the run."""
    bad = candles.read_text(encoding="utf-8").replace("102,104,101,103", "102,104,101,-3")
    candles.write_text(bad, encoding="utf-8")
    ended = studio("run", "--candles", candles, "--set", "on_bad_rows=drop", "--json", "--no-plot")
    assert (ended.code, ended.err) == (0, "studio: of 6 rows, 1 dropped for a bad price.\n")
    assert json.loads(ended.out)["n_bars"] == 5
    flag = studio("run", "--candles", candles, "--on-bad-rows", "drop", "--json", "--no-plot")
    assert (flag.code, flag.out) == (0, ended.out)
