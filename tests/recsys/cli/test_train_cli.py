import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recsys.cli.main import main
from recsys.cli.train import app, read_config
from recsys.core.errors import DataFormatError, FieldError
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.training.two_stage import TrainingConfig

Mlflow = Any  # its own client: an extra, and not typed here
TINY = {
    "knowledge": {"recall": {"sequential": {"min_events": 2, "rank": 4}, "svd": {"n_factors": 3}}},
    "cross_fit": {"n_folds": 2, "min_positions": 2, "max_positions": 2, "n_candidates": 10},
    "boosting": {"n_trees": 3, "max_depth": 2},
    "n_candidates": 15,
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny.json", TINY)


def written(path: Path, settings: object) -> Path:
    path.write_text(json.dumps(settings))
    return path


def call(data: Path, registry: Path, config: Path, *more: str) -> Result:
    arguments = ["--data", data, "--registry", registry, "--config", config, "--no-gate", *more]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def answer(data: Path, registry: Path, config: Path, *more: str) -> dict[str, object]:
    result = call(data, registry, config, "--json", *more)
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


def test_a_data_set_becomes_a_bundle_and_a_second_run_does_nothing(
    simulated_folder: Path, tmp_path: Path, config: Path
) -> None:
    root = tmp_path / "registry"
    first = answer(simulated_folder, root, config)
    assert first["trained"] is True
    assert set(first) == {"bundle", "trained", "fit_s", "write_s", "peak_mb"}
    open_bundle(LocalRegistry(root).get(str(first["bundle"])), feature_schema=FEATURE_SCHEMA)
    assert answer(simulated_folder, root, config) == {"bundle": first["bundle"], "trained": False}
    assert "nothing has changed" in call(simulated_folder, root, config).stdout
    assert len(LocalRegistry(root).list()) == 1


def test_again_trains_and_other_settings_make_another_bundle(
    simulated_folder: Path, tmp_path: Path, config: Path
) -> None:
    root = tmp_path / "registry"
    first = answer(simulated_folder, root, config)
    again = answer(simulated_folder, root, config, "--again")
    assert (again["bundle"], again["trained"]) == (first["bundle"], True)
    other = answer(simulated_folder, root, written(tmp_path / "other.json", TINY | {"n_candidates": 16}))
    assert other["trained"] is True
    assert {info.name for info in LocalRegistry(root).list()} == {first["bundle"], other["bundle"]}


def test_a_channel_names_the_bundle_whether_new_or_old(
    simulated_folder: Path, tmp_path: Path, config: Path
) -> None:
    root = tmp_path / "registry"
    bundle = answer(simulated_folder, root, config)["bundle"]
    assert LocalRegistry(root).channels().named_by("candidate") is None
    for _ in range(2):
        answer(simulated_folder, root, config, "--channel", "candidate")
        assert LocalRegistry(root).channels().named_by("candidate") == bundle


def test_without_a_file_the_defaults_hold() -> None:
    assert read_config(None) == TrainingConfig()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"boosting": {"n_tree": 3}}, "boosting.n_tree"),
        ({"knowledge": {"recall": {"svd": {"n_factors": "many"}}}}, "knowledge.recall.svd.n_factors"),
        ({"cross_fit": {"n_folds": 1}}, "cross_fit.n_folds"),
        ({"boosting": {"n_trees": 0}}, "boosting.n_trees"),
        ({"n_candidates": 0}, "n_candidates"),
        (
            {"knowledge": {"recall": {"popularity": {"half_life_row": 99}}}},
            "knowledge.recall.popularity.half_life_row",
        ),
    ],
)
def test_a_setting_that_is_unknown_or_out_of_range_is_named(
    tmp_path: Path, settings: object, field: str
) -> None:
    with pytest.raises(FieldError) as caught:
        read_config(written(tmp_path / "wrong.json", settings))
    assert caught.value.field == field


def test_settings_that_are_no_json_or_not_there_are_refused_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(FieldError, match=r"broken\.json"):
        read_config(path)
    with pytest.raises(DataFormatError, match=r"missing\.json"):
        read_config(tmp_path / "missing.json")


def test_data_that_are_not_there_are_one_sentence_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = tmp_path / "registry"
    arguments = ["marquee", "train", "--data", str(tmp_path / "nowhere"), "--registry", str(registry)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    shown = capsys.readouterr().err
    assert shown.startswith("marquee: ")
    assert "nowhere: looked for" in shown
    assert "Traceback" not in shown
    assert not registry.exists()


WAITS_AT = """
import sys
import time
from contextlib import contextmanager

from recsys.cli import train
from recsys.pipeline.stages import RerankingStage

moment = sys.argv.pop()

def wait_at(here):
    if here == moment:
        print("waiting", flush=True)
        time.sleep(60)

@contextmanager
def steps_told():
    yield lambda name, share: wait_at(name)

train.steps_shown = steps_told
RerankingStage.save = lambda self, writer: wait_at("half of the files are written")
train.app()
"""


@pytest.mark.parametrize("moment", ["fold 2 of 2: svd", "ranker", "half of the files are written"])
def test_a_training_that_is_terminated_leaves_no_half_bundle(
    simulated_folder: Path, tmp_path: Path, config: Path, moment: str
) -> None:
    root = tmp_path / "registry"
    arguments = ["--data", simulated_folder, "--registry", root, "--config", config, "--no-gate", moment]
    command = [sys.executable, "-c", WAITS_AT, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        assert training.stdout.readline() == "waiting\n"
        training.send_signal(signal.SIGTERM)
        assert training.wait(timeout=20) != 0
    assert LocalRegistry(root).list() == []
    bundle = answer(simulated_folder, root, config)["bundle"]
    left = [path.name for path in (root / "bundles").iterdir() if not path.name.startswith(".")]
    assert left == [bundle]
    open_bundle(LocalRegistry(root).get(str(bundle)), feature_schema=FEATURE_SCHEMA)


def test_a_training_is_told_to_mlflow_with_its_channel_and_told_again_does_no_harm(
    simulated_folder: Path, tmp_path: Path, config: Path, mlflow_address: str, mlflow_client: Mlflow
) -> None:
    root = tmp_path / "registry"
    for _ in range(2):
        facts = answer(simulated_folder, root, config, "--channel", "candidate", "--track", mlflow_address)
    (version,) = mlflow_client.search_model_versions("name = 'marquee'")
    assert version.tags["marquee.bundle"] == facts["bundle"]
    assert version.tags["marquee.registry"] == str(root)
    assert mlflow_client.get_model_version_by_alias("marquee", "candidate").version == version.version
    run = mlflow_client.get_run(version.run_id)
    assert run.data.params["boosting.n_trees"] == "3"
    assert run.data.metrics["n_users"] > 0
