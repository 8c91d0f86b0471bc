"""The report as data: everything a run found, in a closed schema with a version; it can be read back."""

import math
from pathlib import Path
from typing import Literal

import orjson
from pydantic import ValidationError

from loadtest.engine.plan import Plan
from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Cell
from loadtest.server_view.view import ServerView
from recsys.core.errors import DataFormatError
from recsys.core.settings import FrozenModel

SCHEMA: Literal["marquee.loadtest/1"] = "marquee.loadtest/1"
SHOWN_PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0)


class LatencyDoc(FrozenModel):
    """A histogram: what people read, and what machines merge."""

    n: int
    """Latencies counted."""
    mean_ms: float | None
    """Null without any, as all of these."""
    p50_ms: float | None
    """Half are at most this."""
    p75_ms: float | None
    """Three quarters."""
    p90_ms: float | None
    """Nine tenths."""
    p95_ms: float | None
    """95 %."""
    p99_ms: float | None
    """99 %."""
    p999_ms: float | None
    """99.9 %."""
    max_ms: float | None
    """All."""
    hdr: str
    """The histogram in microseconds, in the standard compressed encoding (HDR V2, base64)."""

    def histogram(self) -> Histogram:
        """Return the histogram."""
        return Histogram.decoded(self.hdr)


class CellDoc(FrozenModel):
    """What became of some requests."""

    good: int
    """Answered 2xx."""
    degraded: int
    """Of the good: with something missing."""
    cached: int
    """Of the good: from a cache, as the answer says."""
    shed: int
    """Answered 429 or 503."""
    shed_with_retry_after: int
    """Of those shed: how many said when to come back."""
    failed: int
    """All others."""
    failures: dict[str, int]
    """Those by kind."""
    latency: LatencyDoc
    """From due to answered; of good answers and of requests that ran out of time."""
    service: LatencyDoc
    """From sent to answered, of good answers."""

    def cell(self) -> Cell:
        """Return the counts to calculate with."""
        return Cell(
            self.latency.histogram(),
            self.service.histogram(),
            self.good,
            self.degraded,
            self.cached,
            self.shed,
            self.shed_with_retry_after,
            dict(self.failures),
        )


class BlockDoc(FrozenModel):
    """A block of time."""

    start_s: float
    """Since the start of the run."""
    due: int
    """Requests that were due in it and have ended."""
    found: CellDoc
    """What became of them."""


class WorkerDoc(FrozenModel):
    """A process of the load tester."""

    index: int
    """From 0."""
    elapsed_s: float
    """From its first request to its last answer."""
    cpu_share: float
    """Cores that it kept busy, on average."""
    loop_lag_p99_ms: float | None
    """How late its event loop was."""
    backlog_most: int
    """Most requests that waited for a connection at once."""
    cut: int
    """Requests under way when it had to end."""
    stopped_early: bool
    """Whether somebody ended it."""


class MarkDoc(FrozenModel):
    """A mark and what became of it."""

    mark: str
    """As it was given."""
    value: float | None
    """In its unit; null when there was nothing to judge."""
    unit: Literal["s", "share", ""]
    """Seconds, a share of 1, or a plain number."""
    holds: bool
    """Whether it holds."""

    @property
    def shown(self) -> str:
        """The value for people."""
        if self.value is None:
            return "nothing to judge"
        scale, sign = {"s": (1e3, " ms"), "share": (1e2, " %"), "": (1.0, "")}[self.unit]
        return f"{self.value * scale:.4g}{sign}"


class StepDoc(FrozenModel):
    """One rate that was tried in a search for the limit."""

    rate_per_s: float
    """Asked for."""
    good_per_s: float
    """Good answers per second."""
    p50_ms: float | None
    """Of the latency."""
    p90_ms: float | None
    """Of the latency."""
    p99_ms: float | None
    """Of the latency."""
    errors: int
    """Failed requests."""
    shed: int
    """Answers 429 and 503."""
    passed: bool
    """Whether all marks held."""
    valid: bool
    """Whether the load tester itself kept up."""
    failed_marks: tuple[str, ...] = ()
    """Those that did not hold."""

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.valid:
            return "invalid: the load tester was too slow"
        return "passed" if self.passed else "failed: " + ", ".join(self.failed_marks)


