from collections import Counter, defaultdict
from pathlib import Path

import orjson
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from recsys.cli.evaluate import app
from recsys.core.errors import FieldError, InputError, NotFoundError
from recsys.evaluation.impressions.results import ImpressionReport

TINY = {
    "knowledge": {"recall": {"sequential": {"min_events": 2, "rank": 4}, "svd": {"n_factors": 4}}},
    "cross_fit": {"n_folds": 2, "min_positions": 3, "max_positions": 3, "n_candidates": 20},
    "boosting": {"n_trees": 10, "max_depth": 3},
    "n_candidates": 10,
}


def run(data: Path, *arguments: object) -> Result:
    given = ["--data", data, "--protocol", "impressions", *arguments]
    return CliRunner().invoke(app, [str(argument) for argument in given])


def test_the_page_the_figures_and_the_plot_are_written(simulated_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    file, out, config = tmp_path / "figures.json", tmp_path / "report", tmp_path / "config.json"
    config.write_bytes(orjson.dumps(TINY))
    models = "popularity,click-rate,two-stage"
    options = ("--models", models, "--config", config, "--json", file, "--out", out, "--test-days", 5)
    result = run(simulated_folder, *options, "--with-defaults")
    assert result.exit_code == 0, result.output
    report = ImpressionReport.model_validate_json(file.read_bytes())
    assert [each.model for each in report.judgements] == [*models.split(","), "two-stage-defaults"]
    assert all(0.0 <= each.metrics["gauc"].value <= 1.0 for each in report.judgements)
    assert {each.model for each in report.differences} == {"two-stage"}
    assert sorted(path.name for path in out.iterdir()) == ["click_shown_by_recommender.png", "report.md"]
    assert "click_shown_by_recommender.png" in (out / "report.md").read_text()
    assert "## Click, shown by recommender" in result.stdout


def test_what_nobody_measured_is_left_out_unless_it_is_asked_for(
    simulated_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "figures.json"
    options = ("--models", "popularity,long-view-rate", "--test-days", 5, "--json", file)
    assert run(simulated_folder, *options).exit_code == 0
    report = ImpressionReport.model_validate_json(file.read_bytes())
    assert [each.target.value for each in report.asked] == ["click"]
    assert [each.model for each in report.skipped] == ["long-view-rate"]
    error = run(simulated_folder, *options, "--target", "long_view").exception
    assert isinstance(error, FieldError)


def test_no_more_users_than_asked_for_are_tested(simulated_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    run(simulated_folder, "--models", "popularity", "--test-days", 5, "--max-users", 7, "--json", file)
    assert ImpressionReport.model_validate_json(file.read_bytes()).asked[0].n_users == 7


def test_days_that_are_skipped_are_neither_learned_from_nor_asked_about(
    simulated_folder: Path, tmp_path: Path
) -> None:
    file, options = tmp_path / "figures.json", ("--models", "popularity", "--test-days", 3)
    found = []
    for skipped in (0, 4):
        run(simulated_folder, *options, "--skip-days", skipped, "--json", file)
        found.append(ImpressionReport.model_validate_json(file.read_bytes()))
    assert found[1].n_train_events < found[0].n_train_events
    assert found[1].asked[0].n_impressions != found[0].asked[0].n_impressions


def test_the_heads_of_targets_learn_from_what_was_shown_before_the_cut(
    simulated_folder: Path, tmp_path: Path
) -> None:
    file, config = tmp_path / "figures.json", tmp_path / "config.json"
    weights = {"next_item_weight": 0.0, "click_weight": 1.0, "n_trees": 10}
    config.write_bytes(orjson.dumps({**TINY, "targets": weights}))
    options = ("--models", "two-stage", "--config", config, "--test-days", 5, "--json", file)
    result = run(simulated_folder, *options, "--with-defaults")
    assert result.exit_code == 0, result.output
    report = ImpressionReport.model_validate_json(file.read_bytes())
    heads, plain = (each.metrics["auc"].value for each in report.judgements)
    assert heads != plain


def test_films_without_impressions_are_refused(real_movielens: Path) -> None:
    assert isinstance(run(real_movielens, "--models", "popularity").exception, InputError)


def test_an_unknown_model_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    error = run(tmp_path, "--models", "magic").exception
    assert isinstance(error, NotFoundError)
    assert "click-rate" in str(error)


def test_click_rates_on_kuairand_are_worth_what_a_plain_loop_over_the_log_finds(
    real_data: Path, tmp_path: Path
) -> None:
    folder, file = real_data / "kuairand-pure", tmp_path / "figures.json"
    if not folder.is_dir():
        pytest.skip("no ../shared/data/kuairand-pure beside the project: real impressions are not at hand")
    run(folder, "--models", "click-rate", "--target", "click", "--json", file)
    (row,) = orjson.loads(file.read_bytes())["judgements"]
    assert row["metrics"]["gauc"]["value"] == pytest.approx(click_rate_by_loop(folder), abs=1e-9)


def click_rate_by_loop(folder: Path) -> float:
    """GAUC of the share of clicks per video, the last four days held out, with nothing of ours."""
    logs = pl.concat(
        pl.read_parquet(path, columns=["user_id", "time_ms", "video_id", "is_click"])
        for path in sorted(folder.glob("standard_*.parquet"))
    ).unique(["user_id", "time_ms", "video_id"], keep="first", maintain_order=True)
    sessions: list[list[tuple[int, int, int, int]]] = []
    for user, time_ms, video, click in logs.sort("user_id", "time_ms", maintain_order=True).iter_rows():
        before = sessions[-1][-1] if sessions else (-1, 0, 0, 0)
        if before[0] != user or time_ms - before[1] > 1_800_000:
            sessions.append([])
        sessions[-1].append((user, time_ms, video, click))
    cut_ms = max(session[0][1] for session in sessions) - 4 * 86_400_000
    past = [row for session in sessions if session[-1][1] < cut_ms for row in session]
    mean = sum(click for *_, click in past) / len(past)
    n_shown = Counter(video for _, _, video, _ in past)
    n_clicked = Counter(video for _, _, video, click in past if click)
    of_user: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for user, _, video, click in (row for each in sessions if each[0][1] >= cut_ms for row in each):
        of_user[user].append(((n_clicked[video] + 20.0 * mean) / (n_shown[video] + 20.0), click))
    summed, n_counted = 0.0, 0
    for rows in of_user.values():
        ranks = [(a > b) + 0.5 * (a == b) for a, yes in rows if yes for b, no in rows if not no]
        if ranks:
            summed += len(rows) * sum(ranks) / len(ranks)
            n_counted += len(rows)
    return summed / n_counted
