from pathlib import Path
from typing import Any

from loadtest.bench.document import read_figures, write_document, write_figures
from loadtest.bench.machine import in_words, this_machine

MACHINE = this_machine(0.0)
CACHE: dict[str, Any] = {"machine": MACHINE, "rows": [{"cache": False, "answers_per_s": 1_234.5}]}


def test_a_machine_is_described_with_its_date() -> None:
    assert MACHINE["date"] == "1970-01-01 00:00 UTC"
    assert f"{MACHINE['cores']} cores" in in_words(MACHINE)


def test_figures_are_kept_per_section_and_only_those_asked_for_come_back(tmp_path: Path) -> None:
    write_figures("cache", CACHE, tmp_path)
    (tmp_path / "overload.json").write_text("[]")
    assert read_figures(tmp_path, ["cache", "growth"]) == {"cache": CACHE}


def test_what_is_measured_goes_between_its_marks_and_the_words_around_stay(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("Before.\n\n<!-- measured: cache -->\nold\n<!-- end of cache -->\n\nAfter.\n")
    assert write_document({"cache": CACHE}, tmp_path / "performance") == page
    text = page.read_text()
    assert text.startswith("Before.\n\n<!-- measured: cache -->\n")
    assert text.endswith("<!-- end of cache -->\n\nAfter.\n")
    assert "| False | 1,234.5 |" in text
    assert "old" not in text
    write_document({"cache": CACHE}, tmp_path / "performance")
    assert page.read_text() == text  # again is the same


def test_a_section_without_marks_is_put_at_the_end(tmp_path: Path) -> None:
    write_document({"cache": CACHE}, tmp_path / "performance")
    text = (tmp_path / "performance.md").read_text()
    assert text.startswith("# Performance\n\n<!-- measured: cache -->")
