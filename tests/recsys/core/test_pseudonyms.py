import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import DataFormatError
from recsys.core.pseudonyms import Pseudonyms, key_beside, rotate_key, tombstone_of


def test_a_pseudonym_is_the_same_for_a_user_another_for_another_and_nothing_without_the_key() -> None:
    one, other = Pseudonyms(b"k" * 32), Pseudonyms(b"K" * 32)
    assert one.of("ada") == Pseudonyms(b"k" * 32).of("ada") == one.of("ada")
    assert len({one.of("ada"), one.of("bob"), other.of("ada"), other.of("bob")}) == 4
    assert len(one.of("ada")) == 32


def test_a_session_never_has_the_pseudonym_of_a_user() -> None:
    pseudonyms = Pseudonyms(b"k" * 32)
    assert pseudonyms.of_session("ada") == pseudonyms.of_session("ada") != pseudonyms.of("ada")


def test_all_who_start_at_once_share_one_key_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key"
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: Pseudonyms.of_file(path).of("ada"), range(32)))
    assert len(set(made)) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("content", [b"short", b"x" * 65, b"ab" * 32 + b"\n" + b"cd" * 31])
def test_a_file_that_holds_no_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(DataFormatError, match=r"key: looked for a key of 16 to 64 bytes; found"):
        Pseudonyms.of_file(tmp_path / "key")


def test_after_a_rotation_new_names_come_from_the_new_key_and_the_old_ones_are_still_known(
    tmp_path: Path,
) -> None:
    path = tmp_path / "key"
    first = Pseudonyms.of_file(path).of("ada")
    assert rotate_key(path) == 2
    second = Pseudonyms.of_file(path).of("ada")
    assert rotate_key(path) == 3
    third = Pseudonyms.of_file(path)
    assert third.all_of("ada") == (third.of("ada"), second, first)
    assert len({*third.all_of("ada")}) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_of_another_length_is_not_rotated_and_stays(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(os.urandom(16))
    before = Pseudonyms.of_file(tmp_path / "key").of("ada")
    with pytest.raises(DataFormatError, match="32 bytes"):
        rotate_key(tmp_path / "key")
    assert Pseudonyms.of_file(tmp_path / "key").of("ada") == before


@given(st.text())
def test_a_tombstone_is_no_name_and_its_own_tombstone(name: str) -> None:
    tombstone = tombstone_of(name)
    assert tombstone_of(tombstone) == tombstone
    assert len(tombstone) == len("tombstone:") + 32


def test_the_key_lies_beside_the_folder_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert key_beside(Path("/a/events"), "MARQUEE_SOME_KEY") == Path("/a/events.key")
    monkeypatch.setenv("MARQUEE_SOME_KEY", "/secrets/key")
    assert key_beside(Path("/a/events"), "MARQUEE_SOME_KEY") == Path("/secrets/key")
