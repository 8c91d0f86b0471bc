import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError
from recsys.experiments.power import (
    PowerPlan,
    Test,
    days_needed,
    drift_needed,
    mean_users,
    power,
    smallest_effect,
    users_needed,
)
from recsys.experiments.sequential import boundary


def test_one_look_needs_the_textbooks_sixteen_variances_per_arm() -> None:
    plan = PowerPlan(std=1.0, test="one look")
    per_arm = users_needed(plan, 0.1) / 2
    assert per_arm == pytest.approx(2 * (1.959964 + 0.841621) ** 2 / 0.1**2, abs=0.5)  # 1,570


def test_looking_on_the_way_costs_users_but_ends_sooner_when_the_effect_is_there() -> None:
    once, always = PowerPlan(std=2.0, test="one look"), PowerPlan(std=2.0)
    n = users_needed(always, 0.1)
    assert 1.5 < n / users_needed(once, 0.1) < 2.0
    assert mean_users(always, n, 0.1) < 0.75 * n
    assert mean_users(once, 500, 0.1) == 500
    assert mean_users(always, n, 0.0) > 0.97 * n


def test_without_an_effect_a_difference_is_found_with_odds_below_alpha() -> None:
    assert power(PowerPlan(std=1.0, test="one look"), 1_000, 0.0) == pytest.approx(0.05)
    assert power(PowerPlan(std=1.0, n_looks=200), 1_000, 0.0) < 0.05


def test_more_arms_share_alpha_and_users() -> None:
    one, three = PowerPlan(std=1.0), PowerPlan(std=1.0, n_arms=3, control_share=0.25)
    assert three.alpha_per_arm == pytest.approx(0.05 / 3)
    assert (one.pair_share, three.pair_share) == (1.0, 0.5)
    assert users_needed(three, 0.1) > 2 * users_needed(one, 0.1)


@given(
    st.floats(0.1, 9.0),
    st.floats(0.01, 3.0),
    st.floats(0.1, 0.95),
    st.sampled_from(["sequential", "one look"]),
)
def test_users_power_and_effect_answer_each_other(
    std: float, effect: float, wanted: float, test: Test
) -> None:
    plan = PowerPlan(std=std, test=test)
    n = users_needed(plan, effect, wanted)
    assert power(plan, n, effect) >= wanted - 1e-3
    assert smallest_effect(plan, n, wanted) <= effect * (1 + 1e-9)
    assert power(plan, n, effect) == power(plan, n, -effect)


def test_days_are_counted_from_those_who_are_new() -> None:
    assert days_needed(1_000, 300) == 4
    assert days_needed(1_000, [600, 300, 100, 50]) == 3
    assert days_needed(1_051, [600, 300, 100, 50]) is None
    assert days_needed(1_000, 0) is None


def test_what_cannot_be_is_refused() -> None:
    plan = PowerPlan(std=1.0)
    with pytest.raises(FieldError, match="effect"):
        users_needed(plan, 0.0)
    with pytest.raises(FieldError, match="power"):
        drift_needed(plan, 1.0)
    with pytest.raises(FieldError, match="power"):
        drift_needed(plan, 0.05)
    with pytest.raises(FieldError, match="n_users"):
        power(plan, 0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("n_arms", [1, 3])
def test_power_is_what_fresh_users_find_within_two_points(n_arms: int) -> None:
    """Of 10,000 experiments with skewed figures: 2 points are 5 standard errors, one in two million."""
    n_runs, n_looks = 10_000, 10
    plan = PowerPlan(std=np.sqrt(2.0), n_arms=n_arms, control_share=1 / (n_arms + 1), n_looks=n_looks)
    n = users_needed(plan, 0.15)
    n_arm = n // (n_arms + 1) // n_looks * n_looks
    rng = np.random.default_rng(17)
    sums = np.zeros((2, 2, n_runs, n_looks))
    for arm, effect in enumerate((0.0, 0.15)):
        for look in range(n_looks):
            users = rng.gamma(2.0, 1.0, (n_runs, n_arm // n_looks)) + effect
            sums[arm, :, :, look] = users.sum(axis=1), np.square(users).sum(axis=1)
    total, squares = np.cumsum(sums, axis=-1).transpose(1, 0, 2, 3)
    seen = np.arange(1, n_looks + 1) * (n_arm // n_looks)
    variance = (squares - total**2 / seen) / (seen - 1)
    z = (total[1] - total[0]) / seen / np.sqrt(variance.sum(axis=0) / seen)
    edge = boundary(2 * seen, plan.alpha_per_arm, 2 * n_arm)
    found = (np.abs(z) > edge).any(axis=1).mean()
    assert abs(found - 0.8) < 0.02
