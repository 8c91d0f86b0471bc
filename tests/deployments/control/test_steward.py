"""Values, controller and reports together, on files: every turn by a steward that has just been born."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.control.control import Controller
from deployments.control.counters import Counted
from deployments.control.steward import Steward
from deployments.control.verifier import Verifier
from recsys.core.errors import (
    CorruptBundleError,
    DataFormatError,
    NotFoundError,
    RecsysError,
    UnavailableError,
)
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.rollout import transitions
from recsys.rollout.controller import GRACE_S, Readiness
from recsys.rollout.desk import change
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.state import Phase, RolloutState
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_file import FileTrafficStore
from recsys.rollout.wanted import Action, Move, Wanted

PLAN = RolloutPlan(steps=(Step(share=0.5, min_time=10.0),), hold=100.0)


class World:
    """A registry with three bundles, values, a clock, a service that does well, and what people are told."""

    def __init__(self, folder: Path) -> None:
        self.registry = LocalRegistry(folder / "registry")
        self.a, self.b, self.c = (self.published(text) for text in "abc")
        self.store = FileTrafficStore(folder / "traffic.json")
        self.now_s = 1_000.0
        self.wish: Wanted | RecsysError = Wanted(bundle=self.a, plan=PLAN)
        self.told: list[Move] = []
        self.corrupt: set[str] = set()
        self.n_verified = 0
        self.steward = self.born()

    def published(self, text: str) -> str:
        def fill(writer: BundleWriter) -> None:
            writer.json("content", text)

        return self.registry.publish(fill, feature_schema="f", created_s=0.0, meta={}).name

    def wants(self, bundle: str | None, attempt: int = 1) -> None:
        self.wish = Wanted(bundle=bundle, plan=PLAN, attempt=attempt)

    def read(self) -> Wanted:
        if isinstance(self.wish, RecsysError):
            raise self.wish
        return self.wish

    def report(self, document: TrafficDocument | None, wanted: Wanted | None, move: Move) -> None:
        self.told.append(move)

    def verify(self, bundle: str) -> None:
        self.n_verified += 1
        if bundle in self.corrupt:
            raise CorruptBundleError(bundle, "model.json", "differs from its digest")

    def born(self) -> Steward:
        return Steward(
            Controller(
                self.store,
                readiness=lambda _: Readiness(loaded=True),
                counters=self.Well(),
                registry=self.registry,
                clock=lambda: self.now_s,
            ),
            self.store,
            self.registry,
            wishes=self,
            verifier=Verifier(self.verify, clock=lambda: self.now_s),
            reports=self,
            clock=lambda: self.now_s,
        )

    class Well:
        """Counters that are there."""

        def read(self, state: RolloutState) -> Counted:
            return Counted({}, {})

    def turns(self, n: int = 1, *, each_s: float = 1.0, same: bool = False) -> Move:
        """Let a steward, a new one each time, take turns; return what it says last."""
        for _ in range(n):
            self.now_s += each_s
            self.steward = self.steward if same else self.born()
            self.steward.turn()
        return self.told[-1]

    @property
    def document(self) -> TrafficDocument:
        return self.store.read()

    @property
    def users_have(self) -> str:
        return self.document.bundle_of(self.document.arms[0])

    @property
    def rollout(self) -> RolloutState:
        assert self.document.rollout is not None
        return self.document.rollout

    def by_ada(self, how: Callable[[TrafficDocument], TrafficDocument]) -> None:
        change(self.store, how)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_installation_begins_with_the_wanted_bundle_and_the_channel_says_so(world: World) -> None:
    assert world.turns().action is Action.FIRST
    assert (world.users_have, world.document.version) == (world.a, 1)
    assert world.registry.channels().stable == world.a


def test_an_installation_without_a_wish_begins_with_channel_stable(world: World) -> None:
    world.wants(None)
    assert world.turns() == Move(
        Action.BLOCKED,
        "no bundle in channel named 'stable'",
        "register the bundle, or name another one in the values; users keep what they have",
    )
    world.registry.promote(world.b, "stable", expected=None, by="ada", now_s=0.0)
    world.turns()
    assert world.users_have == world.b
    world.registry.promote(world.a, "stable", expected=world.b, by="ada", now_s=0.0)
    assert world.turns(3).action is Action.NOTHING
    assert world.document.rollout is None


def test_another_bundle_is_walked_to_all_users_and_the_channel_follows(world: World) -> None:
    world.turns()
    world.wants(world.b[:5])
    world.turns(20)
    assert (world.users_have, world.rollout.phase) == (world.b, Phase.HOLDING)
    world.turns(2, each_s=100.0)
    assert world.rollout.phase is Phase.PROMOTED
    assert world.registry.channels().stable == world.b
    assert world.turns(3).action is Action.NOTHING
    assert [d.what for d in world.rollout.decisions] == ["start", "step", "promote", "settle"]


def test_back_again_while_on_hold_is_one_write_and_needs_no_registry(world: World) -> None:
    world.turns()
    world.wants(world.b)
    world.turns(20)
    world.wants(world.a)
    world.registry.root.rename(world.registry.root.with_name("gone"))
    assert world.turns().action is Action.ABORT
    assert world.users_have == world.a


def test_changed_on_the_way_the_new_one_comes_after_the_old_was_called_off(world: World) -> None:
    world.turns()
    world.wants(world.b)
    world.turns(3)
    assert world.rollout.phase is Phase.RAMPING
    world.wants(world.c)
    assert world.turns().action is Action.ABORT
    assert world.turns().action is Action.WAIT
    world.turns(20, each_s=GRACE_S / 2)
    assert world.users_have == world.c


@pytest.mark.parametrize("bad", ["0123456789abcdef", "candidate"])
def test_what_the_registry_does_not_hold_touches_nobody(world: World, bad: str) -> None:
    world.turns()
    world.wants(world.b)
    world.turns(3)
    before = world.document
    world.wants(bad)
    said = world.turns(2)
    assert said.action is (Action.BLOCKED if bad != "candidate" else Action.NOTHING)
    assert world.document == before


def test_a_corrupt_bundle_is_refused_before_anything_begins_and_read_again_only_later(world: World) -> None:
    world.turns()
    world.corrupt = {world.b}
    world.wants(world.b)
    n_before = world.n_verified
    said = world.turns(10, same=True)
    assert said.action is Action.BLOCKED
    assert said.why == f"bundle {world.b}: model.json: differs from its digest"
    assert world.n_verified == n_before + 1
    assert world.document.rollout is None
    world.corrupt = set()
    world.turns(31, same=True)
    assert world.rollout.bundle == world.b


def test_a_corrupt_bundle_does_not_end_the_canary_that_is_under_way(world: World) -> None:
    world.turns()
    world.wants(world.b)
    world.turns(3)
    world.corrupt = {world.c}
    world.wants(world.c)
    assert world.turns().action is Action.BLOCKED
    assert world.rollout.phase is Phase.RAMPING


@pytest.mark.parametrize(
    "trouble",
    [DataFormatError("wanted", "a plan", "steps"), NotFoundError("map", "w"), UnavailableError("a", "b")],
)
def test_when_values_turn_to_nonsense_the_last_good_ones_count(world: World, trouble: RecsysError) -> None:
    world.turns(same=True)
    world.wants(world.b)
    world.turns(2, same=True)
    world.wish = trouble
    said = world.turns(20, same=True)
    assert (said.action, said.why) == (Action.BLOCKED, str(trouble))
    assert world.users_have == world.b
    world.wish = trouble
    world.turns(2)  # born now, it has never read any
    assert world.users_have == world.b


def test_candidates_of_the_training_come_by_a_canary_and_a_newer_one_replaces_it(world: World) -> None:
    world.registry.promote(world.a, "stable", expected=None, by="ada", now_s=0.0)
    world.wants("candidate")
    world.turns(2)
    assert (world.users_have, world.document.rollout) == (world.a, None)
    world.registry.promote(world.b, "candidate", expected=None, by="training", now_s=0.0)
    world.turns(2)
    assert world.rollout.bundle == world.b
    world.registry.promote(world.c, "candidate", expected=world.b, by="training", now_s=0.0)
    world.turns(40, each_s=GRACE_S / 2)
    assert world.users_have == world.c


def test_what_ada_starts_is_not_taken_for_a_candidate(world: World) -> None:
    world.registry.promote(world.a, "stable", expected=None, by="ada", now_s=0.0)
    world.wants("candidate")
    world.turns()
    world.by_ada(
        lambda now: transitions.start(now, world.b, PLAN, rollout_id="r1", now_s=world.now_s, by="ada")
    )
    world.turns(2)
    world.by_ada(lambda now: transitions.abort(now, now_s=world.now_s, by="ada"))
    world.turns(40, each_s=GRACE_S)
    assert world.rollout.id == "r1"
    assert world.users_have == world.a


def test_channels_that_cannot_follow_hold_the_next_rollout_back(world: World) -> None:
    world.turns()
    world.wants(world.b)
    world.turns(13)
    assert world.rollout.phase is Phase.HOLDING
    world.wants(world.c)
    channels = world.registry.root / "channels.json"
    content = channels.read_bytes()
    channels.write_text("nonsense")
    assert world.turns(2, each_s=GRACE_S).why == "the registry's channels cannot follow the last rollout"
    channels.write_bytes(content)
    world.turns()
    assert world.rollout.bundle == world.c
    assert world.registry.channels().stable == world.b


def test_a_document_that_is_nonsense_is_left_to_people(world: World, tmp_path: Path) -> None:
    (tmp_path / "traffic.json").write_text("nonsense")
    said = world.turns(2)
    assert said.action is Action.BLOCKED
    assert said.what_to_do.startswith("put a good one back")
    assert (tmp_path / "traffic.json").read_text() == "nonsense"


def test_only_who_leads_takes_turns_and_not_knowing_is_no_reason_to_end(world: World) -> None:
    stopped = threading.Event()
    answers: list[bool | RecsysError] = [True, UnavailableError("lease", "nobody answers"), False]

    def leads() -> bool:
        assert not world.told
        answer = answers.pop()
        if isinstance(answer, RecsysError):
            raise answer
        if answer:
            stopped.set()
        return answer

    world.steward.run(stopped, every_s=0.0, leads=leads)
    assert len(world.told) == 1
