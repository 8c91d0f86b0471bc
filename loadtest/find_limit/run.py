"""Tries rates against a service until the limit is known."""

from collections.abc import Callable

from loadtest.engine.plan import Plan
from loadtest.engine.session import Run
from loadtest.find_limit.search import LimitSearch, Tried, limit_of
from loadtest.marks.grammar import parse_marks
from loadtest.profiles.settings import ConstantProfile
from loadtest.reports.build import report_of
from loadtest.reports.document import Report, StepDoc
from recsys.core.errors import InputError

DEFAULT_MARKS = "p99<50ms, errors=0, shed=0, rate>=95%"


def find_limit(
    plan: Plan,
    search: LimitSearch,
    *,
    step_s: float,
    run: Callable[[Plan, int], Run],
    stopped: Callable[[], bool],
    command: str,
    pause: Callable[[], None] = lambda: None,
) -> Report:
    """Return the report of the highest rate that passed, with every rate that was tried as its curve.

    A step in which the load tester was too slow counts as failed and ends the way up: higher rates would say
    nothing.

    Args:
        plan: what to do, but for the rate.
        search: which rates to try.
        step_s: how long each is tried.
        run: runs a plan; is told the number of the step.
        stopped: whether somebody ended the search.
        command: how it was asked for.
        pause: is called between steps, to let the service come to rest.

    Raises:
        InputError: nothing was tried.
    """
    marks = parse_marks(plan.marks or DEFAULT_MARKS)
    tried: list[Tried] = []
    steps: list[StepDoc] = []
    reports: list[Report] = []
    while (rate_per_s := search.next_rate(tried)) is not None and not stopped():
        if steps:
            pause()
        profile = ConstantProfile(rate_per_s=rate_per_s, duration_s=step_s)
        changed = plan.model_copy(update={"profile": profile, "seed": plan.seed + len(steps)})
        report = report_of(run(changed, len(steps)), marks, command=command)
        if stopped():
            break  # half a step says nothing of its rate
        passed = report.passed and report.valid
        tried.append(Tried(rate_per_s, passed))
        steps.append(_step(report, rate_per_s))
        reports.append(report)
    if not reports:
        raise InputError("the search ended before one rate was tried")
    limit = limit_of(tried)
    best = next((n for n, t in enumerate(tried) if t.rate_per_s == limit), len(tried) - 1)
    return reports[best].model_copy(
        update={"mode": "search for the limit", "curve": tuple(steps), "limit_per_s": limit}
    )


def _step(report: Report, rate_per_s: float) -> StepDoc:
    latency = report.total.latency
    return StepDoc(
        rate_per_s=rate_per_s,
        good_per_s=report.good_per_s,
        p50_ms=latency.p50_ms,
        p90_ms=latency.p90_ms,
        p99_ms=latency.p99_ms,
        errors=report.total.failed,
        shed=report.total.shed,
        passed=report.passed and report.valid,
        valid=report.valid,
        failed_marks=tuple(mark.mark for mark in report.marks if not mark.holds),
    )
