"""Constant load on the service from this machine: the project's own load tester, in a process of its own."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.reports.document import Report

RATE_PER_S = 20.0
_LONGEST_S = 1_200
_BEFORE_S = 3.0  # of load, before anything happens
_AFTER_S = 3.0
_MARQUEE = [sys.executable, "-c", "from recsys.cli.main import main; main()"]
_SETTINGS = (
    "traffic.visits.share=0.2",  # some act on what they get: events are on their way too
    "traffic.users.n_users=500",
    "most_lateness_s=2",  # on a shared machine; latencies count from when a request was due
)


@dataclass(slots=True)
class Load:
    """What became of the load; the report is there once it has ended."""

    reports: list[Report] = field(default_factory=list)

    @property
    def report(self) -> Report:
        """What the load tester found."""
        return self.reports[0]

    def faults(self) -> list[str]:
        """Return what no client may ever see: requests that failed, or were turned away."""
        total = self.report.total
        where = [
            f"at {block.start_s:.0f} s: {block.found.failures}, {block.found.shed} turned away"
            for block in self.report.blocks
            if block.found.failed or block.found.shed
        ]
        if total.failed + total.shed == 0:
            return []
        return [*where, str(self.report.examples), *self.report.warnings]

    def in_a_line(self) -> str:
        """Say it for people."""
        total = self.report.total
        latency = total.latency
        return (
            f"{total.good} answers at {self.report.scheduled_per_s:.0f}/s, {total.failed} failed, "
            f"{total.shed} turned away, {total.degraded} degraded; "
            f"p50 {latency.p50_ms:.0f} ms, p99 {latency.p99_ms:.0f} ms, at most {latency.max_ms:.0f} ms"
        )


@contextmanager
def under_load(url: str, *, rate_per_s: float = RATE_PER_S) -> Iterator[Load]:
    """Keep asking, at a rate that does not wait for answers, for as long as the block takes."""
    load = Load()
    settings = [part for setting in _SETTINGS for part in ("--set", setting)]
    what = ["loadtest", "run", url, "--rate", f"{rate_per_s:g}", "--duration", f"{_LONGEST_S}", *settings]
    with tempfile.TemporaryDirectory() as folder:
        # In a session of its own Linux shares the processor between it and the whole cluster (autogroups).
        # Without, it waited seconds for its turn, and called connections late that had long been made.
        with subprocess.Popen(
            [*_MARQUEE, *what, "--out", folder],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                time.sleep(_BEFORE_S)
                yield load
                time.sleep(_AFTER_S)
            finally:
                process.send_signal(signal.SIGINT)
        load.reports.append(Report.model_validate_json((Path(folder) / "report.json").read_bytes()))
