"""The report of a run: the command that writes it, and a page that is the same anywhere and runs nothing."""

import base64
import hashlib
import itertools
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_pages import Page, Studio, tree


def test_the_command(studio: Studio, folder: Path, content: bytes, tmp_path: Path) -> None:
    """The report is written to a file of the run's name, or where one asks for it."""
    run_id = json.loads((folder / "summary.json").read_bytes())["run_id"]
    done = studio("report", folder)
    assert (done.code, done.err) == (0, "")
    assert f"{run_id}.html" in done.out
    assert (tmp_path / f"{run_id}.html").read_bytes() == content
    assert studio("report", folder, "--out", "other.html").code == 0
    assert (tmp_path / "other.html").read_bytes() == content
    printed = studio("report", folder, "--out", "-")
    assert printed.out.encode() == content


def test_not_among_the_files_of_a_run(
    studio: Studio, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a report or a table would lie among a run's files, which then did not verify, none is."""
    before = sorted(folder.iterdir())
    monkeypatch.chdir(folder)
    for command in (("report", "."), ("export", ".", "equity", "--out", "e.csv")):
        refused = studio(*command)
        assert (refused.code, "would lie among the files of a run" in refused.err) == (2, True)
    assert sorted(folder.iterdir()) == before
    assert studio("verify", ".").code == 0


def test_a_file_that_is_there(studio: Studio, folder: Path, tmp_path: Path) -> None:
    """The same report may be written again; any other file is left as it is."""
    place = tmp_path / "mine.html"
    assert studio("report", folder, "--out", place).code == 0
    assert studio("report", folder, "--out", place).code == 0
    place.write_text("something else", encoding="utf-8")
    refused = studio("report", folder, "--out", place)
    assert (refused.code, refused.out) == (2, "")
    assert "is there already" in refused.err
    assert place.read_text(encoding="utf-8") == "something else"
    assert studio("report", folder, "--out", tmp_path).code == 2
    os.mkfifo(tmp_path / "pipe")
    assert studio("report", folder, "--out", "pipe").code == 2  # and is not waited for


def test_where_nothing_can_be_written(studio: Studio, folder: Path) -> None:
    """A place that cannot be written is named in one sentence."""
    done = studio("report", folder, "--out", "nowhere/report.html")
    assert done.code == 4
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["nothing", "0" * 20, "../nothing", "a/b", "x" * 300])
@pytest.mark.parametrize("command", ["report", "verify", "export"])
def test_no_such_run(studio: Studio, command: str, name: str, tmp_path: Path) -> None:
    """A run that is not there is unknown, where it was looked for is said, and no file is left."""
    done = studio(command, name, *(["equity"] if command == "export" else []))
    assert (done.code, done.out) == (3, "")
    looked = "" if "/" in name else " in ./studio-runs or in the data directory"
    assert done.err == f"studio: there is no run {name}{looked}\n"
    assert not list(tmp_path.glob("*.html"))


def test_a_run_by_its_id(studio: Studio, folder: Path, content: bytes, tmp_path: Path) -> None:
    """Runs of the working directory and of the data directory are found by their id."""
    run_id = json.loads((folder / "summary.json").read_bytes())["run_id"]
    for number, runs in enumerate((tmp_path / "studio-runs", tmp_path / "data/runs")):
        shutil.copytree(folder, runs / run_id)
        assert studio("report", run_id, "--out", f"{number}.html").code == 0
        assert (tmp_path / f"{number}.html").read_bytes() == content
        shutil.rmtree(runs)


def test_the_same_bytes_anywhere(
    process: Callable[..., Any], folder: Path, content: bytes, tmp_path: Path
) -> None:
    """The same run gives the same report in another process, time zone and locale."""
    done = process(
        "report", folder, "--out", "again.html",
        TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="7", SOURCE_DATE_EPOCH="1",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (tmp_path / "again.html").read_bytes() == content


def test_nothing_runs_and_nothing_is_loaded(content: bytes) -> None:
    """The page has no script and no address; its policy allows its own style sheet alone."""
    found = Page(content)
    assert found.tags() <= {
        "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "h1", "h2", "h3",
        "p", "dl", "dt", "dd", "div", "ul", "li", "span", "code", "table", "caption", "thead", "tbody",
        "tr", "th", "td", "figure", "figcaption", "svg", "g", "defs", "path", "use", "text", "clippath",
        "rect",
    }  # fmt: skip
    for tag, attributes in found.elements:
        assert not {"src", "srcset", "style", "data", "action", "xlink:href"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert tag == "use" or "href" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    text = content.decode()
    assert "://" not in text
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    policy = next(
        a["content"] for _, a in found.elements if "Security" in (a.get("http-equiv") or "")
    )
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert text.count("<style") == 1


def test_the_structure_of_the_page(content: bytes) -> None:
    """It is well-formed, in English, with one title, ordered headings, heads and titled pictures."""
    root = tree(content)
    assert root.get("lang") == "en"
    assert len(root.findall(".//h1")) == 1
    levels = [int(e.tag[1]) for e in root.iter() if re.fullmatch("h[1-6]", e.tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    for use in root.iter("use"):
        assert (use.get("href") or "").removeprefix("#") in ids
    for picture in root.iter("svg"):
        assert picture.get("role") == "img"
        assert picture.get("aria-labelledby") == picture[0].get("id")
        assert picture[0].text
    for table in root.iter("table"):
        assert all(head.get("scope") == "col" for head in table.iterfind("thead/tr/th"))
        for row in table.iterfind("tbody/tr"):
            assert (row[0].tag, row[0].get("scope")) == ("th", "row")
            heads = table.findall("thead/tr/th")
            assert not heads or len(heads) == len(row)
    assert len(content) < 400_000
