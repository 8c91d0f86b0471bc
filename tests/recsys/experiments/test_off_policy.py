import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.core.errors import FieldError, ShapeError
from recsys.experiments.off_policy import LoggedChoices, cross_fitted, difference, estimate

Floats = NDArray[np.float64]
NAN = float("nan")


def logged(
    chances: list[list[float]], chosen: list[int], rewards: list[float], units: list[int] | None = None
) -> LoggedChoices:
    """Rows of choices; ``chosen`` counts within the row."""
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in chances])]).astype(np.int64)
    return LoggedChoices(
        offsets,
        np.concatenate(chances),
        offsets[:-1] + np.array(chosen),
        np.array(rewards),
        np.arange(len(chosen)) if units is None else np.array(units),
    )


# Ten users, one list each, two choices of equal chance: the first five took the first, the others the second.
EVEN = logged([[0.5, 0.5]] * 10, [0] * 5 + [1] * 5, [1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0])


def test_with_even_chances_a_fixed_choice_is_worth_the_mean_where_it_was_taken() -> None:
    found = estimate(EVEN, EVEN.own())
    assert found.ips.value == pytest.approx(2 * 2 / 10)
    assert found.snips.value == pytest.approx(2 / 5)
    assert (found.agreement, found.effective_rows, found.largest_weight) == (0.5, 5.0, 2.0)
    assert (found.n_rows, found.n_users, found.doubly_robust) == (10, 10, None)


def test_the_error_is_that_of_the_mean_over_users() -> None:
    found = estimate(EVEN, EVEN.own()).ips
    parts = np.array([2.0, 2.0] + [0.0] * 8)  # w r of each user
    assert found.standard_error == pytest.approx(parts.std(ddof=1) / np.sqrt(10))
    assert found.upper - found.value == pytest.approx(2.262 * found.standard_error, rel=1e-3)  # t, 9 degrees


def test_an_unlikely_choice_weighs_as_much_as_it_was_unlikely() -> None:
    rows = logged([[0.9, 0.1]] * 10, [0] * 9 + [1], [0.0] * 9 + [1.0])
    found = estimate(rows, np.tile([0.0, 1.0], 10))
    assert found.ips.value == pytest.approx(1.0)
    assert found.largest_weight == pytest.approx(10.0)
    assert found.effective_rows == pytest.approx(1.0)


def test_a_perfect_prediction_leaves_the_doubly_robust_estimate_no_error() -> None:
    rewards = np.where(np.arange(10) % 3 == 0, 1.0, 0.0)
    rows = logged([[0.5, 0.5]] * 10, [1] * 5 + [0] * 5, rewards.tolist())
    found = estimate(rows, rows.own(), predicted=np.repeat(rewards, 2)).doubly_robust
    assert found is not None
    assert found.value == pytest.approx(rewards.mean())
    assert found.standard_error == pytest.approx(rewards.std(ddof=1) / np.sqrt(10))


def test_without_knowledge_the_doubly_robust_estimate_is_that_of_ips() -> None:
    found = estimate(EVEN, EVEN.own(), predicted=np.zeros(20))
    assert found.doubly_robust == found.ips


def test_the_policy_that_served_is_worth_what_was_found() -> None:
    found = estimate(EVEN, EVEN.chances)
    assert found.ips.value == found.snips.value == pytest.approx(0.6)
    assert (found.agreement, found.effective_rows, found.largest_weight) == (1.0, 10.0, 1.0)


def test_a_policy_does_not_differ_from_itself() -> None:
    found = difference(EVEN, EVEN.own(), EVEN.own(), predicted=np.full(20, 0.3))
    assert (found.value, found.lower, found.upper) == (0.0, 0.0, 0.0)


def test_the_difference_is_that_of_the_estimates_on_the_same_rows() -> None:
    other = np.tile([0.0, 1.0], 10)
    predicted = np.linspace(0.0, 1.0, 20)
    ours = estimate(EVEN, EVEN.own(), predicted=predicted).doubly_robust
    theirs = estimate(EVEN, other, predicted=predicted).doubly_robust
    assert ours is not None
    assert theirs is not None
    apart = difference(EVEN, EVEN.own(), other, predicted=predicted)
    assert apart.value == pytest.approx(ours.value - theirs.value)


def test_lists_of_one_user_count_as_one() -> None:
    twice = logged(
        [[0.5, 0.5]] * 40, [0, 1] * 20, [1.0, 0.0] * 20, units=np.repeat(np.arange(20), 2).tolist()
    )
    assert estimate(twice, twice.own()).ips.standard_error == pytest.approx(0.0, abs=1e-12)
    apart = logged([[0.5, 0.5]] * 40, [0, 1] * 20, [1.0, 0.0] * 20)
    assert estimate(apart, apart.own()).ips.standard_error > 0.1


