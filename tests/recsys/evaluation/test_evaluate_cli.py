from collections import Counter, defaultdict
from itertools import islice
from math import log2
from operator import itemgetter
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from recsys.cli.evaluate import app, chosen
from recsys.cli.models import fits_of
from recsys.core.errors import DataFormatError, FieldError, NotFoundError
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.results import Report
from recsys.training.two_stage import TrainingConfig


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A tiny MovieLens folder: 12 users, each watched 4 of 6 films."""
    folder = tmp_path / "films"
    folder.mkdir()
    movies = "".join(f"{film},Film {film} (2001),Comedy|Drama\n" for film in range(1, 7))
    (folder / "movies.csv").write_text("movieId,title,genres\n" + movies)
    ratings = [
        f"{user},{1 + (user + step * (1 + user % 2)) % 6},4.0,{1_000_000_000 + 1_000 * step + user}\n"
        for user in range(1, 13)
        for step in range(3)
    ]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "".join(ratings))
    return folder


def test_the_files_asked_for_are_written_and_the_page_is_printed(films: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    file, out = tmp_path / "new" / "figures.json", tmp_path / "report"
    result = run("--data", films, "--models", "popularity,ease", "--json", file, "--out", out, "--seed", 3)
    assert result.exit_code == 0, result.output
    report = Report.model_validate_json(file.read_bytes())
    assert [row.model for row in report.rows] == ["popularity", "ease"]
    assert (report.protocol, report.seed, report.counts.n_test_users) == ("leave-last-out", 3, 12)
    assert sorted(path.name for path in out.iterdir()) == [
        "accuracy.png",
        "accuracy_against_breadth.png",
        "accuracy_by_history.png",
        "report.md",
    ]
    assert "## Findings" in result.stdout
    assert "accuracy.png" in (out / "report.md").read_text()


def test_the_same_seed_gives_the_same_figures(films: Path, tmp_path: Path) -> None:
    metrics = []
    for name in ("once.json", "again.json"):
        run("--data", films, "--models", "item-knn", "--json", tmp_path / name)
        metrics.append(orjson.loads((tmp_path / name).read_bytes())["rows"][0]["metrics"])
    assert metrics[0] == metrics[1]


def test_global_time_holds_out_the_newest_share(films: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    options = ("--models", "popularity", "--protocol", "global-time", "--test-share", 0.25, "--json", file)
    assert run("--data", films, *options).exit_code == 0
    counts = orjson.loads(file.read_bytes())["counts"]
    assert counts["n_train_events"] == 27  # of 36


def test_no_more_users_than_asked_for_are_tested(films: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    run("--data", films, "--models", "popularity", "--max-users", 5, "--json", file)
    assert orjson.loads(file.read_bytes())["counts"]["n_test_users"] == 5


def test_an_unknown_model_is_refused_with_the_known_ones(films: Path) -> None:
    error = run("--data", films, "--models", "popularity,magic").exception
    assert isinstance(error, NotFoundError)
    assert str(error).startswith("no model named 'magic'; there are: popularity,")


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    assert isinstance(run("--data", nothing, "--json", tmp_path).exception, FieldError)
    (tmp_path / "file").write_text("")
    assert isinstance(run("--data", nothing, "--out", tmp_path / "file").exception, FieldError)


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    assert isinstance(run("--data", tmp_path / "nothing").exception, DataFormatError)


def test_every_model_is_chosen_by_default_and_each_only_once() -> None:
    assert chosen(None) == (*BASELINES, "two-stage")
    assert chosen("ease, two-stage,ease") == ("ease", "two-stage")
    ours = {"two-stage": TrainingConfig()}
    assert list(fits_of(("two-stage", "ease"), BASELINES, ours, lambda _, __: None)) == ["two-stage", "ease"]
    assert list(fits_of(("ease",), BASELINES, ours, lambda _, __: None)) == ["ease"]


def test_the_settings_as_they_come_are_a_row_of_their_own(films: Path, tmp_path: Path) -> None:
    settings, file = tmp_path / "best.json", tmp_path / "figures.json"
    settings.write_text('{"boosting": {"n_trees": 3}}')
    result = run(
        "--data",
        films,
        "--models",
        "popularity,two-stage",
        "--config",
        settings,
        "--with-defaults",
        "--json",
        file,
    )
    assert result.exit_code == 0, result.output
    report = Report.model_validate_json(file.read_bytes())
    assert [row.model for row in report.rows] == ["popularity", "two-stage", "two-stage-defaults"]
    assert {pair.against for pair in report.differences} == {"popularity", "two-stage-defaults"}


def test_defaults_beside_defaults_are_refused(films: Path) -> None:
    assert isinstance(run("--data", films, "--with-defaults").exception, FieldError)


def test_popularity_on_movielens_is_what_a_plain_loop_over_the_file_finds(
    real_data: Path, tmp_path: Path
) -> None:
    folder, file = real_data / "ml-latest-small", tmp_path / "figures.json"
    run("--data", folder, "--models", "popularity", "--json", file)
    (row,) = orjson.loads(file.read_bytes())["rows"]
    assert row["metrics"]["ndcg@10"]["value"] == pytest.approx(popularity_by_loop(folder), abs=1e-12)


def popularity_by_loop(folder: Path) -> float:
    """NDCG@10 of popularity, leave-last-out, with nothing of ours."""
    films = [line.split(",")[0] for line in (folder / "movies.csv").read_text().splitlines()[1:]]
    watched: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for line in (folder / "ratings.csv").read_text().splitlines()[1:]:
        user, film, _, time_s = line.split(",")
        watched[user].append((int(time_s), film))
    histories = [[film for _, film in sorted(pairs, key=itemgetter(0))] for pairs in watched.values()]
    counts = Counter(film for history in histories for film in history[:-1])
    ranked = sorted(films, key=lambda film: -counts[film])
    worth = []
    for *seen, target in histories:
        shown = list(islice((film for film in ranked if film not in seen), 10))
        worth.append(1 / log2(shown.index(target) + 2) if target in shown else 0.0)
    return sum(worth) / len(worth)
