import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError
from recsys.training.two_stage import TrainingConfig
from tuning.settings_paths import all_paths, with_settings

DEFAULTS = TrainingConfig()


def test_a_path_leads_to_what_stands_in_the_settings() -> None:
    paths = all_paths(DEFAULTS)
    assert paths["knowledge.recall.sequential.ridge"] == DEFAULTS.knowledge.recall.sequential.ridge
    assert paths["boosting.objective"] == DEFAULTS.boosting.objective
    assert paths["n_candidates"] == DEFAULTS.n_candidates


@given(st.sampled_from(sorted(all_paths(DEFAULTS))))
def test_every_path_can_be_set_to_what_is_there_and_nothing_changes(path: str) -> None:
    assert with_settings(DEFAULTS, {path: all_paths(DEFAULTS)[path]}) == DEFAULTS


def test_values_are_set_and_all_else_stays() -> None:
    values = {"boosting.max_depth": 9, "knowledge.recall.sequential.time_constants_items.0": 2.5}
    changed = with_settings(DEFAULTS, values)
    assert changed.boosting.max_depth == 9
    assert changed.knowledge.recall.sequential.time_constants_items[0] == 2.5
    differing = {path for path, value in all_paths(changed).items() if all_paths(DEFAULTS)[path] != value}
    assert differing == set(values)


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("boosting.max_dept", "boosting.max_depth"),
        ("ridge", "knowledge.recall.sequential.ridge"),
        ("recall.sequential.ridge", "knowledge.recall.sequential.ridge"),
    ],
)
def test_an_unknown_path_is_refused_and_the_nearest_one_named(unknown: str, meant: str) -> None:
    with pytest.raises(FieldError, match=meant) as refused:
        with_settings(DEFAULTS, {unknown: 1})
    assert refused.value.field == unknown


def test_a_value_that_the_settings_refuse_is_refused_by_its_path() -> None:
    with pytest.raises(FieldError, match=r"boosting\.max_depth: got 17; expected .*less than or equal to 16"):
        with_settings(DEFAULTS, {"boosting.max_depth": 17})
