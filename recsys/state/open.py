"""From a url to a store of user state."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from recsys.core.errors import FieldError
from recsys.state.record import StateLimits
from recsys.state.sqlite import SqliteUserState
from recsys.state.store import UserStateStore

PASSWORD_VARIABLE = "MARQUEE_STATE_PASSWORD"
"""Names the password of Redis where the url has none, so that settings need not hold it."""

_EXPECTED = "sqlite:///relative/path, sqlite:////absolute/path or redis://host:port/database"


def open_user_state(url: str, *, limits: StateLimits | None = None) -> UserStateStore:
    """Open the store that a url names.

    Args:
        url: ``sqlite:///state.db`` (three slashes: relative to the working directory; four: absolute), or
            ``redis://``, ``rediss://``, ``unix://`` as redis-py reads them. Without a password in it,
            :data:`PASSWORD_VARIABLE` counts.
        limits: how much is remembered of one user.

    Raises:
        FieldError: the scheme is unknown, the path is missing, or redis-py is not installed.
        UnavailableError: the SQLite file cannot be opened. A Redis server may still be away: calls tell.
    """
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        path = url.removeprefix("sqlite:///")
        if path == url or not path:
            raise FieldError("user state url", repr(url), _EXPECTED)
        return SqliteUserState(Path(path), limits=limits)
    if scheme in ("redis", "rediss", "unix"):
        try:
            from recsys.state.redis import RedisUserState  # noqa: PLC0415 - an extra: only who asks needs it
        except ModuleNotFoundError as error:
            raise FieldError(
                "user state url", scheme, "redis-py: pip install 'marquee-recsys[redis]'"
            ) from error
        return RedisUserState(url, limits=limits, password=os.environ.get(PASSWORD_VARIABLE))
    raise FieldError("user state url", repr(f"{scheme}:..."), _EXPECTED)
