"""Account of every row that could not be read: where it stands, what is wrong, and how many there are."""

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import orjson
import polars as pl

from recsys.core.errors import BadRowsError

ROW = "row"
"""Name of the column that carries row numbers through reading: 1 is the first record of the file, and in a
file with a header line that line is record 1, so a row number is the line number in an editor."""


class OnBadRow(StrEnum):
    """What to do about rows that cannot be read. Both count them all."""

    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that was not read."""

    file: str
    row: int  # see ROW
    column: str  # empty when the whole line is wrong
    value: str | None  # as it stands in the file, shortened; None when nothing stands there
    reason: str

    def __str__(self) -> str:
        where = f"{self.file}, row {self.row}"
        return (
            f"{where}, {self.column} = {self.value!r}: {self.reason}"
            if self.column
            else (f"{where}: {self.reason}: {self.value!r}")
        )


class Problem(NamedTuple):
    """What rows are counted by."""

    file: str
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class BadRowReport:
    """What happened to the rows of a data set: read = kept + bad + left out."""

    n_read: int
    counts: dict[Problem, int]  # a row counts once, under the first column that is wrong
    left_out: dict[Problem, int]  # fine to read, but left out on purpose
    first: tuple[BadRow, ...]  # the first few of each problem
    notes: tuple[str, ...]  # what a loader had to assume

    @property
    def n_bad(self) -> int:
        """Rows that could not be read."""
        return sum(self.counts.values())

    @property
    def n_left_out(self) -> int:
        """Rows left out on purpose."""
        return sum(self.left_out.values())

    @property
    def n_kept(self) -> int:
        """Rows that came through."""
        return self.n_read - self.n_bad - self.n_left_out

    def raise_if_bad(self) -> None:
        """Raise BadRowsError when a single row was bad."""
        if self.n_bad:
            raise BadRowsError(self.n_bad, str(self.first[0]))

    def to_dict(self) -> dict[str, object]:
        """Return the report as plain values for JSON."""
        return {
            "rows": {
                "read": self.n_read,
                "kept": self.n_kept,
                "bad": self.n_bad,
                "left_out": self.n_left_out,
            },
            "bad": [{**problem._asdict(), "n": n} for problem, n in self.counts.items()],
            "left_out": [{**problem._asdict(), "n": n} for problem, n in self.left_out.items()],
            "first": [asdict(row) for row in self.first],
            "notes": list(self.notes),
        }

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_bytes(orjson.dumps(self.to_dict(), option=orjson.OPT_INDENT_2) + b"\n")


class BadRowCollector:
    """Gathers what readers find; memory is bounded by the number of different problems.

    Args:
        keep: how many rows to keep as examples of each problem.
    """

    _VALUE_LENGTH = 80

    def __init__(self, keep: int = 20) -> None:
        self._keep = keep
        self._n_read = 0
        self._counts: Counter[Problem] = Counter()
        self._left_out: Counter[Problem] = Counter()
        self._first: list[BadRow] = []
        self._notes: list[str] = []

    def read(self, n: int) -> None:
        """Count rows that a file has, good and bad."""
        self._n_read += n

    def bad(self, file: str, rows: pl.DataFrame) -> None:
        """Count bad rows.

        Args:
            file: name of the file they stand in.
            rows: columns :data:`ROW`, ``column``, ``value`` and ``reason``, one row per bad row.
        """
        groups = rows.group_by("column", "reason", maintain_order=True)
        for (column, reason), n in (((c, r), n) for c, r, n in groups.len().iter_rows()):
            self._counts[Problem(file, column, reason)] += n
        for row, column, value, reason in (
            groups.head(self._keep).select(ROW, "column", "value", "reason").sort(ROW).iter_rows()
        ):
            shown = None if value is None else str(value)[: self._VALUE_LENGTH]
            self._first.append(BadRow(file, row, column, shown, reason))

    def left_out(self, file: str, column: str, reason: str, n: int) -> None:
        """Count rows that are left out on purpose."""
        if n:
            self._left_out[Problem(file, column, reason)] += n

    def note(self, text: str) -> None:
        """Remember something a loader had to assume."""
        self._notes.append(text)

    def report(self) -> BadRowReport:
        """Return what was gathered so far."""
        return BadRowReport(
            self._n_read, dict(self._counts), dict(self._left_out), tuple(self._first), tuple(self._notes)
        )
