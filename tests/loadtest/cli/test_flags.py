from pathlib import Path

import pytest

from loadtest.cli.flags import mix_fields, plan_from, profile_fields, read_headers, read_item_ids
from loadtest.engine.plan import Plan
from recsys.core.errors import DataFormatError, FieldError

SCENARIO = """
workers = 3
marks = "p99<50ms"
[profile]
kind = "spike"
rate_per_s = 10
[traffic.users]
n_users = 500
"""


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((None, None, None, None), None),
        ((None, "20", None, None), {"kind": "constant", "rate_per_s": 20.0}),
        ((None, None, 5.0, None), {"kind": "constant", "duration_s": 5.0}),
        ((None, "1,2", 8.0, None), {"kind": "step", "rates_per_s": [1.0, 2.0], "step_s": 4.0}),
        (
            ("ramp", "1,9", 8.0, None),
            {"kind": "ramp", "from_per_s": 1.0, "rate_per_s": 9.0, "duration_s": 8.0},
        ),
        (("soak", None, None, None), {"kind": "soak"}),
        (
            ("spike", "5", 8.0, None),
            {"kind": "spike", "rate_per_s": 5.0, "before_s": 2.0, "spike_s": 2.0, "after_s": 4.0},
        ),
        ((None, None, 5.0, 64), {"kind": "closed", "connections": 64, "duration_s": 5.0}),
    ],
)
def test_flags_make_a_profile(
    given: tuple[str | None, str | None, float | None, int | None], wanted: dict[str, object] | None
) -> None:
    assert profile_fields(*given) == wanted
    if wanted:
        Plan.model_validate({"profile": wanted})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("wave", None, None, None), "constant, ramp, step, spike, soak"),
        ((None, "fast", None, None), "50, or 50,100,200"),
        (("constant", "1,2", None, None), "one rate for constant"),
        ((None, "5", None, 64), "a closed loop has no rate"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    given: tuple[str | None, str | None, float | None, int | None], told: str
) -> None:
    with pytest.raises(FieldError, match=told):
        profile_fields(*given)


def test_flags_change_a_scenario_and_leave_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(SCENARIO)
    flags = {
        "workers": 2,
        "traffic.users.cold_share": 0.5,
        "traffic.mix": mix_fields("popular=1"),
        "seed": None,
    }
    plan = plan_from(path, flags, None, ["traffic.visits.think_s=1.5", "transport=lean", "marks='errors=0'"])
    assert (plan.workers, plan.transport, plan.marks, plan.seed) == (2, "lean", "errors=0", 0)
    assert plan.profile.kind == "spike"
    assert (plan.traffic.users.n_users, plan.traffic.users.cold_share) == (500, 0.5)
    assert (plan.traffic.mix.recommend, plan.traffic.mix.popular) == (0.0, 1.0)
    assert plan.traffic.visits.think_s == 1.5


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("traffic.users.n_user=5", "n_user"),
        ("workers=0", "greater than 0"),
        ("workers", "path=value"),
        ("workers.many=3", "workers"),
        ("profile.kind=wave", "profile"),
    ],
)
def test_a_setting_that_there_is_not_is_refused(setting: str, told: str) -> None:
    with pytest.raises(FieldError, match=told):
        plan_from(None, {"workers": 1}, None, [setting])


def test_a_scenario_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("workers = = 3")
    (tmp_path / "unknown.toml").write_text("worker = 3")
    with pytest.raises(DataFormatError, match=r"bad\.toml: looked for a scenario in TOML"):
        plan_from(tmp_path / "bad.toml", {}, None, [])
    with pytest.raises(DataFormatError, match=r"none\.toml"):
        plan_from(tmp_path / "none.toml", {}, None, [])
    with pytest.raises(FieldError, match=r"unknown\.toml: worker"):
        plan_from(tmp_path / "unknown.toml", {}, None, [])


def test_headers_and_item_ids(tmp_path: Path) -> None:
    assert read_headers(["X-Api-Key: a:b"]) == {"X-Api-Key": "a:b"}
    assert read_headers([]) is None
    with pytest.raises(FieldError, match="Name: value"):
        read_headers(["X-Api-Key"])
    (tmp_path / "ids").write_text("7\n\n8 \n")
    assert read_item_ids(tmp_path / "ids") == ("7", "8")
    assert read_item_ids(None) is None
    (tmp_path / "none").write_text("\n")
    with pytest.raises(DataFormatError, match="item ids, one per line; found none"):
        read_item_ids(tmp_path / "none")
