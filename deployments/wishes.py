"""The header by which a client asks for an arm: for testers, and for whoever looks into a complaint."""

from collections.abc import Iterable
from typing import Final

from recsys.core.errors import FieldError
from recsys.rollout.dealing import NO_WISHES, Wishes
from recsys.rollout.names import ROLLOUT_EXPERIMENT

HEADER: Final = "X-Marquee-Arm"
_NAME: Final = HEADER.lower().encode()
_EXPECTED: Final = "an arm of the rollout, or experiment=arm; several with commas between them"
_LONGEST = 1_024


def wishes_in(headers: Iterable[tuple[bytes, bytes]], *, allowed: bool) -> Wishes:
    """Return what a request asks for, ``canary, length=short`` for example.

    Raises:
        FieldError: it asks for something else, or nobody may ask.
    """
    for name, value in headers:
        if name == _NAME:
            if not allowed:
                raise FieldError(HEADER, value.decode("latin-1")[:80], "no such header: it is switched off")
            return _parsed(value.decode("latin-1"))
    return NO_WISHES


def _parsed(text: str) -> Wishes:
    wishes: dict[str, str] = {}
    for part in text[:_LONGEST].split(","):
        experiment, _, arm = part.strip().rpartition("=")
        name = experiment.strip() or ROLLOUT_EXPERIMENT
        if not arm.strip() or name in wishes:
            raise FieldError(HEADER, repr(text[:80]), _EXPECTED)
        wishes[name] = arm.strip()
    return wishes
