"""``marquee rollout``: what people type, on files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli.rollout import app
from deployments.cli.serve import begin_traffic, graph_args
from recsys.core.errors import CorruptBundleError, FieldError, NotFoundError
from recsys.experiments.measurements import Measurements
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.rollout import transitions
from recsys.rollout.controller import Readiness, Seen, next_document
from recsys.rollout.traffic_file import FileTrafficStore

Run = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    registry = LocalRegistry(tmp_path / "registry")

    def published(text: str) -> str:
        def fill(writer: BundleWriter) -> None:
            writer.json("content", text)

        return registry.publish(fill, feature_schema=FEATURE_SCHEMA, created_s=0.0, meta={}).name

    registry.promote(published("a"), "stable", expected=None, by="test", now_s=0.0)
    registry.promote(published("b"), "candidate", expected=None, by="test", now_s=0.0)
    begin_traffic(graph_args(tmp_path))
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    def invoke(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*words, "--home", str(home)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return invoke


def ready(home: Path) -> None:
    """Do what a controller does when the lane is ready."""
    store = FileTrafficStore(home / "traffic.json")
    document = store.read()
    new = next_document(document, Seen(Readiness(loaded=True), Measurements()), now_s=document.updated_s + 1)
    assert new is not None
    store.swap(new, expected_version=document.version)


def test_a_rollout_from_start_to_promotion(home: Path, run: Run) -> None:
    assert "no rollout yet" in run("status")
    assert "no rollout yet" in run("history")
    assert "preparing" in run("start", "candidate", "--by", "ada")
    ready(home)
    assert "ramping, paused" in run("pause", "--why", "lunch")
    assert "ramping for" in run("resume")
    assert "holding" in run("promote")
    document = json.loads(run("status", "--json"))
    assert document["rollout"]["phase"] == "holding"
    assert [decision["what"] for decision in document["rollout"]["decisions"]] == [
        "start",
        "step",
        "pause",
        "resume",
        "promote",
    ]
    assert "lunch" in run("history")
    assert "aborted" in run("abort", "--why", "complaints")
    [state] = json.loads(run("history", "--json"))
    assert state["decisions"][-1]["why"] == "complaints"


def test_a_plan_is_used(home: Path, run: Run) -> None:
    plan = home / "plan.toml"
    plan.write_text('hold = "5m"\n[[steps]]\nshare = 0.25\n')
    document = json.loads(run("start", "candidate", "--plan", str(plan), "--json"))
    assert document["rollout"]["plan"]["hold"] == 300.0
    ready(home)
    assert "step 1 of 1: 25.0%" in run("status")


def test_what_cannot_be_started_says_why(home: Path, run: Run) -> None:
    with pytest.raises(NotFoundError, match="no bundle named 'newest'"):
        run("start", "newest")
    with pytest.raises(FieldError, match="another bundle than the one that users have"):
        run("start", "stable")
    run("start", "candidate")
    with pytest.raises(FieldError, match="none under way"):
        run("start", "candidate")


def test_a_bundle_that_is_damaged_is_not_started(home: Path, run: Run) -> None:
    registry = LocalRegistry(home / "registry")
    path = registry.get("candidate") / "content.json"
    path.chmod(0o644)
    path.write_text('"c"')
    with pytest.raises(CorruptBundleError, match="content"):
        run("start", "candidate")
    assert FileTrafficStore(home / "traffic.json").read().rollout is None


def test_the_kill_switch_and_the_allow_list(home: Path, run: Run) -> None:
    assert "arm canary is killed by ada: nonsense" in run("kill", "--by", "ada", "--why", "nonsense")
    with pytest.raises(FieldError, match="revive"):
        run("start", "candidate")
    run("revive")
    with pytest.raises(NotFoundError, match="killed arm"):
        run("revive")
    with pytest.raises(FieldError, match="where the users of killed arms go"):
        run("kill", "stable")
    assert json.loads(run("allow", "bob", "canary", "--json"))["overrides"] == {"bob": "canary"}
    assert json.loads(run("allow", "bob", "--json"))["overrides"] == {}


@pytest.mark.parametrize("how", ["terminal", "lines", "json"])
def test_watching_ends_with_the_rollout_and_its_exit_code_says_how(
    home: Path, run: Run, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "terminal":
        monkeypatch.setenv("FORCE_COLOR", "1")
    run("start", "candidate")
    ready(home)
    store = FileTrafficStore(home / "traffic.json")
    document = store.read()
    aborted = transitions.abort(document, now_s=document.updated_s + 1, by="ada", why="no")
    store.swap(aborted, expected_version=document.version)
    output = run("watch", *(["--json"] if how == "json" else []), code=3)
    if how == "json":
        assert [json.loads(line)["what"] for line in output.splitlines()] == ["start", "step", "abort"]
    elif how == "lines":
        assert [line.split()[1] for line in output.splitlines()] == ["start", "step", "abort"]
        assert output.endswith("abort to 0.0% by ada: no\n")
    else:
        assert "aborted" in output


def test_a_history_is_drawn(home: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    run("start", "candidate")
    run("history", "--plot", str(home / "history.svg"))
    assert (home / "history.svg").read_text().startswith("<?xml")
