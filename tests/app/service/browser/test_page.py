"""``docs/studio-ui.html`` in Chromium, from an origin that is not the server's."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Page = Any
Plugin = Any
Proxy = Any
Server = Any
ROOT = Path(__file__).resolve().parents[4]
CUT = r"net::ERR_"  # what Chromium says of a line that is cut, or of a server that is not there
REFUSED = r"responded with a status of (401|422)"


@pytest.fixture
def reach(serve: Callable[..., Server], site: Any, proxy: Any) -> Callable[..., Any]:
    """Start a server, a proxy before it, and the page's own site; settings are the server's."""

    def start(**settings: Any) -> tuple[Server, Proxy, str]:
        origin = site(ROOT / "docs").origin
        server = serve(cors_origins=[origin], **settings)
        return server, proxy(server.port), f"{origin}/studio-ui.html"

    return start


def candles(n: int) -> str:
    """Return a CSV of days that go up and down."""
    rows = ["Date,Open,High,Low,Close,Volume"]
    for day in range(n):
        price = 100 + day % 7 + day // 10
        rows.append(
            f"2024-{1 + day // 28:02}-{1 + day % 28:02},{price},{price + 2},{price - 1},{price + 1},9"
        )
    return "\n".join(rows) + "\n"


def stored(server: Server, run_id: str) -> list[list[Any]]:
    """Return number and type of every event of a run, as the server has them."""
    return [[event.id, event.type] for event in server.events(run_id)]


def is_nowhere(token: str, server: Server, proxy: Proxy) -> bool:
    """Tell whether a token is in no address that was asked for, and not in the server's log."""
    log = (server.data_dir / "logs" / "studio.log").read_text(encoding="utf-8")
    assert len(proxy.asked) > 3
    assert log
    told = [(each.path, each.headers.get("Referer", "")) for each in proxy.asked]
    return token not in log and token not in json.dumps(told)


def test_from_a_file_to_its_metrics_over_a_line_that_is_cut(
    reach: Any, page: Page, plugin: Plugin, tmp_path: Path, until: Callable[..., Any]
) -> None:
    """The page imports a file, runs on it, loses its connection twice, and misses nothing."""
    server, proxy, address = reach(plugins=(plugin.path,))
    file = tmp_path / "days.csv"
    file.write_text(candles(200), encoding="utf-8")
    page.open(address)
    page.connect(proxy.url, server.token)
    page.fill("import", "file", str(file))
    page.fill("import", "symbol", "DAYS")
    page.press("import")
    page.choose("set", "DAYS 1d (local) 200 bars")
    page.choose("strategy", "waits")
    run_id = page.started()
    until(lambda: len(server.events(run_id)) >= 4 and page.events() == stored(server, run_id))
    seen = len(page.events())

    page.expected.append(CUT)
    proxy.refusing = True
    proxy.cut()
    until(lambda: proxy.n_refused >= 2)
    until(lambda: f"lost after event {seen}" in page.text("#line"))
    proxy.refusing = False
    until(lambda: page.text("#line") == "following")
    assert proxy.streams()[-1].headers["Last-Event-ID"] == str(seen)
    assert server.get(f"/runs/{run_id}").json["status"] == "running"

    proxy.refusing = True
    proxy.cut()
    plugin.gate.touch()
    run = server.wait_for(run_id)
    proxy.refusing = False
    until(lambda: page.text("#line") == "completed")
    assert page.events() == stored(server, run_id)
    assert [number for number, _ in page.events()] == list(range(1, len(page.events()) + 1))
    assert len(page.events()) > seen
    assert len(page.run("return [...document.querySelectorAll('#stages li')]")) == 8
    until(lambda: page.metrics() == run["metrics"])
    assert run["metrics"]["total_return"] is not None
    assert page.one("#bar").get_attribute("value") == "1"
    assert is_nowhere(server.token, server, proxy)


def test_a_stream_that_breaks_off_within_events(
    reach: Any, page: Page, until: Callable[..., Any]
) -> None:
    """What is cut in the middle of an event comes again, and nothing else does."""
    server, proxy, address = reach()
    page.open(address)
    page.connect(proxy.url, server.token)
    page.choose("set", "SPX 1d (sample)")
    page.choose("strategy", "dual_sma")
    page.expected.append(CUT)
    proxy.body_limit = 350  # the first lines, an event and a part of the next
    run_id = page.started()
    shown = 0
    for _ in range(4):
        until(lambda shown=shown: len(page.events()) > shown)
        shown = len(page.events())
        proxy.cut()
    proxy.body_limit = None
    proxy.cut()
    until(lambda: page.text("#line") == "completed")
    assert page.events() == stored(server, run_id)
    resumed = [int(each.headers["Last-Event-ID"]) for each in proxy.streams()]
    assert resumed == sorted(resumed)
    assert len(set(resumed)) >= 5


