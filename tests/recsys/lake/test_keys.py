from collections.abc import Sequence

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys.lake.keys import KeySet

Key = tuple[str, str]
SCHEMA = {"user": pl.String(), "event": pl.String()}
keys = st.tuples(st.sampled_from(["a", "b", "ab", ""]), st.sampled_from(["a", "b", "ba", "", "\0"]))


def frame(rows: Sequence[Key]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").with_row_index("place")


@given(st.lists(st.lists(keys, max_size=6), max_size=12))
def test_each_key_is_unknown_once_and_the_first_row_counts(batches: list[list[Key]]) -> None:
    known, told, expected = KeySet(["user", "event"]), list[Key](), dict[Key, None]()
    for batch in batches:
        new = known.unknown(frame(batch))
        told += new.select("user", "event").rows()
        assert new["place"].to_list() == sorted(new["place"].to_list())
        expected |= dict.fromkeys(batch)
        known.add(new)
    assert told == list(expected)
    assert len(known) == len(expected)


def test_half_a_million_keys_are_told_apart() -> None:
    known = KeySet(["user", "event"])
    numbers = pl.DataFrame({"n": range(500_000)}).select(
        user=pl.format("u{}", pl.col("n") % 1_000), event=pl.format("e{}", pl.col("n"))
    )
    for batch in numbers.iter_slices(60_000):
        assert known.unknown(batch).height == batch.height
        known.add(batch)
    assert known.unknown(numbers).height == 0
    swapped = numbers.select(user="event", event="user")
    assert known.unknown(swapped).height == 500_000
