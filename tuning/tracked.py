"""A sweep as a tracking server is told of it: a run, and a run below it for every trial.

The journal is what is told, from its beginning and then as it grows. So a sweep that is resumed goes on in
the same runs, and what a server that was down has missed is told with the next ``--resume``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from recsys.registry.store import Registry
from recsys.tracking.bundles import tell_of_bundle, tell_of_channels
from recsys.tracking.run import Figure, How, Result, Run, Tell
from tuning.document import Opening, SweepReport, figures_of
from tuning.journal import Ended, Event, Journal, Outcome, Started
from tuning.objectives import Objective, Step

_HOW = {Outcome.FINISHED: How.FINISHED, Outcome.STOPPED: How.FINISHED, Outcome.FAILED: How.FAILED}
"""What stopped early was no failure: a tag tells the two apart."""


class TrackedSweep:
    """Tells what a journal tells; :func:`tracked` makes one."""

    def __init__(self, opening: Opening, tell: Tell) -> None:
        self._opening = opening
        self._key = f"sweep/{opening.sweep_id}"
        self._tell = tell
        self._running: set[str] = set()
        self._result = Result(how=How.FINISHED)
        run = Run(key=self._key, name=f"sweep {opening.sweep_name}", parameters=_parameters(opening))
        tell(lambda tracking: tracking.begin(run, again=True))

    def hear(self, event: Event) -> None:
        """Tell of a trial that has begun or is over."""
        if isinstance(event, Started):
            self._begin(event)
        elif isinstance(event, Ended):
            self._end(self._key_of(event.step, event.number), result_of(event))

    def reported(self, report: SweepReport, files: Callable[[], Mapping[str, str]]) -> None:
        """Tell what was found, with the files that show it: texts by path."""
        figures = [
            Figure(objective.value, value, report.n_trials) for objective, value in report.measures.items()
        ]
        if report.final is not None:
            of_test = figures_of(report.final).items()
            figures += [Figure(f"test/{name}", value, report.n_trials) for name, value in of_test]
        tags = {"marquee.bundle": report.bundle} if report.bundle else {}
        seconds = report.minutes * 60.0
        self._result = Result(how=How.FINISHED, seconds=seconds, figures=figures, tags=tags)
        self._tell(lambda tracking: tracking.files(self._key, files()))

    def published(self, bundle: str, registry: Registry, address: str) -> None:
        """Tell of the bundle, and of the channels that may name it now."""
        self._tell(
            partial(tell_of_bundle, registry=registry, bundle=bundle, address=address, parent=self._key)
        )
        self._tell(partial(tell_of_channels, registry=registry, address=address))

    def over(self) -> None:
        """Tell that the sweep has come to its end."""
        self._leave(self._result)

    def left(self, how: How) -> None:
        """Tell that the sweep was left before its end."""
        self._leave(replace(self._result, how=how))

    def _leave(self, result: Result) -> None:
        for key in sorted(self._running):
            self._end(key, Result(how=How.KILLED))
        self._end(self._key, result)

    def _begin(self, event: Started) -> None:
        key = self._key_of(event.step, event.number)
        run = Run(
            key=key,
            name=f"{event.step.value} {event.number}",
            parent=self._key,
            parameters=event.parameters,
            tags={"marquee.step": event.step.value},
        )
        self._running.add(key)
        self._tell(lambda tracking: tracking.begin(run))

    def _end(self, key: str, result: Result) -> None:
        self._running.discard(key)
        self._tell(lambda tracking: tracking.end(key, result))

    def _key_of(self, step: Step, number: int) -> str:
        return f"{self._key}/{step.value}/{number}"


@contextmanager
def tracked(opening: Opening, journal: Journal, tell: Tell) -> Iterator[TrackedSweep]:
    """Follow a journal from its beginning; at the end the sweep is finished, cut off or failed."""
    sweep = TrackedSweep(opening, tell)
    journal.follow(sweep.hear)
    try:
        yield sweep
    except KeyboardInterrupt:
        sweep.left(How.KILLED)
        raise
    except BaseException:
        sweep.left(How.FAILED)
        raise
    sweep.over()


def result_of(row: Ended) -> Result:
    """Return what a row says: the looks while its trees grew, step by step, and its measures in the end."""
    looks = [Figure(f"look/{Objective.NDCG.value}", point.ndcg, point.n_trees) for point in row.curve]
    step = row.curve[-1].n_trees if row.curve else 0
    measures = [Figure(objective.value, value, step) for objective, value in row.measures.items()]
    tags = {"marquee.outcome": row.outcome.value, "marquee.deaths": str(row.n_deaths)}
    if row.error:
        tags["marquee.error"] = row.error
    return Result(how=_HOW[row.outcome], seconds=row.seconds, figures=[*looks, *measures], tags=tags)


def _parameters(opening: Opening) -> dict[str, str | int | float]:
    sweep = opening.sweep
    return {
        "sweep": opening.sweep_name,
        "data": opening.data,
        "data.fingerprint": opening.fingerprint,
        "protocol": sweep.data.protocol.value,
        "max_users": sweep.data.max_users,
        "seed": sweep.seed,
    }
