import pytest
from pydantic import ValidationError

from recsys.core.settings import FrozenModel


class Oven(FrozenModel):
    """How it is baked."""

    heat_c: float = 180.0
    """Degrees inside."""


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="heat_f"):
        Oven.model_validate({"heat_f": 350.0})


def test_a_setting_does_not_change_after_reading() -> None:
    oven = Oven()
    with pytest.raises(ValidationError, match="frozen"):
        Oven.__setattr__(oven, "heat_c", 10.0)  # mypy refuses the plain assignment
    assert oven.heat_c == 180.0


def test_the_text_under_a_field_is_its_description() -> None:
    assert Oven.model_json_schema()["properties"]["heat_c"]["description"] == "Degrees inside."
