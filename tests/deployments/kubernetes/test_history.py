import base64
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.kubernetes.history import MAX_BYTES, unpacked, with_entry
from recsys.core.errors import DataFormatError
from recsys.rollout.traffic import TrafficDocument, first_document

FIRST = first_document("a" * 16, salt="s", updated_s=0.0)


def document(version: int, updated_by: str = "ada") -> TrafficDocument:
    return FIRST.model_copy(update={"version": version, "updated_by": updated_by})


def after(*documents: TrafficDocument, n_kept: int = 100, max_bytes: int = MAX_BYTES) -> dict[str, str]:
    entries: dict[str, str] = {}
    for one in documents:
        entries = with_entry(entries, one, n_kept=n_kept, max_bytes=max_bytes)
    return entries


def versions(entries: dict[str, str]) -> list[int]:
    return [unpacked(name, entry).version for name, entry in entries.items()]


def test_a_packed_document_is_read_back_whole() -> None:
    ((name, entry),) = after(document(7)).items()
    assert name == "000000000007.json.gz"
    assert unpacked(name, entry) == document(7)


def test_the_oldest_go_when_there_are_too_many() -> None:
    assert versions(after(*map(document, range(1, 6)), n_kept=3)) == [3, 4, 5]


def test_a_document_that_is_there_already_changes_nothing() -> None:
    entries = after(document(1), document(2), document(3))
    assert with_entry(entries, document(2), n_kept=100, max_bytes=MAX_BYTES) == entries


def test_what_an_earlier_life_left_goes_and_is_not_taken_for_the_newest() -> None:
    entries = after(*map(document, range(1, 41)), document(1, "bob"))
    assert [unpacked(name, entry) for name, entry in entries.items()] == [document(1, "bob")]


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=12), st.integers(0, 3_000))
def test_all_together_are_never_too_long_and_the_newest_stay(lengths: list[int], max_bytes: int) -> None:
    chance = Random(7)  # what it gives cannot be packed much
    documents = [document(n, chance.randbytes(length).hex()) for n, length in enumerate(lengths, start=1)]
    entries = after(*documents, max_bytes=max_bytes)
    assert sum(len(base64.b64decode(entry)) for entry in entries.values()) <= max_bytes
    assert versions(entries) == list(range(len(lengths) + 1))[len(lengths) + 1 - len(entries) :]


@pytest.mark.parametrize("entry", ["", "?", base64.b64encode(b"{}").decode(), "H4sIAAAAAAAC/w=="])
def test_an_entry_that_is_no_packed_document_is_named(entry: str) -> None:
    with pytest.raises(DataFormatError, match="somewhere"):
        unpacked("somewhere", entry)
