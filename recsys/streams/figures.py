"""What ingest has done so far, in plain numbers: for a line of progress, for JSON, for metrics."""

from collections import Counter
from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass(slots=True)
class IngestFigures:
    """Counts since the process began, but for those that say now."""

    fates: Counter[str] = field(default_factory=Counter)
    """Messages by what became of them: the user state's word for events; erasure, item, poison, tombstone.
    A batch that is tried again is duplicates to the state: ``n_landed`` and ``n_known`` say what was new."""

    overlaid: Counter[str] = field(default_factory=Counter)
    """Changes of items by what the overlay made of them: new, changed, older (known already), full."""

    poison: Counter[str] = field(default_factory=Counter)
    """Dead letters by reason."""

    troubles: Counter[str] = field(default_factory=Counter)
    """What could not be reached, by part; each was tried again."""

    latest_trouble: str | None = None
    """In words."""

    n_landed: int = 0
    """Rows that were new in their table."""

    n_known: int = 0
    """Events that stood in the table already: sent twice, or read again."""

    n_late: int = 0
    """Events that came more than a day after they happened."""

    n_out_of_order: int = 0
    """Events that happened before one that came earlier from the same source."""

    n_missing: int = 0
    """Positions that retention took before they were read: lost, unless another table has them."""

    n_commits: int = 0
    """Chunks that stand in their tables."""

    behind_s: float = 0.0
    """Now: how long ago the latest message applied reached the broker (without one: happened)."""

    lag: dict[str, int] = field(default_factory=dict)
    """Now: positions not read yet, by source."""

    def add(self, seen: "IngestFigures") -> None:
        """Add what one chunk had."""
        self.fates.update(seen.fates)
        self.overlaid.update(seen.overlaid)
        self.poison.update(seen.poison)
        self.n_landed += seen.n_landed
        self.n_known += seen.n_known
        self.n_late += seen.n_late
        self.n_out_of_order += seen.n_out_of_order
        self.n_missing += seen.n_missing
        self.n_commits += seen.n_commits
        self.behind_s = seen.behind_s

    @property
    def n_messages(self) -> int:
        """Messages that have met their fate."""
        return self.fates.total()

    def to_json(self) -> dict[str, JsonValue]:
        """Return all of it for machines."""
        return {
            "messages": self.n_messages,
            "fates": dict(sorted(self.fates.items())),
            "overlaid": dict(sorted(self.overlaid.items())),
            "poison": dict(sorted(self.poison.items())),
            "troubles": dict(sorted(self.troubles.items())),
            "latest_trouble": self.latest_trouble,
            "landed": self.n_landed,
            "known": self.n_known,
            "late": self.n_late,
            "out_of_order": self.n_out_of_order,
            "missing": self.n_missing,
            "commits": self.n_commits,
            "behind_s": round(self.behind_s, 3),
            "lag": dict(sorted(self.lag.items())),
        }

    def in_a_line(self) -> str:
        """Return the gist for people."""
        kinds = ", ".join(f"{count:,} {fate}" for fate, count in sorted(self.fates.items())) or "nothing yet"
        return f"{kinds}; {sum(self.lag.values()):,} to go, {self.behind_s:.1f} s behind"
