from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.evaluation.lists import (
    CatalogueFacts,
    catalogue_facts,
    coverage,
    diversity,
    exposure_of,
    gini,
    novelty_bits,
    popularity_percentile,
)

LogOf = Callable[[list[list[tuple[int, float]]], int], InteractionLog]
CatalogueOf = Callable[[list[list[str]]], pl.DataFrame]


@pytest.fixture
def facts(log_of: LogOf, catalogue_of: CatalogueOf) -> CatalogueFacts:
    """Items 0..3 with 3, 0, 1 and 0 events; 0 and 1 alike, 2 shares half with both, 3 without tags."""
    train = log_of([[(0, 1.0), (2, 2.0)], [(0, 3.0)], [(0, 4.0)]], 4)
    return catalogue_facts(train, catalogue_of([["a", "b"], ["b", "a", "a"], ["a", "c"], []]))


def lists(*each: list[int]) -> NDArray[np.int32]:
    return np.array(each, dtype=np.int32)


class TestDiversity:
    def test_is_one_minus_the_mean_cosine_of_all_pairs(self, facts: CatalogueFacts) -> None:
        assert diversity(lists([0, 1, -1], [0, 2, -1], [0, 1, 2]), facts) == pytest.approx([0.0, 0.5, 1 / 3])

    def test_an_item_without_tags_is_unlike_everything(self, facts: CatalogueFacts) -> None:
        assert diversity(lists([0, 3]), facts) == pytest.approx([1.0])

    def test_a_list_of_one_item_or_none_has_no_variety(self, facts: CatalogueFacts) -> None:
        assert diversity(lists([0, -1], [-1, -1]), facts).tolist() == [0.0, 0.0]


def test_novelty_is_the_mean_surprise_in_bits(facts: CatalogueFacts) -> None:
    shares = np.array([4, 1, 2, 1]) / 8  # 4 events and one more for each of 4 items
    assert facts.surprise_bits.tolist() == (-np.log2(shares)).tolist() == [1.0, 3.0, 2.0, 3.0]
    assert novelty_bits(lists([0, 1], [2, -1], [-1, -1]), facts).tolist() == [2.0, 2.0, 0.0]


def test_popularity_percentile_shares_the_middle_among_ties(facts: CatalogueFacts) -> None:
    assert facts.popularity_percentile.tolist() == [0.875, 0.25, 0.625, 0.25]
    assert popularity_percentile(lists([0, 2], [1, -1]), facts).tolist() == [0.75, 0.25]


def test_coverage_is_the_share_of_items_shown_to_anybody() -> None:
    exposure = exposure_of(lists([0, 1], [0, -1]), 4)
    assert exposure.tolist() == [2, 1, 0, 0]
    assert coverage(exposure) == 0.5


def test_gini_of_one_item_taking_everything_is_all_but_its_own_share() -> None:
    assert gini(np.array([0, 0, 0, 10])) == pytest.approx(0.75)
    assert gini(np.array([1, 3])) == pytest.approx(0.25)
    assert gini(np.zeros(3, dtype=np.int64)) == 0.0


@settings(deadline=None)  # cores are shared
@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=30), st.integers(1, 9))
def test_gini_ignores_order_and_scale(counts: list[int], times: int) -> None:
    value = gini(np.array(counts))
    assert 0.0 <= value < 1.0
    assert gini(np.array(counts[::-1]) * times) == pytest.approx(value)


@settings(deadline=None)  # cores are shared
@given(st.integers(0, 2**32 - 1))
def test_list_metrics_keep_their_bounds_and_ignore_the_order_of_the_list(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tags = [rng.permutation(list("abcde"))[: rng.integers(0, 6)].tolist() for _ in range(8)]
    events = rng.integers(0, 8, 30).astype(np.int32)
    log = InteractionLog(
        np.array([0, 30]), events, np.zeros(30), np.zeros(30, dtype=np.int16), ("u",), (), n_items=8
    )
    facts = catalogue_facts(log, pl.DataFrame({"tags": tags}, schema={"tags": pl.List(pl.String())}))
    shown = np.array([rng.permutation(8)[:5] for _ in range(4)], dtype=np.int32)
    for metric, most in ((diversity, 1.0), (popularity_percentile, 1.0), (novelty_bits, np.log2(38))):
        value = metric(shown, facts)
        assert np.all((value >= 0.0) & (value <= most + 1e-12))
        np.testing.assert_allclose(metric(shown[:, ::-1], facts), value, atol=1e-12)
