"""What was asked and what was served, as messages: one per answer, nothing that names a person."""

import math
from typing import Final

import orjson
from pydantic import TypeAdapter, ValidationError

from recsys.eventlog.exposure import OF_ITEMS, Exposure
from recsys.streams.message import Judgement, Message, PoisonError, Reason, check_ids, malformed, usable_bytes

_READER: Final = TypeAdapter(Exposure)
_MOST: Final = (1 << 31) - 1  # what the columns of counts hold


def encode_exposure(exposure: Exposure) -> bytes:
    """Return an exposure as JSON, field by field; a propensity that nobody knows (nan) is null."""
    return orjson.dumps(exposure._asdict())


def read_exposure(message: Message, *, now_s: float, judgement: Judgement) -> Exposure:
    """Return the exposure of a message; unlike those of our own files, it may come from anybody.

    Args:
        message: as it came.
        now_s: Unix time.
        judgement: limits.

    Raises:
        PoisonError: it holds none, or one that must not be used.
    """
    value = usable_bytes(message, judgement)
    try:
        exposure = _READER.validate_python(_with_nan(orjson.loads(value)), strict=True)
    except orjson.JSONDecodeError as error:
        raise PoisonError(Reason.MALFORMED, str(error)) from error
    except ValidationError as error:
        raise malformed(error) from error
    check_ids(exposure.request_id, *exposure.item_ids)
    if len({len(getattr(exposure, name)) for name in OF_ITEMS}) > 1:
        raise PoisonError(Reason.MALFORMED, f"{', '.join(OF_ITEMS)} are not of one length")
    counts = (exposure.n_shown_before, exposure.explored_rank or 0)
    if not all(0 <= count <= _MOST for count in counts):
        raise PoisonError(Reason.MALFORMED, f"a count is below 0 or above {_MOST}")
    if not math.isfinite(exposure.served_at_s):
        raise PoisonError(Reason.MALFORMED, f"the time is {exposure.served_at_s}")
    if exposure.served_at_s > now_s + judgement.max_ahead_s:
        raise PoisonError(Reason.FUTURE, f"{exposure.served_at_s - now_s:.0f} s ahead of {now_s:.0f}")
    return exposure


def _with_nan(fields: object) -> object:
    if isinstance(fields, dict) and isinstance(fields.get("propensities"), list):
        known = [math.nan if one is None else one for one in fields["propensities"]]
        return {**fields, "propensities": known}
    return fields
