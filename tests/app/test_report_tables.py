"""How a quantity is written in the report."""

import pytest

from app.report_tables import quantity


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.001234567, "0.00123457"),
        (80.95034, "80.9503"),
        (12345.678, "12,345.7"),
        (99_999.96, "100,000"),
        (1_234_567.8, "1,234,568"),
        (2.5e20, "2.5e+20"),
    ],
)
def test_a_quantity(value: float, shown: str) -> None:
    """A number of units keeps six digits, and every digit before the point where it can be read."""
    assert quantity(value) == shown
