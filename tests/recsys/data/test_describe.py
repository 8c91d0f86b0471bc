from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.badrows import OnBadRow
from recsys.data.describe import describe, gini
from recsys.data.movielens import load
from recsys.data.schema import INTERACTIONS, ITEMS, Dataset

NOW_S = 1.7e9


def small() -> Dataset:
    interactions = [
        ("u", "a", "watch", 1.0, None, "home"),
        ("u", "b", "watch", 1.0, None, "home"),
        ("u", "c", "watch", 9.0, None, None),
        ("v", "a", "like", 2.0, None, "search"),
        ("v", "b", "impression", 2.0, None, None),
    ]
    items = [(item, item.upper(), ["x"], None, None, None, None, item != "d") for item in "abcd"]
    return Dataset(
        "small",
        pl.DataFrame(interactions, schema=INTERACTIONS, orient="row"),
        pl.DataFrame(items, schema=ITEMS, orient="row"),
    )


def test_counts_can_be_checked_by_hand() -> None:
    found = describe(small(), now_s=NOW_S, n_top=2)
    assert (found.n_interactions, found.n_positive, found.n_users, found.n_items) == (5, 4, 2, 4)
    assert (found.n_items_chosen, found.density) == (3, 4 / 8)
    assert (found.first_s, found.last_s) == (1.0, 9.0)
    assert found.kinds == {"watch": 3, "like": 1, "impression": 1}
    assert found.contexts == {"home": 2, "search": 1}
    assert (found.history_lengths[50], found.history_lengths[100]) == (2.0, 3.0)
    assert found.tied_share == 0.5  # b came with a, c later; v has but one
    assert [(item.title, item.n_positive) for item in found.top] == [("A", 2), ("B", 1)]
    assert (found.n_with_tags, found.n_with_publication, found.n_available) == (4, 0, 3)


def test_plain_values_go_into_json() -> None:
    plain = orjson.loads(orjson.dumps(describe(small(), now_s=NOW_S).to_dict()))
    assert plain["history_lengths"]["p50"] == 2.0
    assert {finding["check"] for finding in plain["findings"]} > {"repeated", "unknown-items"}


def test_no_interactions_at_all_are_described_too() -> None:
    found = describe(Dataset("none", small().interactions.clear(), small().items), now_s=NOW_S)
    assert (found.n_interactions, found.first_s, found.gini, found.history_lengths) == (0, None, 0.0, {})


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=30))
def test_gini_is_a_share_that_scale_and_order_do_not_change(counts: list[int]) -> None:
    values = np.array(counts, dtype=np.float64)
    assert 0.0 <= gini(values) < 1.0
    assert gini(values[::-1] * 3) == pytest.approx(gini(values), abs=1e-12)


def test_the_most_chosen_film_of_the_real_latest_small_is_forrest_gump(real_data: Path) -> None:
    dataset = load(real_data / "ml-latest-small", on_bad_row=OnBadRow.FAIL, now_s=NOW_S).dataset
    top = describe(dataset, now_s=NOW_S).top[0]
    assert (top.title, top.n_positive) == ("Forrest Gump (1994)", 329)