def test_what_validation_found(reach: Any, page: Page, until: Callable[..., Any]) -> None:
    """A validated run ends with the p-value and the interval that the server tells."""
    server, proxy, address = reach()
    page.open(address)
    page.connect(proxy.url, server.token)
    page.choose("set", "IXIC 1d (sample)")
    page.choose("strategy", "dual_sma")
    page.fill("params", "fast", "10")
    page.one("#run [name=validate]").click()
    run_id = page.started()
    until(lambda: page.text("#line") == "completed")
    run = server.get(f"/runs/{run_id}").json
    assert (run["config"]["symbol"], run["config"]["strategy"]["params"]["fast"]) == ("IXIC", 10)
    until(lambda: page.metrics() == run["metrics"])
    assert page.metrics()["permutation_p_value"] == run["validation"]["permutation_p_value"]
    assert page.metrics()["sharpe_interval"] == run["validation"]["sharpe_interval"]
    assert f"permutation_p_value\n{run['metrics']['permutation_p_value']:.4g}" in page.text(
        "#metrics"
    )
    assert page.events() == stored(server, run_id)


def test_cancelling(reach: Any, page: Page, plugin: Plugin, until: Callable[..., Any]) -> None:
    """The button ends a run, and the page says so."""
    server, proxy, address = reach(plugins=(plugin.path,))
    page.open(address)
    page.connect(proxy.url, server.token)
    page.choose("set", "SPX 1d (sample)")
    page.choose("strategy", "waits")
    run_id = page.started()
    server.wait_for(run_id, "running")
    page.one("#cancel").click()
    server.wait_for(run_id, "cancelling")
    plugin.gate.touch()
    until(lambda: page.text("#line") == "cancelled")
    assert page.events() == stored(server, run_id)
    assert page.events()[-1][1] == "cancelled"
    assert not page.one("#cancel").is_displayed()
    assert page.metrics() == {}


def test_refusals_are_told_in_words(
    reach: Any, page: Page, tmp_path: Path, until: Callable[..., Any]
) -> None:
    """A wrong token, a file that is refused, faults in a configuration: the page says what is."""
    server, proxy, address = reach()
    page.expected.append(REFUSED)
    page.open(address)
    page.connect(proxy.url, "not-the-token-but-as-long-as-one-has-to-be")
    assert "not the server's token" in page.text("#message")
    assert not page.one("#run").is_displayed()
    page.connect(proxy.url, server.token)
    assert page.text("#message") == ""

    file = tmp_path / "bad.csv"
    file.write_text("Date,Open,High,Low,Close\n2024-01-01,1,2,3,4\n", encoding="utf-8")
    page.fill("import", "file", str(file))
    page.fill("import", "symbol", "BAD")
    page.press("import")
    until(lambda: page.text("#message"))
    put = server.call("PUT", "/datasets/BAD/1d", file.read_bytes(), {"Content-Type": "text/csv"})
    assert page.text("#message") == put.json["error"]["message"]

    page.choose("strategy", "dual_sma")
    page.fill("params", "fast", "70")
    page.fill("params", "slow", "60")
    page.press("run")
    until(lambda: "strategy.params.slow" in page.text("#message"))
    assert server.get("/runs").json["runs"] == []
    assert is_nowhere(server.token, server, proxy)


def test_nobody_answers(reach: Any, page: Page) -> None:
    """Where no server is, the page names what may be wrong."""
    _, proxy, address = reach()
    page.expected.append(CUT)
    proxy.refusing = True
    page.open(address)
    page.connect(proxy.url, "x" * 32)
    assert page.text("#message").startswith(f"No answer from {proxy.url}.")
    assert address.removesuffix("/studio-ui.html") in page.text("#message")


def test_markup_in_names_stays_text(reach: Any, page: Page, plugin: Plugin) -> None:
    """What the server tells is shown as text, whatever it holds."""
    text = plugin.path.read_text(encoding="utf-8")
    harmful = '<img src=x onerror=\\"document.title=1\\">'
    plugin.path.write_text(text.replace('"broken"', f'"{harmful}"'), encoding="utf-8")
    server, proxy, address = reach(plugins=(plugin.path,))
    page.open(address)
    page.connect(proxy.url, server.token)
    assert page.text("#message") == ""
    assert "<img src=x onerror=" in page.text("#run [name=strategy]")
    assert page.run("return document.querySelectorAll('img').length") == 0
