"""From an event to a changed answer: how long it takes until a list leaves out what its user has watched.

A probe is somebody whom nobody has met. They get a list, watch its first video, and ask again and again until
it is gone: by then the event is in the user state, past the cache of lists and whatever works in batches.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import numpy as np

from loadtest.bench.servers import MARQUEE, running, serve
from loadtest.measure.histogram import Histogram
from recsys.core.clock import monotonic_clock, unix_clock
from recsys.core.errors import UnavailableError
from recsys.data.events import Event, EventKind
from recsys.streams.open import open_event_log

_ASK_EVERY_S: Final = 0.002
_GIVE_UP_S: Final = 60.0
_WARM_UP: Final = 20  # probes that are not counted
_SIDE_BY_SIDE: Final = 4  # where events wait for a batch: probes spend their time asleep
_PAUSE_S: Final = 2.0  # at most, between probes: so that they meet batches at any moment
_TOP_N: Final = 10

Send = Callable[[Event], None]
"""Brings an event on its way; returns when it is acknowledged."""


class Way(StrEnum):
    """How an event comes in."""

    FILES = "POST /events, log in files"
    KAFKA = "POST /events, log in Kafka"
    TOPIC = "Kafka's topic, marquee ingest"


@dataclass(frozen=True, slots=True)
class Effect:
    """How long it took, over all probes of a way; milliseconds from before the event was sent."""

    way: str
    n_probes: int
    acknowledged_p50_ms: float | None
    acknowledged_p99_ms: float | None
    p50_ms: float | None
    """Until the end of the first answer without the video; None: there was none."""
    p99_ms: float | None
    n_without_effect: int
    """Probes whose list still held the video after a minute."""
    answer_p50_ms: float | None
    """One answer: figures are no finer than that."""


def measure(
    registry: Path,
    home: Path,
    way: Way,
    *,
    kafka: str | None = None,
    n_probes: int = 300,
    batch_s: float | None = None,
    on_probe: Callable[[], None] = lambda: None,
) -> Effect:
    """Start a service, its cache on, and probe it.

    Args:
        registry: holds a bundle in channel ``stable``.
        home: an empty folder.
        way: how events come in.
        kafka: ``kafka://HOST:PORT/PREFIX``, for all ways but files; topics are made.
        n_probes: people who come, one event each.
        batch_s: how long ingest waits for more; its own default when None.
        on_probe: is told of each.

    Raises:
        UnavailableError: something did not start, or gives no list.
    """
    with ExitStack() as stack:
        if way is not Way.FILES:  # it makes the topics, too
            words = ["ingest", "--from", str(kafka)]
            words += [] if batch_s is None else ["--batch-seconds", f"{batch_s:g}"]
            output, environment = home / "ingest.out", {"MARQUEE_HOME": str(home)}
            ingest, _ = stack.enter_context(running("ingest", [*MARQUEE, *words], output, environment))
        log = [] if way is Way.FILES else ["--event-log", str(kafka)]
        server = stack.enter_context(serve(registry, home, ["--cache", *log]))
        if way is not Way.FILES and ingest.poll() is not None:
            raise UnavailableError("ingest", output.read_text(errors="replace")[-2_000:])
        client = stack.enter_context(httpx.Client(base_url=server.url, timeout=_GIVE_UP_S))
        if way is not Way.TOPIC:
            return probe(client, posting(client), way, n_probes, on_probe=on_probe)
        send = stack.enter_context(_topic(str(kafka)))
        return probe(client, send, way, n_probes, side_by_side=_SIDE_BY_SIDE, on_probe=on_probe)


def probe(
    client: httpx.Client,
    send: Send,
    way: Way,
    n_probes: int,
    *,
    side_by_side: int = 1,
    give_up_s: float = _GIVE_UP_S,
    on_probe: Callable[[], None] = lambda: None,
) -> Effect:
    """Probe a service that runs.

    Args:
        client: of the service.
        send: how events come in.
        way: what that is called.
        n_probes: how many.
        side_by_side: probes at a time; several begin at moments of chance.
        give_up_s: how long a video may stay.
        on_probe: is told of each.

    Raises:
        UnavailableError: it gives no list, or takes no event.
    """
    run = f"{unix_clock():.0f}"
    pause_s = _PAUSE_S if side_by_side > 1 else 0.0

    def one(number: int) -> _Took:
        time.sleep(pause_s * np.random.default_rng(abs(number)).random())
        took = _probed(client, send, f"effect-{run}-{number}", give_up_s)
        if number >= 0:
            on_probe()
        return took

    with ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(one, range(-_WARM_UP, 0)))
        found = list(pool.map(one, range(n_probes)))
    effects = Histogram.of(took.effect_s for took in found if took.effect_s is not None)
    acknowledged = Histogram.of(took.acknowledged_s for took in found)
    return Effect(
        way.value,
        n_probes,
        _ms(acknowledged, 50),
        _ms(acknowledged, 99),
        _ms(effects, 50),
        _ms(effects, 99),
        n_probes - effects.n,
        _ms(Histogram.of(took.answer_s for took in found), 50),
    )


def posting(client: httpx.Client) -> Send:
    """Return the way through the service itself."""

    def send(event: Event) -> None:
        told = {
            "event_id": event.event_id,
            "user_id": event.user_id,
            "kind": event.kind.value,
            "item_id": event.item_id,
            "time_s": event.time_s,
        }
        _answer(client, "/events", [told])

    return send


@contextmanager
def _topic(kafka: str) -> Iterator[Send]:
    with open_event_log(kafka, "effect") as log:
        yield lambda event: log.append_durably([event], timeout_s=_GIVE_UP_S)


class _Took(NamedTuple):
    answer_s: float
    acknowledged_s: float
    effect_s: float | None


def _probed(client: httpx.Client, send: Send, user_id: str, give_up_s: float) -> _Took:
    asked_s = monotonic_clock()
    before = _list(client, user_id)
    if not before:
        raise UnavailableError("service", f"no list for {user_id}")
    answer_s = monotonic_clock() - asked_s
    event = Event(
        event_id=f"{user_id}-1",
        user_id=user_id,
        kind=EventKind.WATCH,
        time_s=unix_clock(),
        item_id=before[0],
    )
    sent_s = monotonic_clock()
    send(event)
    acknowledged_s = monotonic_clock() - sent_s
    while before[0] in _list(client, user_id):
        if monotonic_clock() - sent_s > give_up_s:
            return _Took(answer_s, acknowledged_s, None)
        time.sleep(_ASK_EVERY_S)
    return _Took(answer_s, acknowledged_s, monotonic_clock() - sent_s)


def _list(client: httpx.Client, user_id: str) -> list[str]:
    answer = _answer(client, "/recommend", {"user_id": user_id, "top_n": _TOP_N})
    return [item["item_id"] for item in answer["items"]]


def _answer(client: httpx.Client, path: str, asked: object) -> Any:  # noqa: ANN401 - JSON
    try:
        return client.post(path, json=asked).raise_for_status().json()
    except httpx.HTTPStatusError as error:
        raise UnavailableError("service", f"{path} answered {error.response.text}") from error
    except httpx.HTTPError as error:
        raise UnavailableError("service", f"{path}: {error!r}") from error


def _ms(found: Histogram, percentile: float) -> float | None:
    return round(1e3 * found.percentile_s(percentile), 1) if found.n else None
