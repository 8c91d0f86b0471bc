"""Which trial is taken: the best that meets the limit; and which nobody beats in everything: the front."""

from collections.abc import Sequence

from recsys.core.errors import InputError
from tuning.journal import Ended, Outcome
from tuning.objectives import Objective, turned


def finished(rows: Sequence[Ended]) -> list[Ended]:
    """Return the rows of trials that came to their end, in order of their numbers."""
    return sorted((row for row in rows if row.outcome is Outcome.FINISHED), key=lambda row: row.number)


def pareto_front(rows: Sequence[Ended], objectives: Sequence[Objective]) -> list[Ended]:
    """Return the finished rows that no other equals in every objective and beats in one.

    Of rows with equal figures, the first stays.
    """
    points = [(row, _point(row, objectives)) for row in finished(rows)]
    front: list[Ended] = []
    for place, (row, point) in enumerate(points):
        beaten = any(
            all(theirs >= ours for theirs, ours in zip(other, point, strict=True))
            and (other != point or earlier < place)
            for earlier, (_, other) in enumerate(points)
            if earlier != place
        )
        if not beaten:
            front.append(row)
    return front


def choose(rows: Sequence[Ended], objective: Objective, *, max_latency_ms: float | None = None) -> Ended:
    """Return the finished row with the best value of an objective, the first of equal ones.

    Args:
        rows: of one step.
        objective: what is looked at.
        max_latency_ms: rows that take longer per request are passed over; None: no limit.

    Raises:
        InputError: no trial finished (the first error is told), or none is quick enough.
    """
    done = finished(rows)
    if not done:
        raise InputError(_nothing_finished(rows))
    quick = [row for row in done if max_latency_ms is None or _latency(row) <= max_latency_ms]
    if not quick:
        least = min(_latency(row) for row in done)
        raise InputError(
            f"no trial answers within {max_latency_ms:g} ms per request; the quickest takes {least:.3g} ms"
        )
    return max(quick, key=lambda row: (turned(objective, row.measures[objective]), -row.number))


def _nothing_finished(rows: Sequence[Ended]) -> str:
    failed = [row for row in rows if row.outcome is Outcome.FAILED]
    if not failed:
        return "no trial has finished: give the search more minutes"
    return f"no trial has finished; {len(failed)} of {len(rows)} failed, the first: {failed[0].error}"


def _latency(row: Ended) -> float:
    return row.measures[Objective.LATENCY]


def _point(row: Ended, objectives: Sequence[Objective]) -> tuple[float, ...]:
    return tuple(turned(objective, row.measures[objective]) for objective in objectives)
