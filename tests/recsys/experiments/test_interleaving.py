from itertools import cycle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from recsys.experiments.guardrails import Guardrail, Outcome, judge
from recsys.experiments.interleaving import INTERLEAVED, coins_of, draft, preference_of
from recsys.experiments.measurements import Measurements, Outcomes
from recsys.experiments.moments import Moments, moments_of

RANKINGS = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(one=RANKINGS, other=RANKINGS, n=st.integers(0, 12), coins=st.lists(st.booleans(), min_size=1))
def test_each_item_is_picked_once_from_the_top_and_both_pick_equally_often(
    one: list[str], other: list[str], n: int, coins: list[bool]
) -> None:
    picked = draft(one, other, n, cycle(coins))
    assert len(picked) == min(n, len({*one, *other}))
    for place, (item, team) in enumerate(picked):
        before = {earlier for earlier, _ in picked[:place]}
        left = ([item for item in one if item not in before], [item for item in other if item not in before])
        assert item == left[team][0]  # the best that its ranking has left
        n_picked = [sum(by is side for _, by in picked[: place + 1]) for side in (False, True)]
        if left[False] and left[True]:
            assert abs(n_picked[False] - n_picked[True]) <= 1


def test_equal_rankings_make_the_same_list() -> None:
    assert [item for item, _ in draft("abcd", "abcd", 4, cycle([True, False, False]))] == list("abcd")


def test_coins_are_fair_and_those_of_a_request_never_change() -> None:
    first = [next(coins_of(f"request-{n}", "salt")) for n in range(2_000)]
    assert abs(sum(first) - 1_000) < 200  # a deviation is 22: odds below 1e-15
    assert first == [next(coins_of(f"request-{n}", "salt")) for n in range(2_000)]
    assert first != [next(coins_of(f"request-{n}", "other")) for n in range(2_000)]


def credits_of(canary: list[float], chosen: list[float]) -> Moments:
    return moments_of(canary, chosen)


def test_a_preference_is_the_share_of_what_was_chosen() -> None:
    found = preference_of(credits_of([3.0, 0.0, 6.0], [4.0, 0.0, 8.0]), alpha=0.05, closest=100)
    assert (found.users, found.chosen, found.share) == (3, 12.0, 0.75)
    assert found.lower < 0.5 < found.upper  # of 12 items
    assert found.in_words == "no telling yet"


def test_the_first_few_users_do_not_decide_though_they_all_choose_alike() -> None:
    found = preference_of(credits_of([1.0] * 5, [1.0] * 5), alpha=0.05, closest=2_000)
    assert (found.share, found.lower < 0.5) == (1.0, True)


def test_nothing_is_known_of_nobody() -> None:
    for moments in (Moments(), credits_of([0.0] * 9, [0.0] * 9)):
        found = preference_of(moments, alpha=0.05, closest=100)
        assert (found.share, found.lower, found.upper) == (None, 0.0, 1.0)


def test_equal_rankings_are_seldom_told_apart_however_often_one_looks() -> None:
    """400 comparisons of a thousand users, seven looks at each: at most 5 % may ever be wrong."""
    chance = np.random.default_rng(7)
    n_wrong = 0
    for _ in range(400):
        chosen = chance.poisson(2.0, 1_000).astype(float)
        canary = chance.binomial(chosen.astype(int), 0.5).astype(float)
        looks = [10, 20, 50, 100, 200, 500, 1_000]
        found = [preference_of(moments_of(canary[:n], chosen[:n]), alpha=0.05, closest=500) for n in looks]
        n_wrong += any(one.in_words != "no telling yet" for one in found)
    assert n_wrong <= binom(400, 0.05).isf(1e-6)


@pytest.mark.parametrize(("share", "words"), [(0.6, "the canary is"), (0.4, "the stable bundle is")])
def test_a_ranking_that_people_like_better_is_found(share: float, words: str) -> None:
    chance = np.random.default_rng(7)
    chosen = chance.poisson(2.0, 1_000).astype(float)
    canary = chance.binomial(chosen.astype(int), share).astype(float)
    assert preference_of(moments_of(canary, chosen), alpha=0.05, closest=500).in_words.startswith(words)


def measured(canary: float, chosen: float, n: int, *, interleaved: bool = True) -> Measurements:
    moments = credits_of([canary] * n, [chosen] * n)
    outcomes = {INTERLEAVED: Outcomes(users=n, lists=n, rates={"preference": moments})}
    return Measurements(outcomes=outcomes, shares={"stable": 1.0, "canary": 0.0}, interleaved=interleaved)


@pytest.mark.parametrize(
    ("measurements", "outcome"),
    [
        (measured(1.0, 4.0, 400), Outcome.BAD),
        (measured(2.0, 4.0, 400), Outcome.OK),
        (measured(2.0, 4.0, 40), Outcome.UNKNOWN),
        (measured(0.0, 0.0, 400), Outcome.UNKNOWN),
        (Measurements(shares={"stable": 1.0}, interleaved=True), Outcome.UNKNOWN),
        (Measurements(outcomes={}, shares={"stable": 1.0}, interleaved=True), Outcome.UNKNOWN),
        (measured(1.0, 4.0, 400, interleaved=False), Outcome.SKIPPED),
    ],
)
def test_a_canary_that_people_pass_over_is_taken_back(measurements: Measurements, outcome: Outcome) -> None:
    rail = Guardrail(metric="preference", compare="value", limit=0.48)
    assert judge(rail, measurements, "shadow", "stable").outcome is outcome


def test_a_preference_is_compared_with_nothing_else() -> None:
    with pytest.raises(ValueError, match="it compares the arms already"):
        Guardrail(metric="preference", limit=0.48)
