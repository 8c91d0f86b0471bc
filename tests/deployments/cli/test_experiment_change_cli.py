import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli.experiment import app
from recsys.core.errors import FieldError, NotFoundError
from recsys.rollout.traffic import first_document
from recsys.rollout.traffic_file import FileTrafficStore

ARMS = ("--arm", "control=0.5", "--arm", "varied=0.5:variety=0.3")
PLAN = """
primary = "click_rate"
minimum_effect = 0.02
planned_users = 4000
guardrails = [{name = "skip_rate", tolerance = 0.05}]
[arms.control]
share = 0.9
[arms.varied]
share = 0.1
variety = 0.5
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    FileTrafficStore(tmp_path / "traffic.json").swap(
        first_document("a" * 16, salt="s", updated_s=0.0), expected_version=0
    )
    return tmp_path


def said(home: Path, command: str, *arguments: str) -> str:
    result = CliRunner().invoke(app, [command, *arguments, "--home", str(home)])
    assert result.exit_code == 0, result.output
    return result.output


def refused(home: Path, command: str, *arguments: str) -> BaseException | None:
    return CliRunner().invoke(app, [command, *arguments, "--home", str(home)]).exception


def test_an_experiment_is_started_listed_and_stopped(home: Path) -> None:
    more = ("--guardrail", "skip_rate=0.02", "--metric", "lists", "--by", "ada", "--json")
    declared = json.loads(said(home, "start", "variety", *ARMS, *more))
    assert declared["design"]["guardrails"] == [{"name": "skip_rate", "better": "lower", "tolerance": 0.02}]
    assert [metric["name"] for metric in declared["design"]["further"]] == ["lists"]
    assert declared["declared_by"] == "ada"
    running = json.loads(said(home, "list", "--json"))["experiments"][0]
    assert (running["name"], running["state"], running["stopped_s"]) == ("variety", "running", None)
    assert running["arms"] == {"control": {"share": 0.5}, "varied": {"share": 0.5, "variety": 0.3}}
    assert json.loads(said(home, "stop", "variety", "--json"))["stopped_s"] >= running["started_s"]
    assert json.loads(said(home, "list", "--json"))["experiments"][0]["state"] == "stopped"


def test_people_read_tables(home: Path) -> None:
    assert "no experiment yet" in said(home, "list")
    assert "watch_rate decides: a difference of 0.01 matters, 10,000 users" in said(
        home, "start", "variety", *ARMS
    )
    assert "running" in said(home, "list")
    assert "stopped" in said(home, "stop", "variety")


def test_options_go_before_the_plans_file(home: Path) -> None:
    (home / "plan.toml").write_text(PLAN)
    told = json.loads(
        said(home, "start", "v", "--plan", str(home / "plan.toml"), "--planned-users", "99", "--json")
    )
    assert told["design"]["arms"] == {"control": 0.9, "varied": 0.1}
    assert (told["design"]["primary"]["name"], told["design"]["planned_users"]) == ("click_rate", 99)
    assert told["experiment"]["arms"][1]["knobs"] == {"variety": 0.5, "explore": None}


def test_what_cannot_be_is_refused(home: Path) -> None:
    assert isinstance(refused(home, "start", "variety"), FieldError)  # no arms
    assert isinstance(refused(home, "start", "variety", *ARMS, "--guardrail", "skip_rate=x"), FieldError)
    assert isinstance(refused(home, "start", "Variety!", *ARMS), FieldError)
    assert isinstance(refused(home, "stop", "variety"), NotFoundError)
    assert json.loads(said(home, "list", "--json")) == {"experiments": []}


def test_what_nobody_declared_is_listed_and_stopped(home: Path) -> None:
    said(home, "start", "variety", *ARMS)
    (home / "experiments" / "variety.json").unlink()
    assert "undeclared" in said(home, "list")
    assert "never declared" in said(home, "stop", "variety")


def test_the_document_may_lie_elsewhere_than_the_declarations(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    FileTrafficStore(elsewhere).swap(first_document("a" * 16, salt="s", updated_s=0.0), expected_version=0)
    there = ("--traffic", str(elsewhere))
    said(home, "start", "variety", *ARMS, *there)
    assert [one.name for one in FileTrafficStore(elsewhere).read().experiments] == ["variety"]
    assert FileTrafficStore(home / "traffic.json").read().experiments == ()
    assert (home / "experiments" / "variety.json").is_file()
    said(home, "stop", "variety", *there)
    assert FileTrafficStore(elsewhere).read().experiments == ()
