from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.log import InteractionLog
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.passages import PassagesConfig, fit_passages

LogOf = Callable[..., InteractionLog]
UsersOf = Callable[..., UserBatch]

N_ITEMS = 8
NEVER = 1e9  # a time constant with which everything counts 1
FLAT = PassagesConfig(
    anchor_time_constant_items=NEVER,
    compared_time_constant_items=NEVER,
    near_time_constant_items=NEVER,
    far_time_constant_items=NEVER,
    unlike=1.0,
    smoothing=1.0,
)


def everything(n_users: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return np.tile(np.arange(N_ITEMS, dtype=np.int32), (n_users, 1))


def test_what_followed_the_latest_item_counts_over_all_passages_and_the_smoothing(
    log_of: LogOf, users_of: UsersOf
) -> None:
    source = fit_passages(log_of([[0, 1, 2], [0, 1, 3], [1, 3]], N_ITEMS), FLAT)
    near, far, before = source.parts(users_of([[1]]), everything(1))
    assert near[0].tolist() == [0, 0, 1 / 4, 2 / 4, 0, 0, 0, 0]  # three passages and 1 for the smoothing
    assert far[0].tolist() == near[0].tolist()
    assert before[0].tolist() == [2 / 4, 0, 0, 0, 0, 0, 0, 0]


def test_a_passage_with_more_in_common_counts_more(log_of: LogOf, users_of: UsersOf) -> None:
    source = fit_passages(log_of([[0, 4, 1, 2], [5, 6, 1, 3]], N_ITEMS), FLAT)
    far = source.score(users_of([[0, 4, 1]]), everything(1))[0]
    # by item 1: 1 + 2 in common against 1; by items 4 and 0: item 1 follows there, so it finds the passage
    assert far[2] == pytest.approx(3 / 5)
    assert far[3] == pytest.approx(1 / 5)


def test_an_older_item_finds_passages_that_no_later_item_finds(log_of: LogOf, users_of: UsersOf) -> None:
    source = fit_passages(log_of([[0, 5]], N_ITEMS), FLAT)
    assert source.score(users_of([[0, 1]]), everything(1))[0, 5] == pytest.approx(1 / 2)
    alone = FLAT.model_copy(update={"n_anchors": 1})
    assert not fit_passages(log_of([[0, 5]], N_ITEMS), alone).score(users_of([[0, 1]]), everything(1)).any()


def test_what_followed_later_counts_less_in_the_near_sum_than_in_the_far(
    log_of: LogOf, users_of: UsersOf
) -> None:
    config = FLAT.model_copy(update={"near_time_constant_items": 1.0, "far_time_constant_items": 4.0})
    source = fit_passages(log_of([[0, 1, 2]], N_ITEMS), config)
    near, far, _ = source.parts(users_of([[0]]), everything(1))
    assert near[0, 2] / near[0, 1] == pytest.approx(np.exp(-1.0))
    assert far[0, 2] / far[0, 1] == pytest.approx(np.exp(-0.25))


def test_nothing_is_read_past_the_end_of_a_life_or_before_its_beginning(
    log_of: LogOf, users_of: UsersOf
) -> None:
    source = fit_passages(log_of([[1, 0], [0, 2], [3]], N_ITEMS), FLAT)
    near, _, before = source.parts(users_of([[0]]), everything(1))
    assert np.flatnonzero(near[0]).tolist() == [2]
    assert np.flatnonzero(before[0]).tolist() == [1]


def test_places_that_are_left_out_are_spread_evenly(log_of: LogOf) -> None:
    log = log_of([[0]] * 10 + [[1]] * 2, N_ITEMS)
    source = fit_passages(log, PassagesConfig(max_places=3))
    assert source.place_offsets.tolist() == [0, 3, 5, 5, 5, 5, 5, 5, 5]
    assert source.places.tolist() == [1, 9, 15, 21, 23]  # lives of one item each, a gap before each
    assert (source.lives[source.places] == [0, 0, 0, 1, 1]).all()


@given(st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=9), max_size=9), st.integers(1, 5))
def test_every_place_holds_its_item(log_of: LogOf, histories: list[list[int]], max_places: int) -> None:
    log = log_of(histories, N_ITEMS)
    source = fit_passages(log, PassagesConfig(max_places=max_places))
    counts = np.bincount(log.item_rows, minlength=N_ITEMS)
    kept = np.diff(source.place_offsets)
    assert kept.tolist() == np.minimum(counts, max_places).tolist()
    assert source.lives[source.places].tolist() == np.repeat(np.arange(N_ITEMS), kept).tolist()
    assert np.count_nonzero(source.lives == NO_ITEM) == len(histories) + 1


