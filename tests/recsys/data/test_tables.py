from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import DataFormatError
from recsys.data.badrows import BadRowCollector, BadRowReport
from recsys.data.tables import read_lines, read_table


def read_csv(path: Path, content: bytes, *columns: str) -> tuple[list[tuple[object, ...]], BadRowReport]:
    path.write_bytes(content)
    collector = BadRowCollector()
    rows = read_table(path, columns, collector).rows()
    return rows, collector.report()


def bad_rows(report: BadRowReport) -> list[tuple[int, str]]:
    return [(row.row, row.reason.split()[0]) for row in report.first]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return tmp_path / "x.csv"


class TestCsv:
    def test_row_numbers_are_line_numbers_and_empty_is_null(self, csv: Path) -> None:
        rows, report = read_csv(csv, b"a,b\n1,2\n3,\n", "a", "b")
        assert rows == [(2, "1", "2"), (3, "3", None)]
        assert (report.n_read, report.n_bad) == (2, 0)

    def test_a_short_and_a_long_line_are_bad_even_when_only_their_first_column_is_wanted(
        self, csv: Path
    ) -> None:
        rows, report = read_csv(csv, b"a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,,\n", "a")
        assert rows == [(2, "1"), (5, "10")]
        assert [(row.row, row.column, row.value) for row in report.first] == [
            (3, "", "4,5"),
            (4, "", "6,7,8,9"),
        ]

    def test_a_comma_within_quotes_separates_nothing(self, csv: Path) -> None:
        rows, report = read_csv(csv, b'a,b\n1,"x,y"\n2,"say ""hi"""\n', "a", "b")
        assert rows == [(2, "1", "x,y"), (3, "2", 'say "hi"')]
        assert report.n_bad == 0

    def test_a_value_over_two_lines_is_one_row(self, csv: Path) -> None:
        rows, report = read_csv(csv, b'a,b\n1,"x\ny"\n2,z\n', "a", "b")
        assert rows == [(2, "1", "x\ny"), (4, "2", "z")]
        assert report.n_read == 2

    def test_a_quote_never_closed_costs_its_own_line_only(self, csv: Path) -> None:
        rows, report = read_csv(csv, b'a,b\n1,"x\n2,ok\n3,fine\n', "a", "b")
        assert rows == [(3, "2", "ok"), (4, "3", "fine")]
        assert report.first[0].row == 2
        assert "quote" in report.first[0].reason

    def test_two_stray_quotes_do_not_swallow_the_lines_between(self, csv: Path) -> None:
        rows, report = read_csv(csv, b'a,b\n1,"x,5\n2,o"k\n3,fine\n', "a", "b")
        assert rows == [(4, "3", "fine")]
        assert [row.row for row in report.first] == [2, 3]

    def test_bytes_that_are_no_utf8_are_a_bad_row(self, csv: Path) -> None:
        rows, report = read_csv(csv, b"a,b\n1,\xff\n2,ok\n", "a", "b")
        assert rows == [(3, "2", "ok")]
        assert bad_rows(report) == [(2, "is")]

    def test_blank_lines_are_left_out_and_counted_but_not_bad(self, csv: Path) -> None:
        rows, report = read_csv(csv, b"a,b\n1,2\n\n3,4\n\n", "a")
        assert rows == [(2, "1"), (4, "3")]
        assert (report.n_read, report.n_left_out, report.n_bad, report.n_kept) == (4, 2, 0, 2)

    def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_names_or_values(self, csv: Path) -> None:
        rows, _ = read_csv(csv, b"\xef\xbb\xbfa,b\r\n1,2\r\n", "a", "b")
        assert rows == [(2, "1", "2")]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "empty first line"),
            (b"a,a\n1,2\n", "'a' more than once"),
            (b"b,c\n1,2\n", r"column\(s\) a; found the columns b, c"),
            (b"\xff\xfe\n", "readable table"),
        ],
    )
    def test_a_file_without_usable_header_is_refused(self, csv: Path, content: bytes, message: str) -> None:
        with pytest.raises(DataFormatError, match=message):
            read_csv(csv, content, "a")

    def test_a_file_that_is_not_there_is_refused(self, csv: Path) -> None:
        with pytest.raises(DataFormatError, match="nothing there"):
            read_table(csv, ["a"], BadRowCollector())


class TestParquet:
    def test_rows_are_counted_from_one_for_there_is_no_header(self, tmp_path: Path) -> None:
        file = tmp_path / "x.parquet"
        pl.DataFrame({"a": [7, 8], "b": ["x", "y"]}).write_parquet(file)
        assert read_table(file, ["b"], BadRowCollector(), optional=["c"]).rows() == [(1, "x"), (2, "y")]

    def test_a_cut_off_file_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "x.parquet"
        pl.DataFrame({"a": [7, 8]}).write_parquet(file)
        file.write_bytes(file.read_bytes()[:-5])
        with pytest.raises(DataFormatError, match=r"x\.parquet"):
            read_table(file, ["a"], BadRowCollector())


class TestLines:
    def test_a_separator_may_be_longer_than_one_character(self, tmp_path: Path) -> None:
        file = tmp_path / "x.dat"
        file.write_bytes(b"1::caf\xe9\n2::a::b\n3::\n")
        collector = BadRowCollector()
        rows = read_lines(file, ("id", "name"), "::", collector, encoding="latin-1").rows()
        assert rows == [(1, "1", "café"), (3, "3", None)]
        assert bad_rows(collector.report()) == [(2, "has")]

    def test_another_encoding_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "x.dat"
        file.write_bytes(b"1::\xe9\n")
        with pytest.raises(DataFormatError, match="utf-8 text"):
            read_lines(file, ("id", "name"), "::", BadRowCollector())


lines = st.lists(st.text(st.sampled_from('ab,"\n '), max_size=6), max_size=6)


@given(lines)
def test_every_row_of_any_text_is_kept_bad_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, text: list[str]
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.csv"
    rows, report = read_csv(path, ("a,b\n" + "\n".join(text)).encode(), "a")
    assert report.n_kept == len(rows)
    assert report.n_bad == len(report.first)
    assert report.n_read >= report.n_bad + report.n_left_out
