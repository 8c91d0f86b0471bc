"""What docs/experiments.md says to type is typed here."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli import experiment, rollout
from recsys.core.clock import unix_clock
from recsys.core.pseudonyms import Pseudonyms
from recsys.eventlog.writer import EventLogWriter
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.rollout import transitions
from recsys.rollout.desk import change
from recsys.rollout.experiment_plan import plan_of, read_plan_fields
from recsys.rollout.plan import read_plan
from recsys.rollout.traffic import first_document
from recsys.rollout.traffic_file import FileTrafficStore

TEXT = (Path(__file__).parents[3] / "docs" / "experiments.md").read_text()
APPS = {"experiment": experiment.app, "rollout": rollout.app}


def boxes(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service that has served nobody yet, with a second bundle in channel candidate."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".marquee"
    registry = LocalRegistry(home / "registry")

    def published(text: str) -> str:
        def fill(writer: BundleWriter) -> None:
            writer.json("content", text)

        return registry.publish(fill, feature_schema=FEATURE_SCHEMA, created_s=0.0, meta={}).name

    first = published("a")
    registry.promote(published("b"), "candidate", expected=None, by="test", now_s=0.0)
    FileTrafficStore(home / "traffic.json").swap(
        first_document(first, salt="s", updated_s=0.0), expected_version=0
    )
    Pseudonyms.of_file(home / "exposures.key")
    with EventLogWriter(home / "events", "w"):
        pass
    (tmp_path / "louder.toml").write_text(boxes("toml")[0])
    (tmp_path / "ab.toml").write_text(boxes("toml")[1])
    return home


def loaded(home: Path) -> None:
    """Do what the controller does once the lane has loaded the bundle."""
    change(
        FileTrafficStore(home / "traffic.json"),
        lambda now: transitions.to_step(
            now, 0, why="loaded", baseline=None, now_s=unix_clock() - 10.0, by="test"
        ),
    )


@pytest.mark.slow
def test_every_command_of_the_page_runs(home: Path) -> None:
    lines = [line for box in boxes("sh") for line in box.splitlines()]
    assert {tuple(shlex.split(line)[1:3]) for line in lines} >= {
        ("experiment", verb) for verb in ("power", "start", "list", "report", "stop", "calibrate")
    }
    for line in lines:
        _, group, *words = shlex.split(line)
        if words[0] == "calibrate":
            words += ["--experiments", "4", "--days", "2"]
        done = CliRunner().invoke(APPS[group], words)
        assert done.exit_code == 0, (line, done.output, done.exception)
        if words[:2] == ["start", "candidate"]:
            loaded(home)
    assert "<h1>experiment variety</h1>" in (home.parent / "report.html").read_text()


def test_the_plans_of_the_page_are_plans(home: Path) -> None:
    plan = plan_of(read_plan_fields(home.parent / "louder.toml"))
    assert (plan.primary.name, plan.guardrails[0].tolerance, plan.arms["varied"].variety) == (
        "watch_rate",
        0.02,
        0.3,
    )
    begun = CliRunner().invoke(experiment.app, ["start", "louder", "--plan", "louder.toml", "--json"])
    assert json.loads(begun.output)["design"]["planned_users"] == 20_000
    ab = read_plan(home.parent / "ab.toml")
    assert (ab.promote, ab.steps[0].share, ab.steps[0].min_time) == (False, 0.5, 14 * 86_400.0)


def test_every_option_is_on_the_page_or_explains_itself() -> None:
    for verb in ("start", "report"):
        shown = CliRunner().invoke(experiment.app, [verb, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert shown.exit_code == 0
        options = set(re.findall(r"--[a-z][a-z-]+", shown.output)) - {"--help"}
        own = options - {"--home", "--by", "--json", "--until-s", "--alpha", "--metric"}
        assert {option for option in own if option not in TEXT} == set(), verb
