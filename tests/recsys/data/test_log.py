from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import INTERACTIONS, ITEMS, Dataset, Kind

LogOf = Callable[..., InteractionLog]

ITEM_IDS = Vocabulary(["a", "b", "c"])

Row = tuple[str, str, Kind, float, str | None]


def dataset(rows: Sequence[Row]) -> Dataset:
    frame = pl.DataFrame(
        [(user, item, kind.value, time_s, None, context) for user, item, kind, time_s, context in rows],
        schema=INTERACTIONS,
        orient="row",
    )
    return Dataset("test", frame, pl.DataFrame(schema=ITEMS))


def positions(log: InteractionLog) -> list[tuple[str, int, float]]:
    users = [log.user_ids[row] for row in log.user_rows]
    return list(zip(users, log.item_rows.tolist(), log.times_s.tolist(), strict=True))


def test_rows_are_numbered_in_the_order_given_and_unknown_ids_are_minus_one() -> None:
    assert ITEM_IDS.rows(["c", "zzz", "a"]).tolist() == [2, -1, 0]
    assert (ITEM_IDS.row("b"), ITEM_IDS.row("zzz")) == (1, -1)
    assert ("b" in ITEM_IDS, "zzz" in ITEM_IDS, len(ITEM_IDS)) == (True, False, 3)
    assert ITEM_IDS.rows([]).dtype == np.int32


def test_users_come_in_order_of_their_id_and_each_from_old_to_new() -> None:
    log = encode(
        dataset(
            [
                ("zoe", "a", Kind.WATCH, 3.0, None),
                ("ada", "b", Kind.LIKE, 2.0, None),
                ("zoe", "c", Kind.CLICK, 1.0, None),
            ]
        ),
        ITEM_IDS,
    )
    assert positions(log) == [("ada", 1, 2.0), ("zoe", 2, 1.0), ("zoe", 0, 3.0)]
    assert log.offsets.tolist() == [0, 1, 3]
    assert (log.n_users, log.n_items, log.lengths.tolist()) == (2, 3, [1, 2])


def test_ties_in_time_keep_the_order_of_the_source() -> None:
    rows = [("ada", item, Kind.WATCH, 1.0, None) for item in "cab"]
    assert encode(dataset(rows), ITEM_IDS).item_rows.tolist() == [2, 0, 1]


def test_only_positive_interactions_with_items_of_the_catalogue_count() -> None:
    rows: list[Row] = [("ada", "a", kind, float(number), None) for number, kind in enumerate(Kind)]
    rows += [("ada", "gone", Kind.WATCH, 99.0, None), ("ben", "b", Kind.SKIP, 1.0, None)]
    log = encode(dataset(rows), ITEM_IDS)
    positive = [
        float(number)
        for number, kind in enumerate(Kind)
        if kind not in (Kind.DISLIKE, Kind.SKIP, Kind.IMPRESSION)
    ]
    assert log.times_s.tolist() == positive
    assert log.user_ids == ("ada",)  # ben has nothing positive


def test_the_most_frequent_contexts_get_rows_and_the_others_are_unknown() -> None:
    contexts = ["tv", "tv", "home", "home", "car", None]
    rows = [("ada", "a", Kind.WATCH, float(n), context) for n, context in enumerate(contexts)]
    log = encode(dataset(rows), ITEM_IDS, max_contexts=2)
    assert log.contexts == ("home", "tv")  # as frequent as each other: in order of their names
    assert log.context_rows.tolist() == [2, 2, 1, 1, 0, 0]


def test_an_empty_data_set_gives_an_empty_log() -> None:
    log = encode(dataset([]), ITEM_IDS)
    assert (log.n_users, len(log.item_rows), log.offsets.tolist()) == (0, 0, [0])


def test_without_the_positions_of_some_users_the_others_keep_theirs(log_of: LogOf) -> None:
    log = log_of([[0, 1], [2], [1, 0]], 3)
    kept = log.of_users(np.array([True, False, True]))
    assert positions(kept) == [("u0", 0, 0.0), ("u0", 1, 1.0), ("u2", 1, 0.0), ("u2", 0, 1.0)]
    assert kept.n_users == 3
    assert kept.lengths.tolist() == [2, 0, 2]


@given(st.lists(st.lists(st.integers(0, 4), max_size=5), max_size=5), st.integers(0, 2**32 - 1))
def test_selected_positions_stay_with_their_users_in_their_order(
    log_of: LogOf, histories: list[list[int]], seed: int
) -> None:
    log = log_of(histories, 5)
    marked = np.random.default_rng(seed).random(len(log.item_rows)) < 0.5
    kept = log.select(marked)
    assert positions(kept) == [one for one, keep in zip(positions(log), marked, strict=True) if keep]
    assert kept.n_users == log.n_users


def test_who_reads_a_log_cannot_change_it(log_of: LogOf) -> None:
    log = log_of([[1, 1, 2], [3]], 4)
    for values in (log.offsets, log.item_rows, log.times_s, log.context_rows):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0
