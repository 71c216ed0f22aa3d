"""The soak's arithmetic on samples made by hand, its short form, and the result of the long one."""

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.soak import as_table, soak
from scripts.soak_samples import ALLOWED_AN_HOUR, LAGS, slope, verdict
from scripts.soak_visits import ACTIONS

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
MEASURED = {"rss_mb", "anonymous_mb", "pss_mb", "handles", "threads", "disk_mb", "log_mb",
            "database_mb", "wal_mb", "streams"}  # fmt: skip


def made(minute: float, at_rest: float, rss_mb: float, handles: float = 20.0) -> dict[str, float]:
    """Return a sample."""
    return {"minute": minute, "at_rest": at_rest, "rss_mb": rss_mb, "handles": handles}


@functools.cache
def short() -> dict[str, Any]:
    """Return the figures of the short form."""
    return soak(0.5, 3, lambda _: None)


def test_slope_of_a_line() -> None:
    """Samples on a line have its rise, and no error."""
    found = slope([10.0, 20.0, 40.0], [100.0, 105.0, 115.0])
    assert found.per_hour == pytest.approx(30.0)
    assert found.standard_error == pytest.approx(0.0, abs=1e-9)
    assert found.n == 3


def test_slope_by_hand() -> None:
    """The values 1, 2, 2, 3 at four hours rise by 0.6 an hour."""
    found = slope([0.0, 60.0, 120.0, 180.0], [1.0, 2.0, 2.0, 3.0])
    assert found.per_hour == pytest.approx(0.6)
    # Residuals −0.1, 0.3, −0.3, 0.1 times −1.5, −0.5, 0.5, 1.5; one lag of weight ½; Σt² = 5.
    scores = (0.15, -0.15, -0.15, 0.15)
    total = sum(s * s for s in scores) + (0.15 * -0.15 + 0.15 * 0.15 + -0.15 * 0.15)
    assert found.standard_error == pytest.approx(math.sqrt(total * 4 / 2) / 5)


def test_slope_like_numpy() -> None:
    """The rise of many samples is that of numpy's fit, its error that of a slow double loop."""
    rng = np.random.default_rng(1)
    minutes = np.sort(rng.uniform(10, 45, 60))
    values = 200 + 0.05 * minutes + rng.standard_normal(60)
    found = slope(list(minutes), list(values))
    rise, level = np.polyfit(minutes / 60, values, 1)
    assert found.per_hour == pytest.approx(rise)
    t = minutes / 60 - minutes.mean() / 60
    scores = t * (values - level - rise * minutes / 60)
    total = sum(
        max(0.0, 1 - abs(i - j) / (LAGS + 1)) * scores[i] * scores[j]
        for i in range(60)
        for j in range(60)
    )
    assert found.standard_error == pytest.approx(math.sqrt(total * 60 / 58) / (t @ t))


def test_error_of_noise() -> None:
    """Over many made-up series the slopes scatter by about the error that each one states."""
    rng = np.random.default_rng(2)
    minutes = list(np.linspace(10, 45, 70))
    found = [slope(minutes, list(rng.standard_normal(70))) for _ in range(400)]
    scatter = np.std([each.per_hour for each in found])
    stated = np.mean([each.standard_error for each in found])
    assert 0.75 < stated / scatter < 1.1  # of so few samples it is told a little too small


@pytest.mark.parametrize("minutes", [[], [1.0, 2.0], [3.0, 3.0, 3.0]])
def test_no_slope(minutes: list[float]) -> None:
    """Too few samples, or all at one time, have no slope."""
    with pytest.raises(ValueError, match="three samples at different times"):
        slope(minutes, minutes)


def test_verdict() -> None:
    """What rises by less than is allowed is level, and what rises by more is not."""
    level = [made(m, 1.0, 200 + 0.9 * m / 60) for m in range(10, 46)]
    rising = [made(m, 1.0, 200 + 1.1 * m / 60, 20 + m / 30) for m in range(10, 46)]
    assert ALLOWED_AN_HOUR["rss_mb"] == ALLOWED_AN_HOUR["handles"] == 1.0
    found = verdict(level, 10)
    assert found["rss_mb"]["level"]
    assert found["rss_mb"]["per_hour"] == 0.9
    assert found["handles"] == {
        "per_hour": 0.0, "standard_error": 0.0, "first_third": 20.0, "last_third": 20.0,
        "min": 20.0, "max": 20.0, "samples": 36, "allowed_per_hour": 1.0, "level": True,
    }  # fmt: skip
    found = verdict(rising, 10)
    assert not found["rss_mb"]["level"]
    assert not found["handles"]["level"]
    assert found["handles"]["per_hour"] == 2.0


def test_what_counts() -> None:
    """Samples at work, and those of the warm-up, do not move the verdict."""
    samples = [made(m, 1.0, 200.0) for m in range(10, 46)]
    others = [made(m, 1.0, 20.0 * m) for m in range(10)] + [made(44.5, 0.0, 900.0)]
    assert verdict(samples + others, 10) == verdict(samples, 10)


def test_short_form() -> None:
    """Half a minute goes through every action, through kills on both sides, and nothing fails."""
    figures = short()
    assert figures["failures"] == []
    assert figures["missed"] == []
    assert set(ACTIONS) <= set(figures["done"])
    assert figures["done"]["kill"] == 2
    assert figures["done"]["fill"] >= 2
    assert figures["beside"]["kills"] >= 1
    assert {"200", "201", "202", "204", "404"} <= set(figures["answers"])
    assert not any(status.startswith("5") for status in figures["answers"])


def test_short_form_is_measured() -> None:
    """Everything that can grow is in each sample, at rest and at work."""
    figures = short()
    assert {each["at_rest"] for each in figures["samples"]} == {0.0, 1.0}
    for sample in figures["samples"]:
        assert set(sample) == MEASURED | {"minute", "at_rest"}
        assert 20 < sample["anonymous_mb"] < sample["rss_mb"]
        assert sample["handles"] > 3
        assert sample["threads"] > 3
        assert 0 < sample["wal_mb"] <= sample["database_mb"] <= sample["disk_mb"]
    assert set(figures["slopes"]) == MEASURED


def test_kept_form() -> None:
    """What is kept is JSON with one sample a line."""
    figures = {"level": True, "samples": [made(1.0, 1.0, 200.0), made(2.0, 0.0, 201.0)]}
    text = as_table(figures)
    assert json.loads(text) == {
        "level": True,
        "columns": ["minute", "at_rest", "rss_mb", "handles"],
        "samples": [[1.0, 1.0, 200.0, 20.0], [2.0, 0.0, 201.0, 20.0]],
    }
    assert "    [1.0, 1.0, 200.0, 20.0],\n" in text


def test_the_long_form() -> None:
    """What is kept of three quarters of an hour says what its samples say: all is level."""
    kept = json.loads((SCRIPTS / "soak.json").read_text(encoding="utf-8"))
    assert kept["minutes"] >= 45
    assert kept["from_minute"] <= 10
    assert kept["missed"] == []
    samples = [dict(zip(kept["columns"], row, strict=True)) for row in kept["samples"]]
    assert samples[-1]["minute"] >= 44
    assert verdict(samples, kept["from_minute"]) == kept["slopes"]
    assert {name for name in kept["slopes"] if kept["slopes"][name].get("level")} == {
        *ALLOWED_AN_HOUR
    }
    assert kept["level"]
    assert kept["failures"] == []
    assert min(kept["done"][name] for name in ACTIONS) >= 10
    assert kept["beside"]["kills"] >= 30
