"""The report of an experiment: what it has, what it draws, and what it says of nothing."""

from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from recsys.core.clock import SECONDS_PER_DAY
from recsys.experiments import report_words as words
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.feedback import LISTS
from recsys.experiments.list_facts import FACTS
from recsys.experiments.report import ExperimentReport, Subject, look_times_s, report_on
from recsys.experiments.report_html import html_of, write_html
from recsys.experiments.report_text import printout
from recsys.experiments.results import Span, Trend
from recsys.experiments.stretches import Stretch
from recsys.experiments.units import ExperimentFacts

ARMS = {"off": 0.5, "on": 0.25, "more": 0.25}
N_DAYS = 5


def subject(*shares: dict[str, float], days: float = N_DAYS) -> Subject:
    dealt = shares or (ARMS,)
    length_s = days * SECONDS_PER_DAY / len(dealt)
    return Subject(
        title="experiment <tint>",
        design=ExperimentDesign(
            name="tint",
            arms=dealt[-1],
            control="off",
            primary=Metric(name="watch_rate"),
            guardrails=(Metric(name="skip_rate", better="lower"),),
            segments=("context",),
            planned_users=400,
            minimum_effect=0.05,
        ),
        arms_are={"off": "as it is", "on": "tint 0.3", "more": "tint 0.6"},
        experiment="tint",
        stretches=[
            Stretch(place * length_s, (place + 1) * length_s, arms) for place, arms in enumerate(dealt)
        ],
        ended=True,
    )


def facts(n_users: int, seed: int = 3) -> ExperimentFacts:
    """A list of ten items per user and day; who has the tint watches more."""
    rng = np.random.default_rng(seed)
    dealt = rng.choice(list(ARMS), n_users, p=list(ARMS.values()))
    rows = [
        {
            **dict.fromkeys(FACTS, 0),
            "hit": False,
            "request_id": f"r{user}-{day}",
            "unit": f"u{user}",
            "arm": dealt[user],
            "context": "<b>",
            "served_at_s": (day + rng.random()) * SECONDS_PER_DAY,
            "n_items": 10,
            "n_watched": int(rng.binomial(10, 0.3 if dealt[user] == "off" else 0.5)),
        }
        for user in range(n_users)
        for day in range(N_DAYS)
    ]
    during = pl.DataFrame(rows, schema={**LISTS, **FACTS}).sort("served_at_s")
    return ExperimentFacts(during, during.clear(), 0.0)


@pytest.fixture(scope="module")
def report() -> ExperimentReport:
    return report_on(subject(), facts(300))


def text_of(report: ExperimentReport, *, days: bool = False) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(printout(report, days=days))
    return console.export_text()


def test_one_looks_every_day_and_at_the_end(report: ExperimentReport) -> None:
    assert [look.days for look in report.looks[:-1]] == [1.0, 2.0, 3.0, 4.0]
    assert report.looks[-1].users == report.result.sample_ratio.users
    last = report.looks[-1].effects["on"]
    assert last == next(one.counts for one in report.result.comparisons if one.arm == "on")


def test_what_is_short_is_looked_at_a_dozen_times() -> None:
    found = look_times_s(subject(days=1.0), facts(30).during.filter(pl.col("served_at_s") < SECONDS_PER_DAY))
    assert len(found) == 12
    assert np.diff(found) == pytest.approx(np.full(11, found[0]), rel=1e-6)


def test_what_lasts_for_years_is_not_looked_at_every_day() -> None:
    late = facts(1).during.with_columns(served_at_s=pl.lit(1_000.5 * SECONDS_PER_DAY))
    found = look_times_s(subject(days=1_001.0), late)
    assert len(found) <= 61
    assert found[0] % SECONDS_PER_DAY == 0.0


def test_a_page_has_all_plots_and_escapes_what_clients_wrote(report: ExperimentReport) -> None:
    page = html_of(report)
    assert page.count("<svg") == 4
    assert "nan" not in page.replace("nance", "")
    assert "<b>" not in page.replace("<b>Sample ratio.</b>", "").replace("<b>Note.</b>", "")
    assert "experiment &lt;tint&gt;" in page
    assert "<script" not in page


def test_the_same_report_is_the_same_page(report: ExperimentReport, tmp_path: Path) -> None:
    write_html(report, tmp_path / "a" / "page.html")
    assert (tmp_path / "a" / "page.html").read_text() == html_of(report)


def test_a_printout_fits_into_100_columns(report: ExperimentReport) -> None:
    text = text_of(report, days=True)
    assert max(len(line) for line in text.splitlines()) <= 100
    assert "Ship" in text
    assert "skip_rate (guardrail)" in text


def test_a_report_of_nothing_says_so_and_is_a_page_all_the_same() -> None:
    empty = report_on(subject(), facts(0))
    assert (empty.looks, empty.result.n_users) == ((), 0)
    assert empty.result.recommendation.action == "go on"
    assert "No list of it is on disk" in text_of(empty)
    assert html_of(empty).count("<svg") == 0


def test_of_a_few_users_everything_is_open_and_drawn_all_the_same() -> None:
    assert html_of(report_on(subject(), facts(4))).count("<svg") >= 2


def test_shares_that_changed_are_averaged_and_said() -> None:
    ramp = report_on(subject({"off": 0.8, "on": 0.1, "more": 0.1}, ARMS), facts(200))
    assert "Shares changed on the way (2 steps)" in ramp.notes[0]
    assert ramp.result.trends == ()
    assert sum(ramp.result.design.arms.values()) == pytest.approx(1.0)
    assert 0.5 < ramp.result.design.arms["off"] < 0.8
    assert html_of(ramp).count("<svg") == 3


def test_a_report_comes_back_from_json_as_it_was(report: ExperimentReport) -> None:
    assert ExperimentReport.model_validate_json(report.model_dump_json()) == report


def test_figures_are_said_as_people_read_them() -> None:
    assert words.span_words(Span(lower=-0.0123, upper=None)) == "−0.0123 to –"  # noqa: RUF001
    assert words.percent(0.0512) == "+5.1%"
    assert [words.p_value(p) for p in (None, 0.00001, 0.0312)] == ["–", "<0.0001", "0.031"]  # noqa: RUF001
    assert [words.duration(s) for s in (30.0, 600.0, 7_200.0, 864_000.0)] == [
        "30 s",
        "10 min",
        "2 h",
        "10 days",
    ]
    assert words.when(0.0) == "1970-01-01 00:00"
    nothing = Trend(arm="on", days=(), slope_per_day=None, standard_error=None, p=None)
    assert "too few days" in words.trend_words(nothing)
    falls = nothing.model_copy(update={"slope_per_day": -0.1, "p": 0.01})
    assert words.trend_words(falls).endswith("it changes with time")
