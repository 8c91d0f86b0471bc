from hypothesis import given
from hypothesis import strategies as st

from recsys.overlay.change import ItemChange
from recsys.overlay.overlay import NOTHING, Overlay, Put, decoded, put_into, without


def changed(overlay: Overlay, *items: tuple[str, float], capacity: int = 4) -> tuple[Overlay, list[Put]]:
    changes = [ItemChange(item_id=item_id, since_s=since_s) for item_id, since_s in items]
    return put_into(overlay, changes, [9.0] * len(changes), capacity)


def test_new_items_get_slots_one_after_another_and_keep_them() -> None:
    overlay, fates = changed(NOTHING, ("a", 1.0), ("b", 1.0))
    assert fates == [Put.NEW, Put.NEW]
    overlay, fates = changed(overlay, ("a", 2.0), ("c", 2.0))
    assert fates == [Put.CHANGED, Put.NEW]
    assert {item_id: item.slot for item_id, item in overlay.items.items()} == {"a": 0, "b": 1, "c": 2}
    assert overlay.version == 2
    assert [item.version for item in overlay.items.values()] == [2, 1, 2]


def test_what_is_older_or_known_changes_nothing_not_even_the_version() -> None:
    overlay, _ = changed(NOTHING, ("a", 2.0))
    after, fates = changed(overlay, ("a", 2.0), ("a", 1.0))
    assert after is overlay
    assert fates == [Put.OLDER, Put.OLDER]


def test_a_full_overlay_takes_changes_of_what_it_has_and_nothing_new() -> None:
    overlay, _ = changed(NOTHING, ("a", 1.0), ("b", 1.0), capacity=2)
    after, fates = changed(overlay, ("c", 2.0), ("b", 2.0), capacity=2)
    assert fates == [Put.FULL, Put.CHANGED]
    assert set(after.items) == {"a", "b"}


def test_a_slot_that_was_left_is_taken_again_after_all_others() -> None:
    overlay, _ = changed(NOTHING, ("a", 1.0), ("b", 1.0))
    overlay, _ = changed(without(overlay, ["a", "unheard-of"]), ("c", 2.0), ("d", 2.0), ("e", 2.0))
    assert {item_id: item.slot for item_id, item in overlay.items.items()} == {"b": 1, "c": 2, "d": 3, "e": 0}


def test_an_item_is_read_back_as_it_was_written() -> None:
    overlay, _ = changed(NOTHING, ("a", 1.0))
    assert decoded(overlay.items["a"].encoded()) == overlay.items["a"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 5)), max_size=30))
def test_in_whatever_order_changes_come_the_latest_of_each_item_stays_and_no_slot_is_shared(
    told: list[tuple[str, int]],
) -> None:
    overlay = NOTHING
    for item_id, since_s in told:
        overlay, _ = changed(overlay, (item_id, float(since_s)), capacity=6)
    assert {item_id: item.since_s for item_id, item in overlay.items.items()} == {
        item_id: max(since_s for other, since_s in told if other == item_id) for item_id, _ in told
    }
    slots = [item.slot for item in overlay.items.values()]
    assert len(set(slots)) == len(slots)
