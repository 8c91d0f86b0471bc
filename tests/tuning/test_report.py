import re
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.evaluation.results import Estimate, PairedDifference, Row
from recsys.training.two_stage import TrainingConfig
from tuning.document import Final, Opening, SweepReport, figures_of, gain, report_of
from tuning.journal import Ended, Journal, Outcome, Settled, Started
from tuning.objectives import Objective, Step
from tuning.report_html import html_of, number
from tuning.report_plots import short
from tuning.run import Found
from tuning.settings_paths import with_settings
from tuning.summary import facts_of, sentence_of
from tuning.sweep import Sweep

RowOf = Callable[..., Ended]
RIDGE = "knowledge.recall.sequential.ridge"


@pytest.fixture
def report(tiny_sweep: Sweep, row_of: RowOf, tmp_path_factory: pytest.TempPathFactory) -> SweepReport:
    journal = Journal(tmp_path_factory.mktemp("journal") / "trials.jsonl", [])
    recall = [
        row_of(n, parameters={RIDGE: 10.0 + 9 * n}, step=Step.RECALL).model_copy(
            update={"measures": {Objective.CANDIDATES: 0.4 + 0.01 * n}}
        )
        for n in range(10)
    ]
    ranker = [
        *(row_of(n, 0.1 + 0.01 * (n % 7), 1.0 + n % 4) for n in range(12)),
        row_of(12, outcome=Outcome.FAILED, error="ValueError: <b>"),
        row_of(13, 0.05, outcome=Outcome.STOPPED),
    ]
    for row in (*recall, *ranker):
        journal.append(row)
    journal.append(Settled(step=Step.RECALL, number=9, settings=tiny_sweep.base, elapsed_s=20.0))
    journal.append(Started(step=Step.RANKER, number=14, parameters={"boosting.max_depth": 1}))
    found = Found(with_settings(tiny_sweep.base, {"boosting.max_depth": 1}), ranker[6])
    opening = Opening(data="/data/here", fingerprint="f" * 64, sweep_name="mine", sweep=tiny_sweep)
    return report_of(opening, journal, found, machine="a machine", date="2026-01-02", minutes=2.0)


def test_the_report_counts_what_was_spent(report: SweepReport) -> None:
    ranker = report.steps[1]
    assert report.n_trials == 24
    assert (ranker.count(Outcome.FINISHED), ranker.count(Outcome.FAILED), ranker.n_cut) == (12, 1, 1)
    assert (report.steps[0].chosen, ranker.chosen) == (9, 6)
    assert ranker.front == (6,)
    assert ranker.seconds_of_trials == 14.0


def test_the_report_names_what_differs_from_the_defaults(report: SweepReport) -> None:
    assert report.changed["boosting.max_depth"] == 1
    assert report.changed["n_candidates"] == 15
    assert RIDGE not in report.changed
    assert with_settings(TrainingConfig(), report.changed) == report.settings


def test_the_report_is_read_back_as_it_was_written(report: SweepReport) -> None:
    assert SweepReport.model_validate_json(report.model_dump_json()) == report


def final(value: float) -> Final:
    estimate = Estimate(value=value, low=value - 0.01, high=value + 0.01)
    row = Row(
        model="two-stage",
        metrics={"ndcg@10": estimate},
        exposure={"coverage@10": 0.5},
        buckets={},
        cold=None,
        untied=None,
        fit_s=1.0,
        peak_mb=1.0,
        peak_is_of_fit=True,
        answer_s=1.0,
    )
    pair = PairedDifference(
        model="two-stage",
        against="defaults",
        metric="ndcg@10",
        group="all",
        n_users=99,
        value=0.02,
        low=0.01,
        high=0.03,
        p=0.01,
        significant=True,
    )
    rows = [row, row.model_copy(update={"model": "defaults"})]
    return Final(rows=rows, differences=[pair.model_copy(update={"metric": "recall@10"}), pair], n_users=99)


def test_the_page_needs_nothing_else_and_shows_every_plot(report: SweepReport) -> None:
    html = html_of(report.model_copy(update={"final": final(0.2), "bundle": "0123456789abcdef"}))
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", html)
    assert html.count("<svg") == 6  # of both steps: progress, importance, all trials
    for words in ("What matters for ndcg@10", "+0.0200 [+0.0100, +0.0300], better", "0123456789abcdef", "★"):
        assert words in html
    assert "failed: ValueError: &lt;b&gt;" in html
    assert html == html_of(report.model_copy(update={"final": final(0.2), "bundle": "0123456789abcdef"}))


def test_with_two_objectives_the_front_is_drawn(report: SweepReport) -> None:
    ranker = report.steps[1].model_copy(update={"objectives": (Objective.NDCG, Objective.LATENCY)})
    html = html_of(report.model_copy(update={"steps": (report.steps[0], ranker)}))
    assert "ndcg@10 against ms_per_request" in html
    assert html.count("<svg") == 7


def test_a_report_before_any_trial_is_a_page_all_the_same(report: SweepReport) -> None:
    empty = report.steps[1].model_copy(update={"rows": (), "front": (), "chosen": None, "importance": {}})
    html = html_of(report.model_copy(update={"steps": (empty,), "changed": {}}))
    assert "<svg" not in html
    assert "no trial was better" in html


def test_the_end_is_told_to_machines_and_to_people(report: SweepReport) -> None:
    done = report.model_copy(update={"final": final(0.2), "bundle": "0123456789abcdef"})
    assert gain(final(0.2)) == final(0.2).differences[1]
    beside = final(0.2).differences[1].model_copy(update={"against": "popularity"})
    assert gain(final(0.2).model_copy(update={"differences": [beside]})) is None
    assert figures_of(final(0.2)) == {"ndcg@10": 0.2, "coverage@10": 0.5}
    facts = facts_of(done, Path("found"))
    assert facts["gain"] == {"value": 0.02, "low": 0.01, "high": 0.03}
    assert (facts["n_trials"], facts["failed"], facts["stopped"]) == (24, 1, 1)
    text = sentence_of(facts)
    assert "24 trials in 2.0 minutes (1 stopped early, 1 failed)" in text
    assert "ndcg@10 0.2000, against the defaults +0.0200 [+0.0100, +0.0300]" in text
    assert sentence_of(facts_of(report, Path("found"))).count("\n") == 2


@pytest.mark.parametrize(
    ("value", "text"), [(True, "True"), ("a", "a"), (1_234, "1,234"), (0.123456, "0.1235"), (None, "None")]
)
def test_a_setting_is_written_in_few_digits(value: bool | int | float | str | None, text: str) -> None:
    assert number(value) == text


def test_the_end_of_a_path_tells_settings_apart() -> None:
    assert short("n_candidates") == "n_candidates"
