"""Figures, reasons and times as the panel writes them."""

import pytest

from app.catalog import whole_catalog
from app.metric_words import in_words
from gui.panels.figures import metric, moment, percent, price, quantity, reason_in_words

CATALOG = whole_catalog()


@pytest.mark.parametrize("value", [0.0, 0.12345, -1234.5678, 3, 2.5e20, None])
def test_metrics_read_as_in_the_report(value: float | None) -> None:
    """From what the catalogue says of a metric, the panel tells it as the report does."""
    why = reason_in_words(CATALOG["reasons"]["metrics"], "no_trades")
    for known in CATALOG["metrics"]:
        said = in_words(known["name"], value, "no_trades").removesuffix(" × equity")
        assert metric(known, value, why) == said
    assert metric(None, value, why) == in_words("of_a_plugin", value, "no_trades")


def test_a_reason_without_words() -> None:
    """A reason that the program does not know, of a plugin, is told by its code."""
    assert reason_in_words({}, "one_of_a_plugin") == "one of a plugin"
    assert reason_in_words({}, None) == "undefined"


def test_forms() -> None:
    """Times are UTC, with hours where they say something; nothing has no sign."""
    assert moment(1_700_006_400_000) == "2023-11-15"
    assert moment(1_700_000_000_000) == "2023-11-14 22:13"
    assert [percent(x) for x in (0.1234, -0.5, 0.0, -0.00001)] == [
        "+12.34%",
        "-50.00%",
        "0.00%",
        "0.00%",
    ]
    assert [price(x) for x in (1234.567, 1.08345, 0.00012345)] == [
        "1,234.57",
        "1.0835",
        "0.00012345",
    ]
    assert [quantity(x) for x in (12.34567, 123456.7)] == ["12.3457", "123,457"]