class Environment(FrozenModel):
    """Where and when."""

    machine: str
    """Architecture and processor."""
    cores: int
    """That the load tester may use."""
    system: str
    """Operating system."""
    python: str
    """Version."""
    command: str
    """As it was given."""
    commit: str
    """Of the working tree, with a + when it was changed; empty when unknown."""
    date: str
    """Of the start, UTC."""


class Report(FrozenModel):
    """Everything a run found."""

    schema_version: Literal["marquee.loadtest/1"] = SCHEMA
    """Changes when a reader of the old one would misunderstand."""
    url: str
    """Of the service."""
    mode: str
    """Open or closed loop, and which."""
    plan: Plan
    """What was to be done."""
    environment: Environment
    """Where and when."""
    elapsed_s: float
    """From the first request to the last answer."""
    scheduled_per_s: float
    """Mean rate of the schedule; 0 in a closed loop."""
    sent: int
    """Requests that left, those cut off at the end included."""
    good_per_s: float
    """Good answers per second."""
    cpu_us_per_request: float | None
    """Processor time of the load tester per request, in microseconds."""
    total: CellDoc
    """Everything."""
    by_call: dict[str, CellDoc]
    """Per call."""
    by_arm: dict[str, CellDoc]
    """Per arm named in the answers; empty name: none was."""
    by_audience: dict[str, CellDoc]
    """Per kind of user."""
    bundles: dict[str, int]
    """Good answers per model."""
    block_s: float
    """Length of the blocks of time."""
    blocks: tuple[BlockDoc, ...]
    """Over time."""
    lateness: LatencyDoc
    """How late requests were handed over: above a few milliseconds the load tester was the bottleneck."""
    workers: tuple[WorkerDoc, ...]
    """The processes of the load tester."""
    examples: dict[str, str]
    """Per kind of failure the first one, in words."""
    warnings: tuple[str, ...]
    """What takes away from these figures."""
    valid: bool
    """False: the load tester itself was too slow."""
    marks: tuple[MarkDoc, ...]
    """What was to hold."""
    server: ServerView | None
    """The run as the service saw it."""
    curve: tuple[StepDoc, ...] = ()
    """Of a search for the limit: every rate tried, in order."""
    limit_per_s: float | None = None
    """Of a search for the limit: the highest rate that passed; null when none did."""

    @property
    def passed(self) -> bool:
        """Whether every mark holds."""
        return all(mark.holds for mark in self.marks)


def latency_doc(histogram: Histogram) -> LatencyDoc:
    """Return a histogram for the report."""
    shown = [_ms(value_s) for value_s in histogram.percentiles_s(SHOWN_PERCENTILES)]
    return LatencyDoc(
        n=histogram.n,
        mean_ms=_ms(histogram.mean_s()),
        p50_ms=shown[0],
        p75_ms=shown[1],
        p90_ms=shown[2],
        p95_ms=shown[3],
        p99_ms=shown[4],
        p999_ms=shown[5],
        max_ms=shown[6],
        hdr=histogram.encoded(),
    )


def cell_doc(cell: Cell) -> CellDoc:
    """Return counts for the report."""
    return CellDoc(
        good=cell.n_good,
        degraded=cell.n_degraded,
        cached=cell.n_cached,
        shed=cell.n_shed,
        shed_with_retry_after=cell.n_shed_with_advice,
        failed=cell.n_failed,
        failures=dict(sorted(cell.failures.items())),
        latency=latency_doc(cell.latency),
        service=latency_doc(cell.service),
    )


def number_or_none(value: float) -> float | None:
    """Return a number; None for NaN, which JSON does not know."""
    return None if math.isnan(value) else value


def _ms(value_s: float) -> float | None:
    return None if math.isnan(value_s) else round(value_s * 1e3, 4)


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(report.model_dump(mode="json"), option=orjson.OPT_INDENT_2))


def read_report(path: Path) -> Report:
    """Return the report of a file.

    Raises:
        DataFormatError: there is no such file, or it is not a report of this version.
    """
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataFormatError(path, f"a report ({SCHEMA})", error.strerror or type(error).__name__) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataFormatError(path, f"a report ({SCHEMA})", f"{where}: {first['msg']}") from error
