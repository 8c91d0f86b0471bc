"""By which names a person is known."""

from dataclasses import dataclass

from recsys.core.hashing import digest_bytes
from recsys.core.pseudonyms import Pseudonyms, tombstone_of


@dataclass(frozen=True, slots=True)
class Names:
    """All names of one person."""

    inside: tuple[str, ...]
    """In user state, event log and lake: the id itself, and its pseudonyms under every key of the door."""
    shown: tuple[str, ...]
    """In exposures: pseudonyms of each of those under every key of the exposures."""

    @property
    def digest(self) -> str:
        """What a proof calls the person: a hash of their tombstone, 64 hex digits."""
        return digest_bytes(tombstone_of(self.inside[-1]).encode())


def names_of(user_id: str, *, door: Pseudonyms | None, exposures: Pseudonyms | None) -> Names:
    """Return the names of a person.

    Args:
        user_id: as clients send it.
        door: gives the names behind the door; None: users keep their own.
        exposures: gives the names in exposures; None: there are none.
    """
    behind_door = () if door is None else door.all_of(user_id)
    inside = (*behind_door, user_id)
    return Names(inside, shown_as(inside, exposures))


def shown_as(names: tuple[str, ...], exposures: Pseudonyms | None) -> tuple[str, ...]:
    """Return what exposures call users of these names."""
    return () if exposures is None else tuple(name for inside in names for name in exposures.all_of(inside))
