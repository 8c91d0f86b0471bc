import threading
from pathlib import Path

import pytest

from recsys.core.durable import append_lines, locked, replace_durably


def test_a_replaced_file_holds_the_new_content_and_nothing_else_lies_about(tmp_path: Path) -> None:
    path = tmp_path / "channels.json"
    replace_durably(path, b"old")
    replace_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_replacement_that_fails_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "channels.json"
    replace_durably(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        replace_durably(path, b"new")
    assert path.read_bytes() == b"old"


def test_only_one_holds_a_lock(tmp_path: Path) -> None:
    held_by: list[str] = []

    def hold(name: str) -> None:
        with locked(tmp_path / "lock"):
            held_by.append(name)

    with locked(tmp_path / "lock"):
        waiting = threading.Thread(target=hold, args=("second",))
        waiting.start()
        waiting.join(timeout=0.05)
        held_by.append("first")
    waiting.join(timeout=5.0)
    assert held_by == ["first", "second"]


def test_lines_are_appended_behind_one_that_a_crash_has_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "letters.jsonl"
    append_lines(path, b"one\n")
    append_lines(path, b"two\nthree\n")
    with path.open("ab") as file:
        file.write(b"fo")
    append_lines(path, b"five\n")
    assert path.read_bytes().splitlines() == [b"one", b"two", b"three", b"fo", b"five"]
