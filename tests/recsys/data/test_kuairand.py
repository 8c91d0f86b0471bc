from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from recsys.core.errors import DataFormatError
from recsys.data.badrows import OnBadRow
from recsys.data.kuairand import load
from recsys.data.loaded import Loaded

NOW_S = 1.7e9
LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,tab"
)
VIDEOS = "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,tag"


def write(folder: Path, *impressions: str) -> Path:
    (folder / "log_standard_4_22_to_5_08_pure.csv").write_text("\n".join([LOG, *impressions]))
    videos = [
        "10,7,NORMAL,2022-04-10,Web,0.0,8000.0,39",
        '20,8,NORMAL,2022-04-09,Web,3.0,,"12,65"',
        "30,9,AD,,Web,,,",
    ]
    (folder / "video_features_basic_pure.csv").write_text("\n".join([VIDEOS, *videos]))
    return folder


def impression(
    user: int, video: int, time_ms: int, flags: str = "0,0,0,0,0,0,0", play: str = "0,8000,1"
) -> str:
    """Flags: click, like, follow, comment, forward, hate, long view."""
    return f"{user},{video},20220425,0,{time_ms},{flags},{play}"


def read(folder: Path) -> Loaded:
    return load(folder, on_bad_row=OnBadRow.FAIL, now_s=NOW_S)


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ("0,0,0,0,0,0,0", "impression"),
        ("1,0,0,0,0,0,0", "click"),
        ("1,0,0,0,0,0,1", "watch"),
        ("1,1,0,0,0,0,1", "like"),
        ("1,1,0,0,1,0,1", "share"),
        ("1,1,0,0,1,1,1", "dislike"),
    ],
)
def test_the_strongest_thing_that_followed_is_the_kind(tmp_path: Path, flags: str, kind: str) -> None:
    dataset = read(write(tmp_path, impression(1, 10, 5_000, flags))).dataset
    assert dataset.interactions["kind"].to_list() == [kind]


def test_value_is_the_share_watched_and_context_is_the_tab(tmp_path: Path) -> None:
    plays = ["4000,8000,1", "80000,8000,0", "4000,0,2"]
    rows = [impression(1, 10, 1_000 * at, play=play) for at, play in enumerate(plays)]
    interactions = read(write(tmp_path, *rows)).dataset.interactions
    assert interactions["value"].to_list() == [0.5, 2.0, None]
    assert interactions["context"].to_list() == ["tab-1", "tab-0", "tab-2"]
    assert interactions["time_s"].to_list() == [0.0, 1.0, 2.0]


def test_videos_have_tags_a_creator_and_a_day_of_upload_in_beijing(tmp_path: Path) -> None:
    items = read(write(tmp_path)).dataset.items
    assert items["tags"].to_list() == [["tag-39"], ["tag-12", "tag-65"], []]
    assert items["creator_id"].to_list() == ["7", "8", "9"]
    assert items["duration_s"].to_list() == [8.0, None, None]
    assert items["published_s"][0] == datetime(2022, 4, 9, 16, tzinfo=UTC).timestamp()
    assert items["available"].to_list() == [True, False, True]


def test_a_row_logged_twice_counts_once_and_the_report_says_so(tmp_path: Path) -> None:
    loaded = read(
        write(tmp_path, impression(1, 10, 5_000), impression(1, 10, 5_000), impression(1, 10, 6_000))
    )
    assert loaded.dataset.interactions["time_s"].to_list() == [5.0, 6.0]
    assert loaded.report.n_left_out == 1


def test_a_history_keeps_its_order_and_gets_the_only_time_that_is_known(tmp_path: Path) -> None:
    write(tmp_path, impression(1, 30, 9_000, "1,0,0,0,0,0,0"))
    pl.DataFrame(
        {
            "user_id": [1],
            "history_len": [60],
            "last_time_ms": [7_000],
            "watch_seq": [[20, 10, 20, 30]],
            "like_seq": [[30]],
            "long_watch_seq": [[99, 20]],
        }
    ).write_parquet(tmp_path / "user_history_until_20220424_last50.parquet")
    interactions = read(tmp_path).dataset.interactions
    assert interactions.select("item_id", "kind", "time_s").rows() == [
        ("99", "watch", 7.0),
        ("20", "impression", 7.0),
        ("10", "impression", 7.0),
        ("20", "watch", 7.0),
        ("30", "like", 7.0),
        ("30", "click", 9.0),
    ]


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log_standard_x.csv").write_text(LOG)
    with pytest.raises(DataFormatError, match="video_features_basic"):
        read(tmp_path)


def test_reads_the_real_pure_without_the_columns_that_know_the_future(real_data: Path) -> None:
    loaded = read(real_data / "kuairand-pure")
    in_log = loaded.dataset.interactions.filter(pl.col("context").is_not_null())
    assert in_log.height + loaded.report.n_left_out == 228_329
    assert loaded.dataset.items.height == 7_583
    assert loaded.dataset.items["available"].all()
    assert loaded.report.n_bad == 0
