import json

import pytest
from typer.testing import CliRunner

from deployments.cli.experiment import app
from recsys.core.errors import FieldError


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, FieldError)
    return str(result.exception)


def test_a_proportion_needs_the_textbooks_users() -> None:
    rows = json.loads(said("power", "--mean", "0.1", "--lift", "0.1", "--users-per-day", "1000", "--json"))[
        "power"
    ]
    sequential, once = rows
    assert (sequential["test"], once["test"]) == ("sequential", "one look")
    assert once["users"] == pytest.approx(4 * 2.8016**2 * 0.09 / 0.01**2, rel=1e-3)
    assert once["days"] == 29
    assert once["power"] == pytest.approx(0.8, abs=1e-3)
    assert sequential["mean_users"] < sequential["users"] < 2 * once["users"]


def test_given_users_say_what_they_find() -> None:
    for row in json.loads(said("power", "--mean", "2", "--std", "3", "--users", "10000", "--json"))["power"]:
        assert row["lift"] == row["smallest_lift"]
        assert row["days"] is None
    (sequential, _) = json.loads(
        said("power", "--mean", "2", "--std", "3", "--users", "10000", "--lift", "0.01", "--json")
    )["power"]
    assert sequential["power"] < 0.2


def test_the_table_is_for_people() -> None:
    table = said("power", "--mean", "0.1", "--lift", "0.1", "--users-per-day", "1000", "--arms", "2")
    assert "sequential" in table
    assert "80.0%" in table


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--mean", "0.1"), "--lift"),
        (("--mean", "3", "--lift", "0.1"), "no proportion"),
        (("--mean", "0", "--std", "1", "--lift", "0.1"), "--mean"),
        (("--mean", "3", "--std", "-1", "--lift", "0.1"), "--std"),
        (("--mean", "0.1", "--lift", "0.1", "--alpha", "1"), "--alpha"),
        (("--mean", "0.1", "--lift", "0.1", "--control-share", "1"), "--control-share"),
        (("--mean", "0.1", "--lift", "0.1", "--power", "1"), "power"),
        (("--mean", "0.1", "--lift", "0"), "effect"),
    ],
)
def test_a_question_without_an_answer_is_refused(arguments: tuple[str, ...], why: str) -> None:
    assert why in refused("power", *arguments)


def test_a_calibration_is_the_same_for_the_same_seed() -> None:
    few = ("calibrate", "--experiments", "3", "--days", "2", "--users", "50", "--json")
    assert said(*few) == said(*few)
    assert json.loads(said(*few))["config"]["n_days"] == 2
    assert "power promised" in said(*few[:-1])
    assert "--alpha" in refused("calibrate", "--alpha", "0.7")
