"""Tests of chance use fixed seeds; their limits are exceeded by a right method once in a million seeds."""

from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq
from scipy.special import betaln

from recsys.core.errors import FieldError
from recsys.experiments.moments import moments_of
from recsys.experiments.sequential import (
    EVERYTHING,
    always_valid_p,
    boundary,
    difference_of_means,
    proportion_interval,
    proportion_intervals,
)

ODDS = 1e-6


def most_misses(n_trials: int, alpha: float) -> int:
    """Return how many misses a method of level ``alpha`` stays under, but for once in a million seeds."""
    return int(stats.binom.isf(ODDS, n_trials, alpha))


def walks(n_walks: int, n_steps: int, seed: int) -> NDArray[np.float64]:
    return np.cumsum(np.random.default_rng(seed).standard_normal((n_walks, n_steps)), axis=1)


def test_the_boundary_is_closest_at_the_planned_sample() -> None:
    n = np.arange(1, 5_000)
    width = boundary(n, 0.05, 1_000)
    assert n[np.argmin(width)] == 1_000
    assert width[999] == pytest.approx(3.0343, abs=1e-3)


def test_a_walk_without_drift_leaves_the_boundary_seldom_however_often_one_looks() -> None:
    n_walks, n_steps, alpha = 4_000, 2_000, 0.05
    n = np.arange(1, n_steps + 1)
    z = walks(n_walks, n_steps, seed=1) / np.sqrt(n)
    left = (np.abs(z) > boundary(n, alpha, 500)).any(axis=1).sum()
    naive = (np.abs(z) > stats.norm.isf(alpha / 2)).any(axis=1).sum()
    assert left <= most_misses(n_walks, alpha)
    assert naive > n_walks * 0.4


@given(st.floats(-8, 8), st.integers(1, 10**7), st.sampled_from([0.001, 0.01, 0.05, 0.2]))
def test_p_is_below_alpha_just_when_the_boundary_is_passed(z: float, n: int, alpha: float) -> None:
    p = float(always_valid_p(z, n, alpha, 1_000))
    edge = float(boundary(n, alpha, 1_000))
    assert (p < alpha) == (abs(z) > edge) or abs(abs(z) - edge) < 1e-9


def test_the_interval_of_a_difference_is_standard_errors_around_it() -> None:
    control, treatment = moments_of([0.0, 2.0] * 50), moments_of([1.0, 3.0] * 50)
    lower, upper = difference_of_means(control, treatment, 0.05, 200)
    error = np.sqrt(2 * (100 / 99) / 100)
    assert (lower + upper) / 2 == pytest.approx(1.0)
    assert (upper - lower) / 2 == pytest.approx(3.0343 * error, rel=1e-3)


def test_nothing_is_known_of_one_user_or_of_figures_that_never_varied() -> None:
    one, many, zeros = moments_of([1.0]), moments_of([1.0, 2.0]), moments_of(np.zeros(50))
    assert difference_of_means(one, many, 0.05, 100) == EVERYTHING
    assert difference_of_means(zeros, zeros, 0.05, 100) == EVERYTHING


def test_an_arm_without_variance_borrows_from_the_other() -> None:
    control = moments_of(np.tile([0.0, 1.0], 1_000))
    nobody = moments_of(np.zeros(2_000))
    lower, upper = difference_of_means(control, nobody, 0.05, 4_000)
    assert lower < -0.5 < upper < 0.0
    few = difference_of_means(control, moments_of(np.zeros(3)), 0.05, 4_000)
    assert few.lower < 0.0 < few.upper  # three zeros are no proof of anything


