"""The controller's loop, on files and with sources that say what they are told."""

import threading
import time
from pathlib import Path

import pytest

from deployments.control.control import Controller, ControllerThread
from deployments.control.counters import Counted
from recsys.core.errors import NotFoundError, UnavailableError
from recsys.experiments.measurements import Totals
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.rollout import transitions
from recsys.rollout.controller import Readiness
from recsys.rollout.desk import change, rollout_id
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import Phase, RolloutState
from recsys.rollout.traffic import TrafficDocument, first_document
from recsys.rollout.traffic_file import FileTrafficStore

PLAN = RolloutPlan(steps=(Step(share=0.5, min_time=10.0),), hold=100.0)


class World:
    """A store, a registry with two bundles, a clock, and what the service says."""

    def __init__(self, folder: Path) -> None:
        self.registry = LocalRegistry(folder / "registry")
        self.a, self.b = (self._published(text) for text in ("a", "b"))
        self.registry.promote(self.a, "stable", expected=None, by="test", now_s=0.0)
        self.store = FileTrafficStore(folder / "traffic.json")
        self.store.swap(first_document(self.a, salt="s", updated_s=0.0), expected_version=0)
        self.now_s = 100.0
        self.readiness: Readiness | None = Readiness(loaded=True)
        self.totals: Totals | None = {}

    def _published(self, text: str) -> str:
        def fill(writer: BundleWriter) -> None:
            writer.json("content", text)

        return self.registry.publish(fill, feature_schema="f", created_s=0.0, meta={}).name

    def read(self, state: RolloutState) -> Counted:
        if self.totals is None:
            raise UnavailableError("counters", "not there")
        return Counted(self.totals, self.totals)

    def ready(self, state: RolloutState) -> Readiness:
        if self.readiness is None:
            raise UnavailableError("service", "not there")
        return self.readiness

    def controller(self) -> Controller:
        return Controller(
            self.store,
            readiness=self.ready,
            counters=self,
            registry=self.registry,
            clock=lambda: self.now_s,
        )

    def start(self) -> None:
        change(
            self.store,
            lambda now: transitions.start(
                now, self.b, PLAN, rollout_id=rollout_id(self.b, self.now_s), now_s=self.now_s, by="ada"
            ),
        )

    def turn(self, after_s: float = 0.0) -> Phase:
        """Let a controller that has just been born take a turn."""
        self.now_s += after_s
        self.controller().turn()
        return self.phase

    @property
    def phase(self) -> Phase:
        state = self.store.read().rollout
        assert state is not None
        return state.phase


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_without_a_rollout_it_does_nothing(world: World) -> None:
    world.readiness = world.totals = None
    assert world.controller().turn() is None
    assert world.store.read().version == 1


def test_controllers_that_live_for_one_turn_each_walk_a_rollout_to_its_end(world: World) -> None:
    world.start()
    assert world.turn() is Phase.RAMPING
    assert world.registry.channels().candidate == world.b
    assert world.turn(10.0) is Phase.HOLDING
    assert world.registry.channels().stable == world.a
    assert world.turn(1.0) is Phase.HOLDING  # nothing to write; the channel follows
    assert (world.registry.channels().stable, world.registry.channels().previous) == (world.b, world.a)
    assert world.turn(100.0) is Phase.PROMOTED
    assert world.store.read().lanes == {"blue": None, "green": world.b}
    assert world.controller().turn() is None


def test_what_is_taken_back_after_the_promotion_is_taken_back_in_the_registry(world: World) -> None:
    world.start()
    for after_s in (0.0, 10.0, 1.0):
        world.turn(after_s)
    assert world.registry.channels().stable == world.b
    change(world.store, lambda now: transitions.abort(now, now_s=world.now_s, by="ada"))
    assert world.turn(1.0) is Phase.ABORTED
    assert world.registry.channels().stable == world.a
    world.turn(100.0)
    assert world.store.read().lanes == {"blue": world.a, "green": None}


def test_a_registry_that_cannot_be_written_keeps_no_canary_from_being_taken_back(world: World) -> None:
    world.start()
    channels = world.registry.root / "channels.json"
    content = channels.read_bytes()
    channels.write_text("nonsense")
    assert world.turn() is Phase.RAMPING
    change(world.store, lambda now: transitions.kill(now, "canary", now_s=world.now_s, by="ada"))
    assert world.turn(1.0) is Phase.ABORTED
    world.turn(100.0)
    assert world.store.read().lanes["green"] == world.b  # not settled: the channels are not right
    channels.write_bytes(content)
    world.turn(1.0)
    assert world.store.read().lanes["green"] is None


def test_a_service_that_cannot_be_asked_is_waited_for(world: World) -> None:
    world.start()
    world.readiness = None
    assert world.turn(1.0) is Phase.PREPARING
    world.readiness = Readiness(loaded=True)
    assert world.turn(1.0) is Phase.RAMPING
    world.totals = None
    world.turn(20.0)
    state = world.store.read().rollout
    assert state is not None
    assert state.decisions[-1].why == "no fresh measurements"


def test_of_two_controllers_one_finds_that_the_document_has_changed(world: World) -> None:
    world.start()
    faster = world.controller()

    def asked_while_the_other_writes(state: RolloutState) -> Readiness:
        faster.turn()
        return world.ready(state)

    slower = Controller(
        world.store,
        readiness=asked_while_the_other_writes,
        counters=world,
        registry=world.registry,
        clock=lambda: world.now_s,
    )
    assert slower.turn() is None
    state = world.store.read().rollout
    assert state is not None
    assert [decision.what for decision in state.decisions] == ["start", "step"]


def test_a_thread_takes_turns_and_survives_a_document_that_is_gone(world: World, tmp_path: Path) -> None:
    told: list[TrafficDocument] = []
    heard = threading.Event()

    def tell(document: TrafficDocument) -> None:
        told.append(document)
        heard.set()

    path = tmp_path / "traffic.json"
    with ControllerThread(world.controller(), every_s=0.01, on_decision=tell):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(NotFoundError):
            world.controller().turn()
        path.mkdir()
        with pytest.raises(IsADirectoryError):
            world.controller().turn()
        time.sleep(0.1)  # the thread meets it too: it looks a hundred times a second
        path.rmdir()
        path.write_bytes(content)
        world.start()
        assert heard.wait(60.0)
    assert told[0].rollout is not None
    assert told[0].rollout.phase is Phase.RAMPING
