from pathlib import Path

import orjson
import polars as pl
import pytest

from recsys.core.errors import BadRowsError
from recsys.data.badrows import ROW, BadRowCollector, Problem


def rows(n: int, reason: str = "not a number") -> pl.DataFrame:
    return pl.DataFrame(
        {ROW: range(1, n + 1), "column": ["x"] * n, "value": ["v" * 500] * n, "reason": [reason] * n},
        schema={ROW: pl.UInt32(), "column": pl.String(), "value": pl.String(), "reason": pl.String()},
    )


def test_all_are_counted_but_few_are_kept_and_shortened() -> None:
    collector = BadRowCollector(keep=2)
    collector.read(1_005)
    collector.bad("a.csv", rows(1_000))
    collector.bad("a.csv", rows(1, "missing"))
    collector.left_out("a.csv", "", "blank line", 3)
    report = collector.report()
    assert report.counts[Problem("a.csv", "x", "not a number")] == 1_000
    assert [row.row for row in report.first] == [1, 2, 1]
    assert report.first[0].value == "v" * 80
    assert (report.n_read, report.n_bad, report.n_left_out, report.n_kept) == (1_005, 1_001, 3, 1)


def test_failing_names_the_first_bad_row() -> None:
    collector = BadRowCollector()
    collector.bad(
        "a.csv", pl.DataFrame({ROW: [4], "column": ["x"], "value": ["?"], "reason": ["not a number"]})
    )
    with pytest.raises(
        BadRowsError, match=r"1 bad row.*a\.csv, row 4, x = '\?': not a number.*--on-bad-row skip"
    ):
        collector.report().raise_if_bad()


def test_without_bad_rows_nothing_is_raised() -> None:
    BadRowCollector().report().raise_if_bad()


def test_the_report_is_json_with_file_row_column_value_and_reason(tmp_path: Path) -> None:
    collector = BadRowCollector()
    collector.read(5)
    collector.bad("a.csv", pl.DataFrame({ROW: [4], "column": ["x"], "value": [None], "reason": ["missing"]}))
    collector.note("times were read as ms")
    collector.report().write(tmp_path / "report.json")
    written = orjson.loads((tmp_path / "report.json").read_bytes())
    assert written["rows"] == {"read": 5, "kept": 4, "bad": 1, "left_out": 0}
    assert written["first"] == [
        {"file": "a.csv", "row": 4, "column": "x", "value": None, "reason": "missing"}
    ]
    assert written["notes"] == ["times were read as ms"]
