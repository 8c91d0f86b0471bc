from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.declared import items_of_tags


@pytest.fixture(scope="module")
def catalogue(catalogue_of: Callable[..., pl.DataFrame]) -> Catalogue:
    tags = [["drama"], ["comedy"], ["comedy", "drama"], ["comedy"], []]
    return Catalogue(catalogue_of(5, tags=tags), np.array([4, 3, 2, 1, 0], dtype=np.int32), ())


def test_the_most_popular_items_of_a_tag_stand_for_it_and_the_dearest_tag_comes_last(
    catalogue: Catalogue,
) -> None:
    assert items_of_tags(catalogue, ["comedy"]) == [2, 3]
    assert items_of_tags(catalogue, ["comedy", "drama"]) == [0, 2, 3]
    assert items_of_tags(catalogue, ["drama", "comedy"], n_per_tag=1) == [3, 2]


def test_tags_that_nothing_has_stand_for_nothing(catalogue: Catalogue) -> None:
    assert items_of_tags(catalogue, ["horror"]) == []
    assert items_of_tags(catalogue, []) == []
