"""What a run is shown with."""

from app.run_records import figures


def test_a_plugin_s_figures_replace_no_metric() -> None:
    """A test's figure that is called as a metric is kept with the tests alone."""
    validation = {"sharpe": 99.0, "coin_flip_p_value": 0.5}
    metrics, found = figures({"metrics": {"sharpe": 0.5}, "validation": validation})
    assert metrics == {"sharpe": 0.5, "coin_flip_p_value": 0.5}
    assert found == validation


def test_a_run_without_tests_has_no_figures() -> None:
    """Where nothing was tested there is nothing to show, rather than an empty object."""
    assert figures({"metrics": {"sharpe": None}, "validation": {}}) == ({"sharpe": None}, None)
