from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog
from recsys.recall.counted import Counted, Difference, counted, recounted, without_users
from recsys.recall.moments import Moments
from recsys.recall.sequential import SequentialConfig, solve_sequential
from recsys.registry.bundle import BundleWriter
from recsys.registry.reader import FolderBundleReader

BundleOf = Callable[[Callable[[BundleWriter], None]], FolderBundleReader]
LogOf = Callable[..., InteractionLog]

EVERY_PAIR = SequentialConfig(time_constants_items=(3.0, 9.0), ridge=2.0, rank=4, min_events=2, max_items=4)
FORGETTING = EVERY_PAIR.model_copy(update={"half_life_days": 3.0})
EIGHT = [f"i{row}" for row in range(8)]

Life = list[tuple[int, int]]  # item and day
LIFE = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9)), max_size=12)
LIVES = st.dictionaries(st.sampled_from("abcdef"), LIFE, max_size=6)


def log_of(lives: dict[str, Life], n_items: int = 8) -> InteractionLog:
    named = {name: sorted(life, key=lambda event: event[1]) for name, life in sorted(lives.items()) if life}
    events = [event for life in named.values() for event in life]
    return InteractionLog(
        np.cumsum([0, *(len(life) for life in named.values())]).astype(np.int64),
        np.array([item for item, _ in events], dtype=np.int32),
        np.array([day * SECONDS_PER_DAY for _, day in events], dtype=np.float64),
        np.zeros(len(events), dtype=np.int16),
        tuple(named),
        (),
        n_items,
    )


def assert_equal_sums(one: Moments, other: Moments, atol: float = 1e-9) -> None:
    assert one.item_rows.tolist() == other.item_rows.tolist()
    assert np.allclose(one.pairs, other.pairs, atol=atol, rtol=2**-21)
    assert np.allclose(one.own, other.own, atol=atol, rtol=0)


@settings(max_examples=60)
@given(before=LIVES, after=LIVES, config=st.sampled_from([EVERY_PAIR, FORGETTING]))
def test_sums_brought_from_any_log_to_any_other_are_those_of_the_other(
    before: dict[str, Life], after: dict[str, Life], config: SequentialConfig
) -> None:
    old = counted(log_of(before), EIGHT, config)
    new, _ = recounted(old, log_of(after), EIGHT, config)
    assert_equal_sums(new.moments, counted(log_of(after), EIGHT, config).moments, atol=2e-5)


@settings(max_examples=25)
@given(
    rounds=st.lists(st.dictionaries(st.sampled_from("abcd"), LIFE, max_size=3), min_size=2, max_size=5),
    config=st.sampled_from([EVERY_PAIR, FORGETTING]),
)
def test_events_that_come_in_rounds_late_or_not_end_in_the_same_weights(
    rounds: list[dict[str, Life]], config: SequentialConfig
) -> None:
    known: dict[str, Life] = {}
    now = counted(log_of({}), EIGHT, config)
    for events in rounds:
        known = {name: known.get(name, []) + events.get(name, []) for name in known | events}
        now, _ = recounted(now, log_of(known), EIGHT, config)
    whole = counted(log_of(known), EIGHT, config)
    step, at_once = (solve_sequential(one.moments, 8, config) for one in (now, whole))
    assert np.allclose(step.exact.quanta, at_once.exact.quanta, atol=1)
    assert np.allclose(step.exact.scales, at_once.exact.scales, atol=1e-6)


@settings(max_examples=30)
@given(lives=LIVES, leaving=st.sets(st.sampled_from("abcdef")))
def test_who_leaves_is_taken_out_of_the_sums(lives: dict[str, Life], leaving: set[str]) -> None:
    everybody = counted(log_of(lives), EIGHT, EVERY_PAIR)
    others, n_gone = without_users(everybody, sorted(leaving), EVERY_PAIR)
    never_there = log_of({name: life for name, life in lives.items() if name not in leaving})
    assert n_gone == len(everybody.lives.user_keys) - never_there.n_users
    assert others.lives.user_keys.tolist() == counted(never_there, EIGHT, EVERY_PAIR).lives.user_keys.tolist()
    again, difference = recounted(others, never_there, EIGHT, EVERY_PAIR)
    assert (difference.n_users, difference.n_added, difference.n_removed) == (0, 0, 0)
    assert_equal_sums(again.moments, counted(never_there, EIGHT, EVERY_PAIR).moments)


