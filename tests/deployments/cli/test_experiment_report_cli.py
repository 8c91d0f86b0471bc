import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli.experiment import app
from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import DataFormatError, FieldError, NotFoundError
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.rollout import transitions
from recsys.rollout.declarations import Declarations
from recsys.rollout.desk import change
from recsys.rollout.experiment_plan import plan_of
from recsys.rollout.experiments import begin, end
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.traffic import first_document
from recsys.rollout.traffic_file import FileTrafficStore

START_S = 20_000 * SECONDS_PER_DAY
UNTIL = ("--until-s", f"{START_S + 5 * SECONDS_PER_DAY:.0f}")
N_USERS = 200
PLAN = plan_of(
    {
        "arms": {"off": {"share": 0.5}, "on": {"share": 0.5, "variety": 0.3}},
        "further": ["lists"],
        "planned_users": 400,
        "minimum_effect": 0.05,
    }
)


def served(pseudonyms: Pseudonyms, user: int, days: float, arm: str, experiments: list[str]) -> Exposure:
    return Exposure(
        f"r{user}-{days}", START_S + days * SECONDS_PER_DAY + user + 10.0, pseudonyms.of(f"u{user}"), arm,
        "b", "recommend", None, 0, override=False, cached=False, degraded=[], item_ids=["a", "b"],
        scores=[1.0, 0.5], sources=["svd"] * 2, propensities=[1.0] * 2, experiments=experiments,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two hundred users over three days: in the arm on, all watch both items, else half of them one.

    The users of arm ``on`` have the canary too.
    """
    pseudonyms = Pseudonyms.of_file(tmp_path / "exposures.key")
    exposures, events = [], []
    for day in range(-1, 3):
        for user in range(N_USERS):
            dealt = [] if day < 0 else [f"tint={'on' if user % 2 else 'off'}"]
            arm = "canary" if user % 2 and day >= 0 else "stable"
            exposures.append(served(pseudonyms, user, day, arm, dealt))
            n_watched = 2 if user % 2 and day >= 0 else (user + day) % 2
            events += [
                Event(
                    event_id=f"e{user}-{day}-{place}",
                    user_id=f"u{user}",
                    kind=EventKind.WATCH,
                    time_s=exposures[-1].served_at_s + 5.0,
                    item_id="ab"[place],
                    request_id=exposures[-1].request_id,
                )
                for place in range(n_watched)
            ]
    write_exposures(tmp_path / "exposures", "w", 0, frame_of([chunk_of(exposures[:N_USERS])]))
    write_exposures(tmp_path / "exposures", "w", 1, frame_of([chunk_of(exposures[N_USERS:])]))
    with EventLogWriter(tmp_path / "events", "w") as log:
        log.append_durably(events)
    store(tmp_path).swap(first_document("a" * 16, salt="s", updated_s=START_S), expected_version=0)
    begin(store(tmp_path), Declarations(tmp_path / "experiments"), "tint", PLAN, now_s=START_S, by="ada")
    return tmp_path


def store(home: Path) -> FileTrafficStore:
    return FileTrafficStore(home / "traffic.json")


def said(home: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["report", *arguments, "--home", str(home)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def refused(home: Path, *arguments: str) -> BaseException | None:
    return CliRunner().invoke(app, ["report", *arguments, "--home", str(home)]).exception


def test_an_experiment_is_reported_with_a_recommendation(home: Path) -> None:
    told = json.loads(said(home, "tint", *UNTIL, "--json"))
    result = told["result"]
    assert result["sample_ratio"]["users"] == {"off": 100, "on": 100}
    watch_rate, lists = result["comparisons"]
    assert (watch_rate["metric"], watch_rate["arm"], lists["metric"]) == ("watch_rate", "on", "lists")
    # (user + day) % 2 over days 0, 1, 2 is one watch in three lists of two for even users
    assert watch_rate["raw"]["control"] == pytest.approx(1 / 6)
    assert watch_rate["raw"]["treatment"] == pytest.approx(1.0)
    assert lists["raw"]["difference"] == 0.0
    assert (result["recommendation"]["action"], told["crossed"]) == ("ship", 0)
    assert [day["day"] for day in result["trends"][0]["days"]] == [
        0,
        1,
        2,
    ]  # a day of reactions is still to come for day 3
    assert told["lists"] == {"off": 300, "on": 300}
    assert told["arms_are"] == {"off": "as it is", "on": "variety 0.3"}


def test_a_person_reads_tables_and_a_sentence_within_100_columns(home: Path) -> None:
    told = said(home, "tint", *UNTIL, "--days")
    assert max(len(line) for line in told.splitlines()) <= 100
    assert "off 100 (50.00% of users, dealt 50.00%)" in told
    assert "Ship on" in told
    assert "at one look" in told


def test_segments_are_chosen(home: Path) -> None:
    assert "heavy" not in said(home, "tint", *UNTIL)
    assert "light" in said(home, "tint", *UNTIL, "--segments", "activity")
    assert "light" not in said(home, "tint", *UNTIL, "--segments", "context")


def test_an_experiment_that_was_stopped_is_reported_until_then(home: Path) -> None:
    stopped_s = START_S + 1.5 * SECONDS_PER_DAY
    end(store(home), Declarations(home / "experiments"), "tint", now_s=stopped_s, by="ada")
    told = json.loads(said(home, "tint", *UNTIL, "--json"))
    assert (told["ended"], told["until_s"], told["lists"]) == (True, stopped_s, {"off": 200, "on": 200})


def test_one_that_nobody_declared_is_judged_by_the_options(home: Path) -> None:
    (home / "experiments" / "tint.json").unlink()
    told = json.loads(said(home, "tint", *UNTIL, "--primary", "click_rate", "--metric", "lists", "--json"))
    assert [one["metric"] for one in told["result"]["comparisons"]] == ["click_rate", "lists"]
    assert told["result"]["recommendation"]["action"] != "ship"


def test_the_arms_of_a_rollout_are_reported_since_its_first_step(home: Path) -> None:
    plan = RolloutPlan(steps=(Step(share=0.5),), promote=False)

    change(
        store(home),
        lambda now: transitions.start(now, "b" * 16, plan, rollout_id="r1", now_s=START_S - 60.0, by="ada"),
    )
    change(
        store(home),
        lambda now: transitions.to_step(now, 0, why="", baseline=None, now_s=START_S - 5.0, by="c"),
    )
    told = json.loads(said(home, "rollout", *UNTIL, "--json"))
    assert told["title"] == "rollout r1, ramping"
    assert told["lists"] == {"stable": 300, "canary": 300}
    assert told["arms_are"] == {"stable": f"bundle {'a' * 16}", "canary": f"bundle {'b' * 16}"}
    assert told["result"]["recommendation"]["arm"] == "canary"


def test_a_page_with_plots_is_written(home: Path, tmp_path: Path) -> None:
    said(home, "tint", *UNTIL, "--html", str(tmp_path / "pages" / "tint.html"))
    page = (tmp_path / "pages" / "tint.html").read_text()
    assert page.count("<svg") == 3  # all users of an arm do the same: no novelty to draw
    assert "Ship on" in page


def test_what_is_not_there_is_named(home: Path) -> None:
    unknown = refused(home, "joy")
    assert isinstance(unknown, NotFoundError)
    assert str(unknown) == "no experiment named 'joy'; there are: tint"
    assert isinstance(refused(home, "rollout"), NotFoundError)
    (home / "experiments" / "tint.json").unlink()
    assert isinstance(refused(home, "tint", "--primary", "tags"), FieldError)  # needs a catalogue
    (home / "exposures.key").unlink()
    without_key = refused(home, "tint")
    assert isinstance(without_key, DataFormatError)
    assert "key of the pseudonyms" in str(without_key)
