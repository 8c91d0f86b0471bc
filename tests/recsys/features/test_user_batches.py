from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.log import InteractionLog
from recsys.features.history import position_decay, weighted_sum
from recsys.features.users import ACTIVITY_LIMIT, HISTORY_LENGTH, NO_ITEM, UserBatch, batch_at

LogOf = Callable[..., InteractionLog]
UsersOf = Callable[..., UserBatch]


def at(log: InteractionLog, users: list[int], stops: list[int]) -> UserBatch:
    return batch_at(log, np.array(users), np.array(stops), np.full(len(users), 50.0))


def known(users: UserBatch, user: int) -> list[int]:
    return [int(row) for row in users.history_rows[user] if row != NO_ITEM]


def test_a_user_of_the_log_is_as_just_before_the_position_asked_for(log_of: LogOf) -> None:
    log = log_of([[4, 5, 6], [7, 8]], 9)
    users = at(log, [0, 1, 0], [2, 5, 0])
    assert [known(users, user) for user in range(3)] == [[5, 4], [8, 7], []]
    assert users.history_times_s[0, :3].tolist() == [1.0, 0.0, 0.0]
    assert users.n_positive.tolist() == [2, 2, 0]
    assert users.now_s.tolist() == [50.0] * 3
    blocked = users.blocked(9)
    assert [np.flatnonzero(row).tolist() for row in blocked] == [[4, 5], [7, 8], []]


def test_the_context_of_the_question_is_unknown_unless_given(log_of: LogOf) -> None:
    log = log_of([[0, 1]], 2)
    one = np.array([0]), np.array([1]), np.array([9.0])
    assert batch_at(log, *one).context_rows.tolist() == [0]
    assert batch_at(log, *one, np.array([3], dtype=np.int16)).context_rows.tolist() == [3]


def test_only_the_latest_items_are_kept_but_all_are_hidden(log_of: LogOf) -> None:
    n = ACTIVITY_LIMIT + 20
    users = at(log_of([list(range(n))], n), [0], [n])
    assert users.history_rows.shape == (1, HISTORY_LENGTH)
    assert known(users, 0) == list(range(n - 1, n - 1 - HISTORY_LENGTH, -1))
    assert users.n_positive.tolist() == [ACTIVITY_LIMIT]
    assert users.blocked(n).all()


def test_a_log_without_positions_gives_users_without_history(log_of: LogOf) -> None:
    users = at(log_of([[], []], 3), [0, 1], [0, 0])
    assert (users.history_rows == NO_ITEM).all()
    assert not users.blocked(3).any()


@given(st.lists(st.lists(st.integers(0, 5), max_size=5), min_size=1, max_size=6), st.data())
def test_a_slice_of_a_batch_is_those_users_as_a_batch(
    users_of: UsersOf, hidden: list[list[int]], data: st.DataObject
) -> None:
    users = users_of(hidden, excluded=hidden)
    start = data.draw(st.integers(0, len(users)))
    stop = data.draw(st.integers(start, len(users)))
    part = users.slice(start, stop)
    assert len(part) == stop - start
    assert np.array_equal(part.blocked(6), users.blocked(6)[start:stop])
    assert np.array_equal(part.history_rows, users.history_rows[start:stop])


@given(st.lists(st.lists(st.integers(0, 5), max_size=5), min_size=1, max_size=6), st.data())
def test_users_taken_out_of_a_batch_keep_what_is_theirs(
    users_of: UsersOf, hidden: list[list[int]], data: st.DataObject
) -> None:
    users = users_of(hidden, excluded=hidden)
    rows = np.array(data.draw(st.lists(st.integers(0, len(users) - 1), max_size=8)), dtype=np.intp)
    taken = users.take(rows)
    assert len(taken) == len(rows)
    assert np.array_equal(taken.blocked(6), users.blocked(6)[rows])
    assert np.array_equal(taken.history_rows, users.history_rows[rows])
    assert np.array_equal(taken.history_times_s, users.history_times_s[rows])


def test_weights_decay_by_position() -> None:
    assert position_decay(2.0, 3).tolist() == pytest.approx([1.0, np.exp(-0.5), np.exp(-1.0)])


def test_a_weighted_sum_of_vectors_starts_with_the_latest_item_and_ends_with_the_decay(
    users_of: UsersOf,
) -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]], dtype=np.float32)
    users = users_of([[2, 0, 1], [2], []])
    decay = np.array([2.0, 3.0], dtype=np.float32)  # the latest item, which stands last, and the one before
    assert weighted_sum(users, vectors, decay).tolist() == [[3.0, 2.0], [10.0, 10.0], [0.0, 0.0]]
