"""What users do with lists. Limits of chance: one false alarm in a million."""

from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from loadtest.live.reactions import (
    KINDS,
    NOTHING,
    PAD,
    Reactions,
    best_lists,
    expected_watch_rate,
    found_lists,
    random_lists,
    react,
)
from recsys.data.schema import Kind
from recsys.simulation.responses import CLICK_SHARE, WATCHED_SHARE
from recsys.simulation.scenario import SCENARIOS
from recsys.simulation.world import World, make_world

ALPHA = 1e-6
N_USERS, N_POSITIONS = 4_000, 10


@cache
def world() -> World:
    return make_world(SCENARIOS["tiny"], 7)


def users(n: int) -> NDArray[np.int64]:
    return np.arange(n, dtype=np.int64) % world().n_users


def reactions(lists: NDArray[np.int64], seed: int = 0) -> Reactions:
    return react(world(), users(len(lists)), lists, world().scenario.ends_s, np.random.default_rng(seed))


def shuffled() -> NDArray[np.int64]:
    return random_lists(world(), N_USERS, N_POSITIONS, np.random.default_rng(1))


def within_odds(happened: NDArray[np.bool_], chances: NDArray[np.float64], *, n_tests: int) -> bool:
    """Tell whether a count is what its chances say, within the false alarms of all tests together."""
    spread = np.sqrt((chances * (1.0 - chances)).sum())
    return bool(abs(happened.sum() - chances.sum()) <= norm.isf(ALPHA / 2 / n_tests) * spread)


def test_each_position_is_watched_as_often_as_the_world_says() -> None:
    lists = shuffled()
    watched = reactions(lists).watched
    positions = np.arange(1, N_POSITIONS + 1)
    chances = world().watch_probability(users(N_USERS), lists, world().scenario.ends_s, position=positions)
    np.testing.assert_allclose(reactions(lists).chances, chances, rtol=1e-5)
    for column in range(N_POSITIONS):
        exact = chances[:, column].astype(np.float64)
        assert within_odds(watched[:, column], exact, n_tests=N_POSITIONS), column


def test_each_position_is_looked_at_as_often_as_the_world_says() -> None:
    looked = reactions(shuffled()).looked
    for column in range(N_POSITIONS):
        chances = np.full(N_USERS, (column + 1.0) ** -world().scenario.position_exponent)
        assert within_odds(looked[:, column], chances, n_tests=N_POSITIONS), column


def test_lists_of_what_users_like_are_watched_more_than_blind_ones() -> None:
    blind = reactions(shuffled()).watched.mean()
    best = best_lists(world(), users(N_USERS), N_POSITIONS, world().scenario.ends_s)
    assert reactions(best).watched.mean() > 1.3 * blind


def test_the_same_videos_with_the_liked_ones_on_top_are_watched_more() -> None:
    lists = shuffled()
    affinity = world().affinity(users(N_USERS), lists, world().scenario.ends_s)
    ordered = np.take_along_axis(lists, np.argsort(-affinity, axis=1), axis=1)
    assert reactions(ordered).watched.sum() > reactions(lists).watched.sum()


def test_the_rate_to_expect_is_the_rate_that_comes() -> None:
    lists = shuffled()
    expected = expected_watch_rate(world(), users(N_USERS), lists, world().scenario.ends_s)
    chances = np.full(lists.shape, expected)  # its spread is the widest with that mean
    assert within_odds(reactions(lists).watched, chances, n_tests=1)


def test_no_list_is_worth_more_than_the_best() -> None:
    some, time_s = users(50), world().scenario.ends_s
    best = expected_watch_rate(world(), some, best_lists(world(), some, 5, time_s), time_s)
    for seed in range(20):
        lists = random_lists(world(), 50, 5, np.random.default_rng(seed))
        assert expected_watch_rate(world(), some, lists, time_s) < best


@given(
    st.lists(st.lists(st.integers(PAD, 99), min_size=4, max_size=4), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_whatever_happens_fits_together(lists: list[list[int]], seed: int) -> None:
    rows = np.array(lists, dtype=np.int64)
    done = reactions(rows, seed)
    assert (done.shown == (rows != PAD)).all()
    assert not (done.looked & ~done.shown).any()
    assert not (done.watched & ~done.looked).any()
    assert ((done.chances > 0) == done.shown).all()
    assert (np.isnan(done.values) == ~done.looked).all()
    skipped = done.looked & ~done.watched
    assert (done.values[done.watched] >= np.float32(WATCHED_SHARE)).all()
    assert (done.values[skipped] <= np.float32(WATCHED_SHARE)).all()
    for kind, value in zip(done.kinds[done.looked].tolist(), done.values[done.looked].tolist(), strict=True):
        assert KINDS[kind] is not Kind.IMPRESSION
        if KINDS[kind] is Kind.CLICK:
            assert value < CLICK_SHARE


def test_the_same_generator_gives_the_same_reactions() -> None:
    first, again = reactions(shuffled(), 3), reactions(shuffled(), 3)
    assert (first.kinds == again.kinds).all()
    assert first.kinds.min() == NOTHING


def test_an_empty_list_is_worth_nothing_known() -> None:
    nothing = np.full((2, 3), PAD, dtype=np.int64)
    assert not reactions(nothing).looked.any()
    assert np.isnan(expected_watch_rate(world(), users(2), nothing, 0.0))


def test_people_find_the_best_of_what_they_come_across_and_nothing_unpublished() -> None:
    ends_s = world().scenario.ends_s
    times_s = np.full(200, ends_s)

    def found(among: int, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
        rng = np.random.default_rng(2)
        return found_lists(world(), users(200), N_POSITIONS, times_s, rng, among=among)

    everything = found(world().catalogue.n_items, times_s)
    np.testing.assert_array_equal(everything, best_lists(world(), users(200), N_POSITIONS, ends_s))
    some = found(30, times_s)
    ranked = (everything, some, shuffled()[:200])
    rates = [expected_watch_rate(world(), users(200), lists, ends_s) for lists in ranked]
    assert rates == sorted(rates, reverse=True)
    assert all(len(set(own)) == N_POSITIONS for own in some.tolist())
    first_s = np.full(200, np.sort(world().catalogue.published_s)[2])
    early = found(world().catalogue.n_items, first_s)
    there = early != PAD
    n_there = int((world().catalogue.published_s <= first_s[0]).sum())
    assert (there.sum(axis=1) == min(n_there, N_POSITIONS)).all()
    assert (world().catalogue.published_s[early[there]] <= first_s[0]).all()
