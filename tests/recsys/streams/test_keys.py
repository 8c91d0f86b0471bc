from hypothesis import given
from hypothesis import strategies as st

from recsys.streams.keys import key_of

PARTS = st.lists(st.binary(max_size=8), min_size=1, max_size=3)


@given(PARTS, PARTS)
def test_two_messages_share_a_key_only_if_they_are_alike_part_by_part(
    one: list[bytes], other: list[bytes]
) -> None:
    assert (key_of(*one) == key_of(*other)) == (one == other)


def test_a_key_is_text_of_one_length_that_names_nobody() -> None:
    assert key_of(b'{"user_id":"ada.lovelace@example.org"}') == b"24a4ad887edb93abe71f4572c6f954f8"
