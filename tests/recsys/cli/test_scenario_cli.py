from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recsys.cli.scenario import app
from recsys.evaluation.cost_curve import CostCurve
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