@pytest.mark.parametrize("alpha", [0.05, 0.005])
@pytest.mark.parametrize("p", [0.0005, 0.02, 0.3, 0.5, 0.97])
def test_the_true_proportion_is_seldom_ever_missed(p: float, alpha: float) -> None:
    n_runs, n_trials = 2_000, 3_000
    rng = np.random.default_rng(7)
    hits = np.cumsum(rng.random((n_runs, n_trials)) < p, axis=1)
    n = np.arange(1, n_trials + 1)
    # p is outside the interval just where the mixture exceeds its likelihood by 1 / alpha
    mixture = betaln(0.5 + hits, 0.5 + n - hits) - betaln(0.5, 0.5)
    missed = mixture + log(alpha) > hits * log(p) + (n - hits) * np.log1p(-p)
    assert missed.any(axis=1).sum() <= most_misses(n_runs, alpha)
    at = np.array([1, 10, 100, 1_000, 3_000]) - 1
    lower, upper = proportion_intervals(hits[:, at], n[at], alpha)
    np.testing.assert_array_equal((p < lower) | (p > upper), missed[:, at])


@given(st.integers(1, 10**9), st.floats(0, 1), st.sampled_from([1e-6, 0.005, 0.05, 0.5]))
def test_the_ends_of_a_proportion_hold_what_was_found_and_mirror_each_other(
    n: int, share: float, alpha: float
) -> None:
    hits = round(share * n)
    interval, mirrored = proportion_interval(hits, n, alpha), proportion_interval(n - hits, n, alpha)
    assert 0.0 <= interval.lower <= hits / n <= interval.upper <= 1.0
    assert interval.lower == pytest.approx(1.0 - mirrored.upper, abs=1e-12)
    assert (interval.lower == 0.0) == (hits == 0)


def test_the_ends_solve_the_mixture_equation() -> None:
    level = betaln(3.5, 197.5) - betaln(0.5, 0.5) + log(0.01)

    def excess(p: float) -> float:
        return float(level - 3 * log(p) - 197 * log(1 - p))

    lower, upper = proportion_interval(3, 200, 0.01)
    assert lower == pytest.approx(brentq(excess, 1e-9, 0.015, xtol=1e-15), rel=1e-9)
    assert upper == pytest.approx(brentq(excess, 0.015, 0.9, xtol=1e-15), rel=1e-9)


def test_no_trials_say_nothing_and_never_a_hit_leaves_an_end_open() -> None:
    assert proportion_interval(0, 0, 0.01) == (0.0, 1.0)
    assert proportion_interval(0, 1, 0.01) == pytest.approx((0.0, 0.995))
    assert proportion_interval(20_000, 20_000, 0.01).upper == 1.0


@pytest.mark.parametrize(("hits", "n", "alpha"), [(-1, 5, 0.1), (6, 5, 0.1), (1, 5, 0.0), (1, 5, 1.0)])
def test_impossible_counts_and_levels_are_refused(hits: int, n: int, alpha: float) -> None:
    with pytest.raises(FieldError):
        proportion_interval(hits, n, alpha)


def test_a_plan_for_nobody_is_refused() -> None:
    with pytest.raises(FieldError, match="planned_n"):
        boundary(10, 0.05, 0)
    assert boundary(1, 0.05, 1e12) < inf


@pytest.mark.slow
def test_a_small_arm_of_a_rare_event_is_seldom_ever_missed() -> None:
    """One user in 100 is in the canary, one in 100 watches: its own variance misses five times too often."""
    n_runs, n_users, p, alpha = 4_000, 2_000, 0.01, 0.01
    rng = np.random.default_rng(3)
    hits = np.cumsum(rng.random((n_runs, n_users)) < p, axis=1)
    n = np.arange(1, n_users + 1)
    ever = np.zeros(n_runs, dtype=bool)
    looks = np.unique(np.geomspace(10, n_users, 60).astype(int)) - 1
    for k in looks:
        control = moments_of(np.arange(99 * n[k]) % 100 == 0)
        for h in np.unique(hits[:, k]):
            canary = moments_of(np.arange(n[k]) < h)
            lower, upper = difference_of_means(control, canary, alpha, 100 * n_users)
            ever |= (hits[:, k] == h) & ((lower > 0.0) | (upper < 0.0))
    assert ever.sum() <= most_misses(n_runs, alpha)
