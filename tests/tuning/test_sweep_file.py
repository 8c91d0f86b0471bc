from pathlib import Path
from typing import Any

import pytest

from recsys.core.errors import DataFormatError, FieldError
from tuning.objectives import Objective, Step
from tuning.sweep import READY, Sweep, checked_sweep, read_sweep


@pytest.mark.parametrize("name", READY)
def test_every_ready_sweep_is_sound(name: str) -> None:
    sweep = read_sweep(name)
    assert {Step.RECALL, Step.RANKER} <= set(sweep.steps)
    assert sweep.objectives.ranker[0] is Objective.NDCG


def test_steps_come_in_order_and_those_without_ranges_are_left_out(tiny: dict[str, Any]) -> None:
    assert checked_sweep(tiny).steps == (Step.RECALL, Step.RANKER)
    del tiny["space"]["recall"]
    assert checked_sweep(tiny).steps == (Step.RANKER,)


def test_trials_are_divided_by_the_shares_of_the_steps_that_there_are(tiny: dict[str, Any]) -> None:
    tiny["budget"] |= {"trials": 30, "shares": {"recall": 1.0, "ranker": 2.0, "joint": 7.0}}
    sweep = checked_sweep(tiny)
    assert [sweep.trials_of(step) for step in sweep.steps] == [10, 20]


def test_fixed_settings_and_the_seed_are_in_the_base(tiny: dict[str, Any]) -> None:
    base = checked_sweep(tiny | {"seed": 5}).base
    assert (base.boosting.n_trees, base.seed) == (8, 5)


def wrong(tiny: dict[str, Any], step: str, path: str, values: object) -> FieldError:
    tiny["space"] = {step: {path: values}}
    with pytest.raises(FieldError) as refused:
        checked_sweep(tiny)
    return refused.value


DEPTH = {"low": 2, "high": 4}


@pytest.mark.parametrize(
    ("step", "path", "values", "said"),
    [
        ("ranker", "boosting.max_dept", DEPTH, "boosting.max_depth"),
        ("ranker", "boosting.max_depth", {"low": 2, "high": 17}, "less than or equal to 16"),
        ("ranker", "boosting.max_depth", {"low": 1.5, "high": 3.0}, "valid integer"),
        ("ranker", "boosting.max_depth", {"low": 1.0, "high": 3.0}, "a range for 2"),
        ("ranker", "boosting.objective", {"choices": ["binary:logistic", "guess"]}, "rank:ndcg"),
        ("ranker", "boosting.max_depth", {"low": 4, "high": 2}, "low must be below high"),
        ("ranker", "boosting.l2", {"low": 0.0, "high": 2.0, "log": True}, "low must be above 0"),
        ("ranker", "boosting.max_depth", {"low": 2, "hihg": 4}, "hihg"),
        ("ranker", "boosting.max_depth", {"choices": [3]}, "at least 2 items"),
        ("ranker", "knowledge.recall.sequential.ridge", {"low": 1.0, "high": 9.0}, "recall, joint"),
        ("recall", "boosting.max_depth", DEPTH, "ranker, joint"),
    ],
)
def test_a_range_that_the_settings_cannot_take_is_refused(
    tiny: dict[str, Any], step: str, path: str, values: object, said: str
) -> None:
    assert said in str(wrong(tiny, step, path, values))


def test_whole_numbers_may_bound_a_setting_that_is_not_whole(tiny: dict[str, Any]) -> None:
    tiny["space"] = {"recall": {"knowledge.recall.sequential.ridge": {"low": 20, "high": 400}}}
    assert checked_sweep(tiny).steps == (Step.RECALL,)


@pytest.mark.parametrize(
    ("section", "content", "said"),
    [
        ("objectives", {"recall": ["ndcg@10"]}, "recall alone has no ndcg@10"),
        ("objectives", {"ranker": ["ndcg@10", "ndcg@10"]}, "twice"),
        ("objectives", {"ranker": ["speed"]}, "ndcg@10"),
        ("budget", {"trails": 5}, "trails"),
        ("space", {}, "no range at all"),
        ("fixed", {"boosting.trees": 3}, "boosting.n_trees"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(
    tiny: dict[str, Any], section: str, content: object, said: str
) -> None:
    with pytest.raises(FieldError, match=said):
        checked_sweep(tiny | {section: content})


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="quick, standard, thorough"):
        read_sweep("qiuck")
    file = tmp_path / "mine.toml"
    file.write_text("[data\n")
    with pytest.raises(DataFormatError, match="looked for TOML"):
        read_sweep(str(file))


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[space.ranker]\n"boosting.max_depth" = {low = 2, high = 5}\n')
    sweep = read_sweep(str(file))
    assert sweep == Sweep.model_validate({"space": {"ranker": {"boosting.max_depth": {"low": 2, "high": 5}}}})