def test_a_catalogue_in_another_order_with_new_and_without_old_items_changes_no_sum_of_the_others() -> None:
    lives = {"a": [(0, 1), (1, 2), (0, 3), (2, 4)], "b": [(1, 1), (2, 2), (1, 5), (0, 6)]}
    config = EVERY_PAIR.model_copy(update={"max_items": 10})
    old = counted(log_of(lives, 3), ["x", "y", "z"], config)
    rows = {1: 0, 0: 3}  # "y" and "x" have new rows, "z" is gone, "new" and "other" have come
    now = {name: [(rows[item], day) for item, day in life if item in rows] for name, life in lives.items()}
    now["c"] = [(1, 7), (3, 8), (1, 9)]
    ids = ["y", "new", "other", "x"]
    new, _ = recounted(old, log_of(now, 4), ids, config)
    assert new.item_ids == tuple(ids)
    assert new.moments.item_rows.tolist() == [0, 1, 3]
    assert_equal_sums(new.moments, counted(log_of(now, 4), ids, config).moments)


def test_only_what_is_different_is_counted() -> None:
    lives = {"a": [(0, 1), (1, 2), (0, 3)], "b": [(1, 1), (0, 2)], "c": [(1, 1), (1, 2)]}
    old = counted(log_of(lives), EIGHT, EVERY_PAIR)
    del lives["c"]
    lives["a"].append((1, 4))
    lives["d"] = [(0, 5)]
    _, difference = recounted(old, log_of(lives), EIGHT, EVERY_PAIR)
    assert difference == Difference(n_users=3, n_added=2, n_removed=2, n_joined=0)


def test_a_row_one_half_life_old_counts_half() -> None:
    log = log_of({"a": [(0, 0), (1, 0)], "b": [(0, 3), (1, 3)]})
    sums = counted(log, EIGHT, FORGETTING.model_copy(update={"min_events": 1})).moments
    assert sums.pairs[0, 1, 4:].tolist() == [1.5, 1.5]  # 1 follows 0 once today, and once 3 days ago


def test_what_only_one_person_did_leaves_nothing_behind() -> None:
    rng = np.random.default_rng(0)
    lives = {f"u{user}": [(int(item), 0) for item in rng.integers(0, 6, 30)] for user in range(20)}
    everybody = counted(log_of(lives | {"odd": [(6, 0), (7, 0), (6, 0), (7, 0)]}), EIGHT, WIDE)
    assert everybody.moments.pairs[6, 7].all()
    others, _ = without_users(everybody, ["odd"], WIDE)
    assert not others.moments.pairs[6:].any()
    assert not others.moments.pairs[:, 6:].any()


WIDE = EVERY_PAIR.model_copy(update={"max_items": 8})


def saved(bundle_of: BundleOf, one: Counted, config: SequentialConfig) -> FolderBundleReader:
    return bundle_of(lambda writer: one.save(writer, config))


def test_saved_sums_come_back_as_they_were(bundle_of: BundleOf) -> None:
    rng = np.random.default_rng(1)
    lives = {f"u{user}": [(int(item), 0) for item in rng.integers(0, 8, 50)] for user in range(30)}
    one = counted(log_of(lives), EIGHT, WIDE)
    back = Counted.load(saved(bundle_of, one, WIDE), WIDE)
    assert back.item_ids == one.item_ids
    assert np.array_equal(back.moments.pairs, one.moments.pairs)
    assert back.moments.own.tolist() == one.moments.own.tolist()
    _, difference = recounted(back, log_of(lives), EIGHT, WIDE)
    assert difference == Difference(0, 0, 0, 0)


def test_sums_of_nobody_can_be_kept(bundle_of: BundleOf) -> None:
    nobody = counted(log_of({}), EIGHT, WIDE)
    back = Counted.load(saved(bundle_of, nobody, WIDE), WIDE)
    log = log_of({"a": [(0, 1), (1, 1), (0, 2), (1, 2)]})
    assert_equal_sums(recounted(back, log, EIGHT, WIDE)[0].moments, counted(log, EIGHT, WIDE).moments)


@pytest.mark.parametrize("change", [{"time_constants_items": (3.0, 8.0)}, {"half_life_days": 1.0}])
def test_sums_of_other_settings_are_refused(bundle_of: BundleOf, change: dict[str, object]) -> None:
    reader = saved(bundle_of, counted(log_of({"a": [(0, 1)]}), EIGHT, WIDE), WIDE)
    with pytest.raises(FieldError, match=r"recall\.sequential"):
        Counted.load(reader, WIDE.model_copy(update=change))


def test_a_life_longer_than_the_sums_remember_is_continued_without_a_trace() -> None:
    rng = np.random.default_rng(2)
    life = [(int(item), 0) for item in rng.integers(0, 8, 700)]
    config = SequentialConfig(min_events=1)
    old = counted(log_of({"a": life[:-1]}), EIGHT, config)
    new, difference = recounted(old, log_of({"a": life}), EIGHT, config)
    assert (difference.n_added, difference.n_removed) == (1, 0)
    assert_equal_sums(new.moments, counted(log_of({"a": life}), EIGHT, config).moments)
