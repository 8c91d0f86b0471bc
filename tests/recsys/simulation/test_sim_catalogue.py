import numpy as np
import polars as pl
import pytest

from recsys.data.schema import ITEMS
from recsys.simulation.catalogue import Catalogue, make_catalogue
from recsys.simulation.scenario import SCENARIOS
from recsys.simulation.shelves import _slots, day_weights, stock_shelves
from recsys.simulation.titles import TOPICS, make_titles

SMALL = SCENARIOS["small"]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return make_catalogue(SMALL, seed=3)


def test_titles_say_topic_number_and_part() -> None:
    titles = make_titles(
        np.array([0, 2, 0], np.int16),
        np.array([0, 1, 0], np.int32),
        np.array([1, 1, 2], np.int32),
        np.random.default_rng(5),
    )
    assert [title.split(":")[0] for title in titles] == ["Drama 1", "Cooking 1", "Drama 2"]
    assert titles[2].removeprefix("Drama 2") == titles[0].removeprefix("Drama 1") + ", part 2"


def test_the_frame_has_the_catalogue_schema_and_no_two_titles_alike(catalogue: Catalogue) -> None:
    frame = catalogue.frame()
    assert frame.schema == ITEMS
    assert frame["item_id"].n_unique() == frame["title"].n_unique() == SMALL.n_items


def test_tags_are_the_topics_with_the_main_one_first(catalogue: Catalogue) -> None:
    first = catalogue.frame().select(pl.col("tags").list.first())["tags"].to_list()
    assert first == [TOPICS[topic].lower() for topic in catalogue.topics.tolist()]
    assert set(catalogue.frame()["tags"].list.len().to_list()) == {1, 2}


def test_popularity_of_rank_r_is_one_rth_when_the_exponent_is_one(catalogue: Catalogue) -> None:
    best = np.sort(catalogue.popularity)[::-1]
    assert best[[0, 1, 3, 9]].tolist() == pytest.approx([1.0, 1 / 2, 1 / 4, 1 / 10])
    assert int(np.argmax(catalogue.quality)) == int(np.argmax(catalogue.popularity))


def test_an_episode_is_followed_by_a_later_one_of_the_same_creator_and_topic(catalogue: Catalogue) -> None:
    rows = np.flatnonzero(catalogue.next_episodes >= 0)
    following = catalogue.next_episodes[rows]
    assert rows.size > SMALL.n_items // 2
    assert (catalogue.creators[rows] == catalogue.creators[following]).all()
    assert (catalogue.topics[rows] == catalogue.topics[following]).all()
    assert (catalogue.published_s[rows] <= catalogue.published_s[following]).all()


def test_episodes_of_a_series_are_more_alike_than_others(catalogue: Catalogue) -> None:
    rows = np.flatnonzero(catalogue.next_episodes >= 0)
    likeness = np.einsum(
        "nd,nd->n", catalogue.vectors[rows], catalogue.vectors[catalogue.next_episodes[rows]]
    )
    assert likeness.mean() > 0.8
    assert abs(float((catalogue.vectors @ catalogue.vectors.T).mean())) < 0.2


def test_about_a_fifth_of_the_catalogue_is_published_while_the_world_is_watched(catalogue: Catalogue) -> None:
    # 1,000 draws with chance 0.2: 132 to 272 but for odds below one in a million
    new = int((catalogue.published_s > SMALL.starts_s).sum())
    assert 132 <= new <= 272


def test_slots_are_shared_out_by_weight_and_weight_zero_gets_none() -> None:
    assert _slots(np.array([1.0, 0.0, 3.0, 0.0]), 4, 0.5).tolist() == [0, 2, 2, 2]


def test_shelves_hold_only_what_was_published_before_midnight(catalogue: Catalogue) -> None:
    shelves = stock_shelves(catalogue, SMALL, seed=3)
    midnights_s = SMALL.starts_s + np.arange(SMALL.n_days) * 86_400.0
    assert (catalogue.published_s[shelves.items] <= midnights_s[:, None, None]).all()
    new = np.flatnonzero(catalogue.published_s > SMALL.starts_s)
    assert np.isin(shelves.items[-1], new).any()


def test_a_video_fades_to_the_floor_with_its_age(catalogue: Catalogue) -> None:
    scenario = SMALL.model_copy(update={"freshness_half_life_days": 10.0, "n_days": 11})
    weights = day_weights(catalogue, scenario) / catalogue.popularity
    published = np.clip((scenario.starts_s - catalogue.published_s) / 86_400.0, 0.0, None)
    old = published > 0.0
    expected = 0.3 + 0.7 * 0.5 ** ((published[old] + 10.0) / 10.0)
    np.testing.assert_allclose(weights[10, old], expected, rtol=1e-9)
