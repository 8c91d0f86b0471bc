"""Durations as people write them: "90s", "10m", "1.5h", "14d"."""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")


def seconds_in(text: str) -> float:
    """Return how many seconds a duration has.

    Raises:
        ValueError: it is none.

    >>> seconds_in("1.5h")
    5400.0
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError('a duration is a number of seconds, or like "90s", "10m", "1.5h", "14d"')
    return float(match[1]) * _SECONDS[match[2]]


def _seconds(value: object) -> object:
    return seconds_in(value) if isinstance(value, str) else value


_SCHEMA: Final = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": f"^\\s*{_DURATION.pattern}\\s*$"},
    ]
}
Duration = Annotated[
    float,
    Field(ge=0, allow_inf_nan=False),
    BeforeValidator(_seconds),
    WithJsonSchema(_SCHEMA, mode="validation"),
]
"""Seconds in settings: a number, or a text that :func:`seconds_in` reads."""
