import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.features.users import NO_ITEM
from recsys.recall.selection import offer, sort_best_first
from recsys.recall.source import Ranked, first_allowed

NOTHING_BLOCKED = np.zeros((1, 6), dtype=np.bool_)


def listed(ranked: Ranked, user: int = 0) -> list[tuple[int, float]]:
    rows, scores = ranked.item_rows[user], ranked.scores[user]
    return list(zip(rows.tolist(), scores.tolist(), strict=True))


def test_blocked_items_and_padding_make_room_for_the_next() -> None:
    item_rows = np.array([[4, 1, NO_ITEM, 2, 0]], dtype=np.int32)
    scores = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]], dtype=np.float32)
    blocked = np.array([[False, True, False, False, False, False]])
    assert listed(first_allowed(item_rows, scores, blocked, 2)) == [(4, 5.0), (2, 2.0)]


def test_short_rows_are_padded_to_the_asked_width() -> None:
    ranked = first_allowed(
        np.array([[3]], dtype=np.int32), np.array([[9.0]], dtype=np.float32), NOTHING_BLOCKED, 3
    )
    assert listed(ranked) == [(3, 9.0), (NO_ITEM, -np.inf), (NO_ITEM, -np.inf)]


def best_of(scores: list[float], n: int) -> list[tuple[int, float]]:
    heap_scores, heap_rows = np.full(n, -np.inf, np.float32), np.full(n, NO_ITEM, np.int32)
    n_kept = 0
    for row, score in enumerate(scores):
        n_kept = offer(heap_scores, heap_rows, n_kept, score, row)
    sort_best_first(heap_scores, heap_rows, n_kept)
    return list(zip(heap_rows.tolist(), heap_scores.tolist(), strict=True))


def test_ties_go_to_the_smaller_row_even_at_the_cut() -> None:
    assert [row for row, _ in best_of([1.0, 1.0, 5.0, 1.0, 1.0, 1.0], 3)] == [2, 0, 1]


def test_nothing_is_kept_where_there_is_no_room() -> None:
    assert best_of([3.0, 1.0], 0) == []


@given(st.lists(st.integers(-1, 6), max_size=30), st.integers(1, 40))
def test_the_best_few_are_what_sorting_everything_gives(scores: list[int], n: int) -> None:  # many ties
    pairs = sorted(enumerate(map(float, scores)), key=lambda pair: (-pair[1], pair[0]))
    assert best_of([float(score) for score in scores], n) == (pairs + [(NO_ITEM, -np.inf)] * n)[:n]
