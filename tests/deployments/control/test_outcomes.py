"""From files that routers and the intake fill to what guardrails judge."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deployments.control.outcomes import RecordedOutcomes
from recsys.core.errors import UnavailableError
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.writer import EventLogWriter
from recsys.rollout.plan import DEFAULT_PLAN
from recsys.rollout.state import RolloutState

NOW_S = 1_000_000.0
STATE = RolloutState(
    id="r1",
    plan=DEFAULT_PLAN,
    bundle="b" * 16,
    lane="green",
    stable_bundle="a" * 16,
    stable_lane="blue",
    since_s=NOW_S,
)


@dataclass
class Place:
    folder: Path
    clock_s: float = NOW_S + 10.0
    key: Path = field(init=False)

    def __post_init__(self) -> None:
        self.key = self.folder / "key"
        self.pseudonyms = Pseudonyms.of_file(self.key)

    def outcomes(self) -> RecordedOutcomes:
        return RecordedOutcomes(
            self.folder / "exposures", self.folder / "events", self.key, clock=lambda: self.clock_s
        )

    def serve(self, user_id: str, arm: str, item_ids: Sequence[str], after_s: float = 1.0) -> None:
        exposure = Exposure(
            f"q-{user_id}", NOW_S + after_s, self.pseudonyms.of(user_id), arm, "b", "recommend", None, 0,
            override=False, cached=False, degraded=[], item_ids=item_ids, scores=[1.0] * len(item_ids),
            sources=["svd"] * len(item_ids), propensities=[1.0] * len(item_ids),
        )  # fmt: skip
        frame = frame_of([chunk_of([exposure])])
        write_exposures(self.folder / "exposures", f"w-{user_id}", 1, frame)

    def happen(self, user_id: str, kind: EventKind, item_id: str) -> None:
        event = Event(
            event_id=f"{user_id}-{item_id}",
            user_id=user_id,
            kind=kind,
            time_s=NOW_S + 2.0,
            item_id=item_id,
            request_id=f"q-{user_id}",
        )
        with EventLogWriter(self.folder / "events", f"w-{user_id}-{item_id}") as log:
            log.append_durably([event])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_rates_are_by_user_of_what_was_shown(place: Place) -> None:
    place.serve("ada", "canary", ["i1", "i2", "i3", "i4"])
    place.serve("bob", "canary", ["i1", "i2"])
    place.serve("cid", "stable", ["i1", "i5"])
    place.happen("ada", EventKind.WATCH, "i1")
    place.happen("ada", EventKind.SKIP, "i2")
    place.happen("bob", EventKind.WATCH, "i2")
    found = place.outcomes().read(STATE)
    canary, stable = found["canary"], found["stable"]
    assert (canary.users, canary.lists, stable.users) == (2, 2, 1)
    assert canary.rates["watch_rate"].ratio == pytest.approx(2 / 6)
    assert canary.rates["skip_rate"].ratio == pytest.approx(1 / 6)
    assert stable.rates["watch_rate"].ratio == 0.0
    assert (canary.coverage, stable.coverage) == (4.0, 2.0)  # of one list of each arm


def test_in_the_beginning_nothing_is_known_and_after_a_while_that_is_alarming(place: Place) -> None:
    outcomes = place.outcomes()
    assert outcomes.read(STATE) == {}
    place.clock_s = NOW_S + STATE.plan.max_age + 1.0
    with pytest.raises(UnavailableError, match="the newest is 61 s old"):
        outcomes.read(STATE)


def test_exposures_that_stop_coming_are_no_measurement(place: Place) -> None:
    place.serve("ada", "canary", ["i1"], after_s=5.0)
    outcomes = place.outcomes()
    assert outcomes.read(STATE)["canary"].coverage is None  # there is no other arm
    place.clock_s = NOW_S + 5.0 + STATE.plan.max_age + 1.0
    with pytest.raises(UnavailableError, match="exposures"):
        outcomes.read(STATE)


def test_a_key_that_cannot_be_read_is_no_measurement(place: Place) -> None:
    place.key.unlink()
    place.key.mkdir()
    with pytest.raises(UnavailableError, match="exposures and events"):
        place.outcomes().read(STATE)
