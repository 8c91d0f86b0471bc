"""Tests of chance use fixed seeds; their limits are exceeded by a right method once in a million seeds."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import xlog1py, xlogy

from recsys.core.errors import FieldError
from recsys.experiments.sequential import log_mixture, proportion_interval
from recsys.experiments.two_proportions import (
    Counts,
    difference_of_proportions,
    p_difference_above,
    p_ratio_above,
    ratio_of_proportions,
)

ODDS = 1e-6


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    n = draw(st.integers(1, 10_000))
    return draw(st.integers(0, n)), n


def test_three_of_two_hundred_against_none_of_twenty_thousand_is_beyond_doubt_at_one_percent() -> None:
    stable, canary = (0, 20_000), (3, 200)
    assert p_ratio_above(stable, canary, 1.0) == pytest.approx(0.00428, rel=0.01)
    assert difference_of_proportions(stable, canary, 0.01).lower > 0.0
    assert ratio_of_proportions(stable, canary, 0.01).lower > 1.0
    apart = proportion_interval(*canary, 0.005).lower, proportion_interval(*stable, 0.005).upper
    assert apart[0] < apart[1]  # an interval for each arm would not have seen it


@pytest.mark.parametrize(("p", "every"), [(0.001, 100), (0.1, 1), (0.5, 4)])
def test_a_true_pair_is_seldom_ever_left_out(p: float, every: int) -> None:
    """The canary sees one trial in ``every`` + 1; we look after every trial."""
    n_runs, n_steps, alpha = 2_000, 2_000, 0.05
    rng = np.random.default_rng(11)
    n_treated = np.arange(1, n_steps + 1)
    treated = np.cumsum(rng.random((n_runs, n_steps)) < p, axis=1)
    control = np.cumsum(rng.binomial(every, p, (n_runs, n_steps)), axis=1)
    n_control = n_treated * every
    likelihood = xlogy(treated + control, p) + xlog1py(n_treated + n_control - treated - control, -p)
    mixture = log_mixture(treated, n_treated) + log_mixture(control, n_control)
    ever = (mixture - likelihood > -np.log(alpha)).any(axis=1).sum()
    assert ever <= stats.binom.isf(ODDS, n_runs, alpha)


@given(counts(), counts(), st.sampled_from([0.001, 0.05]), st.floats(0.2, 5.0))
def test_p_and_interval_of_a_ratio_agree(
    control: Counts, treatment: Counts, alpha: float, limit: float
) -> None:
    lower, upper = ratio_of_proportions(control, treatment, alpha)
    p = p_ratio_above(control, treatment, limit)
    assert 0.0 <= lower <= upper
    assert (p < alpha) == (limit < lower) or lower == pytest.approx(limit, rel=1e-6)
    if control[0] and treatment[0]:
        turned = ratio_of_proportions(treatment, control, alpha)
        assert turned.lower == pytest.approx(1.0 / upper, rel=1e-6)


@given(counts(), counts(), st.sampled_from([0.001, 0.05]), st.floats(-0.5, 0.5))
def test_p_and_interval_of_a_difference_agree(
    control: Counts, treatment: Counts, alpha: float, limit: float
) -> None:
    lower, upper = difference_of_proportions(control, treatment, alpha)
    found = treatment[0] / treatment[1] - control[0] / control[1]
    assert -1.0 <= lower <= found <= upper <= 1.0
    p = p_difference_above(control, treatment, limit)
    assert (p < alpha) == (limit < lower) or lower == pytest.approx(limit, abs=1e-6)
    turned = difference_of_proportions(treatment, control, alpha)
    assert turned.lower == pytest.approx(-upper, abs=1e-6)


def test_the_best_pair_is_that_of_a_search() -> None:
    control, treatment, ratio = (30, 400), (25, 200), 1.2
    p = np.linspace(1e-6, 1 / ratio - 1e-6, 400_000)
    likelihood = 30 * np.log(p) + 370 * np.log1p(-p) + 25 * np.log(p * ratio) + 175 * np.log1p(-p * ratio)
    mixture = float(log_mixture(*control) + log_mixture(*treatment))
    expected = min(1.0, float(np.exp(likelihood.max() - mixture)))
    assert p_ratio_above(control, treatment, ratio) == pytest.approx(expected, rel=1e-6)


def test_no_trials_in_an_arm_say_nothing() -> None:
    assert ratio_of_proportions((0, 0), (5, 5), 0.05) == (0.0, inf)
    assert difference_of_proportions((0, 0), (5, 5), 0.05) == (-1.0, 1.0)
    assert p_ratio_above((0, 0), (5, 5), 1.0) == 1.0
    assert p_difference_above((0, 0), (5, 5), 0.0) == 1.0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(FieldError, match="successes"):
        p_ratio_above((6, 5), (1, 5), 1.0)
    with pytest.raises(FieldError, match="ratio"):
        p_ratio_above((1, 5), (1, 5), 0.0)
    with pytest.raises(FieldError, match="difference"):
        p_difference_above((1, 5), (1, 5), 1.0)
