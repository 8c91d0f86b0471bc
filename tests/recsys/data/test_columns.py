from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.badrows import ROW, BadRowCollector, BadRowReport
from recsys.data.columns import (
    Column,
    TimeUnit,
    detect_unit,
    identifier,
    kind,
    moment,
    number,
    parse_rows,
    tags,
    text,
    truth,
)
from recsys.data.schema import Kind

NOW_S = 1_000_000.0


def parse(values: pl.Series, column: Column) -> tuple[list[object], list[tuple[int, str]], BadRowReport]:
    """Return the good values, and row and reason of the bad ones."""
    collector = BadRowCollector()
    frame = pl.DataFrame({ROW: range(1, len(values) + 1), "x": values})
    good = parse_rows(frame, [column], "file", collector)["x"].to_list()
    report = collector.report()
    return good, [(row.row, row.reason) for row in sorted(report.first, key=lambda row: row.row)], report


class TestIdentifier:
    def test_missing_and_blank_ids_are_bad(self) -> None:
        good, bad, _ = parse(pl.Series(["a", None, "", "  "]), identifier("x", "x"))
        assert good == ["a"]
        assert bad == [(2, "missing"), (3, "missing"), (4, "missing")]

    def test_whole_numbers_that_came_as_floats_lose_their_point(self) -> None:
        good, bad, _ = parse(pl.Series([7.0, None, 7.5, float("nan")]), identifier("x", "x"))
        assert good == ["7"]
        assert bad == [(2, "missing"), (3, "not a whole number"), (4, "not a whole number")]


class TestNumber:
    def test_each_bad_value_has_its_reason(self) -> None:
        values = pl.Series(["1.5", "x", "nan", "inf", "-1", "9", None, " 2 "])
        good, bad, _ = parse(values, number("x", "x", low=0.0, high=5.0))
        assert good == [1.5, None, 2.0]
        assert bad == [
            (2, "not a number"),
            (3, "not finite"),
            (4, "not finite"),
            (5, "below 0"),
            (6, "above 5"),
        ]

    def test_a_required_one_must_be_there(self) -> None:
        assert parse(pl.Series(["", None]), number("x", "x", required=True))[1] == [
            (1, "missing"),
            (2, "missing"),
        ]


class TestMoment:
    def test_milliseconds_become_seconds(self) -> None:
        assert parse(pl.Series([1500]), moment("x", "x", TimeUnit.MS, now_s=NOW_S))[0] == [1.5]

    def test_the_future_begins_a_day_after_now(self) -> None:
        values = pl.Series([NOW_S + 86_400, NOW_S + 86_401, -1.0, float("inf")])
        good, bad, _ = parse(values, moment("x", "x", TimeUnit.S, now_s=NOW_S))
        assert good == [NOW_S + 86_400]
        assert bad == [(2, "in the future"), (3, "before 1970"), (4, "not finite")]

    def test_iso_text_is_utc_unless_it_says_otherwise(self) -> None:
        values = pl.Series(
            [
                "1970-01-02",
                "1970-01-01T00:01:00Z",
                "1970-01-01 00:00:01.5",
                "1970-01-01T02:00:00+02:00",
                "soon",
            ]
        )
        good, bad, _ = parse(values, moment("x", "x", TimeUnit.ISO, now_s=NOW_S))
        assert good == [86_400.0, 60.0, 1.5, 0.0]
        assert bad == [(5, "not a time")]

    def test_parquet_times_need_no_unit(self) -> None:
        values = pl.Series([datetime(1970, 1, 1, 0, 1, tzinfo=UTC)])
        assert parse(values, moment("x", "x", TimeUnit.S, now_s=NOW_S))[0] == [60.0]

    @pytest.mark.parametrize(
        ("values", "unit"),
        [
            ([964982703, 964981247], "s"),
            ([1650812741436], "ms"),
            ([1650812741436000], "us"),
            ([1650812741436000000], "ns"),
            (["964982703", "?"], "s"),
            (["2020-01-01", "7", "2020-01-02"], "iso"),
            ([], "s"),
        ],
    )
    def test_the_unit_is_found_by_magnitude(self, values: Sequence[int | str], unit: str) -> None:
        assert detect_unit(pl.Series(values)).value == unit


class TestOtherColumns:
    def test_words_become_kinds_and_unknown_ones_are_bad(self) -> None:
        column = kind("x", "x", {"1": Kind.CLICK, "like": Kind.LIKE})
        good, bad, _ = parse(pl.Series(["1", "like", "2", None]), column)
        assert good == ["click", "like"]
        assert bad == [(3, "not one of 1, like"), (4, "missing")]

    def test_yes_and_no_have_many_spellings(self) -> None:
        good, bad, _ = parse(pl.Series(["True", "0", " yes", None, "perhaps"]), truth("x", "x"))
        assert good == [True, False, True, None]
        assert bad == [(5, "neither true nor false")]

    def test_tags_are_trimmed_and_named_once(self) -> None:
        assert parse(pl.Series(["a| b|a||", None]), tags("x", "x", "|"))[0] == [["a", "b"], None]
        assert parse(pl.Series([["a", None, "a"]]), tags("x", "x", "|"))[0] == [["a"]]

    def test_empty_text_is_absent(self) -> None:
        assert parse(pl.Series(["a", ""]), text("x", "x"))[0] == ["a", None]


def test_a_row_counts_once_under_its_first_bad_column() -> None:
    collector = BadRowCollector()
    frame = pl.DataFrame({ROW: [1, 2], "a": ["", "u"], "b": ["x", "1"]})
    good = parse_rows(frame, [identifier("a", "a"), number("b", "b")], "f.csv", collector)
    assert good.rows() == [(2, "u", 1.0)]
    assert {tuple(problem): n for problem, n in collector.report().counts.items()} == {
        ("f.csv", "a", "missing"): 1
    }


@given(st.lists(st.floats() | st.none(), max_size=30))
def test_every_row_is_kept_or_bad(values: list[float | None]) -> None:
    column = moment("x", "x", TimeUnit.S, now_s=NOW_S)
    good, _, report = parse(pl.Series(values, dtype=pl.Float64()), column)
    assert len(good) + report.n_bad == len(values)
    assert all(isinstance(value, float) and 0.0 <= value <= NOW_S + 86_400 for value in good)
