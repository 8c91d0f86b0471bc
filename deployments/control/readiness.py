"""Whether the lane of the canary is ready, as the routers see it."""

import httpx

from recsys.core.errors import UnavailableError
from recsys.rollout.controller import Readiness
from recsys.rollout.state import RolloutState


def readiness_of(url: str, state: RolloutState, *, timeout_s: float = 5.0) -> Readiness:
    """Ask the service what its lanes hold.

    Raises:
        UnavailableError: it does not answer, or not as a Marquee does.
    """
    try:
        answer = httpx.get(f"{url}/traffic", timeout=timeout_s)
        answer.raise_for_status()
        report = answer.json()
        refused = [
            one["why"]
            for one in report["refused"]
            if (one["lane"], one["bundle"]) == (state.lane, state.bundle)
        ]
        return Readiness(report["ready"].get(state.lane) == state.bundle, refused[0] if refused else None)
    except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnavailableError("service", repr(error)) from error
