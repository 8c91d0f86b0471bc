"""What a request may ask of the items in its answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What an answer may contain; None means anything. An item whose value is unknown does not match."""

    tags_any: tuple[str, ...] | None = None
    tags_none: tuple[str, ...] | None = None
    creator_ids: tuple[str, ...] | None = None
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    published_after_s: float | None = None
    published_before_s: float | None = None
