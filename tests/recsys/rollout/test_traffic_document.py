import pytest

from recsys.core.errors import FieldError, NotFoundError
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


def test_a_document_of_the_first_format_is_read_as_one_of_this() -> None:
    fields = first_document(A, salt="s", updated_s=0.0).model_dump(mode="json")
    for added in ("experiments", "shadow", "killed", "rollout"):
        del fields[added]
    document = TrafficDocument.model_validate({**fields, "format_version": 1})
    assert document == first_document(A, salt="s", updated_s=0.0)


def experiment(name: str, knobs: Knobs) -> Experiment:
    arms = (ExperimentArm(arm="control", share=0.5), ExperimentArm(arm="other", share=0.5, knobs=knobs))
    return Experiment(name=name, salt=name, arms=arms, started_s=0.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"killed": {"stable": Kill(at_s=0.0, by="ada")}}, "stable is where the users of killed arms go"),
        ({"shadow": {"lane": "green", "share": 0.5}}, "green, which has no bundle"),
        ({"experiments": [experiment("a", Knobs())] * 2}, "one name each, not a, a"),
        (
            {"experiments": [experiment(name, Knobs(variety=0.5)) for name in ("a", "b")]},
            "a and b both turn variety",
        ),
        (
            {
                "experiments": [experiment("a", Knobs())],
                "killed": {"a/control": Kill(at_s=0.0, by="ada")},
            },
            "control of a is where",
        ),
    ],
)
def test_kills_shadows_and_experiments_cannot_contradict_each_other(
    changes: dict[str, object], said: str
) -> None:
    now = first_document(A, salt="s", updated_s=0.0)
    with pytest.raises(FieldError) as refused:
        now.successor(updated_s=1.0, updated_by="ada", **changes)
    assert said in str(refused.value)


def test_no_experiment_has_the_name_of_the_rollout() -> None:
    with pytest.raises(ValueError, match="no experiment is called rollout"):
        experiment("rollout", Knobs())
