"""The table of definitions has each metric that a run measures, with its unit and a sentence."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from engine.artifacts import metrics_document
from engine.metrics.definitions import METRICS, Unit
from engine.pipeline import run


def names(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted name of everything that metrics.json holds."""
    for name, value in document["metrics"].items():
        yield from [f"{name}.{part}" for part in value] if isinstance(value, dict) else [name]
    yield from (f"benchmark.{name}" for name in document["benchmark"])
    yield from document.keys() - {"metrics", "reasons", "benchmark"}


def test_every_metric_is_defined_and_nothing_else() -> None:
    """What a run measures is what the table defines, no more and no less."""
    found = list(names(metrics_document(run({"symbol": "SPX", "provider": "sample"}))))
    assert len(found) == len(set(found))
    assert set(found) == set(METRICS)


def test_a_run_measures_in_the_units_told() -> None:
    """Counts are whole numbers, and what is a share of something lies in its range."""
    document = metrics_document(run({"symbol": "SPX", "provider": "sample"}))
    values = document["metrics"]
    counts = [name for name, said in METRICS.items() if said.unit == "count" and name in values]
    assert {"trade_count", "open_trades", "longest_win_streak", "longest_loss_streak"} == set(
        counts
    )
    assert all(isinstance(values[name], int) for name in counts)
    assert METRICS["max_drawdown_duration_bars"].unit == "bars"
    for name in ("max_drawdown", "win_rate", "exposure", "psr"):
        assert METRICS[name].unit == "fraction"
        assert -1 <= values[name] <= 1


def test_each_definition_reads_as_one_sentence() -> None:
    """Each has a label of its own, a known unit and one sentence."""
    assert len({said.label for said in METRICS.values()}) == len(METRICS)
    for name, said in METRICS.items():
        assert said.unit in get_args(Unit)
        assert said.label[0].isupper(), name
        assert said.definition[0].isupper() or said.definition[0].isdigit(), name
        assert said.definition.endswith("."), name
        assert ". " not in said.definition, name
