import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recsys.cli.experiment import app
from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import DataFormatError, NotFoundError
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure, Pseudonyms, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.rollout.traffic import Arm, Experiment, ExperimentArm, TrafficDocument
from recsys.rollout.traffic_file import FileTrafficStore

START_S = 20_000 * SECONDS_PER_DAY
UNTIL = ["--until-s", f"{START_S + 5 * SECONDS_PER_DAY:.0f}"]
N_USERS = 200
DESIGN = """
name = "tint"
control = "off"
planned_users = 400
minimum_effect = 0.05
arms = {off = 0.5, on = 0.5}
primary = {name = "click_rate"}
"""


def served(pseudonyms: Pseudonyms, user: int, days: float, experiments: list[str]) -> Exposure:
    return Exposure(
        f"r{user}-{days}", START_S + days * SECONDS_PER_DAY + user, pseudonyms.of(f"u{user}"), "stable", "b",
        "recommend", None, 0, override=False, cached=False, degraded=[], item_ids=["a", "b"],
        scores=[1.0, 0.5], sources=["svd"] * 2, propensities=[1.0] * 2, experiments=experiments,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two hundred users over three days: with the tint on, all watch both items, else half of them one."""
    pseudonyms = Pseudonyms.of_file(tmp_path / "exposures.key")
    exposures, events = [], []
    for user in range(N_USERS):
        for day in range(-1, 3):
            arm = "on" if user % 2 else "off"
            exposures.append(served(pseudonyms, user, day, [] if day < 0 else [f"tint={arm}"]))
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
    write_exposures(tmp_path / "exposures", "w", 0, frame_of([chunk_of(exposures)]))
    with EventLogWriter(tmp_path / "events", "w") as log:
        log.append_durably(events)
    arms = (ExperimentArm(arm="off", share=0.5), ExperimentArm(arm="on", share=0.5))
    document = TrafficDocument(
        version=1,
        lanes={"blue": "b" * 16, "green": None},
        arms=(Arm(arm="stable", lane="blue", share=1.0),),
        salt="s",
        experiments=(Experiment(name="tint", salt="s", arms=arms, started_s=START_S),),
        updated_s=START_S,
    )
    FileTrafficStore(tmp_path / "traffic.json").swap(document, expected_version=0)
    return tmp_path


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["report", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_an_experiment_under_way_is_reported_with_a_recommendation(home: Path) -> None:
    told = json.loads(said("tint", "--home", str(home), *UNTIL, "--further", "lists", "--json"))
    assert told["sample_ratio"]["users"] == {"off": 100, "on": 100}
    watch_rate, lists = told["comparisons"]
    assert (watch_rate["metric"], watch_rate["arm"], lists["metric"]) == ("watch_rate", "on", "lists")
    # (user + day) % 2 over days 0, 1, 2 is one watch in three lists of two for even users
    assert watch_rate["raw"]["control"] == pytest.approx(1 / 6)
    assert watch_rate["raw"]["treatment"] == pytest.approx(1.0)
    assert lists["raw"]["difference"] == 0.0
    assert (told["recommendation"]["action"], told["crossed"]) == ("ship", 0)
    assert [day["day"] for day in told["trends"][0]["days"]] == [0, 1, 2, 3]


def test_a_person_reads_a_table_and_a_sentence(home: Path) -> None:
    told = said("tint", "--home", str(home), *UNTIL)
    assert "watch_rate" in told
    assert "users: off 100, on 100, dealt as declared" in told
    assert "Ship on" in told


def test_a_design_that_was_written_down_decides(home: Path) -> None:
    (home / "tint.toml").write_text(DESIGN)
    told = json.loads(
        said("tint", "--home", str(home), *UNTIL, "--design", str(home / "tint.toml"), "--json")
    )
    assert [one["metric"] for one in told["comparisons"]] == ["click_rate"]
    assert told["recommendation"]["action"] != "ship"


def refused(*arguments: str) -> BaseException | None:
    return CliRunner().invoke(app, ["report", *arguments]).exception


def test_what_is_not_there_is_named(home: Path) -> None:
    unknown = refused("joy", "--home", str(home))
    assert isinstance(unknown, NotFoundError)
    assert str(unknown) == "no experiment under way named 'joy'; there are: tint"
    (home / "exposures.key").unlink()
    without_key = refused("tint", "--home", str(home))
    assert isinstance(without_key, DataFormatError)
    assert "key of the pseudonyms" in str(without_key)
