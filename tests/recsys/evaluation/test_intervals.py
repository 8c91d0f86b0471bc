import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.errors import ShapeError
from recsys.evaluation.intervals import Interval, intervals, paired_differences, resampled_means


def test_a_metric_that_is_equal_for_all_users_has_an_interval_of_no_width() -> None:
    assert intervals(np.full((7, 1), 0.25), seed=1) == [Interval(0.25, 0.25, 0.25)]


def test_the_interval_of_coin_flips_has_the_width_of_the_normal_one() -> None:
    (found,) = intervals(np.tile([0.0, 1.0], 500)[:, None], seed=3)
    half = 1.96 * 0.5 / np.sqrt(1_000)
    assert found.value == 0.5
    assert found.low == pytest.approx(0.5 - half, abs=0.007)  # 5 standard errors of that quantile
    assert found.high == pytest.approx(0.5 + half, abs=0.007)


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    values = np.random.default_rng(0).random((50, 2))
    assert intervals(values, seed=5) == intervals(values, seed=5)
    assert intervals(values, seed=5) != intervals(values, seed=6)


def test_all_columns_see_the_same_draws() -> None:
    values = np.random.default_rng(0).random((20, 1))
    means = resampled_means(np.hstack([values, 1.0 - values]), seed=0, n_resamples=30)
    np.testing.assert_allclose(means.sum(axis=1), 1.0)


def test_no_user_is_refused() -> None:
    with pytest.raises(ShapeError, match="values"):
        intervals(np.empty((0, 1)), seed=0)


class TestPairedDifferences:
    theirs = np.random.default_rng(0).random((100, 1))

    def test_a_small_lead_over_every_user_is_significant_where_the_intervals_overlap(self) -> None:
        ours = self.theirs + 0.01
        (our_interval,), (their_interval,) = intervals(ours, seed=0), intervals(self.theirs, seed=0)
        assert our_interval.low < their_interval.high
        (difference,) = paired_differences(ours, self.theirs, seed=0)
        assert difference.significant
        assert difference.value == pytest.approx(0.01)
        assert difference.p == pytest.approx(2 / 1_001)  # no resample of 1,000 on the other side

    def test_equal_models_do_not_differ(self) -> None:
        (difference,) = paired_differences(self.theirs, self.theirs, seed=0)
        assert (difference.value, difference.low, difference.high, difference.p) == (0.0, 0.0, 0.0, 1.0)
        assert not difference.significant

    def test_one_lucky_user_of_ten_is_not_significant(self) -> None:
        ours, theirs = np.zeros((10, 1)), np.zeros((10, 1))
        ours[0] = 1.0
        (difference,) = paired_differences(ours, theirs, seed=0)
        assert (difference.value, difference.low) == (0.1, 0.0)
        assert not difference.significant

    def test_other_users_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="theirs"):
            paired_differences(np.zeros((2, 1)), np.zeros((3, 1)), seed=0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40), st.integers(0, 1_000))
def test_an_interval_lies_within_the_values_and_turns_round_with_them(values: list[float], seed: int) -> None:
    column = np.array(values)[:, None]
    (found,) = intervals(column, seed=seed, n_resamples=100)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    (turned,) = intervals(-column, seed=seed, n_resamples=100)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
    (ours,) = paired_differences(column, 0 * column, seed=seed, n_resamples=100)
    (theirs,) = paired_differences(0 * column, column, seed=seed, n_resamples=100)
    assert ours.p == theirs.p
    assert ours.significant == theirs.significant
