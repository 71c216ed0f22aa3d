"""What a run is shown with."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from app.database import open_database, open_for_reading
from app.run_records import Selection, figures, list_runs, read_run
from engine.plan import make_plan

NAMED = {"symbol": "SPX", "timeframe": "1w", "strategy": {"name": "buy_and_hold"}}


def filled(path: Path, n: int) -> sqlite3.Connection:
    """Return a reader of a new database of ``n`` runs."""
    config = json.dumps(make_plan(NAMED | {"provider": "sample"}).config.to_json())
    with closing(open_database(path).connection) as connection:
        connection.executemany(
            "INSERT INTO runs (run_id, hash, status, progress, attempt, crashes, place, requested,"
            " symbol, created_ts, queued_ts, config, candle_digest, code_version, last_seq)"
            " VALUES (?, '', 'queued', 0, 1, 0, ?, 1, 'SPX', 0, ?, ?, '', '', 0)",
            [(f"{i:020x}", i, i, config) for i in range(n)],
        )
        connection.commit()
    return open_for_reading(path)


def steps(connection: sqlite3.Connection, selection: Selection) -> int:
    """Return how many steps of ten instructions SQLite takes for a page."""
    taken: list[None] = []
    connection.set_progress_handler(lambda: taken.append(None), 10)
    assert len(list_runs(connection, selection)["runs"]) == selection.limit
    return len(taken)


def test_a_run_names_what_its_configuration_names(tmp_path: Path) -> None:
    """Timeframe and strategy come from the configuration, for one run and in a list."""
    with closing(filled(tmp_path / "studio.db", 2)) as connection:
        run = read_run(connection, f"{1:020x}")
        (row,) = list_runs(connection, Selection(limit=1))["runs"]
    assert run is not None
    for found in (run, row):
        assert (found["timeframe"], found["strategy"]) == ("1w", "buy_and_hold")


def test_a_page_costs_what_is_on_it(tmp_path: Path) -> None:
    """A page of 200 takes as many steps among 2,000 runs as among 400."""
    with (
        closing(filled(tmp_path / "few.db", 400)) as few,
        closing(filled(tmp_path / "many.db", 2_000)) as many,
    ):
        cost = steps(few, Selection(limit=200))
        assert cost > 100
        assert steps(many, Selection(limit=200)) <= 1.1 * cost


def test_a_plugin_s_figures_replace_no_metric() -> None:
    """A test's figure that is called as a metric is kept with the tests alone."""
    validation = {"sharpe": 99.0, "coin_flip_p_value": 0.5}
    metrics, found = figures({"metrics": {"sharpe": 0.5}, "validation": validation})
    assert metrics == {"sharpe": 0.5, "coin_flip_p_value": 0.5}
    assert found == validation


def test_a_run_without_tests_has_no_figures() -> None:
    """Where nothing was tested there is nothing to show, rather than an empty object."""
    assert figures({"metrics": {"sharpe": None}, "validation": {}}) == ({"sharpe": None}, None)
