import pytest
from pydantic import ValidationError

from recsys.core.errors import FieldError
from recsys.simulation.scenario import SCENARIOS, Scenario, scenario_named


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_named_scenario_asks_for_no_more_rows_than_there_is_room_for(name: str) -> None:
    assert scenario_named(name) == SCENARIOS[name]


def test_the_large_scenario_is_a_million_users_and_twenty_million_events() -> None:
    large = scenario_named("large")
    assert (large.n_users, large.n_items, large.n_events) == (1_000_000, 20_000, 20_000_000)


def test_an_unknown_scenario_is_answered_with_the_known_ones() -> None:
    with pytest.raises(FieldError, match=r"scenario: got 'huge'; expected one of tiny, small, medium, large"):
        scenario_named("huge")


def test_a_size_can_be_overridden_and_the_rest_stays() -> None:
    assert scenario_named("tiny", n_users=300) == SCENARIOS["tiny"].model_copy(update={"n_users": 300})


@pytest.mark.parametrize("field", ["n_users", "n_items", "n_events"])
def test_a_size_of_zero_is_refused_by_name(field: str) -> None:
    with pytest.raises(FieldError, match=f"{field}: got 0"):
        scenario_named("tiny", **{field: 0})


def test_more_rows_than_users_can_have_are_refused_with_the_limit() -> None:
    with pytest.raises(FieldError, match=r"n_events: got 501; expected at most 500 \(users x 50 rows each\)"):
        scenario_named("tiny", n_users=10, n_events=501)


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="drifft"):
        Scenario.model_validate({**SCENARIOS["tiny"].model_dump(), "drifft": 0.5})


def test_few_videos_have_few_topics() -> None:
    used = [scenario_named("tiny", n_items=n, n_events=200).n_topics_used for n in (2, 8, 12, 100)]
    assert used == [1, 2, 3, 8]
