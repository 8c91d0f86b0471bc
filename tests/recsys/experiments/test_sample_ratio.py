"""Tests of chance use fixed seeds; their limits are exceeded by a right method once in a million seeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.core.errors import FieldError, ShapeError
from recsys.experiments.srm import chi_square_p_value, sequential_p_value, sequential_p_values

ODDS = 1e-6
SHARES = {"two": (0.5, 0.5), "canary": (0.99, 0.01), "three": (0.6, 0.3, 0.1)}


@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
def test_shares_kept_are_seldom_ever_called_broken(shares: tuple[float, ...]) -> None:
    n_runs, n_days, alpha = 4_000, 60, 0.05
    daily = np.random.default_rng(5).multinomial(700, shares, (n_runs, n_days))
    p = sequential_p_values(np.cumsum(daily, axis=1), shares)
    assert (p < alpha).any(axis=1).sum() <= stats.binom.isf(ODDS, n_runs, alpha)


def test_one_percent_of_skew_is_caught_with_a_hundred_thousand_users() -> None:
    n_runs = 2_000
    hits = np.random.default_rng(6).binomial(100_000, 0.51, n_runs)
    counts = np.stack([hits, 100_000 - hits], axis=-1)
    caught = (sequential_p_values(counts, (0.5, 0.5)) < 0.01).sum()
    assert caught >= stats.binom.isf(1 - ODDS, n_runs, 0.995)
    assert sequential_p_value((51_000, 49_000), (0.5, 0.5)) < 1e-6
    assert chi_square_p_value((51_000, 49_000), (0.5, 0.5)) < 1e-9


def test_a_broken_dealer_is_caught_early() -> None:
    assert sequential_p_value((700, 300), (0.5, 0.5)) < 1e-6
    assert sequential_p_value((0, 60), (0.5, 0.5)) < 1e-3
    assert sequential_p_value((990, 10, 0), (0.9, 0.05, 0.05)) < 1e-6


def test_the_bayes_factor_is_that_of_coins_counted_by_hand() -> None:
    """One user says nothing. After it a prior of k users expects another with (k / 2 + 1) / (k + 1)."""
    assert sequential_p_value((1, 0), (0.5, 0.5)) == pytest.approx(1.0)
    odds = [(k / 2 + 1) / (k + 1) / 0.5 for k in (100.0, 3_000.0)]
    assert sequential_p_value((2, 0), (0.5, 0.5)) == pytest.approx(2 / sum(odds))


def test_chi_square_is_that_of_scipy_and_knows_no_empty_table() -> None:
    found = stats.chisquare([55, 30, 15], [60, 30, 10]).pvalue
    assert chi_square_p_value((55, 30, 15), SHARES["three"]) == pytest.approx(found)
    assert chi_square_p_value((0, 0), (0.5, 0.5)) == 1.0
    assert chi_square_p_value((10,), (1.0,)) == 1.0


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=4))
def test_the_order_of_arms_does_not_matter(counts: list[int]) -> None:
    shares = np.arange(1, len(counts) + 1) / sum(range(1, len(counts) + 1))
    forward = sequential_p_value(counts, shares.tolist())
    backward = sequential_p_value(counts[::-1], shares[::-1].tolist())
    assert 0.0 < forward <= 1.0
    assert np.log(forward) == pytest.approx(np.log(backward), abs=1e-4)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ShapeError):
        sequential_p_value((1, 2, 3), (0.5, 0.5))
    with pytest.raises(FieldError, match="above 0"):
        sequential_p_value((1, 2), (1.0, 0.0))
    with pytest.raises(FieldError, match="counts"):
        sequential_p_value((-1, 2), (0.5, 0.5))
