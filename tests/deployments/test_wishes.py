import pytest

from deployments.wishes import wishes_in
from recsys.core.errors import FieldError


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("canary", {"rollout": "canary"}),
        (" canary , variety = high ", {"rollout": "canary", "variety": "high"}),
        ("rollout=stable", {"rollout": "stable"}),
    ],
)
def test_arms_are_asked_for_by_name(text: str, wishes: dict[str, str]) -> None:
    headers = [(b"host", b"films"), (b"x-marquee-arm", text.encode())]
    assert wishes_in(headers, allowed=True) == wishes


@pytest.mark.parametrize("text", ["", ",", "variety=", "canary,stable", "a=b,a=c"])
def test_what_names_no_arm_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match=r"X-Marquee-Arm: got .*; expected an arm of the rollout"):
        wishes_in([(b"x-marquee-arm", text.encode())], allowed=True)


def test_nobody_asks_where_nobody_may() -> None:
    assert wishes_in([(b"host", b"films")], allowed=False) == {}
    with pytest.raises(FieldError, match="it is switched off"):
        wishes_in([(b"x-marquee-arm", b"canary")], allowed=False)
