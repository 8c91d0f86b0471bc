import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.cursor import MAX_SHOWN, NOTHING_SHOWN, decode_cursor, encode_cursor, item_hashes, pack
from recsys.core.errors import FieldError

item_ids = st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=50, unique=True)


@given(item_ids)
def test_a_cursor_remembers_the_hashes_of_all_shown_items(ids: list[str]) -> None:
    shown = item_hashes(ids)
    cursor = encode_cursor(pack(shown))
    assert cursor is not None
    assert decode_cursor(cursor).tolist() == shown.tolist()


@given(item_ids, st.data())
def test_a_cursor_with_one_character_changed_is_refused(ids: list[str], data: st.DataObject) -> None:
    cursor = encode_cursor(pack(item_hashes(ids)))
    assert cursor is not None
    place = data.draw(st.integers(0, len(cursor) - 2))  # the last character may hold bits that mean nothing
    other = data.draw(st.sampled_from("ABCDEFGHabcdefgh01234567-_").filter(lambda c: c != cursor[place]))
    with pytest.raises(FieldError, match="cursor"):
        decode_cursor(cursor[:place] + other + cursor[place + 1 :])


@given(st.text(max_size=60))
def test_text_that_is_no_cursor_is_refused_by_the_name_of_the_field(text: str) -> None:
    with pytest.raises(FieldError) as caught:
        decode_cursor(text)
    assert caught.value.field == "cursor"


def test_a_cursor_travels_in_an_address_as_it_is() -> None:
    cursor = encode_cursor(pack(item_hashes([str(item) for item in range(200)])))
    assert cursor is not None
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_there_is_no_next_page_after_a_thousand_items_nor_after_none() -> None:
    ids = [str(item) for item in range(MAX_SHOWN + 1)]
    assert encode_cursor(pack(item_hashes(ids[:MAX_SHOWN]))) is not None
    assert encode_cursor(pack(item_hashes(ids))) is None
    assert encode_cursor(pack(NOTHING_SHOWN)) is None


def test_the_hash_of_an_item_has_forty_bits() -> None:
    assert int(item_hashes([str(item) for item in range(1_000)]).max()) < 2**40
    assert item_hashes(["a"]).dtype == np.uint64
