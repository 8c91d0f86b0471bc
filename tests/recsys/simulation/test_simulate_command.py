from pathlib import Path

import orjson
import typer
from typer.testing import CliRunner, Result

from recsys.cli.simulate import simulate
from recsys.core.errors import FieldError

app = typer.Typer()
app.command("simulate")(simulate)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_json_is_one_line_with_rows_time_and_memory(tmp_path: Path) -> None:
    result = run("--scenario", "tiny", "--seed", 3, "--out", tmp_path / "data", "--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    facts = orjson.loads(result.stdout)
    assert (facts["scenario"], facts["seed"], facts["n_items"]) == ("tiny", 3, 100)
    assert facts["n_positive"] < facts["n_interactions"] <= 5_000
    assert facts["seconds"] > 0
    assert facts["peak_mb"] > 0


def test_people_read_rows_time_and_memory(tmp_path: Path) -> None:
    result = run("--scenario", "tiny", "--users", 50, "--events", 500, "--out", tmp_path / "data")
    assert result.exit_code == 0
    assert "50 users, 100 items" in result.stdout
    assert "interactions/s, at most" in result.stdout


def test_an_unknown_scenario_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    result = run("--scenario", "huge", "--out", tmp_path / "data")
    assert isinstance(result.exception, FieldError)
    assert result.exception.field == "scenario"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("--scenario", "tiny", "--out", tmp_path / "file" / "data")
    assert isinstance(result.exception, FieldError)
    assert result.exception.field == "--out"
