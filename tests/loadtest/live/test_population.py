"""Who comes when. Limits of chance: one false alarm in a million."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import islice

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import binom, gamma

from loadtest.live.population import Population, Visit, VisitorKind
from loadtest.live.settings import PopulationSettings
from recsys.simulation.scenario import SCENARIOS
from recsys.simulation.schedule import rows_per_user
from recsys.simulation.world import World, make_world

ALPHA = 1e-6
DAY_S = 86_400.0


@cache
def world() -> World:
    return make_world(SCENARIOS["tiny"], 7)


def visits(n: int, *, seed: int = 0, run_id: str = "r", **settings: float) -> Sequence[Visit]:
    population = Population(world(), PopulationSettings(**settings), seed=seed, run_id=run_id)
    return list(islice(population.visits(), n))


def likely(n_hits: int, n: int, p: float) -> bool:
    return bool(binom.ppf(ALPHA / 2, n, p) <= n_hits <= binom.isf(ALPHA / 2, n, p))


def test_the_same_seed_brings_the_same_people_at_the_same_times() -> None:
    first, again, other = visits(300, seed=3), visits(300, seed=3), visits(300, seed=4)
    assert [(v.due_s, v.visitor.user_id) for v in first] == [(v.due_s, v.visitor.user_id) for v in again]
    assert [v.visitor.user_id for v in first] != [v.visitor.user_id for v in other]


def test_visits_come_at_the_rate_that_was_asked_for() -> None:
    last = visits(2_000, rate_per_s=50.0)[-1].due_s  # a sum of exponential gaps
    assert gamma.ppf(ALPHA / 2, 2_000, scale=1 / 50) <= last <= gamma.isf(ALPHA / 2, 2_000, scale=1 / 50)


def test_visits_are_numbered_in_the_order_in_which_they_are_due() -> None:
    some = visits(200)
    assert [visit.number for visit in some] == list(range(200))
    assert (np.diff([visit.due_s for visit in some]) > 0).all()


def test_the_world_turns_as_fast_as_told_from_its_last_moment_on() -> None:
    for visit in visits(20, speed=100.0):
        assert visit.world_time_s == pytest.approx(world().scenario.ends_s + 100.0 * visit.due_s)


def test_the_world_may_begin_on_an_earlier_day() -> None:
    visit = visits(1, from_day=2.0, speed=1.0)[0]
    assert visit.world_time_s == pytest.approx(world().scenario.starts_s + 2 * DAY_S + visit.due_s)


def sessions(some: Sequence[Visit]) -> list[Visit]:
    """The first visit of each session."""
    return list({id(visit.visitor): visit for visit in reversed(some)}.values())


def test_shares_of_new_and_anonymous_sessions_are_as_told() -> None:
    begun = sessions(visits(20_000, new_share=0.3, anonymous_share=0.2))
    kinds = Counter(visit.visitor.kind for visit in begun)
    assert likely(kinds[VisitorKind.NEW], len(begun), 0.3)
    assert likely(kinds[VisitorKind.ANONYMOUS], len(begun), 0.2)


def test_every_new_user_has_an_id_of_the_run_and_nobody_else_has_it() -> None:
    begun = sessions(visits(2_000, new_share=1.0, anonymous_share=0.0, run_id="r7"))
    ids = {visit.visitor.user_id for visit in begun}
    assert len(ids) == len(begun)
    assert all(user_id is not None and user_id.startswith("new-r7-") for user_id in ids)


def test_anonymous_people_have_no_id_but_a_taste() -> None:
    for visit in visits(50, new_share=0.0, anonymous_share=1.0):
        assert visit.visitor.user_id is None
        assert 0 <= visit.visitor.user_row < world().n_users


def test_users_who_were_busy_in_the_past_come_more_often() -> None:
    some = sessions(visits(20_000, new_share=0.0, anonymous_share=0.0, lists_per_session=1.0))
    activity = rows_per_user(world().scenario, world().seed)
    busiest = int(np.argmax(activity))
    came = sum(visit.visitor.user_row == busiest for visit in some)
    assert likely(came, len(some), activity[busiest] / activity.sum())
    assert all(visit.visitor.user_id == world().user_id(visit.visitor.user_row) for visit in some)


def test_sessions_are_as_long_as_told_on_average() -> None:
    some = visits(20_000, lists_per_session=5.0)
    assert likely(len(sessions(some)) - 4, len(some), 1 / 5)  # four seats begin empty


def test_so_many_sessions_go_on_at_a_time_that_pauses_are_as_told() -> None:
    assert PopulationSettings(rate_per_s=20, between_s=600, speed=2_880).n_seats == 4  # 4.17
    assert PopulationSettings(rate_per_s=100, between_s=300, speed=300).n_seats == 100
    assert PopulationSettings(rate_per_s=1, between_s=1, speed=100).n_seats == 1


def test_shares_beyond_everybody_are_refused() -> None:
    with pytest.raises(ValidationError, match="more than"):
        PopulationSettings(new_share=0.7, anonymous_share=0.4)


def test_as_many_visits_as_told_need_no_list() -> None:
    some, none = visits(2_000, own_share=0.3), visits(2_000)
    assert likely(sum(visit.by_themselves for visit in some), 2_000, 0.3)
    assert not any(visit.by_themselves for visit in none)
