"""What a sweep found, as a closed table: ``report.json``."""

from collections.abc import Sequence
from uuid import uuid4

from pydantic import Field

from recsys.core.settings import FrozenModel
from recsys.evaluation.results import ALL_USERS, MAIN_METRIC, WHOLE, PairedDifference, Row
from recsys.training.two_stage import TrainingConfig
from tuning.choice import pareto_front
from tuning.importance import importance
from tuning.journal import Ended, Journal, Outcome
from tuning.objectives import Objective, Step
from tuning.run import Found
from tuning.search import distributions
from tuning.settings_paths import Setting, all_paths
from tuning.sweep import Sweep

DEFAULTS = "defaults"


class Opening(FrozenModel):
    """What a sweep is about; kept beside its journal, so that it can be resumed."""

    data: str
    """The folder of the data set, as it was given."""

    fingerprint: str
    """Digest of its content."""

    sweep_name: str
    sweep: Sweep
    sweep_id: str = Field(default_factory=lambda: uuid4().hex)
    """Tells this sweep from every other, wherever its folder is moved; runs in MLflow are known by it."""


class StepReport(FrozenModel):
    """One step."""

    step: Step
    objectives: tuple[Objective, ...]
    rows: tuple[Ended, ...]
    """Every trial that is over, in order of its number."""

    n_cut: int
    """Begun, and cut off by the end of the time or of the process."""

    front: tuple[int, ...]
    """Numbers of the trials that no other beats in everything."""

    chosen: int | None
    importance: dict[Objective, dict[str, float]]
    """Share of each parameter, by objective; empty when there were too few trials."""

    seconds_of_trials: float

    def count(self, outcome: Outcome) -> int:
        """Return how many trials ended in this way."""
        return sum(row.outcome is outcome for row in self.rows)


class Final(FrozenModel):
    """The choice, measured once on what no trial has seen."""

    rows: list[Row]
    """``two-stage`` is the choice, ``defaults`` what comes with the package, both fitted on the same past;
    beside them what the gate compares with."""

    differences: list[PairedDifference]
    n_users: int


class SweepReport(FrozenModel):
    """Everything a sweep found."""

    opening: Opening
    machine: str
    date: str
    steps: tuple[StepReport, ...]
    settings: TrainingConfig
    changed: dict[str, Setting] = Field(default_factory=dict)
    """What differs from the settings that come with the package."""

    measures: dict[Objective, float]
    """Of the chosen trial, on validation."""

    minutes: float
    final: Final | None = None
    bundle: str | None = None
    """Name in the registry; None: it was not refitted."""

    n_trials: int
    """Spent in all steps: every one of them has looked at the validation questions."""


def report_of(
    opening: Opening, journal: Journal, found: Found, *, machine: str, date: str, minutes: float
) -> SweepReport:
    """Return the report as far as the journal tells."""
    sweep = opening.sweep
    steps = tuple(_step(sweep, step, journal, found) for step in sweep.steps)
    defaults = all_paths(TrainingConfig())
    now = all_paths(found.settings)
    return SweepReport(
        opening=opening,
        machine=machine,
        date=date,
        steps=steps,
        settings=found.settings,
        changed={path: value for path, value in now.items() if defaults.get(path) != value},
        measures=found.row.measures,
        minutes=minutes,
        n_trials=sum(len(step.rows) for step in steps),
    )


def _step(sweep: Sweep, step: Step, journal: Journal, found: Found) -> StepReport:
    rows = sorted(journal.rows(step), key=lambda row: row.number)
    settled = journal.settled(step)
    objectives = sweep.objectives.of(step)
    space = distributions(sweep.space.of(step), all_paths(sweep.base))
    return StepReport(
        step=step,
        objectives=objectives,
        rows=tuple(rows),
        n_cut=len(journal.running(step)),
        front=tuple(row.number for row in pareto_front(rows, objectives)),
        chosen=found.row.number if found.row.step is step else settled.number if settled else None,
        importance={objective: importance(rows, space, objective) for objective in objectives},
        seconds_of_trials=sum(row.seconds for row in rows),
    )


def gain(final: Final) -> PairedDifference | None:
    """Return by how much the choice is better than the defaults on the test; None when nobody compared."""
    wanted: Sequence[PairedDifference] = [
        pair
        for pair in final.differences
        if (pair.metric, pair.group, pair.against) == (MAIN_METRIC, ALL_USERS, DEFAULTS)
    ]
    return wanted[0] if wanted else None


def figures_of(final: Final) -> dict[str, float]:
    """Return the figures of the choice on the test."""
    (row,) = (row for row in final.rows if row.model == WHOLE)
    return {name: estimate.value for name, estimate in row.metrics.items()} | row.exposure
