"""What the router leaves behind of its answers: handed over once per batch, written elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import NamedTuple

from deployments.metrics import EXPOSURES, EXPOSURES_PUBLISHED
from deployments.question import Answer, Degradation, Exploration, Question, ShownItem
from deployments.settings import ExposureSettings
from recsys.core.clock import monotonic_clock, unix_clock
from recsys.core.pseudonyms import Pseudonyms
from recsys.eventlog.exposure import Exposure, key_for
from recsys.eventlog.exposure_writer import ExposureThread, ExposureWriter, Fate
from recsys.streams.open import open_exposure_topic

_ANSWER_BYTES = 1_024  # of what is held of an answer in memory, ids of any length included
_ITEM_BYTES = 160
_CHOICE_BYTES = 48  # ids of the catalogue's own, and a chance
_CERTAIN = Exploration(())  # nothing was left to chance


class _Held(NamedTuple):
    """What is held of an answer until it is written; little of the question, which may exclude 1,000 ids."""

    request_id: str
    user_id: str | None
    session_id: str | None
    now_s: float
    context: str | None
    n_shown_before: int
    arm: str
    bundle: str
    cached: bool
    override: bool
    experiments: Mapping[str, str]
    degraded: list[Degradation]
    items: list[ShownItem]
    teams: tuple[str, ...]
    exploration: Exploration | None


class Exposures:
    """Takes down every answer of a router.

    Args:
        offer: takes what makes the exposures, their number and their size; see ``ExposureWriter.offer``.
        pseudonyms: what users are called instead.
        close: called in the end; writes what is held.
    """

    def __init__(
        self,
        offer: Callable[[Callable[[], Sequence[Exposure]], int, int], bool],
        pseudonyms: Pseudonyms,
        *,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._offer = offer
        self._pseudonyms = pseudonyms
        self.close = close

    def served(
        self, questions: Sequence[Question], answers: Sequence[Answer], *, call: str = "recommend"
    ) -> None:
        """Take down answers; returns within a microsecond per answer, and never fails.

        Args:
            questions: what was asked.
            answers: what is sent, one per question.
            call: "recommend", or "popular" for lists made for nobody in particular.
        """
        held = [
            _Held(
                asked.request_id,
                asked.user_id,
                asked.session_id,
                asked.now_s,
                asked.context,
                len(asked.shown),
                answer.arm,
                answer.bundle,
                answer.cached,
                answer.override,
                answer.experiments,
                answer.degraded,
                answer.items,
                answer.teams,
                answer.exploration,
            )
            for asked, answer in zip(questions, answers, strict=True)
        ]
        n_bytes = sum([_ANSWER_BYTES + _ITEM_BYTES * len(answer.items) for answer in answers])
        n_bytes += sum([_CHOICE_BYTES * len(a.exploration.choices) for a in answers if a.exploration])
        self._offer(lambda: [self._exposure(one, call) for one in held], len(held), n_bytes)

    def _exposure(self, held: _Held, call: str) -> Exposure:
        items = held.items
        chance = held.exploration or _CERTAIN
        return Exposure(
            held.request_id,
            held.now_s,
            None if held.user_id is None else self._pseudonyms.of(held.user_id),
            held.arm,
            held.bundle,
            call,
            held.context,
            held.n_shown_before,
            override=held.override,
            cached=held.cached,
            degraded=[f"{missing.stage}: {missing.why}" for missing in held.degraded],
            item_ids=[item.item_id for item in items],
            scores=[item.score for item in items],
            sources=[item.source for item in items],
            propensities=chance.propensities or [nan if held.teams else 1.0] * len(items),
            session_pseudonym=self._session(held),
            experiments=[f"{name}={arm}" for name, arm in held.experiments.items()],
            teams=held.teams,
            explored_rank=chance.position,
            choices=chance.choices,
            chances=chance.chances,
        )

    def _session(self, held: _Held) -> str | None:
        """Return the session's pseudonym when no user is named, for then it is what was dealt an arm."""
        if held.user_id is not None or held.session_id is None:
            return None
        return self._pseudonyms.of_session(held.session_id)


def open_exposures(settings: ExposureSettings, writer_id: str) -> Exposures | None:
    """Begin to write exposures as the settings say; None when they are off.

    Raises:
        DataFormatError: the key file holds no key.
        OSError: it can neither be read nor made.
        FieldError: there is no client of Kafka, which ``topic`` asks for.
    """
    if settings.folder is None:
        return None
    for fate in Fate:
        EXPOSURES.labels(fate.value)  # shown as 0 from the beginning
        EXPOSURES_PUBLISHED.labels(fate.value)
    pseudonyms = Pseudonyms.of_file(settings.key or key_for(settings.folder))
    address = settings.topic
    topic = None if address is None else open_exposure_topic(address, writer_id, _count_published)
    writer = ExposureWriter(
        settings.folder,
        writer_id,
        config=settings.files,
        clock=monotonic_clock,
        unix_clock=unix_clock,
        on_fate=_count,
        publish=(lambda _: None) if topic is None else topic.publish,
    )
    thread = ExposureThread(writer)

    def close() -> None:
        thread.close()
        if topic is not None:
            topic.close()

    return Exposures(writer.offer, pseudonyms, close=close)


def _count(fate: Fate, n_exposures: int) -> None:
    EXPOSURES.labels(fate.value).inc(n_exposures)


def _count_published(fate: Fate, n_exposures: int) -> None:
    EXPOSURES_PUBLISHED.labels(fate.value).inc(n_exposures)
