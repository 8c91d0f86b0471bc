"""From the url of the user state to the overlay beside it."""

import os
from pathlib import Path

from recsys.core.errors import FieldError
from recsys.overlay.overlay import CAPACITY
from recsys.overlay.sqlite import SqliteOverlay
from recsys.overlay.store import OverlayStore
from recsys.state.open import PASSWORD_VARIABLE

_SQLITE = "sqlite:///"


def open_overlay(state_url: str, *, capacity: int = CAPACITY) -> OverlayStore:
    """Open the overlay of a user state: the same Redis, or ``NAME.catalogue.db`` beside ``NAME.db``.

    Args:
        state_url: as :func:`recsys.state.open.open_user_state` reads it.
        capacity: items that it may hold.

    Raises:
        FieldError: redis-py is not installed, or the url is none.
    """
    if state_url.startswith(_SQLITE):
        return SqliteOverlay(
            Path(state_url.removeprefix(_SQLITE)).with_suffix(".catalogue.db"), capacity=capacity
        )
    try:
        from recsys.overlay.redis import RedisOverlay  # noqa: PLC0415 - an extra: only who asks needs it
    except ModuleNotFoundError as error:
        raise FieldError(
            "user state url", state_url, "redis-py: pip install 'marquee-recsys[redis]'"
        ) from error
    return RedisOverlay(state_url, password=os.environ.get(PASSWORD_VARIABLE), capacity=capacity)
