from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys.core.errors import BadRowsError, DataFormatError
from recsys.data.badrows import OnBadRow
from recsys.data.loaded import Loaded
from recsys.data.movielens import MovieLensConfig, load
from recsys.data.schema import INTERACTIONS, ITEMS

NOW_S = 1.7e9


def write_latest(folder: Path) -> Path:
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,10,4.5,100\n2,10,3.0,50\n1,20,0.5,100\n"
    )
    (folder / "movies.csv").write_text(
        'movieId,title,genres\n10,"Heat, The (1995)",Action|Crime\n20,Untitled,(no genres listed)\n'
    )
    return folder


def write_1m(folder: Path) -> Path:
    (folder / "ratings.dat").write_text("1::10::5::100\n1::20::3::200\n")
    (folder / "movies.dat").write_bytes(
        "10::Léon (1994)::Action|Drama\n20::Up (2009)::Children's\n".encode("latin-1")
    )
    return folder


def write_100k(folder: Path) -> Path:
    flags = [0] * 19
    flags[5], flags[15] = 1, 1
    films = [f"10|Léon (1994)|01-Jan-1994||http://x|{'|'.join(map(str, flags))}", f"20|?||||1{'|0' * 18}"]
    (folder / "u.data").write_text("1\t10\t5\t100\n1\t20\t3\t200\n")
    (folder / "u.item").write_bytes("\n".join(films).encode("latin-1"))
    return folder


def read(folder: Path, config: MovieLensConfig | None = None) -> Loaded:
    return load(folder, on_bad_row=OnBadRow.FAIL, now_s=NOW_S, config=config)


def test_a_rating_keeps_its_stars_its_time_and_its_place_in_the_file(tmp_path: Path) -> None:
    dataset = read(write_latest(tmp_path)).dataset
    assert dataset.interactions.schema == INTERACTIONS
    assert dataset.interactions.rows() == [
        ("1", "10", "rating", 100.0, 4.5, None),
        ("2", "10", "rating", 50.0, 3.0, None),
        ("1", "20", "rating", 100.0, 0.5, None),
    ]


def test_tags_are_genres_and_the_decade_and_the_year_is_the_publication(tmp_path: Path) -> None:
    items = read(write_latest(tmp_path)).dataset.items
    assert items.schema == ITEMS
    assert items["title"].to_list() == ["Heat, The (1995)", "Untitled"]
    assert items["tags"].to_list() == [["action", "crime", "1990s"], []]
    assert items["published_s"].to_list() == [datetime(1995, 1, 1, tzinfo=UTC).timestamp(), None]
    assert items["available"].to_list() == [True, True]


def test_the_1m_layout_is_latin_1_between_double_colons(tmp_path: Path) -> None:
    dataset = read(write_1m(tmp_path)).dataset
    assert dataset.name == "movielens-1m"
    assert dataset.interactions["value"].to_list() == [5.0, 3.0]
    assert dataset.items["title"].to_list() == ["Léon (1994)", "Up (2009)"]
    assert dataset.items["tags"].to_list() == [["action", "drama", "1990s"], ["children's", "2000s"]]


def test_the_100k_layout_has_a_flag_per_genre(tmp_path: Path) -> None:
    dataset = read(write_100k(tmp_path)).dataset
    assert dataset.name == "movielens-100k"
    assert dataset.interactions.height == 2
    assert dataset.items["tags"].to_list() == [["comedy", "sci-fi", "1990s"], []]


def test_what_users_tagged_stays_out_unless_asked_for_and_then_says_that_it_leaks(tmp_path: Path) -> None:
    write_latest(tmp_path)
    tagged = [f"{user},10,Noir,1" for user in range(5)] + ["1,20,noir,1"]
    (tmp_path / "tags.csv").write_text("\n".join(["userId,movieId,tag,timestamp", *tagged]))
    assert read(tmp_path).dataset.items["tags"].to_list() == [["action", "crime", "1990s"], []]
    leaking = read(tmp_path, MovieLensConfig(user_tags=True))
    assert leaking.dataset.items["tags"].to_list() == [["action", "crime", "1990s", "noir"], []]
    assert "leak the future" in leaking.report.notes[0]


def test_bad_rows_stop_the_reading_or_are_skipped_and_counted(tmp_path: Path) -> None:
    write_latest(tmp_path)
    with (tmp_path / "ratings.csv").open("a") as file:
        file.write("3,10,7,100\n3,,4,100\n3,10,4,9999999999\n")
    with pytest.raises(BadRowsError, match=r"3 bad row.*ratings\.csv, row 5, rating = '7': above 5"):
        read(tmp_path)
    skipped = load(tmp_path, on_bad_row=OnBadRow.SKIP, now_s=NOW_S)
    assert skipped.dataset.interactions.height == 3
    assert sorted((row.row, row.column, row.reason) for row in skipped.report.first) == [
        (5, "rating", "above 5"),
        (6, "movieId", "missing"),
        (7, "timestamp", "in the future"),
    ]


def test_a_film_listed_twice_is_a_bad_row(tmp_path: Path) -> None:
    write_latest(tmp_path)
    with (tmp_path / "movies.csv").open("a") as file:
        file.write("10,Other (1999),Drama\n")
    skipped = load(tmp_path, on_bad_row=OnBadRow.SKIP, now_s=NOW_S)
    assert skipped.dataset.items.height == 2
    assert [(row.row, row.value) for row in skipped.report.first] == [(4, "10")]


def test_a_folder_without_films_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId\n")
    with pytest.raises(DataFormatError, match=r"ratings\.csv and movies\.csv or"):
        read(tmp_path)


def test_reads_the_real_latest_small(real_data: Path) -> None:
    loaded = read(real_data / "ml-latest-small")
    assert loaded.dataset.interactions.height == 100_836
    assert loaded.dataset.interactions["user_id"].n_unique() == 610
    assert loaded.dataset.items.height == 9_742
    assert loaded.report.n_kept == loaded.report.n_read == 110_578
    toy_story = loaded.dataset.items.row(0, named=True)
    assert toy_story["tags"] == ["adventure", "animation", "children", "comedy", "fantasy", "1990s"]
