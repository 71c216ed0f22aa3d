"""Runs that have no report because their files do not verify, and texts that are hostile."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from report_pages import Page, Studio, tree, words

from app.markup import Html
from app.report import make_report
from app.report_files import RunFiles, read_run
from app.report_page import page
from engine.artifacts.manifest import MANIFEST, build_manifest
from engine.code import canonical_hash
from engine.errors import VerificationError
from engine.identity import SCHEMA
from engine.records import Identity

HOSTILE = """</style></title></td><script>alert(1)</script><img src=x onerror="alert(1)">'&amp;"""


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """Return a copy that may be changed."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def reseal(folder: Path, **changes: str) -> Path:
    """Make a run's manifest agree with its files again, whatever has been done to them."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    config = json.loads((folder / "config.json").read_bytes())
    digest, code = (changes.get(n, manifest[n]) for n in ("candle_digest", "code_version"))
    plugins = (*manifest["plugins"], *filter(None, [changes.get("plugin")]))
    whole = {
        "schema": SCHEMA, "config": config, "candle_digest": digest, "code_version": code,
        "plugins": list(plugins),
    }  # fmt: skip
    identity = Identity(canonical_hash(whole), canonical_hash(config), digest, code, plugins)
    names = [path.name for path in folder.iterdir() if path.name != MANIFEST]
    sealed = build_manifest(identity, folder, names, changes.get("kernel", "compiled"))
    (folder / MANIFEST).write_text(json.dumps(sealed), encoding="utf-8")
    return folder


def edit(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    document = json.loads((folder / name).read_bytes())
    change(document)
    (folder / name).write_text(json.dumps(document), encoding="utf-8")


def changed(folder: Path) -> None:
    path = folder / "metrics.json"
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))


def forged(folder: Path) -> None:
    edit(folder, MANIFEST, lambda m: m.update(candle_digest="0" * 64))


def linked(folder: Path) -> None:
    (folder / "equity.parquet").rename(folder.parent / "equity.parquet")
    (folder / "equity.parquet").symlink_to(folder.parent / "equity.parquet")


def without_tables(folder: Path) -> None:
    (folder / "trades.parquet").unlink()
    reseal(folder)


def no_number(folder: Path) -> None:
    path = folder / "summary.json"
    path.write_bytes(re.sub(rb'"n_bars": \d+', b'"n_bars": NaN', path.read_bytes()))
    reseal(folder)


def no_configuration(folder: Path) -> None:
    edit(folder, "config.json", lambda config: config.pop("strategy"))
    reseal(folder)


def no_table(folder: Path) -> None:
    (folder / "fills.parquet").write_bytes(b"PAR1 and no more")
    reseal(folder)


def no_column(folder: Path) -> None:
    shutil.copy(folder / "drawdown.parquet", folder / "trades.parquet")
    reseal(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed, "metrics.json has been changed"),
        (lambda f: (f / "plot.txt").touch(), None),
        (lambda f: (f / "drawdown.parquet").unlink(), "drawdown.parquet is missing"),
        (lambda f: (f / "fills.parquet").write_bytes(b"x"), "fills.parquet has 1 byte instead of"),
        (lambda f: (f / MANIFEST).unlink(), "manifest.json is missing"),
        (lambda f: (f / MANIFEST).write_bytes(b"{}"), "not the manifest of a run"),
        (linked, "equity.parquet cannot be read"),
        (forged, "own hashes do not come out"),
        (without_tables, "trades.parquet is not in the manifest"),
        (no_number, "summary.json is not JSON"),
        (no_configuration, "not what this version writes"),
        (no_table, "cannot be read: it is damaged"),
        (no_column, "cannot be read: it is damaged"),
    ],
)  # fmt: skip
def test_what_does_not_verify(
    studio: Studio, copy: Path, tmp_path: Path, change: Callable[[Path], None], said: str | None
) -> None:
    """No report is made of files that differ from the manifest; one beside them does not matter."""
    change(copy)
    done = studio("report", copy)
    if said is None:
        assert done.code == 0
        return
    assert (done.code, done.out) == (5, "")
    assert said in done.err
    assert not list(tmp_path.glob("*.html"))


def test_another_manifest_than_the_one_known(folder: Path) -> None:
    """A run whose manifest is not the one that was noted has no report."""
    noted = json.loads((folder / MANIFEST).read_bytes())["manifest_hash"]
    assert make_report(folder, noted) == make_report(folder)
    with pytest.raises(VerificationError, match="own hashes"):
        make_report(folder, "0" * 64)


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where the texts of a document are; a path that ends in None is the name of a field."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield (*path, key, None)
            yield from texts(entry, (*path, key))
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from texts(entry, (*path, i))
    elif isinstance(value, str):
        yield path


