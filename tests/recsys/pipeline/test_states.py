from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.core.errors import ShapeError
from recsys.data.log import Vocabulary
from recsys.features.users import ACTIVITY_LIMIT, HISTORY_LENGTH, UserBatch
from recsys.pipeline.states import Session, batch_of_states
from recsys.state.store import EMPTY, UserState

ITEMS = Vocabulary(["a", "b", "c", "d", "e"])
ADA = UserState(("a", "b"), np.array([10.0, 20.0]), frozenset({"a", "b", "e"}), None)
BEN = UserState(("c",), np.array([15.0]), frozenset({"c"}), None)


def batch(
    states: Sequence[UserState],
    *,
    sessions: Sequence[Session] | None = None,
    extra_excluded: Sequence[NDArray[np.int32]] | None = None,
) -> UserBatch:
    return batch_of_states(
        states,
        ITEMS,
        now_s=np.full(len(states), 99.0),
        context_rows=np.zeros(len(states), dtype=np.int16),
        sessions=sessions,
        extra_excluded=extra_excluded,
    )


def history(users: UserBatch, user: int) -> tuple[list[int], list[float]]:
    known = users.history_rows[user] >= 0
    return users.history_rows[user][known].tolist(), users.history_times_s[user][known].tolist()


def hidden(users: UserBatch, user: int) -> set[int]:
    return set(np.flatnonzero(users.blocked(len(ITEMS))[user]).tolist())


def test_the_latest_item_comes_first_and_seen_items_are_hidden() -> None:
    users = batch([ADA, BEN])
    assert history(users, 0) == ([1, 0], [20.0, 10.0])
    assert history(users, 1) == ([2], [15.0])
    assert users.n_positive.tolist() == [2, 1]
    assert (hidden(users, 0), hidden(users, 1)) == ({0, 1, 4}, {2})
    assert users.now_s.tolist() == [99.0, 99.0]


def test_an_unknown_user_has_no_history_and_nothing_hidden() -> None:
    users = batch([EMPTY, BEN, EMPTY])
    assert users.history_rows.shape == (3, HISTORY_LENGTH)
    assert users.n_positive.tolist() == [0, 1, 0]
    assert [hidden(users, user) for user in range(3)] == [set(), {2}, set()]


def test_no_users_give_an_empty_batch() -> None:
    users = batch([])
    assert len(users) == 0
    assert users.excluded_offsets.tolist() == [0]


def test_items_that_the_bundle_does_not_know_are_passed_over() -> None:
    state = UserState(("a", "gone", "b"), np.array([1.0, 2.0, 3.0]), frozenset({"a", "gone", "b"}), None)
    users = batch([state])
    assert history(users, 0) == ([1, 0], [3.0, 1.0])
    assert users.n_positive.tolist() == [2]
    assert hidden(users, 0) == {0, 1}


def test_a_session_comes_after_what_is_stored_and_is_hidden_too() -> None:
    users = batch([ADA, BEN], sessions=[Session(("d",), (5.0,)), Session()])
    assert history(users, 0) == ([3, 1, 0], [5.0, 20.0, 10.0])
    assert history(users, 1) == ([2], [15.0])
    assert hidden(users, 0) == {0, 1, 3, 4}


def test_an_item_both_stored_and_in_the_session_counts_once_at_the_later_place() -> None:
    users = batch([ADA, BEN], sessions=[Session(("a",), (50.0,)), Session(("e", "gone"), (51.0, 52.0))])
    assert history(users, 0) == ([0, 1], [50.0, 20.0])
    assert history(users, 1) == ([4, 2], [51.0, 15.0])
    assert users.n_positive.tolist() == [2, 2]


def test_an_unknown_item_of_one_user_is_not_mistaken_for_the_last_item_of_another() -> None:
    last = UserState(("e",), np.array([1.0]), frozenset({"e"}), None)
    users = batch([last, EMPTY], sessions=[Session(), Session(("gone",), (2.0,))])
    assert history(users, 0) == ([4], [1.0])
    assert history(users, 1) == ([], [])


def test_extra_rows_are_hidden_from_their_user_alone() -> None:
    extra = [np.array([3, 0], dtype=np.int32), np.array([], dtype=np.int32)]
    users = batch([ADA, BEN], extra_excluded=extra)
    assert (hidden(users, 0), hidden(users, 1)) == ({0, 1, 3, 4}, {2})


def test_a_long_history_keeps_its_latest_items() -> None:
    n = ACTIVITY_LIMIT + 50
    state = UserState(("a",) * (n - 1) + ("b",), np.arange(float(n)), frozenset({"a", "b"}), None)
    users = batch([state])
    assert users.history_rows[0, :2].tolist() == [1, 0]
    assert users.history_times_s[0, -1] == n - HISTORY_LENGTH
    assert users.n_positive.tolist() == [ACTIVITY_LIMIT]


def test_arguments_without_one_entry_per_user_are_refused_by_name() -> None:
    with pytest.raises(ShapeError, match=r"sessions has shape \(1,\); expected \(2,\)"):
        batch([ADA, BEN], sessions=[Session()])
