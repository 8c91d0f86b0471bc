"""Plans of experiments, as people write them."""

from pathlib import Path
from typing import Any

import pytest

from recsys.core.errors import DataFormatError, FieldError, NotFoundError
from recsys.rollout.experiment_plan import arm_of, plan_of, read_plan_fields

ARMS = {"control": {"share": 0.5}, "varied": {"share": 0.5, "variety": 0.3}}


def test_metrics_are_named_and_know_which_way_is_up() -> None:
    plan = plan_of(
        {"arms": ARMS, "primary": "click_rate", "guardrails": [{"name": "skip_rate", "tolerance": 0.1}]}
    )
    assert (plan.primary.better, plan.guardrails[0].better) == ("higher", "lower")
    assert plan.guardrails[0].tolerance == 0.1


def test_an_arm_without_users_is_dealt_by_overrides_alone_and_not_compared() -> None:
    plan = plan_of({"arms": ARMS | {"preview": {"share": 0.0, "variety": 0.9}}})
    assert [arm.arm for arm in plan.experiment("e", 1.0).arms] == ["control", "varied", "preview"]
    assert plan.experiment("e", 1.0).arms[1].knobs.turned == {"variety": 0.3}
    assert list(plan.design("e").arms) == ["control", "varied"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"arms": {"a": {"share": 0.5}, "b": {"share": 0.4}}}, "experiment"),
        ({"arms": {"a": {"share": 1.0}}}, "at least 2"),
        ({"arms": {"a": {"share": 1.0}, "b": {"share": 0.0}}}, "two or more are compared"),
        ({"arms": {"a": {"share": 0.5, "speed": 1.0}, "b": {"share": 0.5}}}, "plan.arms.a.speed"),
        ({"arms": ARMS, "alpha": 0.7}, "plan.alpha"),
        ({"arms": ARMS, "further": ["watch_rate"]}, "each has one role"),
        ({"arms": ARMS, "colour": "red"}, "plan.colour"),
        ({}, "plan.arms"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], said: str) -> None:
    def declare() -> None:
        plan = plan_of(fields)
        plan.experiment("e", 1.0)
        plan.design("e")

    with pytest.raises(FieldError, match=said):
        declare()


def test_a_metric_that_nobody_measures_is_refused() -> None:
    with pytest.raises(NotFoundError, match="joy"):
        plan_of({"arms": ARMS, "primary": "joy"})


@pytest.mark.parametrize("text", ["control", "control=half", "a=0.5:variety", "a=0.5:variety=much"])
def test_an_arm_that_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="like control="):
        arm_of(text)


def test_a_file_that_is_no_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="no such file"):
        read_plan_fields(tmp_path / "plan.toml")
    (tmp_path / "plan.toml").write_text("arms = ")
    with pytest.raises(DataFormatError, match="in TOML"):
        read_plan_fields(tmp_path / "plan.toml")
