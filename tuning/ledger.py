"""What a runner tells of its trials goes into the journal here, every trial under its number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from recsys.core.clock import Clock
from tuning.choice import finished
from tuning.journal import Ended, Journal, Outcome, Parameters, Point, Started
from tuning.objectives import Objective, Step, turned
from tuning.plan import Plan


@dataclass(frozen=True, slots=True)
class Standing:
    """How a step goes."""

    step: Step
    n_over: int
    n_trials: int
    best: tuple[Objective, float] | None
    time_left_s: float


Show = Callable[[Standing], None]


class StopWatch:
    """Seconds that a sweep has worked, over all its runs."""

    def __init__(self, clock: Clock, before_s: float) -> None:
        self._clock = clock
        self._before_s = before_s
        self._began_s = clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds until now."""
        return self._before_s + self._clock() - self._began_s


@dataclass(slots=True)
class _Running:
    number: int
    parameters: Parameters
    began_s: float
    curve: list[Point]
    n_deaths: int = 0


class Ledger:
    """Writes what a runner tells into the journal, every trial under its number."""

    def __init__(self, plan: Plan, journal: Journal, watch: StopWatch, show: Show) -> None:
        self._plan = plan
        self._journal = journal
        self._watch = watch
        self._show = show
        self._running: dict[str, _Running] = {}
        self._again = journal.running(plan.step)
        begun = [row.number for row in journal.rows(plan.step)] + list(self._again)
        self._next = max(begun, default=-1) + 1
        self._ends_s = watch.elapsed_s + plan.time_left_s

    def started(self, key: str, parameters: Parameters) -> None:
        """Note a trial; one that was begun before and never ended keeps its number."""
        if key in self._running:
            return
        number = next((number for number, before in self._again.items() if before == parameters), None)
        if number is None:
            number, self._next = self._next, self._next + 1
            self._journal.append(Started(step=self._plan.step, number=number, parameters=parameters))
        else:
            del self._again[number]
        self._running[key] = _Running(number, parameters, self._watch.elapsed_s, [])

    def looked(self, key: str, n_trees: int, ndcg: float) -> None:
        """Note a point of its curve."""
        self._running[key].curve.append(Point(n_trees=n_trees, ndcg=ndcg))

    def died(self, key: str) -> None:
        """Forget its curve: it begins anew."""
        self._running[key].curve.clear()
        self._running[key].n_deaths += 1

    def ended(
        self, key: str, outcome: Outcome, measures: Mapping[Objective, float], *, error: str = ""
    ) -> None:
        """Write its row."""
        trial = self._running.pop(key)
        elapsed_s = self._watch.elapsed_s
        self._journal.append(
            Ended(
                step=self._plan.step,
                number=trial.number,
                parameters=trial.parameters,
                outcome=outcome,
                measures=dict(measures),
                curve=tuple(trial.curve),
                error=error,
                seconds=max(0.0, elapsed_s - trial.began_s),
                n_deaths=trial.n_deaths,
                elapsed_s=elapsed_s,
            )
        )
        self.tell()

    def tell(self) -> None:
        """Show how the step goes."""
        rows = self._journal.rows(self._plan.step)
        objective = self._plan.objectives[0]
        values = [row.measures[objective] for row in finished(rows)]
        best = max(values, key=lambda value: turned(objective, value), default=None)
        self._show(
            Standing(
                self._plan.step,
                len(rows),
                self._plan.n_trials,
                None if best is None else (objective, best),
                max(0.0, self._ends_s - self._watch.elapsed_s),
            )
        )
