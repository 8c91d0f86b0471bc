from pathlib import Path

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from recsys.cli.data import app
from recsys.core.errors import BadRowsError, DataFormatError, FieldError

FILES = {
    "x.csv": "uid,vid,ts,act\nu,a,1650000000,1\nu,b,1650000001,0\nv,a,1650000002,1\n",
    "y.csv": "vid,name,tags\na,Alpha,x|y\nb,Beta,\n",
}


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def import_into(folder: Path, *more: object) -> Result:
    mapping = ["user_id=uid", "item_id=vid", "time_s=ts", "kind=act", "title=name"]
    options = [part for pair in mapping for part in ("--map", pair)]
    return run(
        *("import", "--interactions", folder / "x.csv", "--items", folder / "y.csv", "--out", folder / "out"),
        *(*options, "--kind-map", "1=click", "--kind-map", "0=impression", *more),
    )


def test_imported_tables_can_be_described(tables: Path) -> None:
    result = import_into(tables)
    assert result.exit_code == 0
    assert "3 interactions, 2 items" in result.stdout
    described = orjson.loads(run("describe", tables / "out", "--json").stdout)
    assert described["kinds"] == {"click": 2, "impression": 1}
    assert described["top"][0] == {"item_id": "a", "title": "Alpha", "n_positive": 2}
    assert described["rows"]["rows"]["bad"] == 0


def test_what_was_written_is_told_to_machines(tables: Path) -> None:
    told = orjson.loads(import_into(tables, "--json").stdout)
    assert told["path"] == str(tables / "out")
    assert (told["n_interactions"], told["n_items"], told["rows"]["rows"]["bad"]) == (3, 2, 0)
    again = orjson.loads(run("convert", tables / "out", "--out", tables / "copy", "--json").stdout)
    assert (again["path"], again["n_interactions"], again["n_items"]) == (str(tables / "copy"), 3, 2)


def test_a_bad_row_stops_the_import_but_leaves_the_report(tables: Path) -> None:
    with (tables / "x.csv").open("a") as file:
        file.write("v,b,nan,1\n")
    result = import_into(tables, "--report", tables / "report.json")
    assert isinstance(result.exception, BadRowsError)
    assert not (tables / "out").exists()
    written = orjson.loads((tables / "report.json").read_bytes())
    assert written["first"] == [
        {"file": "x.csv", "row": 5, "column": "ts", "value": "nan", "reason": "not finite"}
    ]


def test_a_bad_row_can_be_skipped_and_is_shown(tables: Path) -> None:
    with (tables / "x.csv").open("a") as file:
        file.write("v,b,nan,1\n")
    result = import_into(tables, "--on-bad-row", "skip")
    assert result.exit_code == 0
    assert "x.csv, row 5, ts = 'nan': not finite" in result.stderr
    assert "6 rows read, 5 kept, 1 bad" in result.stderr
    assert pl.read_parquet(tables / "out" / "interactions.parquet").height == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "foo=uid"], "'foo'"),
        (["--map", "value"], "expected NAME=NAME"),
        (["--map", "value=uid", "--map", "value=ts"], "twice"),
        (["--kind-map", "2=stare"], "one of watch, click"),
        (["--report", "/nowhere/report.json"], "--report: got /nowhere/report.json"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(tables: Path, arguments: list[str], message: str) -> None:
    result = import_into(tables, *arguments)
    assert isinstance(result.exception, FieldError)
    assert message in str(result.exception)
    assert not (tables / "out").exists()


def test_check_names_the_findings_for_people_and_for_machines(tables: Path) -> None:
    (tables / "x.csv").write_text(FILES["x.csv"] + "u,z,1650000003,1\n")
    import_into(tables)
    checked = orjson.loads(run("check", tables / "out", "--json").stdout)
    findings = {finding["check"]: finding for finding in checked["findings"]}
    assert findings["unknown-items"] | {"what": ""} == {
        "check": "unknown-items",
        "what": "",
        "n": 1,
        "of": 4,
        "examples": ["item z"],
    }
    assert set(checked["leakage"]) == {"leave-last-out", "global-time"}
    printed = run("check", tables / "out").stdout
    assert "unknown-items" in printed
    assert "leakage under global-time" in printed


def test_convert_writes_our_format_and_nothing_else_is_overwritten(tables: Path) -> None:
    import_into(tables)
    assert run("convert", tables / "out", "--out", tables / "copy").exit_code == 0
    assert (tables / "copy" / "dataset.json").is_file()
    refused = run("convert", tables / "out", "--out", tables)
    assert isinstance(refused.exception, DataFormatError)


def test_a_folder_without_data_is_one_sentence(tmp_path: Path) -> None:
    for verb in ("describe", "check"):
        result = run(verb, tmp_path)
        assert isinstance(result.exception, DataFormatError)
        assert "\n" not in str(result.exception)


def test_plots_are_listed(tables: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    import_into(tables)
    result = run("describe", tables / "out", "--plots", tables / "plots")
    assert str(tables / "plots" / "kinds.png") in result.stdout
    assert (tables / "plots" / "kinds.png").is_file()
    assert "most chosen" in result.stdout


def test_lines_of_user_and_item_become_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("1 7\n1 8\n2 8\n")
    result = run(
        *("import", "--format", "sequence", "--interactions", tmp_path / "x.txt", "--out", tmp_path / "out"),
        *("--kind", "click", "--name", "mine"),
    )
    assert result.exit_code == 0, result.output
    assert "3 interactions, 2 items" in result.stdout
    assert "x.txt has no times" in result.stderr
    described = orjson.loads(run("describe", tmp_path / "out", "--json").stdout)
    assert (described["name"], described["kinds"]) == ("mine", {"click": 3})


@pytest.mark.parametrize(
    "option",
    [
        ("--map", "user_id=uid"),
        ("--items", "y.csv"),
        ("--kind-map", "1=click"),
        ("--time-unit", "ms"),
        ("--separator", ";"),
        ("--tags-separator", ","),
    ],
)
def test_options_of_tables_are_refused_for_lines(tmp_path: Path, option: tuple[str, str]) -> None:
    (tmp_path / "x.txt").write_text("1 7\n")
    where = ("--interactions", tmp_path / "x.txt", "--out", tmp_path / "out")
    result = run("import", "--format", "sequence", *where, *option)
    assert isinstance(result.exception, FieldError)
    assert option[0] in str(result.exception)
    assert not (tmp_path / "out").exists()
