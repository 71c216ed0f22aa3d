"""``docs/studio-ui.md``: what it says to do works as it stands there."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Page = Any
ROOT = Path(__file__).resolve().parents[4]
GUIDE = (ROOT / "docs" / "studio-ui.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the guide's blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def web() -> Iterator[str]:
    """Run the guide's command that serves the page, on any port; return the origin."""
    python, *words = shlex.split(blocks("sh")[1])
    assert python == ".venv/bin/python"
    assert "8000" in words
    process = subprocess.Popen(
        [sys.executable, *("0" if word == "8000" else word for word in words)],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    assert process.stdout is not None
    port = re.findall(r"port (\d+)", process.stdout.readline())[0]
    yield f"http://localhost:{port}"
    process.kill()
    process.communicate()


def test_trying_it(web: str, spawn: Callable[..., Any], page: Page, tmp_path: Path) -> None:
    """The two commands, the address and the token's place bring the page up, connected."""
    start = shlex.split(blocks("sh")[0])
    assert start[1:] == [".venv/bin/studio", "serve", "--data-dir", "studio-data"]
    name, origin = start[0].split("=")
    address = re.findall(r"Then open `(\S+)`", GUIDE)[0]
    assert address.startswith(f"{origin}/")
    server = spawn(data_dir=tmp_path / start[-1], **{name: web})
    page.open(address.replace(origin, web))
    token = (tmp_path / "studio-data" / "token").read_text(encoding="ascii")
    page.connect(f"http://127.0.0.1:{server.port}", token)
    assert page.text("#message") == ""
    page.choose("set", "SPX 1d (sample)")


def test_the_configuration(server: Any) -> None:
    """The example is accepted as it is."""
    (example,) = blocks("json")
    answer = server.call("POST", "/runs", example.encode(), {"Content-Type": "application/json"})
    assert answer.status == 201
    run = server.wait_for(answer.json["run_id"])
    assert set(run["validation"]) == {"permutation_p_value", "sharpe_interval"}
    assert run["config"]["end"] == 1_341_100_799_999  # the last millisecond of 30 June 2012


def test_the_parser_is_the_page_s() -> None:
    """The function that the guide shows is the one that the tests of the page try."""
    assert blocks("js")[0] in (ROOT / "docs" / "studio-ui.html").read_text(encoding="utf-8")


def test_the_report(
    serve: Callable[..., Any], site: Any, page: Page, tmp_path: Path, until: Callable[..., Any]
) -> None:
    """The lines that fetch the report save it under the run's name."""
    origin = site().origin
    server = serve(cors_origins=[origin])
    run_id = server.completed()["run_id"]
    page.open(f"{origin}/blank.html")
    saved = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", saved)
    lines = (
        f"const [server, id, token] = arguments; return (async () => {{ {blocks('js')[1]} }})();"
    )
    page.run(lines, f"http://127.0.0.1:{server.port}", run_id, server.token)
    file = tmp_path / f"{run_id}.html"
    until(file.exists)
    until(lambda: file.read_bytes() == server.get(f"/runs/{run_id}/report").body)
