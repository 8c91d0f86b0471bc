from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.log import InteractionLog
from recsys.features.popularity import PopularityConfig
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.popularity import PopularityRecallConfig, PopularitySource, fit_popularity_source

LogOf = Callable[..., InteractionLog]
UsersOf = Callable[..., UserBatch]

OPEN = np.zeros((1, 4), dtype=np.bool_)
DAY = SECONDS_PER_DAY


def named(source: PopularitySource, users: UserBatch, n: int = 4) -> list[list[int]]:
    found = source.search(users, n, np.repeat(OPEN, len(users), axis=0)).item_rows
    return [[int(row) for row in rows] for rows in found]


def test_what_was_chosen_lately_comes_before_what_was_chosen_often(log_of: LogOf, users_of: UsersOf) -> None:
    log = log_of([[0, 0, 0, 1, 1]], 4, times_s=[[0.0, 0.0, 0.0, 70 * DAY, 70 * DAY]])
    source = fit_popularity_source(log, PopularityRecallConfig(half_life_row=1))  # 14 days: 3 / 32 against 2
    assert named(source, users_of([[]], now_s=71 * DAY)) == [[1, 0, 2, 3]]


def test_a_past_moment_is_answered_from_what_was_known_then(log_of: LogOf, users_of: UsersOf) -> None:
    log = log_of([[0, 1, 1, 1]], 4, times_s=[[0.0, 10 * DAY, 10 * DAY, 10 * DAY]])
    source = fit_popularity_source(log, PopularityRecallConfig())
    early, late = named(source, users_of([[], []], now_s=[5 * DAY, 11 * DAY]))
    assert (early[0], late[0]) == (0, 1)


def test_ties_of_a_past_moment_are_not_broken_by_the_future(log_of: LogOf, users_of: UsersOf) -> None:
    log = log_of([[0, 3, 3, 2]], 4, times_s=[[0.0, 10 * DAY, 10 * DAY, 10 * DAY]])
    source = fit_popularity_source(log, PopularityRecallConfig())
    assert named(source, users_of([[]], now_s=5 * DAY)) == [[0, 1, 2, 3]]


def test_nobody_knows_anything_before_the_first_event(log_of: LogOf, users_of: UsersOf) -> None:
    source = fit_popularity_source(log_of([[3, 3, 2]], 4), PopularityRecallConfig())
    before = users_of([[]], now_s=-1.0)
    assert named(source, before) == [[0, 1, 2, 3]]
    assert source.score(before, np.array([[3, 2]], dtype=np.int32)).tolist() == [[0.0, 0.0]]


def test_a_known_context_lifts_its_own_favourites(log_of: LogOf, users_of: UsersOf) -> None:
    log = log_of(
        [[0, 0, 0, 1, 1]], 4, times_s=[[9.0] * 5], context_rows=[[1, 1, 1, 2, 2]], contexts=("home", "tv")
    )
    source = fit_popularity_source(log, PopularityRecallConfig())
    on_tv, unknown = named(source, users_of([[], []], context_rows=[2, 0]), n=2)
    assert on_tv == [1, 0]
    assert unknown == [0, 1]


def test_scores_mix_both_counts_by_the_share_of_the_context(log_of: LogOf, users_of: UsersOf) -> None:
    log = log_of([[0, 1, 1]], 4, times_s=[[9.0] * 3], context_rows=[[1, 0, 0]], contexts=("home",))
    config = PopularityRecallConfig(context_share=0.25)
    source = fit_popularity_source(log, config)
    scores = source.score(users_of([[]], context_rows=[1]), np.array([[0, 1, 2, NO_ITEM]], dtype=np.int32))
    overall, at_home = np.log1p([1 / 0.75, 2 / 0.75]), np.log1p(1 / 0.25)  # counts over mean counts
    assert scores[0].tolist() == pytest.approx(
        [0.75 * overall[0] + 0.25 * at_home, 0.75 * overall[1], 0.0, 0.0]
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_who_else_asks_changes_no_bit(log_of: LogOf, users_of: UsersOf, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    log = log_of(
        [rng.integers(0, 30, size=60).tolist()],
        30,
        times_s=[np.sort(rng.random(60)).tolist()],
        context_rows=[rng.integers(0, 3, size=60).tolist()],
        contexts=("home", "tv"),
    )
    config = PopularityRecallConfig(table=PopularityConfig(n_snapshots=4))
    source = fit_popularity_source(log, config)
    blocked = rng.random((5, 30)) < rng.random((5, 1))
    users = users_of([[]] * 5, now_s=rng.random(5).tolist(), context_rows=[0, 1, 2, 1, 0])
    together = source.search(users, n, blocked)
    for user in range(5):
        alone = source.search(users.slice(user, user + 1), n, blocked[user : user + 1])
        assert np.array_equal(together.item_rows[user], alone.item_rows[0])
        assert np.array_equal(together.scores[user], alone.scores[0])
