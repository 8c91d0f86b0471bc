"""CSV line by line, for files that a quick reader refuses: every line that is no record is named."""

import csv
from collections.abc import Iterator
from pathlib import Path

RAGGED = "has another number of values than the header"
_LINES_PER_RECORD = 50  # a quoted value may span so many lines; beyond, the quote counts as never closed


def csv_records(path: Path, separator: str, n_columns: int) -> Iterator[tuple[int, str, list[str], str]]:
    """Yield line number, line, values and what is wrong ('' when nothing is), a record at a time."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        lines = [line.rstrip("\r\n") for line in file]
    at = 0
    while at < len(lines):
        n_lines, record = _record_at(lines, at, separator)
        printable = lines[at].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        yield at + 1, printable, record, _fault(record, n_columns)
        at += n_lines


def _record_at(lines: list[str], at: int, separator: str) -> tuple[int, list[str]]:
    """Return how many lines the record that starts at a line takes, and its values (none: bad quotes)."""
    n_quotes = 0
    for n_lines, line in enumerate(lines[at : at + _LINES_PER_RECORD], start=1):
        n_quotes += line.count('"')
        if n_quotes % 2 == 0:
            try:
                reader = csv.reader(["\n".join(lines[at : at + n_lines])], delimiter=separator, strict=True)
                return n_lines, next(reader, [""])
            except csv.Error:
                break
    return 1, []


def _fault(record: list[str], n_columns: int) -> str:
    if not record:
        return "has a quote that is not closed, or not at the end of the value"
    if any(not value.isascii() and _not_utf8(value) for value in record):
        return "is not UTF-8"
    return "" if len(record) == n_columns else RAGGED


def _not_utf8(value: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in value)
