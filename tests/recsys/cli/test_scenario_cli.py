from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recsys.cli.evaluate import app as evaluate
from recsys.cli.scenario import app, weights_of
from recsys.core.errors import FieldError
from recsys.data.impressions import Target
from recsys.evaluation.cost_curve import CostCurve
from recsys.evaluation.impressions.blend_curve import BlendCurve
from recsys.evaluation.impressions.results import ImpressionReport
from recsys.evaluation.scenarios import ScenarioReport

SMALL = """{"n_candidates": 30, "boosting": {"n_trees": 3},
 "cross_fit": {"n_folds": 2, "min_positions": 3, "max_positions": 3, "n_candidates": 20},
 "knowledge": {"recall": {"sequential": {"min_events": 2, "rank": 4}, "svd": {"n_factors": 4}}}}"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "training.json"
    path.write_text(SMALL)
    return path


def run(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("verb", ["new-users", "new-items"])
def test_a_scenario_is_printed_and_written(
    simulated_folder: Path, config: Path, tmp_path: Path, verb: str
) -> None:
    out, file = tmp_path / "out", tmp_path / "deep" / "figures.json"
    options = ("--test-share", 0.6, "--config", config, "--json", file, "--out", out)
    page = run(verb, "--data", simulated_folder, *options).stdout
    report = ScenarioReport.model_validate_json(file.read_bytes())
    assert report.scenario == verb.replace("-", " ")
    assert (out / f"{verb.replace('-', '_')}.md").read_text() == page
    assert "| circumstance | method |" in page


def test_the_curve_of_costs_is_printed_written_and_drawn(
    simulated_folder: Path, config: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    out, file = tmp_path / "out", tmp_path / "figures.json"
    options = ("--made-up", "--config", config, "--json", file, "--out", out)
    page = run("costs", "--data", simulated_folder, *options).stdout
    curve = CostCurve.model_validate_json(file.read_bytes())
    assert curve.costs.startswith("made up")
    assert curve.points[0].saved == 0.0
    assert {path.suffix for path in out.iterdir()} == {".md", ".png"}
    assert "kept" in page


def test_weights_of_targets_are_worth_what_an_evaluation_with_those_weights_says(
    simulated_folder: Path, config: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    out, file = tmp_path / "out", tmp_path / "figures.json"
    days = ("--test-days", 5, "--max-users", 60)
    options = ("--skip-days", 0, "--config", config, "--json", file, "--out", out)
    weights = ("--weights", "click=0.3", "--weights", "click=2")
    page = run("targets", "--data", simulated_folder, *weights, *days, *options).stdout
    curve = BlendCurve.model_validate_json(file.read_bytes())
    assert [point.weights for point in curve.points] == [{}, {Target.CLICK: 0.3}, {Target.CLICK: 2.0}]
    assert curve.points[0].next_item_gained.value == 0.0
    assert {path.suffix for path in out.iterdir()} == {".md", ".png"}
    assert page.count("\n| ") == 2 + len(curve.points)

    weighted = tmp_path / "weighted.json"
    weighted.write_text(SMALL[:-1] + ', "targets": {"click_weight": 2.0}}')
    figures = tmp_path / "evaluated.json"
    arguments = ("--data", simulated_folder, "--protocol", "impressions", "--models", "two-stage", *days)
    asked = CliRunner().invoke(
        evaluate, [str(word) for word in (*arguments, "--config", weighted, "--json", figures)]
    )
    assert asked.exit_code == 0, asked.output
    (judged,) = ImpressionReport.model_validate_json(figures.read_bytes()).judgements
    assert curve.points[2].gauc[Target.CLICK].value == pytest.approx(judged.metrics["gauc"].value, abs=1e-6)


@pytest.mark.parametrize(
    "given", ["clicks=1", "click", "click=", "click=0", "click=-1", "click=nan", "click=1,click=2"]
)
def test_weights_that_are_none_are_refused_with_what_is_expected(given: str) -> None:
    with pytest.raises(FieldError, match="click, long_view, like"):
        weights_of(given)


def test_weights_are_read_one_per_target() -> None:
    assert weights_of("click=0.5, long_view=1e-1") == {Target.CLICK: 0.5, Target.LONG_VIEW: 0.1}
