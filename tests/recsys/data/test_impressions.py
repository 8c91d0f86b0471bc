from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from recsys.core.errors import BadRowsError, InputError
from recsys.data.badrows import OnBadRow
from recsys.data.formats import load_impressions
from recsys.data.impressions import IMPRESSIONS, impressions_of
from recsys.data.schema import INTERACTIONS, ITEMS, Dataset

NOW_S = 1.7e9
LOG = "user_id,video_id,time_ms,is_click,is_like,is_forward,is_hate,long_view,play_time_ms,duration_ms,tab"
VIDEOS = "video_id,author_id,upload_dt,visible_status,video_duration,tag"


def kuairand(folder: Path, standard: Sequence[str], at_random: Sequence[str] = ()) -> Path:
    """Write rows of user, video, milliseconds, click, like, forward, hate, long view."""
    (folder / "video_features_basic_pure.csv").write_text(f"{VIDEOS}\n10,7,2022-04-10,0.0,8000.0,39\n")
    for name, rows in (("log_standard_pure", standard), ("log_random_pure", at_random)):
        if rows:
            (folder / f"{name}.csv").write_text("\n".join([LOG, *(f"{row},0,8000,1" for row in rows)]))
    return folder


def dataset(kinds: Sequence[str]) -> Dataset:
    rows = {
        "user_id": ["ada"] * len(kinds),
        "item_id": ["i0"] * len(kinds),
        "kind": kinds,
        "time_s": [float(len(kinds) - number) for number in range(len(kinds))],
        "value": [None] * len(kinds),
        "context": ["home"] * len(kinds),
    }
    return Dataset("mine", pl.DataFrame(rows, schema=INTERACTIONS), pl.DataFrame(schema=ITEMS))


def test_kuairand_answers_are_the_flags_of_the_log(tmp_path: Path) -> None:
    rows = ["1,10,1000,1,0,0,0,1", "1,10,2000,0,1,0,0,0", "1,10,3000,1,0,0,1,0"]
    found = load_impressions(kuairand(tmp_path, rows), now_s=NOW_S)
    assert found.schema == IMPRESSIONS
    assert found["click"].to_list() == [True, False, True]  # a like without a click is none, a hated one is
    assert found["long_view"].to_list() == [True, False, False]
    assert found["like"].to_list() == [False, True, False]
    assert found["context"].to_list() == ["tab-1"] * 3


def test_the_randomly_exposed_are_marked_and_in_order_of_time(tmp_path: Path) -> None:
    folder = kuairand(tmp_path, ["1,10,1000,1,0,0,0,1", "1,10,3000,1,0,0,0,1"], ["2,10,2000,0,0,0,0,0"])
    found = load_impressions(folder, now_s=NOW_S)
    assert found["at_random"].to_list() == [False, True, False]
    assert found["user_id"].to_list() == ["1", "2", "1"]


def test_a_row_that_cannot_be_read_is_refused_or_left_out(tmp_path: Path) -> None:
    folder = kuairand(tmp_path, ["1,10,1000,1,0,0,0,1", "1,10,2000,maybe,0,0,0,1"])
    with pytest.raises(BadRowsError):
        load_impressions(folder, now_s=NOW_S)
    assert load_impressions(folder, on_bad_row=OnBadRow.SKIP, now_s=NOW_S).height == 1


def test_kinds_say_whether_it_was_a_click_and_ratings_say_nothing() -> None:
    found = impressions_of(dataset(["click", "impression", "dislike", "skip", "like", "rating"]))
    assert found["click"].to_list() == [True, False, False, False, True]  # from old to new
    assert found["long_view"].null_count() == found["like"].null_count() == 5


def test_a_log_of_choices_alone_is_refused() -> None:
    with pytest.raises(InputError, match="mine: no impressions"):
        impressions_of(dataset(["click", "rating"]))
