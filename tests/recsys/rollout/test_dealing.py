from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError
from recsys.experiments.assignment import assign
from recsys.rollout.dealing import Dealer
from recsys.rollout.traffic import (
    Arm,
    Experiment,
    ExperimentArm,
    Kill,
    Knobs,
    TrafficDocument,
    first_document,
)

A, B = "a" * 16, "b" * 16
KILL = Kill(at_s=0.0, by="ada")
USERS = [f"u{n}" for n in range(200)]


def ramped(canary_share: float, **changes: object) -> TrafficDocument:
    return first_document(A, salt="s", updated_s=0.0).successor(
        updated_s=1.0,
        updated_by="ada",
        lanes={"blue": A, "green": B},
        arms=(
            Arm(arm="stable", lane="blue", share=1 - canary_share),
            Arm(arm="canary", lane="green", share=canary_share),
        ),
        **changes,
    )


def experiment(name: str, *shares: float, **varieties: float) -> Experiment:
    arms = tuple(
        ExperimentArm(arm=f"a{row}", share=share, knobs=Knobs(variety=varieties.get(f"a{row}")))
        for row, share in enumerate(shares)
    )
    return Experiment(name=name, salt=name, arms=arms, started_s=0.0)


def arms_of(document: TrafficDocument) -> list[str]:
    dealer = Dealer(document)
    return [dealer.deal(user, user).arm.arm for user in USERS]


@given(st.floats(0, 1), st.text(min_size=1))
def test_it_deals_as_the_assignment_does(share: float, user_id: str) -> None:
    document = ramped(share)
    wanted = assign("rollout", user_id, document.shares, salt="s")
    assert Dealer(document).deal(user_id).arm.arm == wanted


@given(st.floats(0, 1), st.floats(0, 1))
def test_users_move_only_towards_the_canary_while_its_share_grows(one: float, other: float) -> None:
    before, after = (arms_of(ramped(share)) for share in sorted((one, other)))
    moved = {pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]}
    assert moved <= {("stable", "canary")}


def test_ten_thousand_users_move_only_to_the_canary_and_after_an_abort_are_all_back() -> None:
    names = [f"u{n}" for n in range(10_000)]

    def arms_at(share: float) -> list[str]:
        dealer = Dealer(ramped(share))
        return [dealer.deal(name, name).arm.arm for name in names]

    walk = [arms_at(share) for share in (0.0, 0.01, 0.05, 0.25, 0.5, 1.0, 0.0)]
    for before, after in pairwise(walk[:-1]):
        moves = {pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]}
        assert moves == {("stable", "canary")}
    # 500 of 10,000 with a deviation of 22: six of those, odds 2e-9
    assert abs(walk[2].count("canary") - 500) < 131
    assert set(walk[-1]) == {"stable"}


def test_the_allow_list_sends_users_by_name_and_marks_them() -> None:
    dealer = Dealer(ramped(0.0, overrides={"ada": "canary", "bob": "stable", "cid": "gone"}))
    places = [dealer.deal(user, user) for user in ("eve", "ada", "bob", "cid")]
    assert [(place.arm.arm, place.override) for place in places] == [
        ("stable", False),
        ("canary", True),
        ("stable", True),
        ("stable", False),
    ]
    assert dealer.deal("ada", None).arm.arm == "stable"  # a session of that name is no user


def test_a_killed_arm_has_nobody_whatever_shares_lists_and_wishes_say() -> None:
    document = ramped(0.5, overrides={"u1": "canary"}, killed={"canary": KILL})
    dealer = Dealer(document)
    before = arms_of(ramped(0.5))
    for user, was in zip(USERS, before, strict=True):
        place = dealer.deal(user, user, {"rollout": "canary"})
        assert (place.arm.arm, place.override) == ("stable", was == "canary")


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"rollout": "treatment"}, "got arm 'treatment' of rollout; expected one of stable"),
        ({"rollout": "canary"}, "got arm 'canary' of rollout; expected one of stable"),
        ({"colour": "red"}, "got experiment 'colour'; expected one of rollout, variety"),
        ({"variety": "a1"}, "got arm 'a1' of variety; expected one of a0"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused_by_name(wishes: dict[str, str], said: str) -> None:
    document = ramped(
        0.5,
        experiments=(experiment("variety", 0.5, 0.5),),
        killed={"canary": KILL, "variety/a1": KILL},
    )
    with pytest.raises(FieldError) as refused:
        Dealer(document).check(wishes)
    assert said in str(refused.value)


def test_experiments_turn_knobs_and_name_their_arms() -> None:
    document = ramped(0.0, experiments=(experiment("variety", 0.5, 0.5, a1=0.3),))
    dealer = Dealer(document)
    places = [dealer.deal(user) for user in USERS]
    assert {(place.experiments["variety"], place.knobs.get("variety")) for place in places} == {
        ("a0", None),
        ("a1", 0.3),
    }


def test_who_asked_for_an_arm_of_an_experiment_gets_it_and_is_in_no_statistics() -> None:
    dealer = Dealer(ramped(0.0, experiments=(experiment("variety", 0.5, 0.5, a1=0.3),)))
    place = dealer.deal("ada", "ada", {"variety": "a1"})
    assert (place.experiments, place.knobs, place.override) == ({}, {"variety": 0.3}, False)


def test_users_of_a_killed_arm_of_an_experiment_get_its_control() -> None:
    document = ramped(
        0.0, experiments=(experiment("variety", 0.0, 1.0, a1=0.3),), killed={"variety/a1": KILL}
    )
    place = Dealer(document).deal("ada")
    assert (place.experiments, place.knobs) == ({}, {})


def test_experiments_are_independent_of_each_other_and_of_the_rollout() -> None:
    names = [f"u{n}" for n in range(4_000)]
    document = ramped(0.5, experiments=(experiment("one", 0.5, 0.5), experiment("two", 0.5, 0.5)))
    dealer = Dealer(document)
    places = [dealer.deal(name) for name in names]
    cells: dict[tuple[str, ...], int] = {}
    for place in places:
        cell = (place.arm.arm, *place.experiments.values())
        cells[cell] = cells.get(cell, 0) + 1
    assert len(cells) == 8
    # a cell holds 500 with a standard deviation of 21: six of those, odds 8 * 2e-9
    assert all(abs(count - 500) < 126 for count in cells.values())
