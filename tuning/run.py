"""A sweep from beginning to end: step after step, each holding what the steps before it have found."""

from dataclasses import dataclass, replace

from recsys.core.clock import Clock, monotonic_clock
from recsys.training.two_stage import TrainingConfig
from tuning.choice import choose
from tuning.journal import Ended, Journal, Parameters, Settled
from tuning.ledger import Ledger, Show, StopWatch
from tuning.objectives import Objective, Step
from tuning.plan import Plan, Runner
from tuning.settings_paths import all_paths, with_settings
from tuning.sweep import Sweep

_SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Wish:
    """How the last step's trial is chosen."""

    prefer: Objective | None = None  # None: the first objective
    max_latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a sweep has chosen."""

    settings: TrainingConfig
    row: Ended


def run_sweep(
    sweep: Sweep,
    journal: Journal,
    runner: Runner,
    wish: Wish = Wish(),
    *,
    clock: Clock = monotonic_clock,
    show: Show = lambda _: None,
) -> Found:
    """Run every step that is not over, and choose.

    Args:
        sweep: what to do.
        journal: what was done already; everything is added to it.
        runner: runs trials.
        wish: how to choose in the last step; the others take the best by their first objective, within the
            same limit: what recall alone takes, the whole takes too.
        clock: monotonic.
        show: told after every trial.

    Raises:
        InputError: in a step no trial has finished, or none is quick enough.
    """
    watch = StopWatch(clock, journal.elapsed_s)
    base = sweep.base
    for step in sweep.steps[:-1]:
        settled = journal.settled(step)
        if settled is None:
            plan = plan_of(sweep, step, base, journal, elapsed_s=watch.elapsed_s)
            found = _run_step(plan, journal, runner, replace(wish, prefer=None), watch, show)
            settled = Settled(
                step=step, number=found.row.number, settings=found.settings, elapsed_s=watch.elapsed_s
            )
            journal.append(settled)
        base = settled.settings
    plan = plan_of(sweep, sweep.steps[-1], base, journal, elapsed_s=watch.elapsed_s)
    return _run_step(plan, journal, runner, wish, watch, show)


def plan_of(sweep: Sweep, step: Step, base: TrainingConfig, journal: Journal, *, elapsed_s: float) -> Plan:
    """Return what a step still has to do; the settings as they stand are tried first of all."""
    steps = sweep.steps[sweep.steps.index(step) :]
    share = sweep.budget.shares.of(step) / sum(sweep.budget.shares.of(each) for each in steps)
    left_s = max(0.0, sweep.budget.minutes * _SECONDS_PER_MINUTE - elapsed_s)
    rows, running = journal.rows(step), list(journal.running(step).values())
    first = running if rows or running else _as_they_stand(sweep, step, base)
    return Plan(
        step=step,
        base=base,
        space=sweep.space.of(step),
        objectives=sweep.objectives.of(step),
        n_trials=sweep.trials_of(step),
        time_left_s=left_s * share,
        budget=sweep.budget,
        seed=sweep.seed,
        rows=rows,
        first=first,
    )


def _as_they_stand(sweep: Sweep, step: Step, base: TrainingConfig) -> list[Parameters]:
    """Return the values of the base, when the ranges hold them: what is found is never worse than these."""
    space, now = sweep.space.of(step), all_paths(base)
    held = all(values.holds(now[path]) for path, values in space.items())
    return [{path: now[path] for path in space}] if held else []


def _run_step(
    plan: Plan, journal: Journal, runner: Runner, wish: Wish, watch: StopWatch, show: Show
) -> Found:
    ledger = Ledger(plan, journal, watch, show)
    ledger.tell()
    if plan.n_left and plan.time_left_s > 0.0:
        runner.run(plan, ledger)
    row = choose(
        journal.rows(plan.step), wish.prefer or plan.objectives[0], max_latency_ms=wish.max_latency_ms
    )
    return Found(with_settings(plan.base, row.parameters), row)
