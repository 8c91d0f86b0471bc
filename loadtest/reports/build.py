"""Makes the report of a run."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

from loadtest.engine.plan import Plan
from loadtest.engine.result import Result, WorkerReport
from loadtest.engine.session import Run
from loadtest.marks.grammar import Mark
from loadtest.marks.verdict import Found, judge
from loadtest.profiles.settings import duration_of
from loadtest.reports.document import (
    BlockDoc,
    Environment,
    MarkDoc,
    Report,
    WorkerDoc,
    cell_doc,
    latency_doc,
    number_or_none,
)

_BUSY = 0.9  # of a core: a worker above this has nothing left
_MS = 1e3


def report_of(run: Run, marks: Sequence[Mark], *, command: str) -> Report:
    """Return the report of a run; ``command`` is how it was asked for."""
    result, plan = run.result, run.plan
    calls = result.tally.by("call")
    found = Found(result.total, calls, result.elapsed_s, _due_per_s(result, plan), result.cut)
    return Report(
        url=run.url,
        mode=result.mode,
        plan=plan,
        environment=environment(command, result.started_unix_s),
        elapsed_s=result.elapsed_s,
        scheduled_per_s=scheduled_per_s(plan),
        sent=result.total.n + result.cut,
        good_per_s=result.good_per_s,
        cpu_us_per_request=number_or_none(result.cpu_us_per_request),
        total=cell_doc(result.total),
        by_call={name: cell_doc(cell) for name, cell in calls.items()},
        by_arm={name: cell_doc(cell) for name, cell in result.tally.by("arm").items()},
        by_audience={name: cell_doc(cell) for name, cell in result.tally.by("audience").items()},
        bundles=dict(sorted(result.tally.bundles.items())),
        block_s=result.tally.block_s,
        blocks=tuple(
            BlockDoc(start_s=block * result.tally.block_s, due=cell.n, found=cell_doc(cell))
            for block, cell in result.tally.by_block().items()
        ),
        lateness=latency_doc(result.tally.lateness),
        workers=tuple(_worker_doc(worker) for worker in result.workers),
        examples=dict(sorted(result.tally.examples.items())),
        warnings=tuple(warnings_of(run)),
        valid=kept_up(result, plan),
        marks=tuple(
            MarkDoc(
                mark=verdict.mark.text,
                value=number_or_none(verdict.value),
                unit="s" if verdict.mark.is_latency else "share" if verdict.mark.is_share else "",
                holds=verdict.holds,
            )
            for verdict in judge(marks, found)
        ),
        server=run.server,
    )


def scheduled_per_s(plan: Plan) -> float:
    """Return the mean rate of a plan's schedule; 0 for a closed loop."""
    return sum(segment.n_expected for segment in plan.profile.segments()) / duration_of(plan.profile)


def _due_per_s(result: Result, plan: Plan) -> float:
    """Return the rate at which requests were due: Poisson arrivals are not quite as many as scheduled."""
    if not scheduled_per_s(plan):
        return 0.0
    return (result.total.n + result.cut) / max(1e-9, min(duration_of(plan.profile), result.elapsed_s))


def kept_up(result: Result, plan: Plan) -> bool:
    """Return whether requests left on time; if not, latencies say as much of this tool as of the server."""
    lateness = result.tally.lateness
    return not lateness.n or lateness.percentile_s(99) <= plan.most_lateness_s


def warnings_of(run: Run) -> list[str]:
    """Return what takes away from a run's figures, the worst first."""
    result, plan, found = run.result, run.plan, []
    if not kept_up(result, plan):
        late_ms = _MS * result.tally.lateness.percentile_s(99)
        found.append(
            f"THE LOAD TESTER WAS TOO SLOW: 1 % of the requests left {late_ms:.1f} ms late or more (allowed: "
            f"{_MS * plan.most_lateness_s:g}). These figures say nothing of the server. Use more --workers, "
            "--transport lean, a lower rate, or another machine."
        )
    stood_s = max((worker.lag.max_s() for worker in result.workers if worker.lag.n), default=0.0)
    if result.total.n_failed and stood_s >= plan.limits.connect_timeout_s:
        found.append(
            f"The load tester stood still for {stood_s:.1f} s: connections and answers that it calls late "
            f"(connect after {plan.limits.connect_timeout_s:g} s, timeout after {plan.limits.timeout_s:g} s) "
            "may have been there in time."
        )
    busy = [worker.index for worker in result.workers if worker.cpu_share > _BUSY]
    if busy:
        found.append(f"Worker(s) {', '.join(map(str, busy))} kept a core busy: use more --workers.")
    if any(worker.stopped_early for worker in result.workers):
        found.append("Ended early by Ctrl-C: this is what was done until then.")
    if result.cut:
        found.append(
            f"{result.cut} requests had no answer when the run ended; they are not in the latencies."
        )
    waited = max((worker.backlog_most for worker in result.workers), default=0)
    if waited:
        most = plan.limits.connections
        found.append(f"Up to {waited} requests of a worker waited for one of its {most} connections.")
    if run.server is None:
        found.append(f"No view of the server: {run.server_silence or 'it was read only once'}.")
    return found


def environment(command: str, started_unix_s: float) -> Environment:
    """Return where and when this runs."""
    return Environment(
        machine=f"{platform.machine()} {_processor()}".strip(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        command=command,
        commit=_commit(),
        date=datetime.fromtimestamp(started_unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a pseudo file
            return next(
                (line.partition(":")[2].strip() for line in file if line.startswith("model name")), ""
            )
    except OSError:
        return platform.processor()


def _commit() -> str:
    """Return the commit of the working tree that the command was given in; empty outside of one."""
    try:
        said = subprocess.run(
            ("git", "describe", "--always", "--dirty=+"),
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()


def _worker_doc(worker: WorkerReport) -> WorkerDoc:
    lag_s = worker.lag.percentile_s(99)
    return WorkerDoc(
        index=worker.index,
        elapsed_s=worker.elapsed_s,
        cpu_share=worker.cpu_share,
        loop_lag_p99_ms=None if worker.lag.n == 0 else lag_s * _MS,
        backlog_most=worker.backlog_most,
        cut=worker.cut,
        stopped_early=worker.stopped_early,
    )
