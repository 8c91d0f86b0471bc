from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys.data.log import InteractionLog
from recsys.features.items import fit_items
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.svd import SvdConfig, fit_svd
from recsys.recall.tags import TagsConfig, fit_tags

LogOf = Callable[..., InteractionLog]
UsersOf = Callable[..., UserBatch]
CatalogueOf = Callable[..., pl.DataFrame]


def open_to_all(n_users: int, n_items: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    return np.zeros((n_users, n_items), dtype=np.bool_)


def test_an_item_nobody_has_touched_is_named_by_its_tags(
    catalogue_of: CatalogueOf, users_of: UsersOf
) -> None:
    tags = [["war"], ["war", "epic"], ["farce"], []]
    source = fit_tags(fit_items(catalogue_of(4, tags=tags)), TagsConfig())
    found = source.search(users_of([[0], [3], []]), 2, open_to_all(3, 4))
    assert found.item_rows.tolist() == [[0, 1], [NO_ITEM, NO_ITEM], [NO_ITEM, NO_ITEM]]


def test_equal_tags_score_one_and_no_common_tag_scores_nothing(
    catalogue_of: CatalogueOf, users_of: UsersOf
) -> None:
    source = fit_tags(fit_items(catalogue_of(3, tags=[["war"], ["war"], ["farce"]])), TagsConfig())
    scores = source.score(users_of([[0]]), np.array([[1, 2, NO_ITEM]], dtype=np.int32))
    assert scores[0].tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_the_latest_items_weigh_most_in_a_taste_for_tags(
    catalogue_of: CatalogueOf, users_of: UsersOf
) -> None:
    source = fit_tags(
        fit_items(catalogue_of(2, tags=[["war"], ["farce"]])), TagsConfig(time_constant_items=1.0)
    )
    scores = source.score(users_of([[0, 1]]), np.array([[0, 1]], dtype=np.int32))[0]
    assert scores[0] / scores[1] == pytest.approx(np.exp(-1.0), rel=1e-5)


def test_factors_bring_together_what_the_same_users_chose(log_of: LogOf, users_of: UsersOf) -> None:
    log = log_of([[0, 1, 2]] * 4 + [[3, 4, 5]] * 4, 6)
    source = fit_svd(log, SvdConfig(n_factors=2))
    found = source.search(users_of([[0], [5]]), 3, open_to_all(2, 6))
    assert [sorted(rows) for rows in found.item_rows.tolist()] == [[0, 1, 2], [3, 4, 5]]


def test_the_same_log_gives_the_same_factors_bit_for_bit(log_of: LogOf) -> None:
    log = log_of(np.random.default_rng(0).integers(0, 20, size=(30, 8)).tolist(), 20)
    one, other = (fit_svd(log, SvdConfig(n_factors=5)) for _ in range(2))
    assert np.array_equal(one.index.vectors, other.index.vectors)


def test_another_start_of_the_iteration_gives_the_same_factors_up_to_rounding(log_of: LogOf) -> None:
    log = log_of(np.random.default_rng(0).integers(0, 20, size=(30, 8)).tolist(), 20)
    one, other = (fit_svd(log, SvdConfig(n_factors=5), seed=seed).index.vectors for seed in (1, 2))
    assert np.allclose(one, other, atol=1e-4)


def test_factors_of_a_log_too_small_for_any_name_nothing(log_of: LogOf, users_of: UsersOf) -> None:
    source = fit_svd(log_of([[0, 1]], 3), SvdConfig())
    found = source.search(users_of([[0]]), 2, open_to_all(1, 3))
    assert found.item_rows.tolist() == [[NO_ITEM, NO_ITEM]]
