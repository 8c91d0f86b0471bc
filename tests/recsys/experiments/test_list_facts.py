from collections.abc import Sequence
from math import log2

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.data.schema import ITEMS
from recsys.experiments.feedback import IMPRESSIONS, LISTS, Records
from recsys.experiments.list_facts import FACTS, list_facts
from recsys.experiments.list_metrics import hit_at, ndcg_at

CATALOGUE = pl.DataFrame(
    [
        {"item_id": "i1", "tags": ["drama", "war"], "creator_id": "ann", "duration_s": 100.0},
        {"item_id": "i2", "tags": ["war"], "creator_id": None, "duration_s": 50.0},
        {"item_id": "i3", "tags": [], "creator_id": "ann", "duration_s": None},
    ],
    schema={name: ITEMS[name] for name in ("item_id", "tags", "creator_id", "duration_s")},
)


def records_of(*lists: Sequence[str], first_position: int = 1) -> Records:
    """Lists of items i1, i2, ...: each is said what became of it, a letter per kind ("w", "cs", "")."""
    shown = [
        {
            "list_row": row,
            "request_id": f"r{row}",
            "item_id": f"i{rank}",
            "position": first_position + rank - 1,
            "rank": rank,
            "clicked": "c" in became,
            "watched": "w" in became,
            "skipped": "s" in became,
            "liked": "l" in became,
            "chosen": bool(set("cwl") & set(became)),
            "watch_value": 0.5 if "w" in became else None,
        }
        for row, items in enumerate(lists)
        for rank, became in enumerate(items, 1)
    ]
    served = [{"request_id": f"r{row}", "n_items": len(items)} for row, items in enumerate(lists)]
    return Records(pl.DataFrame(served, schema=LISTS), pl.DataFrame(shown, schema=IMPRESSIONS))


def test_a_list_is_told_by_what_was_taken_of_it_and_how_soon() -> None:
    facts = list_facts(records_of(["s", "wc", "", "l"], ["", ""]))
    assert facts.columns == [*LISTS, *FACTS]
    counts = ["n_items", "n_clicked", "n_watched", "n_skipped", "n_liked", "n_chosen", "first_chosen", "hit"]
    assert facts.select(counts).rows() == [(4, 1, 1, 1, 1, 2, 2, True), (2, 0, 0, 0, 0, 0, None, False)]
    gained, best = 1 / log2(3) + 1 / log2(5), 1 + 1 / log2(3)
    assert facts["ndcg"].to_list() == pytest.approx([gained / best, 0.0])


def test_a_list_without_items_has_facts_too() -> None:
    [row] = list_facts(records_of([]), CATALOGUE).select(*FACTS).rows(named=True)
    assert row == dict.fromkeys(FACTS, 0) | {"first_chosen": None, "hit": False}


def test_only_the_first_k_items_are_hits() -> None:
    records = records_of(["", "", "w"], ["", "w", ""])
    assert list_facts(records, k=2).select("hit", "n_chosen").rows() == [(False, 1), (True, 1)]
    assert list_facts(records, k=2)["ndcg"].to_list() == pytest.approx([0.0, 1 / log2(3)])


def test_a_second_page_is_judged_from_its_own_top() -> None:
    facts = list_facts(records_of(["w", ""], first_position=11))
    assert facts.select("first_chosen", "ndcg").rows() == [(1, 1.0)]


def test_watch_time_is_in_seconds_when_durations_are_known_else_in_lengths() -> None:
    records = records_of(["w", "w", "w"])
    assert list_facts(records)["watch_time"].to_list() == [1.5]
    assert list_facts(records, CATALOGUE)["watch_time"].to_list() == [50.0 + 25.0]


def test_variety_is_counted_with_a_catalogue_and_unknown_without() -> None:
    records = records_of(["", "", ""], ["", "", "", "", ""])  # i4 and i5 are not in the catalogue
    assert list_facts(records, CATALOGUE).select("n_tags", "n_creators").rows() == [(2, 1), (2, 1)]
    assert list_facts(records).select("n_tags", "n_creators").rows() == [(None, None)] * 2


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6),
    st.integers(1, 7),
)
def test_ndcg_and_hits_agree_with_those_of_matrices(chosen: list[list[bool]], k: int) -> None:
    facts = list_facts(records_of(*[["w" if each else "" for each in one] for one in chosen]), k=k)
    gains = np.asarray(chosen, dtype=np.float64)
    assert facts["ndcg"].to_numpy() == pytest.approx(ndcg_at(gains, k))
    assert facts["hit"].to_list() == (hit_at(gains, k) > 0).tolist()
