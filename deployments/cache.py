"""Lists that were computed a moment ago, for whoever asks the same again while nothing has changed.

A list is a function of what stands in a :class:`Key` and of the time of day. So a question finds an entry
exactly when all of that is equal, and the time is bounded by ``CacheSettings.ttl_s``. See docs/cache.md.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from deployments.metrics import CACHE, CACHE_AGE_SECONDS, CACHE_EVICTIONS
from deployments.question import Answer, Exploration, Question, SessionItem, ShownItem
from deployments.settings import CacheSettings
from deployments.showcase import Showcase
from deployments.traffic import Routed
from recsys.core.clock import Clock
from recsys.pipeline.filters import Filters
from recsys.state.store import UserState

_ENTRY_BYTES = 1_536  # key, place in the tables, empty list
_ITEM_BYTES = 208
_VALUE_BYTES = 64  # of a string, before its characters


class Kind(StrEnum):
    """Who may share an entry."""

    POPULAR = "popular"  # everybody
    COLD = "cold"  # everybody of whom nothing is known and who brings nothing along
    UNCHANGED = "unchanged"  # one user, while the stored state is the same


class Found(StrEnum):
    """What the cache did for a question."""

    HIT = "hit"
    SHARED = "shared"  # the same question stood in the same batch: computed once
    MISS = "miss"
    LEFT_OUT = "left_out"  # must not be cached


class Key(NamedTuple):
    """Everything that a list depends on, besides the time."""

    kind: Kind
    user_id: str | None  # None: shared, for nothing in the key is anybody's
    state_version: bytes
    bundle: str
    arm: str
    top_n: int
    context_row: int
    filters: Filters | None
    variety: float
    explain: bool
    exclude_ids: tuple[str, ...]
    session: tuple[SessionItem, ...]
    shown: bytes  # hashes of the items of earlier pages
    explore: float = 0.0  # share of lists that explore: propensities hang on it
    revision: int = 0  # of the catalogue


def key_of(
    question: Question,
    state: UserState,
    *,
    kind: Kind | None,
    arm: str,
    showcase: Showcase,
    explore: float = 0.0,
) -> Key | None:
    """Return the key of a question; None when its answer must not be cached.

    Args:
        question: what is asked.
        state: what is stored of the user; EMPTY for anonymous ones.
        kind: POPULAR when the list is made for nobody; None: tell from question and state.
        arm: which arm answers.
        showcase: the bundle that it is answered by.
        explore: share of lists that explore; this one does not.
    """
    brings = bool(question.session or question.exclude_ids or len(question.shown))
    if kind is Kind.POPULAR and brings:
        return None  # what somebody brings along is theirs: it stands in no shared key
    kind = kind or _kind_of(question, state, brings=brings)
    if kind is None:
        return None
    return Key(
        kind,
        question.user_id if kind is Kind.UNCHANGED else None,
        state.version if kind is Kind.UNCHANGED else b"",
        showcase.bundle,
        arm,
        question.top_n,
        showcase.catalogue.context_row(question.context),
        question.filters,
        question.variety_weight,
        question.explain,
        question.exclude_ids,
        question.session,
        question.shown.tobytes(),
        explore,
        showcase.revision,
    )


def _kind_of(question: Question, state: UserState, *, brings: bool) -> Kind | None:
    known = bool(state.item_ids or state.seen)
    if not (known or brings):
        return Kind.COLD
    if question.user_id is None or (known and not state.version):
        return None  # no owner, or nothing that would tell when the state changes
    return Kind.UNCHANGED


@dataclass(frozen=True, slots=True)
class Entry:
    """A list that was computed."""

    items: list[ShownItem]
    cursor: str | None
    as_of_s: float  # by the clock of the cache: before the state of its user was read
    n_bytes: int
    exploration: Exploration | None = None


class AnswerCache:
    """Lists by key: bounded in age, number and bytes; the one used longest ago goes first.

    Args:
        settings: bounds.
        clock: monotonic seconds.
    """

    def __init__(self, settings: CacheSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._entries: OrderedDict[Key, Entry] = OrderedDict()  # the one used last stands last
        self._by_age: deque[tuple[Key, Entry]] = deque()  # every entry, also those gone since
        self._of_user: dict[str, set[Key]] = {}
        self._forgotten_s: dict[str, float] = {}
        self._n_bytes = 0

    @property
    def is_on(self) -> bool:
        """Whether anything is ever kept."""
        return self._settings.enabled

    @property
    def n_entries(self) -> int:
        """Lists that are held."""
        return len(self._entries)

    @property
    def n_bytes(self) -> int:
        """About what they take in memory."""
        return self._n_bytes

    def now_s(self) -> float:
        """Return the time by the clock of the cache."""
        return self._clock()

    def get(self, key: Key) -> Entry | None:
        """Return a list that is not too old, None when there is none."""
        entry = self._entries.get(key)
        if entry is None or self._clock() - entry.as_of_s >= self._settings.ttl_s:
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: Key, answer: Answer, as_of_s: float) -> None:
        """Keep a list, unless it is larger than everything together may be, or its user was forgotten.

        Args:
            key: of the question.
            answer: to it; complete, nothing degraded.
            as_of_s: by the clock of the cache, a moment before anything was read that went into it.
        """
        n_bytes = _n_bytes(key, answer)
        forgotten_s = self._forgotten_s.get(key.user_id or "", float("-inf"))
        if not self.is_on or n_bytes > self._settings.max_bytes or as_of_s <= forgotten_s:
            return
        self.expire()
        self._drop(key)
        entry = Entry(answer.items, answer.cursor, as_of_s, n_bytes, answer.exploration)
        self._entries[key] = entry
        self._by_age.append((key, entry))
        self._n_bytes += n_bytes
        if key.user_id is not None:
            self._of_user.setdefault(key.user_id, set()).add(key)
        while len(self._entries) > self._settings.max_entries or self._n_bytes > self._settings.max_bytes:
            self._drop(next(iter(self._entries)))
            CACHE_EVICTIONS.labels("full").inc()

    def expire(self) -> None:
        """Let go of what is too old: nothing stays in memory longer than that and until the next call."""
        limit_s = self._clock() - self._settings.ttl_s
        while self._by_age and self._by_age[0][1].as_of_s <= limit_s:
            key, entry = self._by_age.popleft()
            if self._entries.get(key) is entry:
                self._drop(key)
                CACHE_EVICTIONS.labels("old").inc()
        for user_id in [user_id for user_id, at_s in self._forgotten_s.items() if at_s <= limit_s]:
            del self._forgotten_s[user_id]

    def forget(self, user_id: str) -> None:
        """Drop all lists of a user at once, and those that are being computed when they come."""
        self._forgotten_s[user_id] = self._clock()
        for key in list(self._of_user.get(user_id, ())):
            self._drop(key)
            CACHE_EVICTIONS.labels("forgotten").inc()
        kept = [(key, entry) for key, entry in self._by_age if key.user_id != user_id]
        self._by_age = deque(kept)  # it held them too

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._n_bytes -= entry.n_bytes
        if key.user_id is not None:
            own = self._of_user[key.user_id]
            own.discard(key)
            if not own:
                del self._of_user[key.user_id]


class Round:
    """One batch and the cache: what is known, what has to be computed, and what is kept of it.

    Args:
        cache: what there is.
        asked: the questions of the batch.
        keys: of each; None where nothing may be cached.
        as_of_s: by the clock of the cache, before the states were read.
    """

    def __init__(
        self,
        cache: AnswerCache,
        asked: Sequence[Routed],
        keys: Sequence[Key | None],
        as_of_s: float,
    ) -> None:
        self._cache = cache
        self._asked = asked
        self._keys = keys
        self._as_of_s = as_of_s
        self.answers: list[Answer | None] = [None] * len(asked)
        self.to_compute: list[int] = []
        """Places of the batch that nothing is known of."""
        self._same_as: dict[int, int] = {}  # place -> the place where the same is computed
        self._look()

    def _look(self) -> None:
        first: dict[Key, int] = {}
        counts: Counter[tuple[str, Found]] = Counter()
        now_s = self._cache.now_s()
        for place, key in enumerate(self._keys):
            entry = None if key is None else self._cache.get(key)
            if key is None:
                self.to_compute.append(place)
                counts["none", Found.LEFT_OUT] += 1
            elif entry is not None:
                self.answers[place] = _answer(self._asked[place], key, entry)
                counts[key.kind, Found.HIT] += 1
                CACHE_AGE_SECONDS.observe(now_s - entry.as_of_s)
            elif key in first:
                self._same_as[place] = first[key]
                counts[key.kind, Found.SHARED] += 1
            else:
                first[key] = place
                self.to_compute.append(place)
                counts[key.kind, Found.MISS] += 1
        if self._cache.is_on:
            for (kind, found), count in counts.items():
                CACHE.labels(kind, found.value).inc(count)

    def complete(self) -> list[Answer]:
        """Return all answers, now that ``answers`` holds what had to be computed; keep what may be kept."""
        for place in self.to_compute:
            key, answer = self._keys[place], self.answers[place]
            if key is not None and answer is not None and not answer.degraded:
                self._cache.put(key, answer, self._as_of_s)
        for place, first in self._same_as.items():
            key, answer = self._keys[place], self.answers[first]
            if key is not None and answer is not None:
                shared = _answer(self._asked[place], key, answer)
                shared.degraded.extend(answer.degraded)
                self.answers[place] = shared
        return [answer for answer in self.answers if answer is not None]


def _answer(asked: Routed, key: Key, made: Entry | Answer) -> Answer:
    question, route = asked
    return Answer(
        question.request_id,
        made.items,
        key.arm,
        key.bundle,
        made.cursor,
        [],
        cached=True,
        override=route.override,
        experiments=route.experiments,
        exploration=made.exploration,
    )


def _n_bytes(key: Key, answer: Answer) -> int:
    """Return about what an entry takes in memory, all that clients can make long included."""
    n_bytes = _ENTRY_BYTES + _ITEM_BYTES * len(answer.items) + len(key.shown) + len(answer.cursor or "")
    if answer.exploration is not None:
        n_bytes += _VALUE_BYTES * (1 + len(answer.exploration.propensities))
    if answer.items and answer.items[0].reason is not None:
        n_bytes += sum(_VALUE_BYTES + 4 * len(item.reason or "") for item in answer.items)
    values: list[str] = [*key.exclude_ids, *(item.item_id for item in key.session), key.user_id or ""]
    if key.filters is not None:
        for names in (key.filters.tags_any, key.filters.tags_none, key.filters.creator_ids):
            values += names or ()
    return n_bytes + sum(2 * _VALUE_BYTES + 4 * len(value) for value in values)
