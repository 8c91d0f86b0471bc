"""A bundle of four items, and what its parts are once the catalogue has changed."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys.features.items import fit_items
from recsys.overlay.change import ItemChange
from recsys.overlay.overlay import NOTHING, Overlay, put_into
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.filters import Filters
from recsys.pipeline.overlaid import (
    differences,
    overlaid_catalogue,
    overlaid_items,
    overlaid_reranking,
    told_alike,
)
from recsys.pipeline.stages import RerankingStage
from recsys.reranking.exploration import ExplorationConfig
from recsys.reranking.posterior import ItemInterest
from recsys.reranking.rerank import RerankingConfig


@pytest.fixture
def catalogue(catalogue_of: Callable[..., pl.DataFrame]) -> Catalogue:
    """Return i0 to i3; i3 is not available; i2 is the most popular."""
    frame = catalogue_of(
        4,
        title=["Dawn", "Dusk", "Noon", "Gone"],
        tags=[["war"], ["farce"], ["war", "epic"], ["epic"]],
        creator_id=["ada", "ben", "ada", None],
        available=[True, True, True, False],
    )
    return Catalogue(frame, np.array([2, 0, 1], dtype=np.int32), ("home",))


def told(*changes: ItemChange) -> Overlay:
    stamped = [change.model_copy(update={"since_s": float(at)}) for at, change in enumerate(changes, 1)]
    return put_into(NOTHING, stamped, [0.0] * len(stamped), 10)[0]


def by(catalogue: Catalogue, *changes: ItemChange) -> Catalogue:
    return overlaid_catalogue(catalogue, differences(catalogue, told(*changes)))


def test_a_new_item_stands_behind_the_rows_of_the_bundle_and_is_found(catalogue: Catalogue) -> None:
    made = by(catalogue, ItemChange(item_id="x", title="New", tags=["war"]), ItemChange(item_id="y"))
    assert [made.items.row(item_id) for item_id in ("i0", "x", "y", "z")] == [0, 4, 5, -1]
    assert made.describe(4)["title"] == "New"
    assert made.popular_rows.tolist() == [2, 0, 1, 4, 5]
    assert np.flatnonzero(made.allowed(Filters(tags_any=("war",)))).tolist() == [0, 2, 4]
    assert made.n_learned == 4


def test_an_item_that_is_gone_is_nowhere_but_keeps_what_is_known_of_it(catalogue: Catalogue) -> None:
    made = by(catalogue, ItemChange(item_id="i2", available=False))
    assert made.popular_rows.tolist() == [0, 1]
    assert made.available.tolist() == [True, True, False, False]
    assert made.describe(2)["title"] == "Noon"
    assert made.n_items == 4


def test_an_item_that_came_back_is_popular_again_in_the_last_place(catalogue: Catalogue) -> None:
    made = by(catalogue, ItemChange(item_id="i3", title="Gone", tags=["epic"]))
    assert made.popular_rows.tolist() == [2, 0, 1, 3]


def test_an_item_that_nobody_ever_knew_and_that_is_gone_changes_nothing_but_is_counted(
    catalogue: Catalogue,
) -> None:
    found = differences(catalogue, told(ItemChange(item_id="x", available=False)))
    assert (len(found.rows), found.n_unknown) == (0, 1)


def test_rows_stay_when_other_items_come_and_go(catalogue: Catalogue) -> None:
    one, two = ItemChange(item_id="x"), ItemChange(item_id="y")
    assert by(catalogue, one, two, ItemChange(item_id="x", available=False)).items.row("y") == 5
    assert by(catalogue, ItemChange(item_id="i0", title="Known"), two).items.row("y") == 5


def test_what_the_bundle_says_as_well_is_no_difference(catalogue: Catalogue) -> None:
    same = ItemChange.model_validate(
        {name: value for name, value in catalogue.describe(0).items() if value is not None}
    )
    overlay = told(same, ItemChange(item_id="x"), ItemChange(item_id="y", available=False))
    assert differences(catalogue, overlay).rows.tolist() == [5]
    assert told_alike(catalogue, overlay) == {"i0", "y"}


def test_a_new_item_has_the_tag_vector_that_a_training_would_have_given_it(catalogue: Catalogue) -> None:
    items = fit_items(catalogue.frame)
    changes = (
        ItemChange(item_id="x", tags=["epic", "war", "unheard-of"]),
        ItemChange(item_id="i0", tags=["farce"]),
    )
    made = overlaid_items(items, catalogue, differences(catalogue, told(*changes)))
    assert made.tag_vectors[4].tolist() == items.tag_vectors[2].tolist()
    assert made.tag_vectors[0].tolist() == items.tag_vectors[1].tolist()
    assert made.tag_vectors[1:4].tolist() == items.tag_vectors[1:4].tolist()
    assert np.isnan(made.duration_s[4])


def test_creators_keep_their_numbers_and_new_ones_get_their_own(catalogue: Catalogue) -> None:
    items = fit_items(catalogue.frame)
    new = [ItemChange(item_id=name, creator_id=by) for name, by in (("x", "ben"), ("y", "cy"), ("z", None))]
    made = overlaid_items(items, catalogue, differences(catalogue, told(*new)))
    assert made.creator_rows.tolist() == [0, 1, 0, -1, 1, 2, -1]


def test_nobody_has_met_a_new_item_and_it_costs_what_is_said(catalogue: Catalogue) -> None:
    config = RerankingConfig(cost_weight=1.0, exploration=ExplorationConfig(pool="new"))
    four = np.arange(4, dtype=np.float32)
    stage = RerankingStage(fit_items(catalogue.frame), config, ItemInterest(four, four), four)
    changes = ItemChange(item_id="x", cost=7.0), ItemChange(item_id="y")
    made = overlaid_reranking(stage, catalogue, differences(catalogue, told(*changes)))
    assert made.interest is not None
    assert made.costs is not None
    assert made.interest.n_interactions.tolist() == [0, 1, 2, 3, 0, 0]
    assert made.costs.tolist() == [0, 1, 2, 3, 7, 0]