def with_hostile(document: Any, path: tuple[Any, ...]) -> Any:
    """Return a copy of a document with a hostile text at a place."""
    whole = {"": json.loads(json.dumps(document))}
    value: Any = whole
    *way, last = ("", *path)
    if last is None:
        *way, name = way
        for key in way:
            value = value[key]
        value[f"{name}{HOSTILE}"] = value[name]
    else:
        for key in way:
            value = value[key]
        value[last] = f"{value[last]}{HOSTILE}"
    return whole[""]


@pytest.mark.parametrize("name", ["manifest", "config", "summary", "metrics", "validation"])
def test_a_hostile_text_anywhere(folder: Path, name: str) -> None:
    """Whatever text of a run's documents is hostile, the page shows it as text, or is not made."""
    plain = read_run(folder)
    expected = Page(_page(plain))
    seen = 0
    for path in texts(getattr(plain, name)):
        hostile = with_hostile(getattr(plain, name), path)
        try:
            content = _page(dataclasses.replace(plain, **{name: hostile}))
        except (KeyError, TypeError, ValueError):  # the report is refused
            continue
        found = Page(content)
        assert b"<script" not in content
        assert found.tags() == expected.tags(), path
        assert not [a for _, a in found.elements if {"onerror", "src"} & a.keys()]
        tree(content)
        seen += HOSTILE in found.text
    assert seen > 3, name


def _page(files: RunFiles) -> bytes:
    for table in files.tables.values():
        table.seek(0)
    return page(files, [Html("<svg></svg>")]).encode()


def test_a_hostile_run(copy: Path, studio: Studio, tmp_path: Path) -> None:
    """A whole directory of hostile texts whose manifest holds gives a page that is only text."""
    control = "\u0000\u202e\ud800"

    def spoil_config(config: Any) -> None:
        config["symbol"] = config["provider"] = HOSTILE + control
        config["strategy"] = {"name": HOSTILE, "params": {HOSTILE: HOSTILE}}
        config["risk"] = {"name": HOSTILE, "params": {HOSTILE: [HOSTILE, {HOSTILE: 1}]}}

    def spoil_summary(summary: Any) -> None:
        summary["symbol"] = summary["timeframe"] = summary["provider"] = HOSTILE + control
        summary["warnings"] = [{"code": HOSTILE, "message": HOSTILE, "count": 2}]
        summary["periods_per_year"]["origin"] = HOSTILE
        summary["data_quality"][HOSTILE] = HOSTILE

    def spoil_metrics(metrics: Any) -> None:
        metrics["metrics"][HOSTILE] = None
        metrics["reasons"] = dict.fromkeys(metrics["reasons"], HOSTILE)
        metrics["monthly_returns"][f"{HOSTILE}-01"] = 0.5
        metrics["yearly_returns"][HOSTILE] = 0.5

    def spoil_validation(found: Any) -> None:
        found[HOSTILE] = {HOSTILE: [HOSTILE, [HOSTILE]]}
        found["permutation"]["null"] = found["walk_forward"]["note"] = HOSTILE

    edit(copy, "config.json", spoil_config)
    edit(copy, "summary.json", spoil_summary)
    edit(copy, "metrics.json", spoil_metrics)
    edit(copy, "validation_summary.json", spoil_validation)
    (copy / "<img src=x onerror=alert(1)>.json").write_text("{}", encoding="utf-8")
    # The hash of the configuration must be computable: half a surrogate has no canonical form.
    text = (copy / "config.json").read_text(encoding="utf-8").replace("\\ud800", "")
    (copy / "config.json").write_text(text, encoding="utf-8")
    reseal(copy, candle_digest=HOSTILE, code_version=HOSTILE, plugin=HOSTILE, kernel=HOSTILE)
    assert studio("report", copy, "--out", "hostile.html").code == 0
    content = (tmp_path / "hostile.html").read_bytes()
    found = Page(content)
    assert not {"script", "img"} & found.tags()
    assert found.text.count(HOSTILE) > 25
    assert found.tags() <= Page(make_report(copy)[1]).tags()
    assert not {"\0", "\u202e"} & set(found.text)
    assert words(tree(content)).count("<script>") > 25
