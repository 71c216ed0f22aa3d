"""Decimal marks and thousands: told where a column is certain, asked for where it is not."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.data import Dataset, FileProvider, ReadOptions
from engine.errors import ConfigError, DataError

Load = Callable[..., Dataset]


@pytest.fixture(name="load")
def load_fixture(tmp_path: Path) -> Load:
    def call(
        prices: Sequence[str],
        *,
        separator: str = ";",
        volumes: Sequence[str] = (),
        quote: str = "",
        **options: str,
    ) -> Dataset:
        rows = [["Date", "Open", "High", "Low", "Close", *(["Volume"] if volumes else [])]]
        for i, price in enumerate(prices):
            cells = [price] * 4 + list(volumes[i : i + 1])
            rows.append([f"2024-01-{2 + i:02}", *(f"{quote}{cell}{quote}" for cell in cells)])
        path = tmp_path / "X.csv"
        path.write_text("\n".join(separator.join(row) for row in rows), encoding="utf-8")
        provider = FileProvider(path, ReadOptions(**options))  # type: ignore[arg-type]  # all text
        return provider.read("X", "1d", options.get("on_bad_rows", "refuse"))

    return call


CERTAIN = {
    "comma": (["12,5", "1234,5", "0,125"], [12.5, 1234.5, 0.125]),
    "point": (["12.5", "1234.5", "0.125"], [12.5, 1234.5, 0.125]),
    "comma_one_sure": (["1,234", "1,235", "1,2355"], [1.234, 1.235, 1.2355]),
    "point_one_sure": (["1.234", "1.235", "1.2355"], [1.234, 1.235, 1.2355]),
    "comma_after_four_digits": (["1234,567", "1,234", "2"], [1234.567, 1.234, 2.0]),
    "german": (["1.234,50", "12.345,25", "999,75"], [1234.5, 12345.25, 999.75]),
    "english": (["1,234.50", "12,345.25", "999.75"], [1234.5, 12345.25, 999.75]),
    "german_whole": (["1.234.567", "1.234", "2"], [1234567.0, 1234.0, 2.0]),
    "english_whole": (["1,234,567", "1,234", "2"], [1234567.0, 1234.0, 2.0]),
    "blanks": (["1 234,5", "12\u00a0345,25", "1\u202f234\u202f567,5"], [1234.5, 12345.25, 1234567.5]),
    "swiss": (["1'234.50", "12’345.25", "999.75"], [1234.5, 12345.25, 999.75]),
    "exponent": (["1,5e3", "2E0", "1,234"], [1500.0, 2.0, 1.234]),
    "signs": (["+12,5", " 12,5 ", "12,"], [12.5, 12.5, 12.0]),
    "no_mark": (["12", "1234", "7"], [12.0, 1234.0, 7.0]),
}  # fmt: skip


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("case", CERTAIN)
def test_certain(case: str, separator: str, load: Load) -> None:
    """One number that can be read in one way only settles all of the file's."""
    texts, want = CERTAIN[case]
    quote = '"' if separator == "," else ""
    assert load(texts, separator=separator, quote=quote).candles.close.tolist() == want


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_ambiguous(mark: str, decimal: str, separator: str, load: Load) -> None:
    """Where every number may be read in two ways the decimal mark is asked for, never guessed."""
    texts = [f"1{mark}234", f"12{mark}345", f"999{mark}125"]
    with pytest.raises(DataError, match=rf"X\.csv: .*such as 1\{mark}234.*give decimal"):
        load(texts, separator=separator)
    factor = 1 if mark == decimal else 1000
    want = [1.234 * factor, 12.345 * factor, 999.125 * factor]
    assert load(texts, separator=separator, decimal=decimal).candles.close.tolist() == want


def test_ambiguous_quoted(load: Load) -> None:
    """Quoted commas in a file of commas are as ambiguous as in any other."""
    with pytest.raises(DataError, match="such as 1,234, do not tell"):
        load(["1,234", "2,345"], separator=",", quote='"')


def test_points_between_commas(load: Load) -> None:
    """In a file of commas a lone point is the decimal one, three digits after it or not."""
    texts = ["109.125", "109.250", "110.375"]
    assert load(texts, separator=",").candles.close.tolist() == [109.125, 109.25, 110.375]


def test_other_columns_tell(load: Load) -> None:
    """All columns of a file are written alike, so that one tells for the others."""
    dataset = load(["12,5", "12,75"], volumes=["1.234", "12.345"])
    assert dataset.candles.volume is not None
    assert dataset.candles.volume.tolist() == [1234.0, 12345.0]


@pytest.mark.parametrize("texts", [["12,5", "12.5"], ["1,234.5", "1.234,5"]])
def test_contradicting(texts: list[str], load: Load) -> None:
    """Numbers of both kinds ask for the decimal mark, which makes the others no numbers."""
    with pytest.raises(DataError, match=r"decimal points and decimal commas.*give decimal"):
        load(texts)
    with pytest.raises(DataError, match=r"price that is missing.*\(1 row, first 2\)"):
        load(texts, decimal="," if texts[0].endswith(",5") else ".")


def test_contradicting_late(tmp_path: Path) -> None:
    """A number of the other kind is found beyond the first megabyte too."""
    n = 40_000
    rows = [f"{1_577_836_800 + 60 * i};2,5;2,5;2,5;2,5" for i in range(n)]
    rows[-1] = rows[-1].replace("2,5", "2.5")
    path = tmp_path / "X.csv"
    path.write_text("Time;Open;High;Low;Close\n" + "\n".join(rows), encoding="utf-8")
    assert path.stat().st_size > 2**20
    with pytest.raises(DataError, match=r"such as in 2\.5; give decimal"):
        FileProvider(path).read("X", "1m", "refuse")


@pytest.mark.parametrize(
    "cell", ["1,23,456", "12,34.5", "1.2.3", ",", "1,,2", "1 23", "1,234.567,8"]
)
def test_bad_grouping(cell: str, load: Load) -> None:
    """Marks that group by anything but threes make a cell no number."""
    with pytest.raises(DataError, match=r"price that is missing.*\(1 row, first 3\)"):
        load(["12.5", "13.5", cell])


@pytest.mark.parametrize("decimal", ["", ";", "comma", ".,"])
def test_unknown_mark(decimal: str, load: Load) -> None:
    """Only a point or a comma can be asked for."""
    with pytest.raises(ConfigError, match=r"decimal: should be '\.' or ','"):
        load(["12.5"], decimal=decimal)


def test_given_mark_of_plain_numbers(load: Load) -> None:
    """A decimal comma asked for makes the points of plain numbers group thousands."""
    assert load(["1.234", "1.235"], decimal=",").candles.close.tolist() == [1234.0, 1235.0]
