"""The benchmark scripts' own parts; no peer is installed and nothing is timed."""

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.execution import slippage_models
from engine.risk import sizing_models

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a script as its siblings do."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


def answer(ms: float, equity: float | None) -> dict[str, Any]:
    return {"ms": ms, "outcome": {"final_equity": equity}}


def test_every_model_is_measured(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """risk_slippage prints a positive figure for every registered model."""
    risk_slippage = script("risk_slippage")
    monkeypatch.setattr(risk_slippage, "N_BARS", 300)
    monkeypatch.setattr(risk_slippage, "CALLS", 1)
    monkeypatch.setattr(sys, "argv", ["risk_slippage.py", "--json", "--runs", "1"])
    risk_slippage.main()
    printed = capsys.readouterr().out
    figures = json.loads(printed)
    assert printed.count("\n") == 1
    assert set(figures) == {
        *(f"risk:{name}" for name in sizing_models),
        "risk:kelly_fraction_rolling",
        *(f"slippage:{name}" for name in slippage_models),
        *(f"slippage_loop:{name}" for name in slippage_models),
    }
    assert all(value > 0 for value in figures.values())


def test_sizing_models_get_what_they_read(script: Any) -> None:
    """The view that is timed is one that every sizing model can size."""
    risk_slippage = script("risk_slippage")
    candles = risk_slippage.perf_run.random_walk(400)
    for title, sizing in risk_slippage.sizings().items():
        view = risk_slippage.view_for(sizing, candles)
        sizes = sizing.sizes(view)
        assert sizes.shape == (400,), title
        assert np.isfinite(sizes).all(), title


def test_the_market_is_made_of_candles(script: Any) -> None:
    """High and low enclose open and close, and the walk does not run away."""
    candles = script("peers").market(20_000)
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    assert 10 < candles.close.min() < candles.close.max() < 1000


def test_peers_read_what_we_write(script: Any, tmp_path: Path) -> None:
    """The file between the processes holds the candles to the bit."""
    peers = script("peers")
    candles = peers.market(100)
    peers.write_candles(candles, tmp_path / "candles.npz")
    stored = peers.peer_jobs.read_candles(tmp_path / "candles.npz")
    assert {name: column.tobytes() for name, column in stored.items()} == {
        name: getattr(candles, name).tobytes()
        for name in ("ts", "open", "high", "low", "close", "volume")
    }


def test_validation_measures_the_same_job(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """validation.py prints a figure for each test, and vectorbt's batch beside them."""
    validation = script("validation")
    monkeypatch.setattr(validation, "N_BARS", 200)
    monkeypatch.setattr(validation, "N_MARKETS", 3)
    monkeypatch.setattr(validation, "LONG", 400)
    small = {name: {t: p | {"n": 3}} for name, test in validation.TESTS.items() for t, p in test.items()}  # fmt: skip
    monkeypatch.setattr(validation, "TESTS", small)
    handed: list[dict[str, Any]] = []

    @contextmanager
    def peer(_python: object, _name: str, path: Path) -> Iterator[Any]:
        handed.append(validation.peer_jobs.read_candles(path))
        yield lambda: {"ms": 5.0, "outcome": {"mean_final_equity": 90_000.0}}

    monkeypatch.setattr(validation.peers, "timed_peer", peer)
    monkeypatch.setattr(validation.peers, "made_environment", Path)
    monkeypatch.setattr(validation.peers, "peer_figure", lambda *_: {"vectorbt": "1"})
    monkeypatch.setattr(sys, "argv", ["validation.py", "--json", "--runs", "5", "--threads", "1"])
    validation.main()
    figures = json.loads(capsys.readouterr().out)
    assert {"permutation_1000x2500_s", "bootstrap_10000x2500_s", "monte_carlo_500x2500_s"} <= set(figures)  # fmt: skip
    assert figures["vectorbt_sharpe"] == figures["vectorbt_return"] == 0.005
    assert figures["peak_extra_mb_long"]["allowed"] == 64 + 12 * 8 * 400 / 1e6
    assert -0.5 < figures["mean_final_equity_beside_ours"] < 0.5
    assert [market["close"].shape for market in handed] == [(200, 3)] * 2
    last = handed[0]["close"][-1]
    assert last == pytest.approx([last[0]] * 3, rel=1e-9)


def test_our_turn(script: Any) -> None:
    """A turn of the engine gives its time and the outcome that the peers' is held against."""
    peers = script("peers")
    given = peers.peer_jobs.turn(peers.studio_job(peers.market(400)))
    outcome = given["outcome"]
    assert given["ms"] > 0
    assert outcome["closed_trades"] >= 1
    assert outcome["final_equity"] == 100_000.0 * (1 + outcome["total_return"])


def test_sides(script: Any) -> None:
    """Above is 1, below is -1, undefined or equal is 0."""
    nan = float("nan")
    fast, slow = np.array([1.0, 2.0, 1.0, nan]), np.array([nan, 1.0, 2.0, nan])
    assert script("peer_jobs").sides(fast, slow).tolist() == [0.0, 1.0, -1.0, 0.0]


def test_a_peer_answers_line_by_line(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request gets one line of JSON; what is not finite is null."""
    jobs = script("peer_jobs")
    monkeypatch.setattr(jobs, "TURN_S", 0.0)
    runs: list[int] = []
    job = jobs.Job(lambda: runs.append(1), lambda _: {"sharpe": float("nan"), "total_return": 1})
    out = io.StringIO()
    jobs.serve(job, ["turn\n", "turn\n"], out)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [a["outcome"] for a in answers] == [{"sharpe": None, "total_return": 1.0}] * 2
    assert len(runs) == 4, "a turn is one run that does not count and one that does"


def test_turns_alternate(script: Any) -> None:
    """Contenders take turns, and the first round does not count."""
    order: list[str] = []

    def contender(name: str) -> Any:
        def once() -> dict[str, Any]:
            order.append(name)
            return answer(float(len(order)), 1.0)

        return once

    given = script("peers").turn_by_turn({"a": contender("a"), "b": contender("b")}, 2)
    assert order == ["a", "b"] * 3
    assert {name: [a["ms"] for a in answers] for name, answers in given.items()} == {
        "a": [3.0, 5.0],
        "b": [4.0, 6.0],
    }


def test_figures_side_by_side(script: Any) -> None:
    """Medians, their ratio to ours, and how far a peer's final equity is from ours."""
    answers = {
        "studio": [answer(ms, 100.0) for ms in (1.0, 2.0, 9.0)],
        "peer": [answer(ms, 110.0) for ms in (10.0, 20.0, 21.0)],
        "ruined": [answer(5.0, None)],
    }
    figures = script("peers").side_by_side(answers, {"studio": 1.5, "peer": None, "ruined": 2.0})
    assert figures["ms"] == {"studio": 2.0, "peer": 20.0, "ruined": 5.0}
    assert figures["ratio_to_studio"] == {"peer": 10.0, "ruined": 2.5}
    assert figures["final_equity_beside_ours"] == {"peer": pytest.approx(0.1), "ruined": None}
    assert figures["peak_extra_mb"] == {"studio": 1.5, "peer": None, "ruined": 2.0}
    assert figures["outcome"]["peer"] == {"final_equity": 110.0}


def test_slow_peers_are_left_out_with_a_reason(script: Any) -> None:
    """A peer whose run would exceed the patience is named with the time it would take."""
    peers = script("peers")
    before = {"ms": {"studio": 90_000.0, "quick": 100.0, "slow": 7_000.0, "gone": None}}
    assert peers.left_out(None, 10.0, 60.0) == {}
    assert peers.left_out(before, 10.0, 60.0) == {
        "slow": "a run would take about 70 s, more than --patience 60",
        "gone": "left out at the size before",
    }


def test_no_environment_is_a_plain_sentence(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where nothing can be installed the script says so, exits with 1 and leaves nothing behind."""
    peers = script("peers")
    place = tmp_path / "env"

    def offline(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        place.mkdir(exist_ok=True)
        failed = int("pip" in command)
        return subprocess.CompletedProcess(command, failed, "", "no route\n" if failed else "")

    monkeypatch.setattr(peers.subprocess, "run", offline)
    monkeypatch.setattr(peers.made_environment, "__defaults__", (place, peers.REQUIREMENTS))
    monkeypatch.setattr(sys, "argv", ["peers.py"])
    with pytest.raises(SystemExit) as ended:
        peers.main()
    assert ended.value.code == (
        "The peers' environment could not be installed, so there is nothing to compare with "
        "(is this machine offline?): no route"
    ), "a text is printed to stderr and ends the process with 1"
    assert not place.exists()


def test_a_made_environment_is_used_again(script: Any, tmp_path: Path) -> None:
    """The mark of the same requirements means that nothing is installed."""
    peers = script("peers")
    (tmp_path / "installed.txt").write_bytes(peers.REQUIREMENTS.read_bytes())
    assert peers.made_environment(tmp_path).is_relative_to(tmp_path)


def test_a_peer_that_fails_says_why(script: Any) -> None:
    """The last line that a peer wrote before it ended becomes the message."""
    peers = script("peers")
    with pytest.raises(peers.PeersUnavailableError, match="vectorbt did not do the job: Oh no"):
        peers.answer_of("vectorbt", "", io.StringIO("trace\nOh no\n"))
    assert peers.answer_of("vectorbt", '{"ms": 1}', io.StringIO()) == {"ms": 1}


def test_exact_versions_and_names_only() -> None:
    """The peers are pinned, and no index is named."""
    lines = (BENCH / "peers_requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(line.count("==") == 1 and "/" not in line for line in pins)
    assert {"vectorbt", "backtesting"} <= {line.partition("==")[0] for line in pins}


def test_the_service_is_measured(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service script prints figures of streams, health checks and runs of a real server."""
    service = script("service")
    arguments = ["--json", "--clients", "6", "--seconds", "0.5", "--creates", "10", "--runs", "10"]
    monkeypatch.setattr(sys, "argv", ["service.py", *arguments])
    service.main()
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {
        "sse_6", "health_under_load_ms", "create_per_s", "api_cached_ms", "runs"
    }  # fmt: skip
    assert figures["sse_6"]["n"] > 6
    assert figures["sse_6"]["p50"] <= figures["sse_6"]["p99"]
    assert figures["health_under_load_ms"]["n"] > 10
    assert figures["create_per_s"] > 0
    assert figures["api_cached_ms"] > 0
    assert set(figures["runs"]) == {"1", "10"}


def test_an_import_is_measured(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The import script prints time, memory and health checks of both kinds of file."""
    import_rows = script("import_rows")
    monkeypatch.setattr(sys, "argv", ["import_rows.py", "--json", "--rows", "2000", "--runs", "1"])
    import_rows.main()
    figures = json.loads(capsys.readouterr().out)
    assert (figures["rows"], figures["runs"]) == (2000, 1)
    for kind in ("csv", "parquet"):
        measured = figures[kind]
        assert set(measured) == {
            "file_mb", "seconds", "peak_mb", "peak_extra_mb",
            "health_p50_ms", "health_p99_ms", "health_max_ms",
        }  # fmt: skip
        assert measured["seconds"] > 0
        assert 0 <= measured["peak_extra_mb"] < measured["peak_mb"]
        assert (
            0 < measured["health_p50_ms"] <= measured["health_p99_ms"] <= measured["health_max_ms"]
        )


def test_rows_of_an_import(script: Any) -> None:
    """The bars of the benchmark are minutes whose high and low hold open and close."""
    import_rows = script("import_rows")
    bars = import_rows.market(500)
    assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()
    assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
    header, first, second, *_ = import_rows.as_csv(bars).decode().splitlines()
    assert header == "Date,Open,High,Low,Close,Volume"
    assert first.startswith("2015-01-01 00:00:00,100.0,")
    assert second.startswith("2015-01-01 00:01:00,")


def test_growth_is_measured_and_drawn(
    script: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each job has a time for each size, and all of them are in the picture."""
    growth = script("growth")
    monkeypatch.setattr(growth, "BARS", (200, 400))
    monkeypatch.setattr(growth, "REPLICATES", (2, 20))
    monkeypatch.setattr(growth, "N_BARS", 200)
    # What a run takes without a test is noise here, and could be more than with one.
    monkeypatch.setattr(growth, "steepness", lambda _: 1.0)
    monkeypatch.setattr(sys, "argv", ["growth.py", "--json", "--picture", str(tmp_path / "g.svg")])
    growth.main()
    figures = json.loads(capsys.readouterr().out)
    assert figures["runs"] == 5
    assert {tuple(times) for times in figures["ms"]["bars"].values()} == {("200", "400")}
    assert {tuple(times) for times in figures["ms"]["replicates"].values()} == {("2", "20")}
    assert set(figures["steepness"]) == {*figures["ms"]["bars"], *growth.TESTS}
    assert all(ms > 0 for times in figures["ms"]["bars"].values() for ms in times.values())
    assert "<svg" in (tmp_path / "g.svg").read_text(encoding="utf-8")


def test_steepness(script: Any) -> None:
    """A square is twice as steep as its root, whatever smaller sizes cost beside it."""
    growth = script("growth")
    square = {1: 1e9, 10: 300.0, 100: 3e4}
    assert growth.steepness(square) == pytest.approx(2.0)
    assert growth.steepness({10: 5.0, 30: 15.0, 100: 50.0}) == pytest.approx(1.0)
