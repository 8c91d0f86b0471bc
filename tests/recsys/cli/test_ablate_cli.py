from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from recsys.cli.ablate import app, read_changes, table
from recsys.core.errors import DataFormatError
from recsys.training.ablation import METRICS, ArmRow, Worth


def row(arm: str, difference: float) -> ArmRow:
    worth = Worth(value=0.5, difference=difference, low=difference - 0.1, high=difference + 0.1)
    return ArmRow(arm=arm, metrics=dict.fromkeys(METRICS, worth), fit_s=1.25, n_rows=1234, ms_per_request=0.5)


def test_the_table_says_how_each_arm_differs_from_the_base() -> None:
    lines = table([row("base", 0.0), row("other", -0.02)]).splitlines()
    assert lines[2] == "| base | 0.5000 | 0.5000 | 0.5000 | 1.2 | 1,234 | 0.500 |"
    assert lines[3].startswith("| other | 0.5000, -0.0200 [-0.1200, +0.0800] |")
    assert len(lines) == 4


@pytest.mark.parametrize("content", [b"[]", b'{"a": 1}', b"{", None])
def test_a_file_that_holds_no_changes_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "changes.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"changes\.json"):
        read_changes(file)


def test_arms_of_a_file_are_fitted_and_the_figures_written(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    movies = "".join(f"{film},Film {film} (2001),Comedy|Drama\n" for film in range(1, 9))
    (films / "movies.csv").write_text("movieId,title,genres\n" + movies)
    ratings = [
        f"{user},{1 + (user + step * (1 + user % 2)) % 8},4.0,{1_000_000_000 + 1_000 * step + user}\n"
        for user in range(1, 25)
        for step in range(4)
    ]
    (films / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "".join(ratings))
    changes, figures = tmp_path / "changes.json", tmp_path / "figures.json"
    changes.write_bytes(orjson.dumps({"few": {"boosting": {"n_trees": 2}}}))
    arguments = ["--data", films, "--changes", changes, "--json", figures, "--positions", 1]
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    assert [each["arm"] for each in orjson.loads(figures.read_bytes())] == ["base", "few"]
    assert result.stdout.count("\n") == 4
