from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import BadRowsError, DataFormatError
from recsys.data.badrows import OnBadRow
from recsys.data.loaded import Loaded
from recsys.data.log import Vocabulary, encode
from recsys.data.quality import check_leakage
from recsys.data.schema import Kind
from recsys.data.sequence import load
from recsys.data.splits import leave_last_out

NOW_S = 1.7e9
DAY = SECONDS_PER_DAY


def read(folder: Path, content: str | bytes, *, now_s: float = NOW_S, kind: Kind = Kind.WATCH) -> Loaded:
    file = folder / "lines.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(file, on_bad_row=OnBadRow.SKIP, now_s=now_s, kind=kind)


def bad(loaded: Loaded) -> list[tuple[int, str]]:
    return [(row.row, row.reason) for row in loaded.report.first]


def test_each_line_of_a_user_is_a_day_after_the_one_before(tmp_path: Path) -> None:
    dataset = read(tmp_path, "1 7\n1 8\n2 8\n1 9\n2 7\n").dataset
    assert dataset.interactions.select("user_id", "item_id", "kind", "time_s").rows() == [
        ("1", "7", "watch", 0.0),
        ("1", "8", "watch", DAY),
        ("2", "8", "watch", 0.0),
        ("1", "9", "watch", 2 * DAY),
        ("2", "7", "watch", DAY),
    ]
    assert dataset.name == "lines"


def test_the_catalogue_is_the_items_that_were_met_without_tags(tmp_path: Path) -> None:
    items = read(tmp_path, "1 7\n1 8\n2 7\n").dataset.items
    assert items.select("item_id", "title", "tags", "published_s", "available").rows() == [
        ("7", None, [], None, True),
        ("8", None, [], None, True),
    ]


def test_any_white_space_separates_and_the_last_line_needs_no_end(tmp_path: Path) -> None:
    loaded = read(tmp_path, "\ufeffu\ta\r\n  u   b  \r\nu \t c")
    assert loaded.dataset.interactions["item_id"].to_list() == ["a", "b", "c"]
    assert loaded.dataset.interactions["user_id"].to_list() == ["u"] * 3
    assert loaded.report.n_bad == 0


def test_a_line_that_is_no_pair_is_named_by_its_number(tmp_path: Path) -> None:
    loaded = read(tmp_path, b"1 7\n1\n1 8 5\n\n1 \xff\n\x00 7\n1 9\n")
    assert bad(loaded) == [
        (2, "has one value; expected a user and an item"),
        (3, "has more values than a user and an item"),
        (5, "is not UTF-8 text"),
        (6, "is not UTF-8 text"),
    ]
    report = loaded.report
    assert (report.n_read, report.n_kept, report.n_left_out) == (7, 2, 1)
    assert loaded.dataset.interactions.select("item_id", "time_s").rows() == [("7", 0.0), ("9", DAY)]


def test_a_bad_line_stops_the_reading_when_asked_to(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_text("1 7\n1,8\n")
    with pytest.raises(BadRowsError, match=r"x\.txt, row 2: has one value"):
        load(file, on_bad_row=OnBadRow.FAIL, now_s=NOW_S)


def test_a_line_met_twice_counts_twice_as_in_any_other_data_set(tmp_path: Path) -> None:
    assert read(tmp_path, "1 7\n1 7\n").dataset.interactions["time_s"].to_list() == [0.0, DAY]


def test_lines_that_would_end_in_the_future_are_bad(tmp_path: Path) -> None:
    loaded = read(tmp_path, "1 7\n1 8\n1 9\n2 7\n", now_s=1.5 * DAY)
    assert [row for row, _ in bad(loaded)] == [3]
    assert loaded.dataset.interactions.height == 3


def test_the_notes_say_that_times_are_made_up_and_what_a_line_is(tmp_path: Path) -> None:
    made_up, counted = read(tmp_path, "1 7\n", kind=Kind.CLICK).report.notes
    assert "leave-last-out alone" in made_up
    assert counted.endswith("counts as click")


@pytest.mark.parametrize("content", ["", "\n\n", "  \n"])
def test_a_file_of_nothing_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataFormatError, match="an empty file"):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="nothing there"):
        load(tmp_path / "x.txt", on_bad_row=OnBadRow.SKIP, now_s=NOW_S)
    with pytest.raises(DataFormatError, match="a folder"):
        load(tmp_path, on_bad_row=OnBadRow.SKIP, now_s=NOW_S)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30))
def test_the_order_of_the_file_survives_and_the_time_of_a_question_is_the_length_of_the_past(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int]]
) -> None:
    content = "".join(f"{user} {item}\n" for user, item in pairs)
    dataset = read(tmp_path_factory.mktemp("any"), content).dataset
    log = encode(dataset, items := Vocabulary(dataset.items["item_id"].to_list()))
    for at, user in enumerate(log.user_ids):
        found = log.item_rows[log.offsets[at] : log.offsets[at + 1]]
        assert [items.ids[row] for row in found] == [str(item) for who, item in pairs if str(who) == user]
    split = leave_last_out(log)
    n_before = split.test_stops - log.offsets[split.test_users]
    assert split.now_s.tolist() == (n_before * DAY).tolist()  # and not how much is still to come
    target_in_train, own_future, _ = check_leakage(split)
    assert (target_in_train.n, own_future.n) == (0, 0)
