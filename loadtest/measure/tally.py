"""Counts what becomes of requests, per block of time, call and arm; counts of several processes add up."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from loadtest.measure.facts import facts_of
from loadtest.measure.histogram import Histogram
from loadtest.transports.exchange import Exchange, Failure

SHED = frozenset({429, 503})


class Key(NamedTuple):
    """What a cell counts."""

    block: int  # number of the block of time in which the request was due
    call: str
    arm: str = ""  # empty where the answer names none, or there is no answer
    audience: str = ""


@dataclass(slots=True)
class Cell:
    """What became of the requests of one block, call, arm and audience."""

    latency: Histogram = field(default_factory=Histogram)
    """From due to answered; of good answers, and of requests that ran out of time."""
    service: Histogram = field(default_factory=Histogram)
    """From sent to answered, of good answers: what a client sees that does not count its own waiting."""
    n_good: int = 0
    n_degraded: int = 0
    n_cached: int = 0
    n_shed: int = 0
    n_shed_with_advice: int = 0
    """Of those shed: how many said when to come back."""
    failures: dict[str, int] = field(default_factory=dict)
    """By kind: ``status 500``, ``timeout``, ``closed``, ``connect``, ``protocol``; without those shed."""

    @property
    def n_failed(self) -> int:
        """How many failed, without those shed."""
        return sum(self.failures.values())

    @property
    def n(self) -> int:
        """How many ended."""
        return self.n_good + self.n_shed + self.n_failed

    def add(self, other: "Cell") -> None:
        """Count what the other has, too."""
        self.latency.add(other.latency)
        self.service.add(other.service)
        self.n_good += other.n_good
        self.n_degraded += other.n_degraded
        self.n_cached += other.n_cached
        self.n_shed += other.n_shed
        self.n_shed_with_advice += other.n_shed_with_advice
        for kind, n in other.failures.items():
            self.failures[kind] = self.failures.get(kind, 0) + n


@dataclass(slots=True)
class Tally:
    """All cells of one process, or of several."""

    block_s: float = 1.0
    """Length of a block of time in seconds."""
    cells: dict[Key, Cell] = field(default_factory=dict)
    lateness: Histogram = field(default_factory=Histogram)
    """From due to handed to the transport: how late this tool was."""
    bundles: dict[str, int] = field(default_factory=dict)
    """Good answers per bundle."""
    examples: dict[str, str] = field(default_factory=dict)
    """Per kind of failure the first one, in words."""

    def note(self, exchange: Exchange, started_s: float) -> None:
        """Count an exchange that has ended.

        Args:
            exchange: that has ended.
            started_s: when the run began, on the clock of the exchange.
        """
        self.lateness.record(exchange.dispatched_s - exchange.due_s)
        request = exchange.request
        block = int((exchange.due_s - started_s) / self.block_s)
        if exchange.failure is None and 200 <= exchange.status < 300:
            facts = facts_of(exchange.body)
            cell = self._cell(Key(block, request.call, facts.arm, request.audience))
            cell.n_good += 1
            cell.n_degraded += facts.degraded
            cell.n_cached += facts.cached or exchange.from_cache
            cell.service.record(exchange.finished_s - exchange.sent_s)
            cell.latency.record(exchange.finished_s - exchange.due_s)
            if facts.bundle:
                self.bundles[facts.bundle] = self.bundles.get(facts.bundle, 0) + 1
            return
        self._note_bad(exchange, self._cell(Key(block, request.call, "", request.audience)))

    def _note_bad(self, exchange: Exchange, cell: Cell) -> None:
        if exchange.failure is None and exchange.status in SHED:
            cell.n_shed += 1
            cell.n_shed_with_advice += exchange.retry_after
            return
        kind = kind_of(exchange)
        cell.failures[kind] = cell.failures.get(kind, 0) + 1
        self.examples.setdefault(kind, exchange.detail or exchange.body[:200].decode(errors="replace"))
        if exchange.failure is Failure.TIMEOUT:
            cell.latency.record(exchange.finished_s - exchange.due_s)

    def add(self, other: "Tally") -> None:
        """Count what another process has counted, too."""
        self.lateness.add(other.lateness)
        for key, cell in other.cells.items():
            self._cell(key).add(cell)
        for bundle, n in other.bundles.items():
            self.bundles[bundle] = self.bundles.get(bundle, 0) + n
        self.examples = other.examples | self.examples

    def total(self) -> Cell:
        """Return everything in one cell."""
        return summed(self.cells.values())

    def by(self, part: str) -> dict[str, Cell]:
        """Return a cell per ``call``, ``arm`` or ``audience``, sorted by name."""
        names = sorted({str(getattr(key, part)) for key in self.cells})
        return {
            name: summed(cell for key, cell in self.cells.items() if getattr(key, part) == name)
            for name in names
        }

    def by_block(self) -> dict[int, Cell]:
        """Return a cell per block of time, from first to last."""
        blocks: dict[int, list[Cell]] = {}
        for key, cell in self.cells.items():
            blocks.setdefault(key.block, []).append(cell)
        return {block: summed(blocks[block]) for block in sorted(blocks)}

    def _cell(self, key: Key) -> Cell:
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = Cell()
        return cell


def summed(cells: Iterable[Cell]) -> Cell:
    """Return one cell with everything that any of them has."""
    total = Cell()
    for cell in cells:
        total.add(cell)
    return total


def kind_of(exchange: Exchange) -> str:
    """Return the kind under which an exchange that went wrong is counted; empty for a good answer."""
    if exchange.failure is not None:
        return str(exchange.failure)
    return "" if 200 <= exchange.status < 300 else f"status {exchange.status}"
