import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.features.users import NO_ITEM
from recsys.recall.choice_loss import add_histories, choice_gradient, histories_at, spread_to_histories

NOTHING = np.zeros((1, 0), dtype=np.int32)


def rows(*values: int) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def test_a_history_is_read_backwards_and_not_past_the_beginning_of_a_life() -> None:
    items = rows(7, 8, 9, 4, 5)  # two lives: 7 8 9 and 4 5
    found = histories_at(items, np.array([0, 3]), np.array([2, 4]), 3)
    assert found.tolist() == [[8, 7, NO_ITEM], [4, NO_ITEM, NO_ITEM]]


def test_two_equal_scores_lose_the_log_of_two() -> None:
    scores = np.array([[1.0, 1.0]], dtype=np.float32)
    loss = choice_gradient(scores, NOTHING, rows(0), rows(0, 1))
    assert loss == pytest.approx(np.log(2))
    assert scores.tolist() == [[-0.5, 0.5]]


def test_what_was_chosen_before_is_no_wrong_answer() -> None:
    scores = np.array([[0.0, 50.0, 0.0]], dtype=np.float32)
    loss = choice_gradient(scores, rows(1, NO_ITEM)[None, :], rows(0), rows(0, 1, 2))
    assert loss == pytest.approx(np.log(2))
    assert scores.tolist() == [[-0.5, 0.0, 0.5]]


def test_an_answer_that_was_chosen_before_is_still_the_answer() -> None:
    scores = np.array([[0.0, 0.0]], dtype=np.float32)
    choice_gradient(scores, rows(0)[None, :], rows(0), rows(0, 1))
    assert scores.tolist() == [[-0.5, 0.5]]


def test_items_without_a_column_do_not_matter() -> None:
    scores = np.array([[0.0, 0.0]], dtype=np.float32)
    choice_gradient(scores, rows(2)[None, :], rows(1), rows(0, 1, NO_ITEM))
    assert scores.tolist() == [[0.5, -0.5]]


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 5)).astype(np.float32)
    seen, answers, columns = rng.integers(0, 5, (3, 2)).astype(np.int32), rows(0, 3, 2), rows(*range(5))
    gradient = scores.copy()
    choice_gradient(gradient, seen, answers, columns)
    for place in np.ndindex(3, 5):
        up, down = scores.copy(), scores.copy()
        up[place] += 1e-2
        down[place] -= 1e-2
        rise = choice_gradient(up, seen, answers, columns) - choice_gradient(down, seen, answers, columns)
        assert rise / 2e-2 == pytest.approx(gradient[place], abs=1e-3)


def test_a_user_is_the_weighted_sum_of_the_history_and_hidden_places_say_nothing() -> None:
    left = np.array([[[1.0], [10.0]], [[100.0], [1000.0]]], dtype=np.float32)  # two sums, two items
    decays = np.array([[1.0, 0.5, 0.25], [1.0, 0.0, 0.0]], dtype=np.float32)
    users = np.zeros((1, 1), dtype=np.float32)
    add_histories(rows(1, NO_ITEM, 0)[None, :], decays, left, users)
    assert users.tolist() == [[1.0 * 10 + 0.25 * 1 + 1.0 * 1000]]


@given(st.integers(0, 2**32 - 1))
def test_spreading_a_gradient_reverses_the_sum(seed: int) -> None:
    # the sum is linear: <sum(left), g> = <left, spread(g)> for all left and g
    rng = np.random.default_rng(seed)
    histories = rng.integers(NO_ITEM, 4, (3, 5)).astype(np.int32)
    decays, left = rng.random((2, 5), dtype=np.float32), rng.random((2, 4, 3), dtype=np.float32)
    of_users = rng.random((3, 3), dtype=np.float32)
    users, of_left = np.zeros_like(of_users), np.zeros_like(left)
    add_histories(histories, decays, left, users)
    spread_to_histories(histories, decays, of_users, of_left)
    assert np.vdot(users, of_users) == pytest.approx(np.vdot(left, of_left), rel=1e-4)
