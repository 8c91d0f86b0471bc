"""The lake as a place that forgets; a file of its own, for the lake is an extra."""

from collections.abc import Mapping
from pathlib import Path

from recsys.lake.lake import Lake
from recsys.privacy.names import Names
from recsys.privacy.search import traces


class LakePlace:
    """Tables of events and exposures, all versions of them.

    Args:
        root: the lake; may be missing.
    """

    name = "lake"

    def __init__(self, root: str | Path) -> None:
        self._lake = Lake(root)
        self.address = str(root)

    def erase(self, people: Mapping[Names, float]) -> Mapping[str, int]:
        """Write the days anew without their rows, and delete the files of older versions."""
        if not self._lake.place.exists:
            return {"events": 0, "exposures": 0, "files": 0}
        inside = {name: at_s for names, at_s in people.items() for name in names.inside}
        shown = {name: at_s for names, at_s in people.items() for name in names.shown}
        done = self._lake.erase_many(inside, shown)
        return {"events": done.n_events, "exposures": done.n_exposures, "files": done.n_files}

    def traces(self, names: Names) -> Mapping[str, int]:
        """Search bytes and columns of all files, those of the tables' logs included."""
        found: dict[str, int] = {}
        for address, copy in self._lake.place.copies():
            count = sum(traces([copy], [*names.inside, *names.shown]).values())
            if count:
                found[address] = count
        if found or not self._lake.place.exists:
            return found
        rows = self._rows("events", "user_id", names.inside)
        rows += self._rows("exposures", "user_pseudonym", names.shown)
        return {self.address: rows} if rows else {}

    def _rows(self, table: str, column: str, names: tuple[str, ...]) -> int:
        """Return how many rows of a table are theirs: what finds a name that is too short for the bytes."""
        if table not in self._lake.versions():
            return 0
        return int(self._lake.read(table, [column])[column].is_in(list(names)).sum())
