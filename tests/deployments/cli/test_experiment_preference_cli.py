import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli.experiment import app
from recsys.core.clock import unix_clock
from recsys.core.errors import NotFoundError
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.rollout import transitions
from recsys.rollout.desk import change
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.traffic import first_document
from recsys.rollout.traffic_file import FileTrafficStore

A, B = "a" * 16, "b" * 16
PLAN = RolloutPlan(steps=(Step(share=0.0, interleave=0.5), Step(share=1.0)))


def begun(home: Path, now_s: float) -> None:
    store = FileTrafficStore(home / "traffic.json")
    store.swap(first_document(A, salt="s", updated_s=now_s), expected_version=0)
    change(store, lambda now: transitions.start(now, B, PLAN, rollout_id="r1", now_s=now_s, by="ada"))


def served(home: Path, now_s: float, n_users: int) -> None:
    """Of every list users choose what the canary picked, and every other user the rest too."""
    pseudonyms = Pseudonyms.of_file(home / "exposures.key")
    lists = [
        Exposure(
            f"r{user}", now_s + 1.0, pseudonyms.of(f"u{user}"), "interleaved", A, "recommend", None, 0,
            override=False, cached=False, degraded=[], item_ids=["x", "y"], scores=[1.0, 0.5],
            sources=["svd"] * 2, propensities=[1.0] * 2, teams=["canary", "stable"],
        )
        for user in range(n_users)
    ]  # fmt: skip
    write_exposures(home / "exposures", "w", 0, frame_of([chunk_of(lists)]))
    events = [
        Event(
            event_id=f"{item}{user}", user_id=f"u{user}", kind=EventKind.WATCH, time_s=now_s + 2.0,
            item_id=item, request_id=f"r{user}",
        )
        for user in range(n_users)
        for item in ("x", "y")[: 1 + user % 2]
    ]  # fmt: skip
    with EventLogWriter(home / "events", "w") as log:
        log.append_durably(events)


def said(home: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["preference", "--home", str(home), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_bundle_whose_items_are_chosen_is_preferred(tmp_path: Path) -> None:
    now_s = unix_clock() - 3_600.0
    begun(tmp_path, now_s)
    served(tmp_path, now_s, 600)
    found = json.loads(said(tmp_path, "--json"))
    assert (found["lists"], found["users"], found["chosen"]) == (600, 600, 900.0)
    assert found["share"] == pytest.approx(2 / 3)
    assert 0.5 < found["lower"] < 2 / 3 < found["upper"]
    assert found["preferred"] == "the canary is preferred"
    text = said(tmp_path)
    assert text.startswith(f"600 interleaved lists of {B} and {A}, 600 users\n66.7% of 900 items")
    assert text.endswith("the canary is preferred\n")


def test_without_interleaved_lists_there_is_nothing_to_say(tmp_path: Path) -> None:
    now_s = unix_clock() - 3_600.0
    with pytest.raises(NotFoundError):
        said(tmp_path)
    begun(tmp_path, now_s)
    with pytest.raises(NotFoundError, match="exposures"):
        said(tmp_path)
    served(tmp_path, now_s - 3_600.0, 3)  # of an earlier rollout
    assert said(tmp_path) == f"0 interleaved lists of {B} and {A}, 0 users: nothing chosen yet\n"
