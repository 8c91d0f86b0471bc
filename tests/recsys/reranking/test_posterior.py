import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.reranking.posterior import ItemInterest, chances_of_largest, fit_interest

DAY_S = 86_400.0


def log_of(item_rows: list[int], days: list[float], n_items: int) -> InteractionLog:
    """One user's life."""
    return InteractionLog(
        np.array([0, len(item_rows)], dtype=np.int64),
        np.array(item_rows, dtype=np.int32),
        np.array(days) * DAY_S,
        np.zeros(len(item_rows), dtype=np.int16),
        ("ada",),
        (),
        n_items,
    )


def test_an_item_counts_from_its_first_interaction_to_the_last_of_the_log() -> None:
    interest = fit_interest(log_of([0, 1, 0, 2], [0.0, 6.0, 9.0, 10.0], 4))
    assert interest.n_interactions.tolist() == [2.0, 1.0, 1.0, 0.0]
    assert interest.days.tolist() == [10.0, 4.0, 1.0, 0.0]  # never less than a day; never met: none
    assert interest.mean_rate == pytest.approx(4 / 15)


def test_the_posterior_of_an_unknown_item_is_the_prior_with_the_mean_of_all() -> None:
    interest = ItemInterest(np.array([30.0, 0.0], np.float32), np.array([10.0, 0.0], np.float32))
    shapes, rates = interest.posterior(np.array([0, 1], dtype=np.int32), 2.0)
    assert shapes.tolist() == [32.0, 2.0]
    assert (shapes / rates).tolist() == [pytest.approx(32 / (10 + 2 / 3)), pytest.approx(3.0)]


def test_of_two_exponentials_the_chance_to_be_larger_goes_by_the_means() -> None:
    found = chances_of_largest(np.array([1.0, 1.0]), np.array([1.0, 4.0]))
    assert found == pytest.approx([0.8, 0.2], abs=0.005)


def test_of_items_with_the_same_mean_the_one_that_less_is_known_of_is_more_often_largest() -> None:
    found = chances_of_largest(np.array([1.0, 100.0, 100.0]), np.array([1.0, 100.0, 100.0]))
    assert found[1] == pytest.approx(found[2])
    alone = chances_of_largest(np.array([1.0] + [100.0] * 9), np.array([1.0] + [100.0] * 9))
    assert alone[0] > 3 * alone[1]


def test_the_chances_agree_with_draws_of_every_posterior() -> None:
    shapes, rates = np.array([1.0, 3.0, 40.0, 12.0]), np.array([2.0, 4.0, 50.0, 9.0])
    rng = np.random.default_rng(1)
    largest = np.argmax(rng.gamma(shapes, 1.0 / rates, size=(40_000, 4)), axis=1)
    drawn = np.bincount(largest, minlength=4) / 40_000
    # five standard errors of a share of 40,000 draws: once in 1.7 million, and the steps of the integral
    assert np.abs(drawn - chances_of_largest(shapes, rates)).max() < 5 * 0.5 / 200 + 0.003


gammas = st.lists(st.tuples(st.floats(0.1, 1e4), st.floats(1e-3, 1e4)), min_size=1, max_size=12)


@given(gammas)
def test_chances_are_positive_and_together_one(given_gammas: list[tuple[float, float]]) -> None:
    values: NDArray[np.float64] = np.array(given_gammas)
    found = chances_of_largest(values[:, 0], values[:, 1])
    assert (found > 0).all()
    assert found.sum() == pytest.approx(1.0)
