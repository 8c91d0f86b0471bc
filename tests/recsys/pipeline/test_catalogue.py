from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.filters import Filters
from recsys.registry.reader import FolderBundleReader


@pytest.fixture
def catalogue(catalogue_of: Callable[..., pl.DataFrame]) -> Catalogue:
    """Return five items: two known, one of which nothing is known, one not available, one more known."""
    frame = catalogue_of(
        5,
        title=["Dawn", "Dusk", None, "Gone", "Noon"],
        tags=[["war", "epic"], ["farce"], [], ["war"], ["epic"]],
        creator_id=["ada", "ben", None, "ada", "cy"],
        duration_s=[60.0, 120.0, None, 60.0, 180.0],
        published_s=[1_000.0, 2_000.0, None, 1_000.0, 3_000.0],
        available=[True, True, True, False, True],
    )
    return Catalogue(frame, np.array([4, 0, 1, 2], dtype=np.int32), ("home", "tv"))


@pytest.mark.parametrize(
    ("filters", "matching"),
    [
        (Filters(), [0, 1, 2, 4]),
        (Filters(tags_any=("war", "farce")), [0, 1]),
        (Filters(tags_any=("unheard-of",)), []),
        (Filters(tags_any=()), []),
        (Filters(tags_none=("war",)), [1, 2, 4]),
        (Filters(tags_none=()), [0, 1, 2, 4]),
        (Filters(creator_ids=("ada", "cy")), [0, 4]),
        (Filters(min_duration_s=120.0), [1, 4]),
        (Filters(max_duration_s=120.0), [0, 1]),
        (Filters(published_after_s=1_000.0), [1, 4]),
        (Filters(published_before_s=2_000.0), [0]),
        (Filters(tags_any=("epic",), max_duration_s=100.0), [0]),
    ],
    ids=str,
)
def test_a_filter_lets_through_what_matches_and_nothing_unknown_or_unavailable(
    catalogue: Catalogue, filters: Filters, matching: list[int]
) -> None:
    assert np.flatnonzero(catalogue.allowed(filters)).tolist() == matching


def test_a_filter_leaves_the_availability_of_the_catalogue_alone(catalogue: Catalogue) -> None:
    catalogue.allowed(Filters(creator_ids=("ada",)))
    assert catalogue.available.tolist() == [True, True, True, False, True]


def test_an_item_is_described_as_the_catalogue_has_it(catalogue: Catalogue) -> None:
    described = catalogue.describe(catalogue.items.row("i0"))
    assert described["title"] == "Dawn"
    assert described["tags"] == ["war", "epic"]


def test_contexts_have_rows_from_one_and_unknown_ones_zero(catalogue: Catalogue) -> None:
    assert [catalogue.context_row(context) for context in ("home", "tv", "car", None)] == [1, 2, 0, 0]


def test_a_catalogue_comes_back_from_a_bundle(
    catalogue: Catalogue, bundle_of: Callable[..., FolderBundleReader]
) -> None:
    read = Catalogue.load(bundle_of(catalogue.save))
    assert read.frame.equals(catalogue.frame)
    assert read.popular_rows.tolist() == [4, 0, 1, 2]
    assert read.contexts == ("home", "tv")
    assert read.n_items == 5
