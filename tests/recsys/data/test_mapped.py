from pathlib import Path

import polars as pl
import pytest

from recsys.core.errors import DataFormatError, FieldError
from recsys.data.badrows import OnBadRow
from recsys.data.loaded import Loaded
from recsys.data.mapped import MappingConfig, load
from recsys.data.schema import Kind

NOW_S = 1.7e9


def read(config: MappingConfig, interactions: Path, items: Path | None = None) -> Loaded:
    return load(interactions, items, on_bad_row=OnBadRow.FAIL, now_s=NOW_S, config=config)


def table(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_columns_are_found_by_the_mapping_or_by_our_own_name(tmp_path: Path) -> None:
    file = table(tmp_path / "x.csv", "uid,item_id,ts,act\nu,a,1650000000000,1\n")
    config = MappingConfig(columns={"user_id": "uid", "time_s": "ts", "kind": "act"}, kinds={"1": Kind.CLICK})
    loaded = read(config, file)
    assert loaded.dataset.interactions.rows() == [("u", "a", "click", 1_650_000_000.0, None, None)]
    assert loaded.report.notes == ("x.csv: ts was read as ms",)


def test_without_a_catalogue_the_items_are_those_that_were_met(tmp_path: Path) -> None:
    file = table(tmp_path / "x.csv", "user_id,item_id,time_s\nu,b,1\nu,a,2\nu,b,3\n")
    dataset = read(MappingConfig(kind=Kind.LIKE), file).dataset
    assert dataset.name == "x"
    assert dataset.items.select("item_id", "tags", "available").rows() == [("b", [], True), ("a", [], True)]
    assert dataset.interactions["kind"].to_list() == ["like"] * 3


def test_the_catalogue_may_name_its_columns_differently(tmp_path: Path) -> None:
    seen = tmp_path / "x.parquet"
    pl.DataFrame({"user_id": [1], "vid": [7], "time_s": [5.0]}).write_parquet(seen)
    films = table(tmp_path / "y.tsv", "id\tname\tgenres\tup\n7\tHeat\tA,B\t2020-01-01\n")
    config = MappingConfig(
        columns={
            "item_id": "vid",
            "items.item_id": "id",
            "title": "name",
            "items.tags": "genres",
            "published_s": "up",
        },
        tags_separator=",",
    )
    items = read(config, seen, films).dataset.items
    assert items.select("item_id", "title", "tags", "published_s").rows() == [
        ("7", "Heat", ["A", "B"], 1_577_836_800.0)
    ]


def test_a_missing_column_is_told_with_those_that_came(tmp_path: Path) -> None:
    file = table(tmp_path / "x.csv", "uid,item_id\nu,a\n")
    with pytest.raises(
        DataFormatError, match=r"user_id \(--map user_id=NAME\) and .*time_s.*found the columns uid"
    ):
        read(MappingConfig(), file)


def test_a_mapping_to_nothing_or_from_nothing_is_refused(tmp_path: Path) -> None:
    file = table(tmp_path / "x.csv", "user_id,item_id,time_s\nu,a,1\n")
    with pytest.raises(DataFormatError, match=r"column\(s\) nix"):
        read(MappingConfig(columns={"value": "nix"}), file)
    with pytest.raises(FieldError, match="'foo'"):
        read(MappingConfig(columns={"foo": "user_id"}), file)


def test_an_unknown_kind_is_a_bad_row(tmp_path: Path) -> None:
    file = table(tmp_path / "x.csv", "user_id,item_id,time_s,kind\nu,a,1,watch\nu,b,2,stare\n")
    loaded = load(file, on_bad_row=OnBadRow.SKIP, now_s=NOW_S, config=MappingConfig())
    assert loaded.dataset.interactions["kind"].to_list() == ["watch"]
    assert [(row.row, row.column, row.value) for row in loaded.report.first] == [(3, "kind", "stare")]
