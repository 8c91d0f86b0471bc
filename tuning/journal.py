"""The journal of a sweep: one line of JSON per thing that happened, on the disk before anything goes on.

It is the truth: resuming, tables and plots read nothing else. A line that a crash has cut is dropped, and
what it would have told is done again.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, TypeAdapter, ValidationError

from recsys.core.durable import sync_file
from recsys.core.errors import ConflictError, DataFormatError
from recsys.core.settings import FrozenModel
from recsys.training.two_stage import TrainingConfig
from tuning.objectives import Objective, Step
from tuning.settings_paths import Setting

FILE = "trials.jsonl"
_LOCK = "lock"

Parameters = dict[str, Setting]
"""Values by dotted path."""


class Outcome(StrEnum):
    """How a trial ended."""

    FINISHED = "finished"
    STOPPED = "stopped"
    """Early, because others were better by then."""
    FAILED = "failed"


class Point(FrozenModel):
    """A look at a trial while its trees grew."""

    n_trees: int
    ndcg: float


class Started(FrozenModel):
    """A trial has begun."""

    event: Literal["started"] = "started"
    step: Step
    number: NonNegativeInt
    parameters: Parameters


class Ended(FrozenModel):
    """A trial is over: its row."""

    event: Literal["ended"] = "ended"
    step: Step
    number: NonNegativeInt
    """Counts from 0 within the step."""

    parameters: Parameters
    outcome: Outcome
    measures: dict[Objective, float]
    """All of a finished one; NDCG@10 at the last look of a stopped one."""

    curve: tuple[Point, ...] = ()
    error: str = ""
    seconds: NonNegativeFloat
    n_deaths: NonNegativeInt = 0
    """How often its process died before."""

    elapsed_s: NonNegativeFloat
    """Seconds that the sweep had worked by then, over all its runs."""


class Settled(FrozenModel):
    """A step is over: what it chose is held from now on."""

    event: Literal["settled"] = "settled"
    step: Step
    number: int
    """Of the chosen trial."""

    settings: TrainingConfig
    elapsed_s: NonNegativeFloat


Event = Started | Ended | Settled

_ANY: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


class Journal:
    """All events of a sweep, in order; :func:`open_journal` makes one."""

    def __init__(self, path: Path, events: list[Event]) -> None:
        self._path = path
        self._events = events
        self._followers: list[Callable[[Event], None]] = []

    def append(self, event: Event) -> None:
        """Add an event; when this returns, it survives a loss of power."""
        with self._path.open("ab") as file:
            file.write(event.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._events.append(event)
        for hear in self._followers:
            hear(event)

    def follow(self, hear: Callable[[Event], None]) -> None:
        """Tell somebody of every event there is, and of each that is added, once it is on the disk."""
        for event in self._events:
            hear(event)
        self._followers.append(hear)

    @property
    def elapsed_s(self) -> float:
        """Seconds that the sweep had worked at the last event that says so."""
        return max((event.elapsed_s for event in self._events if not isinstance(event, Started)), default=0.0)

    def rows(self, step: Step | None = None) -> list[Ended]:
        """Return the rows of all trials that are over, of one step or of all."""
        rows = (event for event in self._events if isinstance(event, Ended))
        return [row for row in rows if step is None or row.step is step]

    def running(self, step: Step) -> dict[int, Parameters]:
        """Return what was begun and is not over, by number."""
        begun = {
            event.number: event.parameters
            for event in self._events
            if isinstance(event, Started) and event.step is step
        }
        ended = {row.number for row in self.rows(step)}
        return {number: parameters for number, parameters in begun.items() if number not in ended}

    def settled(self, step: Step) -> Settled | None:
        """Return what a step has chosen; None when it is not over."""
        found = (event for event in self._events if isinstance(event, Settled) and event.step is step)
        return next(found, None)


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """Open the journal of a folder, alone; a new one where there is none.

    Raises:
        ConflictError: another process works in this folder.
        DataFormatError: a line that is not the last cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(str(folder), "a sweep at rest", "another process at work") from error
        path = folder / FILE
        _mend(path)
        yield Journal(path, read_events(path))
    finally:
        os.close(descriptor)


def _mend(path: Path) -> None:
    """Make the file when there is none; cut off a last line that a crash has left half written."""
    if not path.exists():
        path.touch()
        sync_file(path.parent)
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
        sync_file(path)


def read_events(path: Path) -> list[Event]:
    """Return what a journal tells, but for a last line that is half written.

    Raises:
        DataFormatError: a line that is not the last cannot be read.
    """
    data = path.read_bytes()
    events = []
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            events.append(_ANY.validate_json(line))
        except ValidationError as error:
            raise DataFormatError(path, f"an event in line {number}", repr(line[:80])) from error
    return events
