import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recsys.cli import retrain as module
from recsys.cli.retrain import app
from recsys.core.durable import locked_if_free
from recsys.core.errors import ConflictError, IncompatibleBundleError, NotFoundError
from recsys.data.folder import save_dataset
from recsys.data.schema import Dataset
from recsys.registry.local import LocalRegistry
from recsys.rollout.state import Phase
from recsys.rollout.traffic import first_document
from recsys.rollout.traffic_file import FileTrafficStore
from recsys.training.two_stage import TrainingConfig

TINY = {
    "knowledge": {"recall": {"sequential": {"min_events": 2, "rank": 4}, "svd": {"n_factors": 3}}},
    "cross_fit": {"n_folds": 2, "min_positions": 2, "max_positions": 2, "n_candidates": 10},
    "boosting": {"n_trees": 3, "max_depth": 2},
    "n_candidates": 15,
}

Answer = Callable[..., dict[str, object]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with settings in it; the registry is there unless another is named."""
    monkeypatch.setenv("MARQUEE_HOME", str(tmp_path))
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    return tmp_path


@pytest.fixture
def yesterday(simulated: Dataset, tmp_path: Path) -> Path:
    folder = tmp_path / "yesterday"
    events = simulated.interactions.sort("time_s").head(int(0.9 * simulated.interactions.height))
    save_dataset(Dataset("yesterday", events, simulated.items), folder)
    return folder


def call(data: Path, *more: str | Path) -> Result:
    return CliRunner().invoke(app, ["--data", str(data), "--no-gate", *map(str, more)])


def answer(data: Path, *more: str | Path) -> dict[str, object]:
    result = call(data, "--json", *more)
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


def test_from_scratch_then_by_differences_then_nothing(
    home: Path, yesterday: Path, simulated_folder: Path
) -> None:
    first = answer(yesterday, "--full", "--config", home / "tiny.json", "--channel", "stable")
    assert (first["parent"], first["counted"]) == (None, "everything")
    second = answer(simulated_folder, "--channel", "candidate")
    assert (second["parent"], second["counted"]) == (first["bundle"], "differences")
    assert isinstance(second["n_added"], int)
    assert second["n_added"] > 0
    registry = LocalRegistry(home / "registry")
    channels = registry.channels()
    assert (channels.stable, channels.candidate) == (first["bundle"], second["bundle"])
    assert answer(simulated_folder) == {"bundle": second["bundle"], "refreshed": False}
    assert "nothing has changed" in call(simulated_folder).stdout
    assert len(registry.list()) == 2
    assert "users changed" in call(simulated_folder, "--again").stdout


def test_without_a_bundle_to_begin_with_only_a_full_fit_is_possible(home: Path, yesterday: Path) -> None:
    result = call(yesterday)
    assert isinstance(result.exception, NotFoundError)
    assert not (home / "registry").exists()
    told = answer(yesterday, "--full-if-none", "--config", home / "tiny.json")
    assert (told["parent"], told["counted"]) == (None, "everything")


def test_a_bundle_of_other_features_is_begun_anew_where_that_is_allowed(
    home: Path, yesterday: Path, simulated_folder: Path
) -> None:
    registry = LocalRegistry(home / "registry")
    older = registry.publish(
        lambda writer: writer.json("x", 1),
        feature_schema="older",
        created_s=0.0,
        meta={"settings": TrainingConfig.model_validate(TINY).model_dump(mode="json")},
    ).name
    assert isinstance(call(yesterday, "--from-bundle", older).exception, IncompatibleBundleError)
    told = answer(yesterday, "--from-bundle", older, "--full-if-none")
    assert (told["parent"], told["counted"]) == (None, "everything")


def test_a_canary_begins_where_the_traffic_document_is_a_file(
    home: Path, yesterday: Path, simulated_folder: Path
) -> None:
    first = str(answer(yesterday, "--full", "--config", home / "tiny.json", "--channel", "stable")["bundle"])
    told = answer(simulated_folder, "--start-rollout")
    assert "a controller begins its canary" in str(told["rollout"])  # there is no document yet
    store = FileTrafficStore(home / "traffic.json")
    store.swap(first_document(first, salt="s", updated_s=0.0), expected_version=0)
    told = answer(simulated_folder, "--start-rollout")
    assert told["rollout"] == "its canary begins"
    state = store.read().rollout
    assert state is not None
    assert (state.bundle, state.phase) == (told["bundle"], Phase.PREPARING)
    assert LocalRegistry(home / "registry").channels().candidate == told["bundle"]
    assert "under way" in str(answer(simulated_folder, "--start-rollout")["rollout"])


def test_two_never_retrain_at_once(home: Path, yesterday: Path) -> None:
    with locked_if_free(home / ".retrain.lock", "retraining"):
        result = call(yesterday, "--full", "--config", home / "tiny.json")
    assert isinstance(result.exception, ConflictError)
    assert answer(yesterday, "--full", "--config", home / "tiny.json")["refreshed"]


@pytest.mark.parametrize("arguments", [["--every", "soon"], ["--every", "0s"], ["--ranker", "bend"]])
def test_a_pace_or_a_way_that_is_none_is_refused(home: Path, yesterday: Path, arguments: list[str]) -> None:
    assert call(yesterday, *arguments).exit_code == 2


def test_paces_are_read() -> None:
    assert [module._pace(text) for text in ("90s", "30m", "1.5h", "1d")] == [90.0, 1800.0, 5400.0, 86400.0]


def test_a_round_that_fails_is_told_and_ctrl_c_leaves_quietly(home: Path, simulated_folder: Path) -> None:
    arguments = ["--data", simulated_folder, "--no-gate", "--every", "1h"]
    command = [sys.executable, "-c", "from recsys.cli.retrain import app; app()", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as rounds:
        assert rounds.stderr is not None
        told = rounds.stderr.readline()
        assert "no bundle in channel named 'stable'" in told
        assert told.endswith("tried again in 60 s\n")
        rounds.send_signal(signal.SIGINT)
        assert rounds.stderr.readline() == "marquee: stopped; no bundle was left half done\n"
        assert rounds.wait(timeout=20) == 130


KILLED_AT = """
import os
import signal
import sys

from recsys.cli.retrain import app
from recsys.training import refresh

moment = sys.argv.pop()
setattr(refresh, moment, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
app()
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["assembled", "keep_sums"])
def test_who_is_killed_leaves_the_stable_bundle_and_its_sums_to_begin_with_again(
    home: Path, yesterday: Path, simulated_folder: Path, moment: str
) -> None:
    first = answer(yesterday, "--full", "--config", home / "tiny.json", "--channel", "stable")["bundle"]
    arguments = ["--data", simulated_folder, "--no-gate", "--channel", "stable", moment]
    killed = subprocess.run([sys.executable, "-c", KILLED_AT, *map(str, arguments)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert LocalRegistry(home / "registry").channels().stable == first
    told = answer(simulated_folder, "--again", "--channel", "stable")
    assert (told["parent"], told["counted"]) == (first, "differences")
    assert LocalRegistry(home / "registry").channels().stable == told["bundle"]
    assert answer(yesterday, "--again")["counted"] == "differences"  # the sums of the new one are there, too
