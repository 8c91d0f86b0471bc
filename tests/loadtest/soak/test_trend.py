"""Slopes of series whose slope is known."""

import numpy as np
import pytest

from loadtest.soak.trend import trend
from recsys.core.errors import InputError

AT_S = np.arange(600.0)


def test_a_straight_line_has_its_slope() -> None:
    found = trend(AT_S, 3.0 + 0.5 * AT_S)
    assert found.slope == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5)
    assert found.high == pytest.approx(0.5)


def test_a_flat_series_does_not_grow() -> None:
    found = trend(AT_S, np.full(600, 7.0))
    assert (found.slope, found.low, found.high) == (0.0, 0.0, 0.0)


def test_noise_alone_seldom_looks_like_growth() -> None:
    """At 99 % one interval in a hundred misses zero; twelve of 400 or more come by chance once in 1,000."""
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(400):
        found = trend(AT_S, rng.normal(size=600))
        missed += not found.low <= 0.0 <= found.high
    assert missed < 12


def test_noise_whose_neighbours_are_alike_gets_a_wider_interval() -> None:
    rng = np.random.default_rng(0)
    fresh = rng.normal(size=600)
    alike = np.zeros(600)
    for place in range(1, 600):
        alike[place] = 0.98 * alike[place - 1] + 0.2 * fresh[place]
    sticky, plain = trend(AT_S, alike), trend(AT_S, alike.std() * fresh / fresh.std())
    assert sticky.high - sticky.low > 2 * (plain.high - plain.low)


def test_a_leak_beneath_noise_is_found() -> None:
    rng = np.random.default_rng(0)
    found = trend(AT_S, 100.0 + 0.01 * AT_S + rng.normal(scale=1.0, size=600))
    assert found.low > 0.0
    assert found.low <= 0.01 <= found.high


def test_too_short_a_series_has_no_trend() -> None:
    with pytest.raises(InputError, match="8 stretches"):
        trend(np.arange(5.0), np.arange(5.0))
