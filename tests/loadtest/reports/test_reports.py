import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from loadtest.engine.session import Run
from loadtest.measure.histogram import Histogram
from loadtest.reports.build import report_of
from loadtest.reports.document import Report, StepDoc, read_report, write_report
from loadtest.reports.html import html_of
from loadtest.reports.text import print_report
from recsys.core.errors import DataFormatError


def text_of(report: Report) -> str:
    written = io.StringIO()
    print_report(report, Console(file=written, width=140))
    return written.getvalue()


def test_a_report_has_the_figures_of_the_run(report: Report) -> None:
    assert (report.total.good, report.total.failed, report.total.shed) == (188, 8, 4)
    assert report.good_per_s == 47.0
    assert report.scheduled_per_s == 50.0
    assert report.by_arm["control"].latency.p99_ms == pytest.approx(10, rel=1e-3)
    assert report.by_arm["candidate"].latency.p99_ms == pytest.approx(20, rel=1e-3)
    assert [block.due for block in report.blocks] == [50, 50, 50, 50]
    assert [(mark.mark, mark.holds) for mark in report.marks] == [("p99<50ms", True), ("errors=0", False)]
    assert (report.passed, report.valid, report.warnings) == (False, True, ())


def test_a_report_is_read_back_as_it_was_written(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path / "deep" / "report.json")
    again = read_report(tmp_path / "deep" / "report.json")
    assert again == report
    assert again.total.cell().latency.counts == report.total.cell().latency.counts != {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema_version": "marquee.loadtest/0"}, "schema_version"),
        ({"elapsed_s": "long"}, "elapsed_s"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_report_of_another_kind_is_refused(
    report: Report, tmp_path: Path, change: dict[str, object], told: str
) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(orjson.dumps(report.model_dump(mode="json") | change))
    with pytest.raises(DataFormatError, match=told):
        read_report(path)


def test_a_report_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"none\.json: looked for a report"):
        read_report(tmp_path / "none.json")


def test_the_text_says_what_both_sides_saw_and_what_failed(report: Report) -> None:
    text = text_of(report)
    for part in ("recommend", "popular", "by arm", "candidate", "stage recall", "status 500", "batch size"):
        assert part in text
    assert "passed  p99<50ms  (found 20.02 ms)" in text
    assert "FAILED  errors=0  (found 8)" in text


def test_a_tester_that_was_too_slow_is_told_loudly_in_text_and_page(run: Run) -> None:
    run.result.tally.lateness.add(Histogram.of([0.5] * 20))
    report = report_of(run, (), command="")
    assert not report.valid
    assert report.warnings[0].startswith("THE LOAD TESTER WAS TOO SLOW: 1 % of the requests left 50")
    assert "THE LOAD TESTER WAS TOO SLOW" in text_of(report)
    assert '<div class="warning invalid">THE LOAD TESTER WAS TOO SLOW' in html_of(report)


@pytest.mark.parametrize(("stood_s", "told"), [(2.9, False), (3.1, True)])
def test_a_tester_that_stood_still_longer_than_a_connection_may_take_says_so(
    run: Run, stood_s: float, told: bool
) -> None:
    worker = replace(run.result.workers[0], lag=Histogram.of([0.01, stood_s]))
    warnings = report_of(replace(run, result=replace(run.result, workers=(worker,))), (), command="").warnings
    assert any(warning.startswith("The load tester stood still for 3.1 s") for warning in warnings) is told


def test_what_takes_away_from_the_figures_is_told(run: Run) -> None:
    worker = replace(run.result.workers[0], cpu_s=3.9, cut=3, backlog_most=7, stopped_early=True)
    result = replace(run.result, workers=(worker,))
    silent = replace(run, result=result, server=None, server_silence="/metrics is unavailable: status 404")
    warnings = "\n".join(report_of(silent, (), command="").warnings)
    for part in ("kept a core busy", "Ctrl-C", "3 requests had no answer", "Up to 7 requests", "status 404"):
        assert part in warnings


class Page(HTMLParser):
    """Collects what a page asks of others, and whether its tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.n_svg = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.n_svg += tag == "svg"
        named = dict(attrs)
        address = named.get("src") or (named.get("href") if tag in ("link", "script") else None)
        if tag in ("script", "link", "img", "iframe") or address:
            self.foreign.append(f"{tag} {address}")


def test_the_page_needs_nothing_else_and_runs_nothing_of_others(report: Report) -> None:
    page = Page()
    text = html_of(report)
    page.feed(text)
    assert page.foreign == []
    assert page.n_svg == 6  # over time, rate, percentiles, histogram, arms, stages
    assert "&lt;script&gt;alert(1)" in text


def test_a_search_for_the_limit_shows_every_rate_and_the_curve(report: Report) -> None:
    steps = tuple(
        StepDoc(
            rate_per_s=rate,
            good_per_s=rate,
            p50_ms=1.0,
            p90_ms=2.0,
            p99_ms=3.0,
            errors=0,
            shed=0,
            passed=rate < 150,
            valid=True,
            failed_marks=() if rate < 150 else ("p99<50ms",),
        )
        for rate in (100.0, 200.0)
    )
    found = report.model_copy(update={"curve": steps, "limit_per_s": 100.0})
    assert "Throughput against latency" in html_of(found)
    assert "failed: p99&lt;50ms" in html_of(found)
    assert "every rate tried" in text_of(found)
