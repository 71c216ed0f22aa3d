"""Commands about data: imports, the list of data sets, the catalogue, and tables as CSV."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from app.catalog import whole_catalog
from engine.artifacts.views import write_csv
from engine.errors import VerificationError
from engine.plugins import REGISTRIES

Studio = Callable[..., Any]

DAYS = """Date,Open,High,Low,Close,Volume
2024-01-02,100,101,99,100,1000
2024-01-03,100,103,100,102,1000
2024-01-04,102,104,101,103,1000
2024-01-04,102,104,101,103,1000
2024-01-08,103,103,98,99,1000
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ES_1d.csv"
    path.write_text(DAYS, encoding="utf-8")
    return path


def test_import_reports_and_makes_it_runnable(studio: Studio, file: Path, tmp_path: Path) -> None:
    """An import says what it brought and found; the data set is listed and can be run on."""
    ended = studio("import", file, "--calendar", "XNYS")
    assert ended.code == 0, ended.err
    assert "Imported ES 1d: 4 bars, 2024-01-02 to 2024-01-08." in ended.out
    assert "of 5 rows, 1 dropped for repeating another row; 1 after a gap." in ended.out
    listed = json.loads(studio("datasets", "--json").out)["datasets"]
    assert [(info["provider"], info["symbol"]) for info in listed] == [
        ("local", "ES"),
        ("sample", "IXIC"),
        ("sample", "SPX"),
    ]
    assert (listed[0]["bars"], listed[0]["calendar"]) == (4, "XNYS")
    assert listed[0]["quality"]["counts"] == {"exact_duplicate": 1, "gap": 1}
    table = studio("datasets").out
    assert "XNYS; 1 dropped for repeating another row; 1 after a gap" in table
    (tmp_path / "c.json").write_text('{"symbol": "ES", "plot": false}', encoding="utf-8")
    summary = json.loads(studio("run", "c.json", "--json", "--out", "r").out)
    assert (summary["n_bars"], summary["data_quality"]["gaps"]) == (4, 1)
    assert json.loads((tmp_path / "r/config.json").read_bytes())["calendar"] == "XNYS"
    assert studio("verify", "r", "--rerun").code == 0


