import pytest

from app.metric_words import in_words
from engine.metrics import REASONS as METRIC_REASONS
from engine.metrics.definitions import METRICS
from engine.validation import REASONS as TEST_REASONS
from gui.panels.figures import REASONS, metric, moment, percent, price, quantity, reason_in_words


@pytest.mark.parametrize("value", [0.0, 0.12345, -1234.5678, 3, 2.5e20, None])
def test_metrics_read_as_in_the_report(value: float | None) -> None:
    """The panel, which knows the program over HTTP alone, says every metric as the report does."""
    for name, known in METRICS.items():
        if known.unit == "count" and isinstance(value, float) and value % 1:
            continue
        said = in_words(name, value, "no_trades").removesuffix(" × equity")
        assert metric(name, known.unit, value, "no_trades") == said


def test_every_reason_has_its_words() -> None:
    """The reasons are those of metrics and tests."""
    assert {**TEST_REASONS, **METRIC_REASONS} == REASONS
    assert reason_in_words("one_of_a_plugin") == "one of a plugin"
    assert reason_in_words(None) == "undefined"


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
