from pathlib import Path

import numpy as np
import orjson
import pytest

from recsys.evaluation.report import to_json, to_markdown
from recsys.evaluation.results import Counts, Estimate, GroupResult, PairedDifference, Report, Row, Skipped

PNG = b"\x89PNG\r\n\x1a\n"


def row(model: str, ndcg: float) -> Row:
    def around(value: float) -> Estimate:
        return Estimate(value=value, low=value - 0.01, high=value + 0.01)

    metrics = {
        "ndcg@10": around(ndcg),
        "recall@10": around(2 * ndcg),
        "popularity_percentile@10": around(0.75),
    }
    return Row(
        model=model,
        metrics=metrics,
        exposure={"coverage@10": 0.125, "gini@10": 0.5},
        buckets={"1-5": GroupResult(n_users=1_234, metrics=metrics)},
        cold=GroupResult(n_users=3, metrics=metrics),
        untied=None,
        fit_s=1.25,
        peak_mb=2_000.4,
        peak_is_of_fit=model != "ease",
        answer_s=0.5,
    )


@pytest.fixture
def report() -> Report:
    difference = PairedDifference(
        model="two-stage",
        against="ease",
        metric="ndcg@10",
        group="all",
        n_users=9,
        value=0.1,
        low=0.05,
        high=0.15,
        p=0.002,
        significant=True,
    )
    return Report(
        data="toy",
        protocol="global-time",
        rows=[row("ease", 0.1), row("two-stage", 0.2)],
        skipped=[Skipped(model="huge", why="a | b")],
        differences=[difference],
        findings=["It is so."],
        counts=Counts(
            n_items=1,
            n_users=2,
            n_train_events=3,
            n_test_users=4,
            n_targets=5,
            n_cold_users=6,
            n_tied_users=7,
            n_seen_targets=8,
            n_repeated_targets=9,
            n_untested_users=10,
        ),
        seed=7,
        n_resamples=100,
        level=0.95,
        machine="a desk",
        date="2026-01-02",
    )


def test_json_has_the_promised_keys(report: Report) -> None:
    read = orjson.loads(to_json(report))
    assert (read["data"], read["protocol"], read["date"]) == ("toy", "global-time", "2026-01-02")
    whole = next(each for each in read["rows"] if each["model"] == "two-stage")
    assert whole["metrics"]["ndcg@10"] == {"value": 0.2, "low": 0.19, "high": pytest.approx(0.21)}
    assert (whole["fit_s"], whole["peak_mb"]) == (1.25, 2_000.4)
    assert all(set(each) == {"value", "low", "high"} for each in whole["metrics"].values())


def test_json_reads_back_as_the_same_report(report: Report) -> None:
    assert Report.model_validate_json(to_json(report)) == report


def test_the_page_has_a_line_per_model_and_says_what_was_skipped(report: Report) -> None:
    page = to_markdown(report)
    assert "| ease | 0.1000 [0.0900, 0.1100] | 0.2000 [0.1900, 0.2100] | 1.2 | <= 2,000 | 0.5 |" in page
    assert "| two-stage | 0.2000 [0.1900, 0.2100] | 0.4000 [0.3900, 0.4100] | 1.2 | 2,000 | 0.5 |" in page
    assert "| huge | skipped: a \\| b |  |  |  |  |" in page
    assert "- It is so." in page
    assert "| ndcg@10 | all | two-stage - ease | +0.1000 [+0.0500, +0.1500] | 0.002 | yes |" in page
    assert "| ease | none | 3 |" in page
    assert "| ease | 1-5 | 1,234 |" in page


def test_every_table_of_the_page_is_rectangular(report: Report) -> None:
    for table in to_markdown(report).split("\n\n"):
        if table.startswith("| "):
            assert len({line.replace("\\|", "").count("|") for line in table.splitlines()}) == 1


def test_the_page_links_plots_by_file_name(report: Report) -> None:
    assert "![accuracy by history](accuracy_by_history.png)" in to_markdown(
        report, (Path("elsewhere") / "accuracy_by_history.png",)
    )


def test_a_report_without_rows_is_still_a_page(report: Report) -> None:
    assert "No model was evaluated." in to_markdown(report.model_copy(update={"rows": []}))


def test_three_plots_are_drawn(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    from matplotlib.image import imread

    from recsys.evaluation.plots import draw

    files = draw(report, tmp_path / "new")
    assert [file.name for file in files] == [
        "accuracy.png",
        "accuracy_against_breadth.png",
        "accuracy_by_history.png",
    ]
    for file in files:
        assert file.read_bytes().startswith(PNG)
        assert np.std(imread(file)) > 0.01  # something is on it
