"""What a run found."""

from dataclasses import dataclass, field

from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Cell, Tally


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What one process did, and whether it kept up."""

    index: int
    elapsed_s: float
    """From the first request to the last answer."""
    cpu_s: float
    """Processor time of the process meanwhile."""
    lag: Histogram
    """How late its event loop was."""
    cut: int = 0
    """Requests still under way when it had to end: neither good nor failed."""
    backlog_most: int = 0
    """Most requests that waited for a connection at once."""
    stopped_early: bool = False
    """Whether somebody ended it before its time."""

    @property
    def cpu_share(self) -> float:
        """Cores that it kept busy, on average."""
        return self.cpu_s / self.elapsed_s if self.elapsed_s else 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """What all processes of one run found."""

    mode: str
    """``closed loop, 64 connections`` or ``open loop, ...``."""
    tally: Tally
    workers: tuple[WorkerReport, ...]
    started_unix_s: float = 0.0
    _total: list[Cell] = field(default_factory=list, repr=False, compare=False)

    @property
    def total(self) -> Cell:
        """Everything in one cell."""
        if not self._total:
            self._total.append(self.tally.total())
        return self._total[0]

    @property
    def elapsed_s(self) -> float:
        """From the first request to the last answer."""
        return max((worker.elapsed_s for worker in self.workers), default=0.0)

    @property
    def good_per_s(self) -> float:
        """Good answers per second: goodput."""
        return self.total.n_good / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def cpu_s(self) -> float:
        """Processor time of all processes of this tool."""
        return sum(worker.cpu_s for worker in self.workers)

    @property
    def cpu_us_per_request(self) -> float:
        """Processor time that a request cost this tool, in microseconds; NaN without any."""
        return 1e6 * self.cpu_s / self.total.n if self.total.n else float("nan")

    @property
    def cut(self) -> int:
        """Requests still under way at the end: neither good nor failed."""
        return sum(worker.cut for worker in self.workers)

    def latency_ms(self, percentile: float) -> float:
        """Return a percentile of the latency in milliseconds; NaN without answers."""
        return 1e3 * self.total.latency.percentile_s(percentile)
