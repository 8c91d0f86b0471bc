from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys.features.item_rates import rate_columns
from recsys.features.items import ItemTable, fit_items

CatalogueOf = Callable[..., pl.DataFrame]


@pytest.fixture
def items(catalogue_of: CatalogueOf) -> ItemTable:
    """Items 0 and 1 are by one creator, 2 by another, 3 by nobody known; only 0 and 2 have tags."""
    tags = [["x", "y"], [], ["y"], []]
    return fit_items(catalogue_of(4, creator_id=["a", "a", "b", None], tags=tags))


def test_a_rate_starts_with_the_mean_of_all_and_moves_with_what_was_shown(items: ItemTable) -> None:
    shown = np.array([0, 0, 1, 1, 1, 2], dtype=np.int32)
    chosen = np.array([True, True, False, False, True, False])  # (3 + 1) of (6 + 2): a mean of 1/2
    found = rate_columns(shown, [chosen], items, prior_impressions=2.0)
    columns, unknown = found[:-1], found[-1]
    assert columns.shape == (4, 4)
    assert unknown.tolist() == [0.0, 0.0, 0.0, 0.0]  # never shown; log odds of a half
    assert columns[:, 0] == pytest.approx(np.log([3.0, 4.0, 2.0, 1.0]))
    # item 0: (2 + 1) chosen against 1 in vain; item 1: 2 against 3; item 2: 1 against 2; item 3: the mean
    assert columns[:, 1] == pytest.approx(np.log([3.0, 2.0 / 3.0, 1.0 / 2.0, 1.0]))
    # creator a: (3 + 1) against 3; b: 1 against 2; nobody known: the mean
    assert columns[:, 2] == pytest.approx(np.log([4.0 / 3.0, 4.0 / 3.0, 1.0 / 2.0, 1.0]))
    # tag x: (2 + 1) against 1; y: (2 + 1) against 2; item 0 has the mean of both, items without tags the mean
    x, y = np.log(3.0), np.log(1.5)
    assert columns[:, 3] == pytest.approx([(x + y) / 2.0, 0.0, y, 0.0])


def test_of_an_item_that_nobody_knows_the_mean_is_said(items: ItemTable) -> None:
    shown = np.array([0, 1], dtype=np.int32)
    columns = rate_columns(shown, [np.array([True, True])], items, prior_impressions=1.0)
    # (2 + 1) of (2 + 2) are chosen
    assert columns[-1] == pytest.approx([0.0, np.log(3.0), np.log(3.0), np.log(3.0)])


def test_each_answer_has_columns_of_its_own(items: ItemTable) -> None:
    shown = np.array([0, 1], dtype=np.int32)
    one, other = np.array([True, False]), np.array([False, True])
    both = rate_columns(shown, [one, other], items, prior_impressions=1.0)
    alone = rate_columns(shown, [other], items, prior_impressions=1.0)
    assert both.shape == (5, 7)
    assert np.array_equal(both[:, 4:], alone[:, 1:])


def test_where_nothing_was_shown_every_column_is_finite(items: ItemTable) -> None:
    nothing = np.zeros(0, dtype=np.int32)
    columns = rate_columns(nothing, [np.zeros(0, dtype=np.bool_)], items, prior_impressions=5.0)
    assert np.array_equal(columns, np.zeros((5, 4), dtype=np.float32))
