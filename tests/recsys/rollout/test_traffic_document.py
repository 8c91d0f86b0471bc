import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError, NotFoundError
from recsys.rollout.traffic import Arm, TrafficDocument, deal, first_document

A, B = "a" * 16, "b" * 16


def ramped(canary_share: float, **overrides: str) -> TrafficDocument:
    return first_document(A, salt="s", updated_s=0.0).successor(
        updated_s=1.0,
        updated_by="ada",
        lanes={"blue": A, "green": B},
        arms=(
            Arm(arm="stable", lane="blue", share=1 - canary_share),
            Arm(arm="canary", lane="green", share=canary_share),
        ),
        overrides=overrides,
    )


def test_the_first_document_sends_everybody_to_stable_on_blue() -> None:
    document = first_document(A, salt="s", updated_s=5.0, updated_by="ada")
    assert (document.version, document.lanes) == (1, {"blue": A, "green": None})
    assert document.shares == {"stable": 1.0}
    assert document.bundle_of(document.arms[0]) == A
    assert deal(document, ["ada", "bob"]).arm_rows.tolist() == [0, 0]


def test_a_successor_is_one_version_on_and_says_who_made_it() -> None:
    document = ramped(0.05)
    assert (document.version, document.updated_s, document.updated_by) == (2, 1.0, "ada")
    assert document.shares == {"stable": 0.95, "canary": 0.05}
    assert [document.bundle_of(arm) for arm in document.arms] == [A, B]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": []}, "arms"),
        ({"arms": [{"arm": "stable", "lane": "blue", "share": 0.5}]}, "sum of 1"),
        ({"arms": [{"arm": "stable", "lane": "blue", "share": 1.5}]}, "share"),
        ({"arms": [{"arm": "stable", "lane": "green", "share": 1.0}]}, "green, which has no bundle"),
        ({"arms": [{"arm": "stable", "lane": "red", "share": 1.0}]}, "red, which has no bundle"),
        (
            {"arms": [{"arm": "stable", "lane": "blue", "share": 0.5}] * 2},
            "one name each, not stable, stable",
        ),
        ({"arms": [{"arm": "stable", "lane": "blue", "share": 1.0, "weight": 1}]}, "weight"),
        ({"lanes": {"blue": "latest"}}, "lanes.blue"),
        ({"lanes": {"blue": None}}, "blue, which has no bundle"),
        ({"overrides": {"ada": "canary"}}, "'ada' is sent to arm canary, which does not exist"),
        ({"salt": ""}, "salt"),
        ({"stickiness": 1}, "stickiness"),
    ],
)
def test_a_document_that_contradicts_itself_cannot_be_made(changes: dict[str, object], said: str) -> None:
    now = first_document(A, salt="s", updated_s=0.0)
    with pytest.raises(FieldError) as refused:
        now.successor(updated_s=1.0, updated_by="ada", **changes)
    assert said in str(refused.value)


def test_an_arm_of_another_document_has_no_bundle() -> None:
    with pytest.raises(NotFoundError, match="no bundle in lane named 'green'"):
        first_document(A, salt="s", updated_s=0.0).bundle_of(ramped(0.5).arms[1])


def test_a_document_survives_json() -> None:
    document = ramped(1 / 3, ada="canary")
    assert TrafficDocument.model_validate_json(document.model_dump_json()) == document


def test_an_override_sends_a_user_by_name_and_marks_them() -> None:
    dealt = deal(ramped(0.0, ada="canary", bob="stable"), ["eve", "ada", "bob"])
    assert dealt.arm_rows.tolist() == [0, 1, 0]
    assert dealt.overridden.tolist() == [False, True, True]


@given(st.floats(0, 1), st.floats(0, 1))
def test_users_move_only_towards_the_canary_while_its_share_grows(one: float, other: float) -> None:
    user_ids = [f"u{n}" for n in range(50)]
    before, after = (deal(ramped(share), user_ids).arm_rows for share in sorted((one, other)))
    assert (before <= after).all()  # row 1 is the canary
