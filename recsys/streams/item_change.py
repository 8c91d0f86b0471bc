"""Messages of the catalogue: the item as it is from some moment on, or that it is gone."""

from typing import Final

import orjson
from pydantic import TypeAdapter, ValidationError

from recsys.overlay.change import ItemChange
from recsys.streams.message import Judgement, Message, PoisonError, Reason, malformed, usable_bytes

_READER: Final = TypeAdapter(ItemChange)


def encode_change(change: ItemChange) -> bytes:
    """Return what :func:`read_change` reads."""
    return orjson.dumps(change.model_dump(exclude_none=True))


def read_change(message: Message, *, now_s: float, judgement: Judgement) -> ItemChange:
    """Return a change with ``since_s``. A message with a key and no value says that the item is gone.

    Args:
        message: its key, where it has one, is the item id.
        now_s: Unix time.
        judgement: limits.

    Raises:
        PoisonError: it holds no change.
    """
    came_s = now_s if message.sent_s is None else message.sent_s
    if message.is_tombstone and message.key:
        return ItemChange(item_id=_text(message.key), available=False).dated(came_s)
    value = usable_bytes(message, judgement)
    try:
        change = _READER.validate_json(value, strict=True)
    except ValidationError as error:
        raise malformed(error) from error
    if message.key is not None and message.key != change.item_id.encode():
        raise PoisonError(Reason.MALFORMED, "the key is not the item id")
    if change.since_s is not None and change.since_s > now_s + judgement.max_ahead_s:
        raise PoisonError(Reason.FUTURE, f"{change.since_s - now_s:.0f} s ahead of {now_s:.0f}")
    return change.dated(came_s)


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise PoisonError(Reason.MALFORMED, "the key is not Unicode") from error
