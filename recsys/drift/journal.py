"""The watcher's memory in a folder: where it stands, and what is still to be done.

``state.json`` is replaced whole, ``alarms.jsonl`` grows. An alarm is written down *before* anything is done
about it, and struck out after: whoever is killed in between does it again, under the same id.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from recsys.core.durable import append_lines, locked, replace_durably
from recsys.core.errors import DataFormatError
from recsys.core.settings import FrozenModel
from recsys.drift.policy import Alarm, Standing

STATE_FILE, ALARMS_FILE = "state.json", "alarms.jsonl"


class Memory(FrozenModel):
    """All that survives."""

    version: Literal[1] = 1
    standing: Standing = Standing()
    pending: Alarm | None = None
    """An alarm whose action may not have been carried out."""
    n_windows: int = 0
    """Windows looked at, ever."""
    n_alarms: int = 0


class Journal:
    """Keeps a :class:`Memory` in a folder, which is made when missing; one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder's lock."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".lock"):
            yield

    def read(self) -> Memory:
        """Return what was kept; an empty memory at the first time.

        Raises:
            DataFormatError: what lies there is no memory of this version.
        """
        path = self.folder / STATE_FILE
        try:
            return Memory.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return Memory()
        except ValidationError as error:
            raise DataFormatError(path, "a memory of version 1", f"{error.error_count()} faults") from error

    def keep(self, memory: Memory) -> None:
        """Replace what was kept, durably."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_durably(self.folder / STATE_FILE, memory.model_dump_json(indent=1).encode() + b"\n")

    def note(self, alarm: Alarm) -> bool:
        """Write an alarm into the list of all, durably; False when it is there already."""
        if any(alarm.id == known.id for known in self.alarms()):
            return False
        append_lines(self.folder / ALARMS_FILE, alarm.model_dump_json().encode() + b"\n")
        return True

    def alarms(self) -> list[Alarm]:
        """Return every alarm ever, the latest last; a line that was cut off by a crash is passed over."""
        path = self.folder / ALARMS_FILE
        found = []
        for line in path.read_bytes().splitlines() if path.exists() else []:
            try:
                found.append(Alarm.model_validate_json(line))
            except ValidationError:
                continue
        return found