def test_the_best_choice_is_the_one_with_the_highest_score_of_equal_ones_the_first() -> None:
    rows = logged([[0.5, 0.5], [0.2, 0.3, 0.5]], [0, 0], [0.0, 0.0])
    assert rows.best(np.array([1.0, 1.0, 1.0, 5.0, 2.0])).tolist() == [1.0, 0.0, 0.0, 1.0, 0.0]
    assert rows.own().tolist() == [1.0, 0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("chances", "why"),
    [
        ([[NAN, NAN]] * 10, "20 of 20 unknown"),
        ([[1.0]] * 10, "1.0 in all 10 rows"),
        ([[0.5, 0.4]] * 10, "not 1 together"),
        ([[1.0, 0.0]] * 10, r"outside \(0, 1\]"),
    ],
)
def test_chances_that_are_not_known_or_leave_no_choice_are_refused(
    chances: list[list[float]], why: str
) -> None:
    with pytest.raises(FieldError, match=why):
        logged(chances, [0] * 10, [0.0] * 10)


def test_a_policy_beyond_what_could_have_been_shown_is_refused() -> None:
    half_elsewhere = np.tile([0.5, 0.0], 10)
    with pytest.raises(FieldError, match=r"50\.0% of its choices where chance never was"):
        estimate(EVEN, half_elsewhere)


def test_a_policy_that_never_agrees_is_refused() -> None:
    rows = logged([[0.9, 0.1]] * 10, [0] * 10, [0.0] * 10)
    with pytest.raises(FieldError, match="never what was shown in 10 rows"):
        estimate(rows, np.tile([0.0, 1.0], 10))


def test_too_few_users_and_arrays_that_do_not_fit_are_refused() -> None:
    few = logged([[0.5, 0.5]] * 9, [0] * 9, [0.0] * 9)
    with pytest.raises(FieldError, match="at least 10 whose lists explored"):
        estimate(few, few.own())
    with pytest.raises(ShapeError, match="policy"):
        estimate(EVEN, np.ones(3))
    with pytest.raises(ShapeError, match="predicted"):
        estimate(EVEN, EVEN.own(), predicted=np.ones(3))
    with pytest.raises(FieldError, match="no probability"):
        estimate(EVEN, np.tile([1.5, -0.5], 10))
    with pytest.raises(FieldError, match="another row"):
        LoggedChoices(EVEN.offsets, EVEN.chances, EVEN.chosen[::-1].copy(), EVEN.rewards, EVEN.units)


def test_a_prediction_never_looks_at_the_users_own_rows() -> None:
    rng = np.random.default_rng(3)
    n = 60
    chosen, rewards = rng.integers(0, 2, n), rng.random(n)
    rows = logged([[0.5, 0.5]] * n, chosen.tolist(), rewards.tolist())
    features = rng.normal(size=(2 * n, 2))
    before = cross_fitted(rows, features)
    other = rewards.copy()
    other[7] += 100.0
    after = cross_fitted(logged([[0.5, 0.5]] * n, chosen.tolist(), other.tolist()), features)
    same_fold = np.repeat(np.arange(n) % 5 == 7 % 5, 2)
    assert np.array_equal(before[same_fold], after[same_fold])
    assert (before[~same_fold] != after[~same_fold]).all()


def test_a_reward_that_is_linear_is_predicted() -> None:
    features = np.arange(100.0)[:, None]
    rewards = 3.0 + 2.0 * features[::2, 0]
    rows = logged([[0.5, 0.5]] * 50, [0] * 50, rewards.tolist())
    assert cross_fitted(rows, features) == pytest.approx(3.0 + 2.0 * features[:, 0], abs=0.05)


@given(st.integers(0, 2**32 - 1), st.integers(10, 40))
def test_averaged_over_all_that_chance_could_have_done_ips_and_dr_are_the_truth(seed: int, n: int) -> None:
    """Of every row each choice is put in with its chance as a share of the rows: the mean is exact."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet([2.0, 2.0, 2.0], n) * 0.97 + 0.01
    truth, policy = rng.random((n, 3)), rng.dirichlet([1.0, 1.0, 1.0], n)
    predicted = rng.random(3 * n)
    value = {"ips": 0.0, "dr": 0.0}
    for taken in range(3):
        rows = logged(chances.tolist(), [taken] * n, truth[:, taken].tolist())
        weights = policy[:, taken] / chances[:, taken]
        expected = (policy * predicted.reshape(n, 3)).sum(axis=1)
        residual = truth[:, taken] - predicted.reshape(n, 3)[:, taken]
        value["ips"] += float((chances[:, taken] * weights * truth[:, taken]).mean())
        value["dr"] += float((chances[:, taken] * (expected + weights * residual)).mean())
        found = estimate(rows, policy.ravel(), predicted=predicted)
        assert found.ips.value == pytest.approx((weights * truth[:, taken]).mean())
        assert found.doubly_robust is not None
        assert found.doubly_robust.value == pytest.approx((expected + weights * residual).mean())
    assert value["ips"] == pytest.approx((policy * truth).sum(axis=1).mean())
    assert value["dr"] == pytest.approx(value["ips"])
