"""A change of the catalogue: the item as it is from some moment on, or that it is gone."""

from typing import Annotated, Final

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from recsys.core.settings import FrozenModel
from recsys.streams.message import Judgement, Message, PoisonError, Reason, malformed, usable_bytes

Row = dict[str, object]
"""Fields of :data:`recsys.data.schema.ITEMS`, and ``since_s``."""

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class ItemChange(FrozenModel):
    """An item as :data:`recsys.data.schema.ITEMS` has it."""

    item_id: Annotated[str, Field(min_length=1)]
    title: str | None = None
    tags: list[str] = Field(default_factory=list)
    creator_id: str | None = None
    duration_s: _Finite | None = None
    published_s: _Finite | None = None
    cost: _Finite | None = None
    available: bool = True
    since_s: _Finite | None = None
    """Unix time from which this holds; when it reached the broker, if nobody says."""


_READER: Final = TypeAdapter(ItemChange)


def encode_change(change: ItemChange) -> bytes:
    """Return what :func:`read_change` reads."""
    return orjson.dumps(change.model_dump(exclude_none=True))


def read_change(message: Message, *, now_s: float, judgement: Judgement) -> Row:
    """Return a row of the table of items. A message with a key and no value says that the item is gone.

    Args:
        message: its key, where it has one, is the item id.
        now_s: Unix time.
        judgement: limits.

    Raises:
        PoisonError: it holds no change.
    """
    came_s = now_s if message.sent_s is None else message.sent_s
    if message.value is None and message.key and message.damage is None:
        return _row(ItemChange(item_id=_text(message.key), available=False), came_s)
    value = usable_bytes(message, judgement)
    try:
        change = _READER.validate_json(value, strict=True)
    except ValidationError as error:
        raise malformed(error) from error
    if message.key is not None and message.key != change.item_id.encode():
        raise PoisonError(Reason.MALFORMED, "the key is not the item id")
    if change.since_s is not None and change.since_s > now_s + judgement.max_ahead_s:
        raise PoisonError(Reason.FUTURE, f"{change.since_s - now_s:.0f} s ahead of {now_s:.0f}")
    return _row(change, came_s)


def _row(change: ItemChange, came_s: float) -> Row:
    return change.model_dump() | {"since_s": came_s if change.since_s is None else change.since_s}


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise PoisonError(Reason.MALFORMED, "the key is not Unicode") from error
