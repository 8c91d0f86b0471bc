"""Whether what values want has arrived at the users, for whoever has to wait for it."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import httpx

from deployments.wishes import HEADER
from recsys.core.clock import Clock
from recsys.core.errors import RecsysError, UnavailableError
from recsys.rollout.names import CANARY, STABLE

CHANNELS: Final = ("stable", "candidate")


def arm_of(standing: Mapping[str, str], wanted: str) -> tuple[str, str]:
    """Return the arm that has the wanted bundle, and the bundle's full name.

    Args:
        standing: what the controller says (:func:`deployments.control.standing.standing`).
        wanted: in the values: a bundle's name, the beginning of one, or a channel.

    Raises:
        UnavailableError: no arm has it, or the controller has not read the values yet; says what to do.
    """
    if standing.get("wanted") != wanted:
        raise UnavailableError("bundle", f"the controller has not read yet that {wanted} is wanted")
    arms = {CANARY: standing.get("canary", ""), STABLE: standing.get("bundle", "")}
    if wanted == "stable":
        del arms[CANARY]
    for arm, bundle in arms.items():
        if bundle and (wanted in CHANNELS or bundle.startswith(wanted)):
            return arm, bundle
    said = [standing.get(key, "") for key in ("phase", "why", "what_to_do")]
    raise UnavailableError(
        "bundle", "; ".join(text for text in said if text) or "the controller says nothing"
    )


def check_answer(url: str, arm: str | None, bundle: str | None, *, timeout_s: float = 5.0) -> str:
    """Ask for recommendations, which have to come with nothing missing; return the bundle that they are from.

    Args:
        url: of the service.
        arm: to be asked; None: whichever is dealt.
        bundle: that has to answer; None: any.
        timeout_s: how long it may take.

    Raises:
        UnavailableError: they do not come, are degraded, or are from another bundle.
    """
    headers = {} if arm is None else {HEADER: arm}
    question = {"user_id": "arrival-test", "top_n": 5}
    try:
        got = httpx.post(f"{url}/v1/recommend", json=question, headers=headers, timeout=timeout_s)
        answer = got.raise_for_status().json()
        missing, items, came = answer["degraded"], answer["items"], str(answer["bundle"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise UnavailableError("service", repr(error)) from error
    if missing or not items:
        raise UnavailableError("service", f"the answer has {len(items)} items, and lacks {missing or 'them'}")
    if bundle is not None and came != bundle:
        raise UnavailableError("service", f"bundle {came} answers, not {bundle}")
    return came


def wait_until(
    checks: Iterable[Callable[[], object]],
    *,
    at_most_s: float,
    clock: Clock,
    sleep: Callable[[float], None] = time.sleep,
    every_s: float = 2.0,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Wait until all checks pass, one after another in the same look.

    Args:
        checks: each raises a RecsysError while there is something to wait for.
        at_most_s: how long.
        clock: monotonic seconds.
        sleep: waits.
        every_s: between two looks.
        say: is told what it waits for, whenever that changes.

    Raises:
        RecsysError: what the last look came upon.
    """
    checks = tuple(checks)
    until_s, told = clock() + at_most_s, ""
    while True:
        try:
            for check in checks:
                check()
        except RecsysError as error:
            if clock() >= until_s:
                raise
            if str(error) != told:
                told = str(error)
                say(told)
            sleep(every_s)
        else:
            return
