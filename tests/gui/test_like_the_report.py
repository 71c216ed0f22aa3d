"""The panel tells and draws a figure as the report does, of which it knows nothing but HTTP."""

from typing import Any

import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from app import report_tables
from app.catalog import whole_catalog
from app.metric_words import in_words
from engine.artifacts import drawing, plot
from engine.metrics.definitions import METRICS
from gui.panels import chart_parts, figures, picture

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
KNOWN = {each["name"]: each for each in whole_catalog()["metrics"]}


@given(NUMBERS)
def test_numbers(value: float) -> None:
    """Prices, quantities and percentages read alike."""
    assert figures.price(value) == report_tables.price(value)
    assert figures.quantity(value) == report_tables.quantity(value)
    assert figures.percent(value) == report_tables.percent(value)


@given(st.integers(-62_000_000_000_000, 250_000_000_000_000))
def test_times(ts_ms: int) -> None:
    """A time reads alike."""
    assert figures.moment(ts_ms) == report_tables.moment(ts_ms)


@given(NUMBERS, st.sampled_from(sorted(METRICS.keys() - {"turnover"})))
def test_metrics(value: float, name: str) -> None:
    """A metric reads alike, however large it is; turnover has its unit in the report alone."""
    assert figures.metric(KNOWN[name], value) == in_words(name, value)


@given(arrays(float, st.integers(1, 9_000), elements=st.floats(-1e9, 1e9, width=32)))
def test_bars_that_are_drawn(values: Any) -> None:
    """Of a long curve the same bars are drawn."""
    assert picture.thin(values).tolist() == drawing.sample_bars(values).tolist()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (picture.MAX_POINTS, drawing.MAX_POINTS),
        (picture.LOG_FROM_RATIO, drawing.LOG_FROM_RATIO),
        (chart_parts.MOST_MARKS, plot.MAX_MARKERS),
    ],
)
def test_bounds_of_a_drawing(ours: float, theirs: float) -> None:
    """Both draw as many points and fills, and turn to logarithms at the same place."""
    assert ours == theirs
