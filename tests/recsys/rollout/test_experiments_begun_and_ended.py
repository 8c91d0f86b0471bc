"""Experiments in the traffic document, and what was declared of them."""

from pathlib import Path

import pytest

from recsys.core.errors import DataFormatError, FieldError, NotFoundError
from recsys.rollout.dealing import Dealer
from recsys.rollout.declarations import Declaration, Declarations
from recsys.rollout.desk import change
from recsys.rollout.experiment_plan import ExperimentPlan, plan_of
from recsys.rollout.experiments import begin, end, with_experiment
from recsys.rollout.traffic import Kill, first_document
from recsys.rollout.traffic_file import FileTrafficStore

PLAN = plan_of({"arms": {"control": {"share": 0.5}, "varied": {"share": 0.5, "variety": 0.3}}})


class Desk:
    """A traffic document and a folder of declarations."""

    def __init__(self, folder: Path) -> None:
        self.store = FileTrafficStore(folder / "traffic.json")
        self.store.swap(first_document("a" * 16, salt="s", updated_s=0.0), expected_version=0)
        self.declarations = Declarations(folder / "experiments")

    def begin(self, name: str, plan: ExperimentPlan = PLAN, now_s: float = 100.0) -> Declaration:
        return begin(self.store, self.declarations, name, plan, now_s=now_s, by="ada")

    def end(self, name: str, now_s: float = 200.0) -> Declaration | None:
        return end(self.store, self.declarations, name, now_s=now_s, by="bob")

    @property
    def under_way(self) -> list[str]:
        return [experiment.name for experiment in self.store.read().experiments]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_experiment_that_begins_is_declared_and_deals_users(desk: Desk) -> None:
    declared = desk.begin("variety")
    assert desk.store.read().experiments == (declared.experiment,)
    assert desk.declarations.get("variety") == declared
    assert (declared.design.control, declared.design.arms) == ("control", {"control": 0.5, "varied": 0.5})
    dealer = Dealer(desk.store.read())
    knobs = {tuple(dealer.deal(f"u{user}").knobs.items()) for user in range(50)}  # odds of one arm: 2^-49
    assert knobs == {(), (("variety", 0.3),)}


def test_an_experiment_that_ended_leaves_its_declaration_with_the_time(desk: Desk) -> None:
    desk.begin("variety")
    ended = desk.end("variety")
    assert ended is not None
    assert (ended.stopped_s, ended.stopped_by, desk.under_way) == (200.0, "bob", [])
    assert desk.declarations.get("variety") == ended


def test_a_name_is_used_once_even_after_the_end(desk: Desk) -> None:
    desk.begin("variety")
    with pytest.raises(FieldError, match="one that no experiment has had"):
        desk.begin("variety")
    desk.end("variety")
    with pytest.raises(FieldError, match="there were variety"):
        desk.begin("variety")


def test_the_same_arms_another_time_deal_other_users(desk: Desk) -> None:
    first = desk.begin("first").experiment.salt
    desk.end("first")
    assert desk.begin("second", now_s=300.0).experiment.salt != first


def test_two_experiments_that_turn_the_same_knob_are_refused_and_leave_nothing(desk: Desk) -> None:
    desk.begin("variety")
    with pytest.raises(FieldError, match="variety and other both turn variety"):
        desk.begin("other")
    assert (desk.declarations.names(), desk.under_way) == (["variety"], ["variety"])


def test_an_experiment_with_a_killed_arm_does_not_begin(desk: Desk) -> None:
    killed = {"variety/varied": Kill(at_s=1.0, by="bob")}
    change(desk.store, lambda now: now.successor(updated_s=1.0, updated_by="bob", killed=killed))
    with pytest.raises(FieldError, match="variety/varied, which bob killed"):
        desk.begin("variety")
    assert desk.declarations.names() == []


def test_what_was_declared_but_never_began_counts_as_if_it_were_not_there(desk: Desk) -> None:
    declared = desk.begin("variety")
    change(desk.store, lambda now: now.successor(updated_s=1.0, updated_by="", experiments=()))
    assert desk.begin("variety", now_s=150.0).experiment.started_s == 150.0 != declared.experiment.started_s


def test_who_was_killed_while_stopping_stops_again(desk: Desk) -> None:
    desk.begin("variety")
    change(desk.store, lambda now: now.successor(updated_s=1.0, updated_by="", experiments=()))
    ended = desk.end("variety")
    assert ended is not None
    assert ended.stopped_s == 200.0
    with pytest.raises(NotFoundError, match="experiment under way"):
        desk.end("variety")


def test_an_experiment_that_nobody_declared_can_be_stopped(desk: Desk) -> None:
    wild = PLAN.experiment("wild", 1.0)
    change(desk.store, lambda now: with_experiment(now, wild, now_s=1.0, by=""))
    assert desk.end("wild") is None
    assert desk.under_way == []


def test_a_declaration_that_is_damaged_is_named(desk: Desk) -> None:
    desk.begin("variety")
    path = next((desk.declarations.lock.parent).glob("*.json"))
    path.write_text("{")
    with pytest.raises(DataFormatError, match="a declaration"):
        desk.declarations.get("variety")
    with pytest.raises(NotFoundError, match="there are: variety"):
        desk.declarations.get("joy")