def test_of_too_many_positions_those_of_some_users_are_kept_whole(log_of: LogOf) -> None:
    log = log_of([[user % N_ITEMS] * 4 for user in range(20)], N_ITEMS)
    config = PassagesConfig(max_positions=41)
    source = fit_passages(log, config, seed=3)
    assert np.count_nonzero(source.lives != NO_ITEM) == 40
    assert fit_passages(log, config, seed=3).lives.tolist() == source.lives.tolist()
    assert fit_passages(log, config, seed=4).lives.tolist() != source.lives.tolist()


def test_the_users_own_life_names_only_what_the_user_has_seen(log_of: LogOf, users_of: UsersOf) -> None:
    source = fit_passages(log_of([[0, 1, 2, 3]], N_ITEMS), FLAT)
    blocked = np.zeros((1, N_ITEMS), dtype=np.bool_)
    blocked[0, :4] = True
    found = source.search(users_of([[0, 1, 2, 3]]), 4, blocked)
    assert (found.item_rows == NO_ITEM).all()


def test_search_names_the_items_with_the_highest_scores(log_of: LogOf, users_of: UsersOf) -> None:
    rng = np.random.default_rng(1)
    source = fit_passages(log_of(rng.integers(0, N_ITEMS, (40, 12)).tolist(), N_ITEMS), PassagesConfig())
    users = users_of([[0, 1, 2], [5]])
    blocked = np.zeros((2, N_ITEMS), dtype=np.bool_)
    blocked[0, 3] = True
    scores = np.where(blocked, -np.inf, source.score(users, everything(2)))
    found = source.search(users, 3, blocked)
    assert found.item_rows.tolist() == np.argsort(-scores, axis=1)[:, :3].tolist()


@pytest.mark.parametrize("histories", [[], [[0]], [[0], [1]]], ids=["none", "single", "singles"])
def test_a_log_in_which_nothing_follows_names_nothing(
    log_of: LogOf, users_of: UsersOf, histories: list[list[int]]
) -> None:
    source = fit_passages(log_of(histories, N_ITEMS), FLAT.model_copy(update={"smoothing": 0.0}))
    users = users_of([[0, 1], []])
    assert not np.array(source.parts(users, everything(2))).any()
    assert (source.search(users, 2, np.zeros((2, N_ITEMS), np.bool_)).item_rows == NO_ITEM).all()


def test_weights_too_small_to_count_reach_nothing_and_nothing_twice(log_of: LogOf, users_of: UsersOf) -> None:
    config = PassagesConfig(unlike=0.0, near_time_constant_items=0.001, far_time_constant_items=0.001)
    source = fit_passages(log_of([[0, 1, 2, 3, 4, 5, 6, 7] * 3] * 50, N_ITEMS), config)
    near, far, before = source.parts(users_of([[5, 0]]), everything(1))
    assert np.flatnonzero(near[0]).tolist() == np.flatnonzero(far[0]).tolist() == [1]
    assert np.flatnonzero(before[0]).tolist() == [7]
    assert not np.array(source.parts(users_of([[0]]), everything(1))).any()  # nothing in common, no weight
