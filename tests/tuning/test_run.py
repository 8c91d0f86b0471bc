from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from recsys.core.errors import InputError
from recsys.recall.sequential import SequentialConfig
from tuning.journal import Journal, Outcome, Parameters, open_journal
from tuning.ledger import Standing
from tuning.objectives import Objective, Step
from tuning.plan import Listener, Plan
from tuning.run import Found, Wish, run_sweep
from tuning.sweep import Sweep, checked_sweep

RIDGE, DEPTH = "knowledge.recall.sequential.ridge", "boosting.max_depth"
DEFAULT_RIDGE = SequentialConfig().ridge


class Counting:
    """Tries what is asked for first, then 1, 2, 3, ...; more is better, and slower."""

    def __init__(self, *, dies_after: int = 99) -> None:
        self.plans: list[Plan] = []
        self.tried: list[Parameters] = []
        self._left = dies_after

    def run(self, plan: Plan, listener: Listener) -> None:
        self.plans.append(plan)
        (path,) = plan.space
        others: Sequence[Parameters] = [{path: 1 + (len(plan.rows) + n) % 3} for n in range(plan.n_left)]
        for n, parameters in enumerate([*plan.first, *others][: plan.n_left]):
            listener.started(f"t{n}", parameters)
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            self.tried.append(parameters)
            value = float(parameters[path] or 0)
            measures = dict.fromkeys(plan.objectives, value) | {Objective.LATENCY: value}
            listener.ended(f"t{n}", Outcome.FINISHED, measures)


ANYTHING = Wish()


def run(
    sweep: Sweep,
    folder: Path,
    runner: Counting,
    wish: Wish = ANYTHING,
    show: Callable[[Standing], None] = lambda _: None,
) -> Found:
    with open_journal(folder) as journal:
        return run_sweep(sweep, journal, runner, wish, clock=lambda: 0.0, show=show)


def test_the_next_step_holds_what_the_one_before_has_chosen(tiny_sweep: Sweep, tmp_path: Path) -> None:
    runner = Counting()
    found = run(tiny_sweep, tmp_path, runner)
    recall, ranker = runner.plans
    assert (recall.step, ranker.step) == (Step.RECALL, Step.RANKER)
    assert (
        ranker.base.knowledge.recall.sequential.ridge == DEFAULT_RIDGE
    )  # the default, tried first and the largest
    assert found.settings.knowledge == ranker.base.knowledge
    assert found.settings.boosting.max_depth == found.row.parameters[DEPTH]


def test_the_settings_as_they_stand_are_tried_first(tiny_sweep: Sweep, tmp_path: Path) -> None:
    runner = Counting()
    run(tiny_sweep, tmp_path, runner)
    assert [plan.first for plan in runner.plans] == [[{RIDGE: DEFAULT_RIDGE}], [{DEPTH: 2}]]


def test_settings_outside_of_the_ranges_are_not_tried(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["space"] = {"ranker": {DEPTH: {"low": 3, "high": 4}}}
    runner = Counting()
    run(checked_sweep(tiny), tmp_path, runner)
    assert runner.plans[0].first == []


@pytest.mark.parametrize("n_before", range(5))
def test_a_sweep_that_is_killed_goes_on_where_it_was(
    tiny_sweep: Sweep, tmp_path: Path, n_before: int
) -> None:
    first, second, undisturbed = Counting(dies_after=n_before), Counting(), Counting()
    whole = run(tiny_sweep, tmp_path / "whole", undisturbed)
    if n_before < 4:
        with pytest.raises(KeyboardInterrupt):
            run(tiny_sweep, tmp_path / "killed", first)
    else:
        run(tiny_sweep, tmp_path / "killed", first)
    found = run(tiny_sweep, tmp_path / "killed", second)
    assert len(first.tried) == n_before
    assert len(second.tried) == 4 - n_before
    assert found.settings == whole.settings
    with open_journal(tmp_path / "killed") as journal:
        assert numbers(journal, Step.RECALL) + numbers(journal, Step.RANKER) == [0, 0, 1, 2]
        assert not journal.running(Step.RANKER)


def numbers(journal: Journal, step: Step) -> list[int]:
    return sorted(row.number for row in journal.rows(step))


def test_a_finished_sweep_can_be_chosen_from_anew(tiny_sweep: Sweep, tmp_path: Path) -> None:
    assert run(tiny_sweep, tmp_path, Counting()).row.parameters[DEPTH] == 2
    none = Counting(dies_after=0)
    assert run(tiny_sweep, tmp_path, none, Wish(prefer=Objective.LATENCY)).row.parameters[DEPTH] == 1
    assert run(tiny_sweep, tmp_path, none, Wish(max_latency_ms=1.0)).row.parameters[DEPTH] == 1
    assert none.plans == []


def test_without_time_nothing_is_tried(tiny_sweep: Sweep, tmp_path: Path) -> None:
    runner = Counting()
    times_s = iter([0.0, 400.0])  # the sweep may take 300
    with open_journal(tmp_path) as journal, pytest.raises(InputError, match="more minutes"):
        run_sweep(tiny_sweep, journal, runner, clock=lambda: next(times_s, 500.0))
    assert runner.plans == []


def test_a_step_may_take_its_share_of_the_time_that_is_left(tiny_sweep: Sweep, tmp_path: Path) -> None:
    runner = Counting()
    run(tiny_sweep, tmp_path, runner)
    assert [plan.time_left_s for plan in runner.plans] == [100.0, 300.0]  # 5 minutes, shares 1 and 2


def test_every_end_of_a_trial_is_shown(tiny_sweep: Sweep, tmp_path: Path) -> None:
    shown: list[Standing] = []
    run(tiny_sweep, tmp_path, Counting(), show=shown.append)
    counts = [(one.step.value, one.n_over, one.n_trials) for one in shown]
    assert counts == [
        ("recall", 0, 1),
        ("recall", 1, 1),
        ("ranker", 0, 3),
        *(("ranker", n, 3) for n in (1, 2, 3)),
    ]
    assert shown[-1].best == (Objective.NDCG, 2.0)
