from collections.abc import Callable
from dataclasses import fields

import numpy as np
import polars as pl
import pytest

from recsys.data.log import InteractionLog
from recsys.features.items import ItemTable, fit_items
from recsys.features.statistics import ItemStatistics, fit_statistics
from recsys.registry.reader import FolderBundleReader

LogOf = Callable[..., InteractionLog]
CatalogueOf = Callable[..., pl.DataFrame]


def test_rare_tags_weigh_more_and_every_vector_has_length_one(catalogue_of: CatalogueOf) -> None:
    table = fit_items(catalogue_of(3, tags=[["film", "war"], ["film"], []]))
    film, war = np.log(4 / 3) + 0.1, np.log(4 / 2) + 0.1
    length = np.hypot(film, war)
    assert table.tag_vectors.shape == (3, 2)  # the most frequent first
    assert table.tag_vectors[0].tolist() == pytest.approx([film / length, war / length])
    assert table.tag_vectors[1].tolist() == [1.0, 0.0]
    assert table.tag_vectors[2].tolist() == [0.0, 0.0]


def test_a_tag_named_twice_counts_once(catalogue_of: CatalogueOf) -> None:
    once = fit_items(catalogue_of(2, tags=[["war"], ["war", "film"]]))
    twice = fit_items(catalogue_of(2, tags=[["war", "war"], ["war", "film"]]))
    assert np.array_equal(once.tag_vectors, twice.tag_vectors)


def test_only_the_most_frequent_tags_count(catalogue_of: CatalogueOf) -> None:
    table = fit_items(catalogue_of(3, tags=[["a", "b"], ["b"], ["c"]]), max_tags=1)
    assert table.tag_vectors.tolist() == [[1.0], [1.0], [0.0]]


def test_a_catalogue_without_tags_has_vectors_of_nothing(catalogue_of: CatalogueOf) -> None:
    assert fit_items(catalogue_of(2)).tag_vectors.tolist() == [[0.0], [0.0]]


def test_creators_are_numbered_by_their_ids_and_unknown_ones_are_minus_one(
    catalogue_of: CatalogueOf,
) -> None:
    remembered = pl.Series(["zoe", "ada"]).cast(pl.Categorical())  # Polars numbers these for the process
    table = fit_items(catalogue_of(4, creator_id=["zoe", None, "ada", "zoe"]))
    assert table.creator_rows.tolist() == [1, -1, 0, 1]
    assert len(remembered) == 2


def test_unknown_numbers_are_nan(catalogue_of: CatalogueOf) -> None:
    table = fit_items(
        catalogue_of(2, published_s=[5.0, None], duration_s=[None, 60.0], available=[True, False])
    )
    assert (table.published_s[0], table.duration_s[1]) == (5.0, 60.0)
    assert np.isnan([table.published_s[1], table.duration_s[0]]).all()
    assert table.available.tolist() == [True, False]
    assert table.n_items == 2


def test_statistics_tell_when_an_item_first_appeared_and_how_late_it_is_met(log_of: LogOf) -> None:
    log = log_of([[0, 1, 2], [2]], 4, times_s=[[10.0, 20.0, 30.0], [5.0]])
    statistics = fit_statistics(log)
    assert statistics.first_seen_s[:3].tolist() == [10.0, 20.0, 5.0]
    expected = [0.0, np.log(2.0), np.log(3.0) / 2]  # after nobody, after one, after two and after nobody
    assert statistics.mean_log_position[:3].tolist() == pytest.approx(expected)
    assert np.isnan([statistics.first_seen_s[3], statistics.mean_log_position[3]]).all()


def test_both_tables_come_back_from_a_bundle(
    log_of: LogOf, catalogue_of: CatalogueOf, bundle_of: Callable[..., FolderBundleReader]
) -> None:
    items = fit_items(catalogue_of(2, tags=[["a"], []], published_s=[5.0, None]))
    read = ItemTable.load(bundle_of(items.save))
    for name in (field.name for field in fields(ItemTable)):
        assert np.array_equal(getattr(read, name), getattr(items, name), equal_nan=True), name
    statistics = fit_statistics(log_of([[1]], 2))
    read_statistics = ItemStatistics.load(bundle_of(statistics.save))
    for name in ItemStatistics.__slots__:
        one, other = getattr(read_statistics, name), getattr(statistics, name)
        assert np.array_equal(one, other, equal_nan=True), name
