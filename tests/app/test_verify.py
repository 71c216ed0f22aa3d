"""The command ``verify``: it finds damage, and makes a run again with ``--rerun``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.artifacts import metrics_document
from engine.artifacts.manifest import manifest_hash

Studio = Callable[..., Any]
PLUGIN = """
from engine.registry import Params
from engine.strategy import strategies


@strategies.register("mine", Params)
class Mine:
    def __init__(self, params):
        pass

    def features(self):
        return []

    def signals(self, view):
        return (view.candles.close > 1000).astype(int)
"""


@pytest.fixture
def run_dir(studio: Studio, tmp_path: Path) -> Path:
    assert studio("run", "--no-plot", "--out", "r").code == 0
    return tmp_path / "r"


def test_a_run_verifies(studio: Studio, run_dir: Path) -> None:
    """An untouched run verifies, file by file, by its directory and by its id."""
    ended = studio("verify", run_dir)
    assert ended.code == 0
    assert "Verified: 8 files, and the manifest holds." in ended.out
    assert ended.out.count("as the manifest says") == 8
    assert studio("run", "--no-plot").code == 0
    (named,) = (run_dir.parent / "studio-runs").iterdir()
    assert studio("verify", named.name).code == 0
    (run_dir.parent / "data/runs").mkdir(parents=True)
    named.rename(run_dir.parent / "data/runs" / named.name)
    assert studio("verify", named.name).code == 0


def test_a_run_can_be_made_again(studio: Studio, run_dir: Path) -> None:
    """--rerun makes the run again and finds every byte the same."""
    ended = studio("verify", run_dir, "--rerun")
    assert ended.code == 0
    assert ended.out.count("the same bytes again") == 9
    assert "running it again gave the same bytes" in ended.out


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda r: change(r / "equity.parquet"), "equity.parquet has been changed"),
        (lambda r: (r / "equity.parquet").unlink(), "equity.parquet is missing"),
        (lambda r: (r / "fills.parquet").write_bytes(b""), "fills.parquet has 0 bytes instead of"),
        (lambda r: (r / "notes.txt").write_text("x"), "notes.txt is not in the manifest"),
        (lambda r: link(r / "metrics.json"), "metrics.json is not a regular file"),
        (lambda r: (r / "manifest.json").unlink(), "no manifest.json"),
        (lambda r: (r / "manifest.json").write_text("{}"), "not the manifest of a run"),
        (lambda r: (r / "manifest.json").write_text("{"), "not the manifest of a run"),
        (lambda r: (r / "manifest.json").write_bytes(b"\xff"), "not the manifest of a run"),
        (lambda r: link(r / "manifest.json"), "not a regular file"),
        (lambda r: rewrite(r, candle_digest="0" * 64), "own hashes do not come out"),
        (lambda r: rewrite(r, rehash=True, code_version="9.9"), "own hashes do not come out"),
        (lambda r: rewrite(r, rehash=True, files=[{"name": "../x", "sha256": "", "size": 0}]), "../x is not a plain file name"),
    ],
)  # fmt: skip
def test_damage_is_found(
    studio: Studio, run_dir: Path, damage: Callable[[Path], object], words: str
) -> None:
    """A changed, missing, additional or linked file, or a manifest that does not hold: exit 5."""
    damage(run_dir)
    ended = studio("verify", run_dir)
    assert ended.code == 5
    assert words in ended.err
    assert studio("verify", run_dir, "--rerun").code == 5


def rewrite(run: Path, *, rehash: bool = False, **fields: object) -> None:
    """Change fields of the manifest, with its own hash made to fit again where ``rehash``."""
    path = run / "manifest.json"
    manifest = json.loads(path.read_bytes()) | fields
    if rehash:
        manifest["manifest_hash"] = manifest_hash(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_a_directory_without_a_run(studio: Studio, tmp_path: Path) -> None:
    """What is no run at all ends with exit code 5 and a sentence."""
    (tmp_path / "empty").mkdir()
    ended = studio("verify", "empty")
    assert (ended.code, "there is none" in ended.err) == (5, True)


def test_rerun_needs_the_candles(studio: Studio, tmp_path: Path) -> None:
    """A run on a file is made again from that file; without it exit 3, with another one exit 5."""
    path = tmp_path / "T_1d.csv"
    rows = [f"2024-01-0{day},10,11,9,{10 + day / 10},5" for day in range(1, 8)]
    path.write_text("Date,Open,High,Low,Close,Volume\n" + "\n".join(rows), encoding="utf-8")
    assert studio("run", "--candles", path, "--no-plot", "--out", "r").code == 0
    assert studio("verify", "r", "--rerun", "--candles", path).code == 0
    without = studio("verify", "r", "--rerun")
    assert (without.code, "there are no candles for T 1d" in without.err) == (3, True)
    assert without.err.endswith(", or name the file with --candles\n")
    path.write_text(path.read_text(encoding="utf-8").replace("10.1", "10.2"), encoding="utf-8")
    other = studio("verify", "r", "--rerun", "--candles", path)
    assert (other.code, "the candles are not those of the run" in other.err) == (5, True)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--candles", "ES_1h.csv", "--tz", "UTC"], "--candles and --tz go with --rerun"),
        (["--plugins", "mine.py"], "--plugins goes with --rerun"),
        (["--rerun", "--decimal", ","], "--decimal goes with --candles"),
    ],
)
def test_flags_that_say_nothing(studio: Studio, flags: list[str], words: str) -> None:
    """What is only for a run made again, or for a file, is refused without that."""
    ended = studio("verify", "any", *flags)
    assert (ended.code, ended.out, ended.err) == (2, "", f"studio: {words}\n")


def test_rerun_needs_the_plugin(process: Callable[..., Any], tmp_path: Path) -> None:
    """Where the plugin of a run is not named, that is said beside what is unknown without it."""
    (tmp_path / "mine.py").write_text(PLUGIN, encoding="utf-8")
    done = process("run", "--plugins", "mine.py", "--set", "strategy=mine", "--out", "r")
    assert done.code == 0, done.err
    without = process("verify", "r", "--rerun")
    assert (without.code, "unknown strategy 'mine'" in without.err) == (2, True)
    assert without.err.endswith("\nthe run used a plugin; name it with --plugins\n")
    assert process("verify", "r", "--rerun", "--plugins", "mine.py").code == 0


def test_the_verdicts_stand_in_a_column(studio: Studio, run_dir: Path) -> None:
    """However long a file's name is."""
    lines = studio("verify", run_dir).out.splitlines()
    assert len({line.index("as the manifest says") for line in lines[:-1]}) == 1
    assert "validation_summary.json  as" in lines[-2]


def test_rerun_by_other_code_is_refused(
    studio: Studio, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run made by another version of the code is told apart, not called damaged."""
    monkeypatch.setattr("app.commands.verify.code_version", lambda: "0.0.0+other")
    ended = studio("verify", run_dir, "--rerun")
    assert (ended.code, "this is 0.0.0+other" in ended.err) == (5, True)


def test_rerun_finds_what_came_out_different(
    studio: Studio, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that comes out different is named."""
    monkeypatch.setattr(
        "engine.artifacts.publishing.metrics_document",
        lambda run: metrics_document(run) | {"extra": 1},
    )
    ended = studio("verify", run_dir, "--rerun")
    assert (ended.code, "metrics.json came out different" in ended.err) == (5, True)
