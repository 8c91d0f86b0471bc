from pathlib import Path

import pytest

from recsys.core.errors import DataFormatError
from recsys.rollout.plan import DEFAULT_PLAN, RolloutPlan, Step, read_plan

TEXT = """
hold = "2h"

[[steps]]
share = 0
shadow = 0.1
min_time = "30s"

[[steps]]
share = 0.05
min_time = "1.5m"
min_exposures = 100

[[guardrails]]
metric = "degraded_share"
compare = "difference"
limit = 0.01
"""


def test_a_plan_is_read_from_toml_with_durations_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "canary.toml"
    path.write_text(TEXT)
    plan = read_plan(path)
    assert plan.hold == 7_200.0
    assert plan.steps == (
        Step(share=0.0, shadow=0.1, min_time=30.0),
        Step(share=0.05, min_time=90.0, min_exposures=100),
    )
    assert [guardrail.metric for guardrail in plan.guardrails] == ["degraded_share"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = []", "steps: Tuple should have at least 1 item"),
        ("[[steps]]\nshare = 0.5\n[[steps]]\nshare = 0.1", "shares rise from step to step, not 0.5, 0.1"),
        ("[[steps]]\nshare = 0.1\ninterleave = 0.1", "while the canary has no users of its own"),
        ("[[steps]]\nshare = 0.0", "has shadow or interleave"),
        ("[[steps]]\nshare = 1.5", "steps.0.share"),
        ('[[steps]]\nshare = 0.5\nmin_time = "soon"', "steps.0.min_time: Value error, a duration is"),
        ("[[steps]]\nshare = 0.5\nweight = 3", "steps.0.weight"),
        ("[[steps]\n", "in TOML"),
        ("[[steps]]\nshare = 0.5\n[[guardrails]]\nmetric = 'x'\nlimit = 1.0", "guardrails.0.metric"),
    ],
)
def test_what_is_no_plan_is_refused_by_the_name_of_the_field(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "canary.toml"
    path.write_text(text)
    with pytest.raises(DataFormatError) as refused:
        read_plan(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match=r"canary\.toml.*no such file"):
        read_plan(tmp_path / "canary.toml")


def test_the_plan_that_is_used_when_none_is_given_reaches_everybody_under_guard() -> None:
    assert DEFAULT_PLAN.steps[0].share == 0.01
    assert DEFAULT_PLAN.steps[-1].share == 1.0
    assert {guardrail.metric for guardrail in DEFAULT_PLAN.guardrails} >= {"error_share", "answer_p95"}
    assert RolloutPlan.model_validate_json(DEFAULT_PLAN.model_dump_json()) == DEFAULT_PLAN
