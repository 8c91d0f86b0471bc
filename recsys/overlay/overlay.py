"""What the overlay holds at one moment, and how a change gets into it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import orjson

from recsys.overlay.change import ItemChange

CAPACITY: Final = 10_000
"""Items that an overlay holds at most, unless who makes it says otherwise."""


class Put(StrEnum):
    """What became of a change."""

    NEW = "new"  # the overlay had nothing of this item
    CHANGED = "changed"
    OLDER = "older"  # it holds the same already, or something later
    FULL = "full"  # it holds as many items as it may: the change was left out


@dataclass(frozen=True, slots=True)
class OverlayItem:
    """An item as it is now."""

    change: ItemChange  # ``since_s`` is set
    slot: int  # in [0, capacity); gives items that a bundle does not know their rows behind its own
    version: int  # of the overlay, with which it came
    accepted_s: float  # Unix time at which the change was accepted

    @property
    def since_s(self) -> float:
        """Unix time from which this holds."""
        return self.change.since_s or 0.0

    def encoded(self) -> bytes:
        """Return what :func:`decoded` reads."""
        about = {"slot": self.slot, "version": self.version, "accepted_s": self.accepted_s}
        return orjson.dumps({"change": self.change.model_dump(exclude_none=True), **about})


def decoded(raw: bytes | str) -> OverlayItem:
    """Read an item back."""
    read = orjson.loads(raw)
    change = ItemChange.model_validate(read["change"])
    return OverlayItem(change, int(read["slot"]), int(read["version"]), float(read["accepted_s"]))


@dataclass(frozen=True, slots=True)
class Overlay:
    """All of it at one moment."""

    version: int = 0  # rises with every change
    items: Mapping[str, OverlayItem] = field(default_factory=lambda: MappingProxyType({}))  # by item id
    next_slot: int = 0  # where the search for a free slot goes on: a slot that was left is taken again last


NOTHING: Final = Overlay()


def put_into(
    overlay: Overlay, changes: Sequence[ItemChange], accepted_s: Sequence[float], capacity: int
) -> tuple[Overlay, list[Put]]:
    """Return the overlay with these changes in it, and what became of each.

    The later of two states of an item counts, whatever the order in which they come, so that a change that is
    sent twice changes nothing.

    Args:
        overlay: before.
        changes: with ``since_s``.
        accepted_s: Unix time, of each.
        capacity: items that it may hold.
    """
    items = dict(overlay.items)
    taken = {item.slot for item in items.values()}
    version, next_slot, fates = overlay.version + 1, overlay.next_slot, []
    for change, came_s in zip(changes, accepted_s, strict=True):
        before = items.get(change.item_id)
        if before is not None and (change.since_s or 0.0) <= before.since_s:
            fates.append(Put.OLDER)
            continue
        if before is None and len(items) >= capacity:
            fates.append(Put.FULL)
            continue
        if before is None:
            while next_slot in taken:
                next_slot = (next_slot + 1) % capacity
            slot, next_slot = next_slot, (next_slot + 1) % capacity
            taken.add(slot)
        else:
            slot = before.slot
        items[change.item_id] = OverlayItem(change, slot, version, came_s)
        fates.append(Put.NEW if before is None else Put.CHANGED)
    if Put.NEW not in fates and Put.CHANGED not in fates:
        return overlay, fates
    return Overlay(version, MappingProxyType(items), next_slot), fates


def without(overlay: Overlay, item_ids: Iterable[str]) -> Overlay:
    """Return the overlay without items; it stays the same when it has none of them."""
    gone = set(item_ids) & overlay.items.keys()
    if not gone:
        return overlay
    kept = {item_id: item for item_id, item in overlay.items.items() if item_id not in gone}
    return Overlay(overlay.version + 1, MappingProxyType(kept), overlay.next_slot)
