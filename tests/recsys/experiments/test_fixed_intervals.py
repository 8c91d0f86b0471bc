from math import inf

import numpy as np
import pytest
from scipy import stats

from recsys.experiments.intervals import (
    difference_at_one_look,
    lift_at_all_times,
    lift_by_delta,
    lift_interval,
)
from recsys.experiments.moments import Moments, moments_of
from recsys.experiments.sequential import EVERYTHING, boundary


def arms(n: int, seed: int, lift: float = 0.1) -> tuple[Moments, Moments]:
    rng = np.random.default_rng(seed)
    return moments_of(rng.gamma(2.0, 1.0, n)), moments_of(rng.gamma(2.0, 1.0 + lift, n // 2))


def test_a_difference_of_means_is_welchs_test() -> None:
    rng = np.random.default_rng(1)
    control, treatment = rng.gamma(2.0, 1.0, 80), rng.gamma(2.0, 1.4, 31)
    ours = difference_at_one_look(moments_of(control), moments_of(treatment), 0.05)
    theirs = stats.ttest_ind(treatment, control, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert ours.p == pytest.approx(theirs.pvalue)
    assert (ours.lower, ours.upper) == pytest.approx((interval.low, interval.high))


def test_a_ratio_has_the_spread_that_resampling_users_finds() -> None:
    rng = np.random.default_rng(2)
    shown = 1 + rng.poisson(rng.gamma(1.0, 8.0, 2_000))
    watched = rng.binomial(shown, rng.beta(2, 6, 2_000))
    control = moments_of(watched, shown)
    drawn = rng.integers(0, 2_000, (2_000, 2_000))
    ratios = watched[drawn].sum(axis=1) / shown[drawn].sum(axis=1)
    error = difference_at_one_look(control, control, 0.05).standard_error / np.sqrt(2)
    assert error == pytest.approx(ratios.std(), rel=0.1)  # 2,000 draws: 6 standard errors are 0.095
    naive = np.sqrt(control.ratio * (1 - control.ratio) / shown.sum())
    assert error > 1.3 * naive  # lists of one user are alike


def test_unknown_stays_unknown() -> None:
    zeros = moments_of(np.zeros(9))
    found = difference_at_one_look(zeros, zeros, 0.05)
    assert (found.lower, found.upper) == (-inf, inf)
    assert np.isnan(found.p)
    assert np.isnan(difference_at_one_look(Moments(), Moments(), 0.05).value)
    assert lift_interval(zeros, zeros, 2.0) == EVERYTHING
    assert lift_by_delta(zeros, zeros, 2.0) == EVERYTHING


def test_fieller_leaves_out_just_the_lifts_that_a_test_refuses() -> None:
    control, treatment = arms(3_000, seed=3)
    for lift in lift_interval(control, treatment, 1.96):
        error = np.sqrt(treatment.variance / treatment.n + (1 + lift) ** 2 * control.variance / control.n)
        # the smaller arm took the larger variance, which is its own here
        assert abs(treatment.ratio - (1 + lift) * control.ratio) == pytest.approx(1.96 * error, rel=1e-6)


def test_delta_and_fieller_agree_on_large_samples() -> None:
    control, treatment = arms(200_000, seed=4)
    assert lift_by_delta(control, treatment, 1.96) == pytest.approx(
        lift_interval(control, treatment, 1.96), abs=2e-4
    )


def test_no_lift_is_left_out_while_the_control_may_be_zero() -> None:
    assert lift_interval(moments_of([-1.0, 1.0, 0.5]), moments_of([1.0, 2.0]), 2.0) == EVERYTHING


def test_a_lift_that_holds_at_all_times_is_wider() -> None:
    control, treatment = arms(2_000, seed=5)
    always = lift_at_all_times(control, treatment, 0.05, 3_000)
    assert always == lift_interval(control, treatment, float(boundary(3_000, 0.05, 3_000)))
    once = lift_interval(control, treatment, 1.96)
    assert always.lower < once.lower < once.upper < always.upper
