from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from recsys.core.errors import DataFormatError
from recsys.data.badrows import OnBadRow
from recsys.data.folder import load, save_dataset, whole_folder, write_description
from recsys.data.schema import INTERACTIONS, ITEMS, Dataset

NOW_S = 1.7e9


def small(name: str = "small") -> Dataset:
    interactions = [("u", "a", "watch", 1.5, 0.5, "home"), ("u", "b", "like", 1.5, None, None)]
    items = [("a", "A", ["x"], "c", 9.0, -5.0, 0.25, True), ("b", None, [], None, None, None, None, False)]
    return Dataset(
        name,
        pl.DataFrame(interactions, schema=INTERACTIONS, orient="row"),
        pl.DataFrame(items, schema=ITEMS, orient="row"),
    )


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    save_dataset(small(), tmp_path / "data")
    loaded = load(tmp_path / "data", on_bad_row=OnBadRow.FAIL, now_s=NOW_S).dataset
    assert loaded.name == "small"
    assert_frame_equal(loaded.interactions, small().interactions)
    assert_frame_equal(loaded.items, small().items)


def test_saving_again_replaces_the_whole_folder(tmp_path: Path) -> None:
    save_dataset(small(), tmp_path / "data")
    (tmp_path / "data" / "old.txt").touch()
    save_dataset(small("second"), tmp_path / "data")
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == ["dataset.json", "interactions.parquet", "items.parquet"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DataFormatError, match="something else"):
        save_dataset(small(), tmp_path)
    assert names(tmp_path) == ["thesis.tex"]


def test_an_interrupted_writer_leaves_nothing_and_takes_nothing(tmp_path: Path) -> None:
    save_dataset(small(), tmp_path / "data")

    def interrupted() -> None:
        with whole_folder(tmp_path / "data") as temporary:
            (temporary / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == ["data"]
    assert load(tmp_path / "data", on_bad_row=OnBadRow.FAIL, now_s=NOW_S).dataset.interactions.height == 2


def write_parts(folder: Path) -> None:
    (folder / "interactions").mkdir()
    rows = small().interactions
    rows.with_columns(pl.col("kind").cast(pl.String())).head(1).write_parquet(
        folder / "interactions" / "0.parquet"
    )
    broken = rows.tail(1).drop("context").with_columns(pl.lit(float("nan")).alias("time_s"))
    pl.concat([rows.tail(1).drop("context"), broken]).write_parquet(folder / "interactions" / "1.parquet")
    small().items.select("item_id").write_parquet(folder / "items.parquet")
    write_description(folder, "parts", n_interactions=3, n_items=2)


def test_interactions_may_lie_in_parts_and_every_row_is_checked(tmp_path: Path) -> None:
    write_parts(tmp_path)
    loaded = load(tmp_path, on_bad_row=OnBadRow.SKIP, now_s=NOW_S)
    assert loaded.dataset.interactions["item_id"].to_list() == ["a", "b"]
    assert loaded.dataset.items["available"].to_list() == [True, True]
    assert [(row.file, row.row, row.reason) for row in loaded.report.first] == [
        ("interactions/1.parquet", 2, "not finite")
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"name": 5}', "{"])
def test_a_description_without_a_name_is_refused(tmp_path: Path, content: str) -> None:
    save_dataset(small(), tmp_path / "data")
    (tmp_path / "data" / "dataset.json").write_text(content)
    with pytest.raises(DataFormatError, match=r"dataset\.json: looked for a JSON object with a name"):
        load(tmp_path / "data", on_bad_row=OnBadRow.FAIL, now_s=NOW_S)


@pytest.mark.parametrize("file", ["interactions.parquet", "items.parquet"])
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    save_dataset(small(), tmp_path / "data")
    (tmp_path / "data" / file).unlink()
    with pytest.raises(DataFormatError, match=file.replace(".", r"\.")):
        load(tmp_path / "data", on_bad_row=OnBadRow.FAIL, now_s=NOW_S)