def test_a_split_is_told_at_the_import_and_at_the_run(studio: Studio, tmp_path: Path) -> None:
    """A split that only the adjusted close knows is a finding, and a warning of the run."""
    rows = [f"2024-01-0{i},{c},{c},{c},{c},25" for i, c in ((2, 100), (3, 100), (4, 25), (5, 25))]
    header = "Date,Open,High,Low,Close,Adj Close"
    (tmp_path / "ES_1d.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    ended = studio("import", "ES_1d.csv")
    assert "1 with a split or a large dividend by the adjusted close" in ended.out
    said = "Warning: the adjusted close tells of a split or a large dividend at 2024-01-04, which"
    run = ("run", "--candles", "ES_1d.csv", "--no-plot", "--out")
    assert said in studio(*run, "as_is").out
    adjusted = studio(*run, "adjusted", "--set", "adjust=split_dividend").out
    assert "large dividend" not in adjusted


def test_an_import_is_the_same_run_as_its_file(studio: Studio, file: Path) -> None:
    """Candles given by hand and the same ones imported have one run hash."""
    by_hand = json.loads(studio("run", "--candles", file, "--json", "--no-plot").out)
    assert studio("import", file).code == 0
    config = ("--set", "symbol=ES", "--set", "provider=local")
    imported = json.loads(studio("run", *config, "--json", "--no-plot").out)
    assert imported["run_hash"] == by_hand["run_hash"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--symbol", "a/b"], 2, "symbol: should be 1 to 64 letters (A to Z, a to z), digits"),
        (["--symbol", "CON"], 2, "symbol: should be 1 to 64 letters (A to Z, a to z), digits"),
        (["--symbol", "Com9.x"], 2, "no device's name, such as nul"),
        (["--timeframe", "2d"], 2, "timeframe: should be '1m'"),
        (["--timeframe", "1h"], 3, "does not fit 1h"),
        (["--tz", "Mars/Olympus"], 2, "unknown time zone 'Mars/Olympus'"),
        (["--date-format", "DD/MM/YYYY"], 2, "date_format: 'DD/MM/YYYY' has no %"),
        (["--date-format", "%d.%m.%Y"], 3, "no time fits the format"),
        (["--calendar", "XNYZZ"], 2, "unknown calendar"),
        (["--on-bad-rows", "keep"], 2, "on_bad_rows"),
    ],
)
def test_bad_imports_change_nothing(
    studio: Studio, file: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    """An import that is refused says why and leaves no trace in the data directory."""
    ended = studio("import", file, *arguments)
    assert (ended.code, words in ended.err) == (code, True), ended.err
    assert not (tmp_path / "data/candles").exists()


def test_every_fault_of_an_import_is_told(studio: Studio, file: Path) -> None:
    """Flags that are wrong in several ways are refused with all of them."""
    ended = studio("import", file, "--tz", "x", "--calendar", "y", "--on-bad-rows", "z")
    assert ended.code == 2
    assert all(name in ended.err for name in ("tz: ", "calendar: ", "on_bad_rows: ")), ended.err


def test_a_held_data_directory(studio: Studio, file: Path, tmp_path: Path) -> None:
    """While another process holds the data directory an import ends with exit code 6."""
    (tmp_path / "data").mkdir()
    with FileLock(tmp_path / "data/lock"):
        code = f"import sys; from app.cli import main; sys.exit(main(['import', {str(file)!r}]))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
    assert (done.returncode, "is held by another process" in done.stderr) == (6, True)
    assert studio("import", file).code == 0


def test_a_data_directory_that_cannot_be_made(studio: Studio, file: Path, tmp_path: Path) -> None:
    """A file in the place of the data directory ends with exit code 4."""
    (tmp_path / "data").write_text("", encoding="utf-8")
    ended = studio("import", file)
    assert (ended.code, "data directory could not be written" in ended.err) == (4, True)


def test_a_data_directory_of_other_files(studio: Studio, file: Path, tmp_path: Path) -> None:
    """No command that would hold a directory with somebody's own tmp does so."""
    (tmp_path / "data/tmp/mine").mkdir(parents=True)
    (tmp_path / "preset.json").write_text('{"name": "mine", "config": {}}', encoding="utf-8")
    for command in (("import", file), ("presets", "import", "preset.json"), ("report", "0" * 20)):
        ended = studio(*command)
        assert (ended.code, "is not Studio's" in ended.err) == (6, True)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["tmp"]


def test_a_killed_import_leaves_nothing_for_good(
    studio: Studio, file: Path, tmp_path: Path
) -> None:
    """What an import had written as it was killed is gone after the next one."""
    code = f"""
import os
from app.cli import main
from engine.data import store
store.move = lambda *_: os._exit(9)
main(["import", {str(file)!r}])
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    (partial,) = (tmp_path / "data/candles").iterdir()
    assert partial.name.endswith(".partial")
    assert studio("import", file).code == 0
    assert [path.name for path in (tmp_path / "data/candles").iterdir()] == ["ES_1d.parquet"]


@pytest.mark.parametrize(
    ("name", "most", "words"),
    [
        ("MAX_IMPORT_ROWS", 4, "has more than 4 rows"),
        ("MAX_IMPORT_BYTES", 100, "unpacks to more than 100 bytes"),
    ],
)
def test_how_much_a_file_may_hold(
    studio: Studio, file: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int, words: str
) -> None:
    """The settings hold for an import, for a file given by hand and for one that was dropped."""
    packed = file.with_name("ES_1d.csv.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    (file.parent / "data/candles").mkdir(parents=True)
    (file.parent / "data/candles/ES_1d.csv").write_bytes(packed.read_bytes())
    commands = (
        ("import", packed, "--symbol", "NQ"),
        ("run", "--no-plot", "--candles", packed),
        ("run", "--no-plot", "--set", "symbol=ES", "--set", "provider=local"),
    )
    assert studio(*commands[-1]).code == 0  # which puts the bars into the cache
    monkeypatch.setenv(f"STUDIO_{name}", str(most))
    for command in commands:
        ended = studio(*command)
        assert (ended.code, words in ended.err) == (3, True), ended.err
    problems = [
        info["problem"] for info in json.loads(studio("datasets", "--json").out)["datasets"]
    ]
    assert words in problems[0]


def test_listing_shows_problems(studio: Studio, tmp_path: Path) -> None:
    """A file dropped by hand that is refused is listed with its problem."""
    (tmp_path / "data/candles").mkdir(parents=True)
    (tmp_path / "data/candles/ES_1d.csv").write_text("nothing", encoding="utf-8")
    assert "ES_1d.csv lacks the columns" in " ".join(studio("datasets").out.split())


def test_catalog_is_complete(studio: Studio) -> None:
    """Every component stands in the catalogue with a schema and the defaults that hold."""
    listed = json.loads(studio("catalog", "--json").out)
    assert listed == json.loads(json.dumps(whole_catalog()))
    for kind, registry in REGISTRIES.items():
        assert [item["name"] for item in listed[kind]] == sorted(registry)
    tests = ["block_bootstrap", "monte_carlo", "permutation", "walk_forward"]
    assert [item["name"] for item in listed["validation"]] == tests
    for kind in REGISTRIES:
        for item in listed[kind]:
            assert item["description"]
            assert set(item["defaults"]) == set(item["params"].get("properties", {}))
    text = studio("catalog").out
    assert "strategies (2)" in text
    assert "dual_sma" in text


def test_export_writes_csv(studio: Studio, tmp_path: Path) -> None:
    """A table of a run comes as CSV with the very numbers, on standard output or in a file."""
    assert studio("run", "--no-plot", "--out", "r", "--set", "end=2000-12-31").code == 0
    assert studio("export", "r", "equity", "--csv", "--out", "e.csv").code == 0
    assert studio("export", "r", "equity", "--out", "-").out == Path("e.csv").read_text("utf-8")
    lines = (tmp_path / "e.csv").read_text(encoding="utf-8").splitlines()
    table = pq.ParquetFile(tmp_path / "r/equity.parquet").read().to_pydict()
    assert lines[0] == "ts,close,target_weight,position,cash,equity,benchmark"
    for name, column in zip(
        lines[0].split(","), zip(*[x.split(",") for x in lines[1:]], strict=True), strict=True
    ):
        assert [float(cell) for cell in column] == table[name]
    assert lines[1].startswith("915408000000,")
    trades = (tmp_path / "r/trades.parquet").name
    assert studio("export", "r", trades, "--out", "t.csv").code == 0
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").count("long") > 5
    again = studio("export", "r", "equity", "--out", "e.csv")
    assert (again.code, "e.csv is there already" in again.err) == (2, True)
    nowhere = studio("export", "r", "equity", "--out", "no/such/e.csv")
    assert (nowhere.code, "no such file" in nowhere.err) == (4, True)
    unknown = studio("export", "r", "summary")
    assert (unknown.code, "it has drawdown.parquet" in unknown.err) == (2, True)
    assert studio("export", "none", "equity").code == 3


def test_export_to_standard_output(process: Studio) -> None:
    """Without a file the CSV goes to standard output."""
    assert process("run", "--no-plot", "--out", "r", "--set", "end=1999-12-31").code == 0
    ended = process("export", "r", "drawdown")
    assert ended.out.startswith("ts,drawdown\n915408000000,0\n")


def test_cells_that_a_spreadsheet_would_execute(tmp_path: Path) -> None:
    """Text that begins like a formula is led by an apostrophe; a damaged table is told."""
    cells = ["=1+1", "+1", "-1", "@x", "\tx", "plain", "a=b"]
    pq.write_table(pa.table({"side": cells, "n": [None, *range(6)]}), tmp_path / "t.parquet")
    with (tmp_path / "t.csv").open("wb") as out:
        write_csv(tmp_path / "t.parquet", out)
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()
    assert [line.rpartition(",")[0].strip('"') for line in lines[1:]] == [
        "'=1+1", "'+1", "'-1", "'@x", "'\tx", "plain", "a=b",
    ]  # fmt: skip
    assert lines[1].endswith(",")
    (tmp_path / "t.parquet").write_bytes(b"rubbish")
    with (tmp_path / "u.csv").open("wb") as out, pytest.raises(VerificationError, match="damaged"):
        write_csv(tmp_path / "t.parquet", out)


def test_a_damaged_table_is_not_exported(studio: Studio, tmp_path: Path) -> None:
    """A table that is not what the manifest says ends with exit code 5, and no file is begun."""
    assert studio("run", "--no-plot", "--out", "r", "--set", "end=1999-12-31").code == 0
    table = tmp_path / "r/equity.parquet"
    content = bytearray(table.read_bytes())
    content[200] ^= 255
    table.write_bytes(bytes(content))
    ended = studio("export", "r", "equity", "--out", "e.csv")
    assert (ended.code, "has been changed since the run" in ended.err) == (5, True)
    table.unlink()
    assert studio("export", "r", "equity", "--out", "e.csv").code == 5
    assert not (tmp_path / "e.csv").exists()
