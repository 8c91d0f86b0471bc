from pathlib import Path

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner

from deployments.cli import features
from deployments.cli.features import app
from recsys.core.errors import DataFormatError, FieldError, UnavailableError
from recsys.data.folder import save_dataset
from recsys.data.schema import INTERACTIONS, ITEMS, Dataset
from recsys.features.build import Here


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [("ada", "a", "watch", 10.0, 0.5, None), ("ada", "b", "watch", 70.0, 1.0, None)]
    interactions = pl.DataFrame(rows, schema=INTERACTIONS, orient="row")
    items = [(each, None, ["x"], None, 100.0, None, None, True) for each in "ab"]
    save_dataset(Dataset("d", interactions, pl.DataFrame(items, schema=ITEMS, orient="row")), tmp_path / "d")
    return tmp_path / "d"


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["build", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_features_are_built_and_built_anew(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        told = orjson.loads(run("--data", data, "--out", out, "--json"))
        assert (told["n_choices"], told["n_users"], told["n_item_rows"], told["n_bad"]) == (2, 1, 8, 0)
    table = pl.read_parquet(out / "users" / "part-00000.parquet")
    assert table.select("item_id", "session_position", "session_age_s", "session_watch_s").rows() == [
        ("a", 0.0, 0.0, 0.0),
        ("b", 1.0, 60.0, 50.0),
    ]
    assert table["preferred_tag_1"].to_list() == [None, "x"]
    assert orjson.loads((out / "features.json").read_bytes())["n_partitions"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {"d", "out"}
    assert "2 choices of 1 users" in run("--data", data, "--out", out)


def test_what_is_no_feature_folder_is_not_replaced(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="or features to replace"):
        run("--data", data, "--out", data)
    assert (data / "dataset.json").is_file()


def test_a_foreign_data_set_is_refused_with_the_way_to_go(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ratings.csv").write_text("userId,movieId,rating,timestamp\n")
    with pytest.raises(DataFormatError, match="marquee data convert"):
        run("--data", tmp_path / "other", "--out", tmp_path / "out")


def test_workers_without_ray_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="--executor ray"):
        run("--data", data, "--out", tmp_path / "out", "--workers", "2")


def test_without_the_extra_it_says_which(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_NEEDED", ("no_such_module",))
    with pytest.raises(UnavailableError, match=r"marquee-recsys\[features\]"):
        run("--data", data, "--out", tmp_path / "out", "--executor", "ray")


def test_ctrl_c_leaves_everything_as_it_was(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--data", data, "--out", tmp_path / "out")
    before = (tmp_path / "out" / "features.json").read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Here, "run", interrupted)
    result = CliRunner().invoke(app, ["build", "--data", str(data), "--out", str(tmp_path / "out")])
    assert result.exit_code == 130
    assert (tmp_path / "out" / "features.json").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"d", "out"}
