"""What users do, with the positions that the data set leaves out. Limits: one false alarm in a million."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, mannwhitneyu, norm

from recsys.data.schema import Kind
from recsys.simulation.behaviour import Behaviour, Seen
from recsys.simulation.responses import WATCHED_SHARE
from recsys.simulation.scenario import SCENARIOS, Scenario
from recsys.simulation.world import World, make_world
from recsys.simulation.writer import play

ALPHA = 1e-6
IMPRESSION = list(Kind).index(Kind.IMPRESSION)


@dataclass(frozen=True)
class Played:
    """A world and everything that happened in it."""

    world: World
    rows: Behaviour

    @property
    def chosen(self) -> NDArray[np.bool_]:
        return np.not_equal(self.rows.kinds, IMPRESSION)

    @property
    def watched(self) -> NDArray[np.bool_]:
        long: NDArray[np.bool_] = np.nan_to_num(self.rows.values) > WATCHED_SHARE
        return self.chosen & long


def played(scenario: Scenario, seed: int) -> Played:
    world = make_world(scenario, seed)
    blocks = list(play(world))
    columns = ([getattr(block, name) for block in blocks] for name in Behaviour.__slots__)
    return Played(world, Behaviour(*(np.concatenate(column) for column in columns)))


@cache
def small(**changes: float) -> Played:
    return played(SCENARIOS["small"].model_copy(update=changes), 7)


def gini(counts: NDArray[np.int64]) -> float:
    """0.0 when all are equal, 1.0 when one has all."""
    rising = np.sort(counts)
    n = rising.size
    return float(2 * (np.arange(1, n + 1) * rising).sum() / (n * rising.sum()) - (n + 1) / n)


def item_counts(of: Played) -> NDArray[np.int64]:
    return np.bincount(of.rows.item_rows[of.watched], minlength=of.world.catalogue.n_items)


def test_seen_remembers_each_user_and_video_apart() -> None:
    seen = Seen(2, 20)
    seen.add(np.array([0, 1]), np.array([9, 16], dtype=np.int32))
    slate = np.array([[9, 16, 1], [9, 16, 17]], dtype=np.int32)
    assert seen.holds(slate).tolist() == [[True, False, False], [False, True, False]]


@settings(max_examples=25, deadline=None)
@given(
    n_users=st.integers(1, 25),
    n_items=st.integers(1, 30),
    fullness=st.floats(0.0, 1.0),
    n_days=st.integers(1, 4),
    new_item_share=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_happens_is_possible(
    n_users: int, n_items: int, fullness: float, n_days: int, new_item_share: float, seed: int
) -> None:
    sizes = {"n_users": n_users, "n_items": n_items, "n_days": n_days, "new_item_share": new_item_share}
    scenario = SCENARIOS["tiny"].model_copy(update=sizes)
    n_events = max(1, int(fullness * n_users * scenario.max_rows_per_user))
    done = played(scenario.model_copy(update={"n_events": n_events}), seed)
    rows, published_s = done.rows, done.world.catalogue.published_s
    assert 1 <= rows.user_rows.size <= n_events
    assert ((rows.user_rows >= 0) & (rows.user_rows < n_users)).all()
    assert ((rows.item_rows >= 0) & (rows.item_rows < n_items)).all()
    assert ((rows.positions >= 1) & (rows.positions <= scenario.slate_size)).all()
    assert ((scenario.starts_s <= rows.times_s) & (rows.times_s <= scenario.ends_s)).all()
    assert (published_s[rows.item_rows] <= rows.times_s).all()
    same_user = rows.user_rows[1:] == rows.user_rows[:-1]
    assert (np.diff(rows.times_s)[same_user] >= 0).all()
    assert (np.diff(rows.user_rows) >= 0).all()
    met = list(zip(rows.user_rows[done.chosen], rows.item_rows[done.chosen], strict=True))
    assert len(set(met)) == len(met)
    values = rows.values[done.chosen]
    assert ((values >= 0) & (values <= 1)).all()
    assert np.isnan(rows.values[~done.chosen]).all()


def test_at_least_three_fifths_of_the_rows_are_positive() -> None:
    assert small().watched.mean() >= 0.6


def test_popular_videos_have_far_more_than_their_share_but_not_everything() -> None:
    counts = np.sort(item_counts(small()))[::-1]
    assert 0.05 < counts[:10].sum() / counts.sum() < 0.3  # the top 1 %
    assert 0.35 < gini(counts) < 0.7


def test_a_steeper_zipf_law_makes_popularity_more_unequal() -> None:
    assert gini(item_counts(small(zipf_exponent=1.4))) > gini(item_counts(small(zipf_exponent=0.0))) + 0.1


def test_the_top_position_is_chosen_more_than_the_last_because_it_is_looked_at() -> None:
    done = small()
    counts = np.bincount(done.rows.positions[done.chosen], minlength=11)
    assert counts[10] < binom.ppf(ALPHA, counts[1] + counts[10], 0.5)


def test_without_position_bias_the_last_position_is_chosen_as_often_as_the_top() -> None:
    done = small(position_exponent=0.0)
    counts = np.bincount(done.rows.positions[done.chosen], minlength=11)
    n = counts[1] + counts[10]
    assert binom.ppf(ALPHA / 2, n, 0.5) <= counts[10] <= binom.isf(ALPHA / 2, n, 0.5)


def test_as_many_are_watched_as_the_world_says_in_each_half_of_affinity() -> None:
    done = small()
    rows = done.rows
    chosen = done.chosen
    users, items, times_s = rows.user_rows[chosen], rows.item_rows[chosen], rows.times_s[chosen]
    watched = done.watched[chosen]
    chance = done.world.watch_probability(users, items, times_s).astype(np.float64)
    affinity = done.world.affinity(users, items, times_s)
    for half in (affinity < np.median(affinity), affinity >= np.median(affinity)):
        spread = np.sqrt((chance[half] * (1 - chance[half])).sum())
        assert abs(watched[half].sum() - chance[half].sum()) < norm.isf(ALPHA / 4) * spread


def test_affinity_tells_watched_from_skipped() -> None:
    done = small()
    rows, chosen = done.rows, done.chosen
    affinity = done.world.affinity(rows.user_rows, rows.item_rows, rows.times_s)
    watched, skipped = affinity[done.watched], affinity[chosen & ~done.watched]
    test = mannwhitneyu(watched, skipped, alternative="greater")
    assert test.pvalue < ALPHA
    assert test.statistic / (watched.size * skipped.size) > 0.6  # area under the ROC curve


def mean_affinity_watched(of: Played) -> float:
    rows, watched = of.rows, of.watched
    return float(of.world.affinity(rows.user_rows, rows.item_rows, rows.times_s)[watched].mean())


def test_people_choose_what_they_like_over_what_is_merely_shown() -> None:
    assert mean_affinity_watched(small()) > mean_affinity_watched(small(taste_weight=0.0)) + 0.1


def follow_ups(of: Played) -> tuple[int, int]:
    """Count chances to go on with a series, and how many were taken as the very next video."""
    users, items = of.rows.user_rows[of.watched], of.rows.item_rows[of.watched]
    following = of.world.catalogue.next_episodes[items[:-1]]
    chances = (users[1:] == users[:-1]) & (following >= 0)
    return int(chances.sum()), int((following == items[1:])[chances].sum())


def test_the_next_video_depends_on_the_last_one() -> None:
    chances, taken = follow_ups(small(series_momentum=2.0))
    chances_without, taken_without = follow_ups(small(series_momentum=0.0))
    assert taken > binom.isf(ALPHA, chances, taken_without / chances_without)
    assert taken / chances > 0.1


def test_what_people_watch_moves_with_their_tastes() -> None:
    done = played(SCENARIOS["drift"], 7)
    rows, tastes, scenario = done.rows, done.world.tastes, done.world.scenario
    vectors = done.world.catalogue.vectors[rows.item_rows]
    towards_last = np.einsum("nd,nd->n", vectors, (tastes.last - tastes.first)[rows.user_rows])
    progress = (rows.times_s - scenario.starts_s) / (scenario.ends_s - scenario.starts_s)
    early, late = done.watched & (progress < 0.2), done.watched & (progress > 0.8)
    assert towards_last[early].mean() < -0.2
    assert towards_last[late].mean() > 0.2


def test_new_videos_find_viewers_after_their_publication() -> None:
    done = small()
    published_s = done.world.catalogue.published_s[done.rows.item_rows]
    new = done.watched & (published_s > done.world.scenario.starts_s)
    assert new.mean() > 0.05
    assert (done.rows.times_s[new] >= published_s[new]).all()


def test_a_session_stays_on_one_surface() -> None:
    rows = small().rows
    within = (rows.user_rows[1:] == rows.user_rows[:-1]) & (np.diff(rows.times_s) < 30.0)
    assert within.sum() > 1_000
    assert (rows.surfaces[1:] == rows.surfaces[:-1])[within].mean() > 0.95  # a new session may follow at once


def ndcg_at_10(scores: NDArray[np.float64], targets: NDArray[np.intp]) -> float:
    rank = (scores > scores[np.arange(targets.size), targets][:, None]).sum(axis=1)
    return float(np.where(rank < 10, 1 / np.log2(rank + 2), 0.0).mean())


def test_what_goes_together_can_be_learned_and_is_not_trivial() -> None:
    done = small()
    users, items = done.rows.user_rows[done.watched], done.rows.item_rows[done.watched]
    last = np.append(users[1:] != users[:-1], True)
    seen = np.zeros((done.world.n_users, done.world.catalogue.n_items))
    seen[users[~last], items[~last]] = 1.0
    together = seen.T @ seen
    size = np.sqrt(np.maximum(np.diag(together), 1.0))
    cosine = together / np.outer(size, size)
    np.fill_diagonal(cosine, 0.0)
    known, targets = users[last], items[last]
    hidden = np.where(seen[known] > 0, -np.inf, 0.0)
    popular = ndcg_at_10(seen.sum(axis=0) + hidden, targets)
    personal = ndcg_at_10(seen[known] @ cosine + hidden, targets)
    assert 1.5 * popular < personal < 0.5
