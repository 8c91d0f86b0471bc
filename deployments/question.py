"""What the router is asked and what it answers, validated and free of HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deployments.cursor import NOTHING_SHOWN, Hashes
from recsys.pipeline.filters import Filters
from recsys.rollout.dealing import NO_WISHES, Wishes

_NO_EXPERIMENTS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class SessionItem:
    """An item that the user met just now."""

    item_id: str
    positive: bool = True  # chosen, not skipped or disliked
    time_s: float | None = None  # None: now


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request for recommendations."""

    request_id: str
    now_s: float
    top_n: int = 10
    user_id: str | None = None  # None: anonymous
    session_id: str | None = None  # whose arm it is when nobody is named
    wishes: Wishes = field(default_factory=lambda: NO_WISHES)  # arms that are asked for
    session: tuple[SessionItem, ...] = ()  # from old to new
    exclude_ids: tuple[str, ...] = ()
    shown: Hashes = field(default_factory=NOTHING_SHOWN.copy)  # what earlier pages held
    context: str | None = None
    filters: Filters | None = None
    variety: float | None = None  # None: as experiments say, else 0
    explain: bool = False
    explore: float | None = None  # share of lists that explore; None: as the bundle says

    @property
    def unit(self) -> str:
        """What decides about arms: the user; of anonymous traffic the session, else the request."""
        return self.user_id or self.session_id or self.request_id

    @property
    def variety_weight(self) -> float:
        """Variety in [0, 1]: 0 ranks by score alone."""
        return self.variety or 0.0


@dataclass(frozen=True, slots=True)
class Degradation:
    """Something is missing in an answer."""

    stage: str
    why: str


@dataclass(frozen=True, slots=True)
class ShownItem:
    """One item of an answer."""

    item_id: str
    score: float  # higher is better; only to be compared within one answer
    position: int  # 1 is the top
    source: str  # the recall source that put it highest
    reason: str | None = None  # only when asked to explain


@dataclass(frozen=True, slots=True)
class Exploration:
    """What is left to chance in a list, and what chance did."""

    propensities: tuple[float, ...]  # chance that each item had of standing in its place, the top first
    position: int | None = None  # the place that was drawn; None: the list is the ranking's own
    choices: tuple[str, ...] = ()  # what could have stood there; the ranking's own item first
    chances: tuple[float, ...] = ()  # of the choices, given that this place is drawn; together 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A list, and how it came about."""

    request_id: str
    items: list[ShownItem]
    arm: str
    bundle: str
    cursor: str | None
    degraded: list[Degradation]
    cached: bool = False  # the list was computed for an earlier request
    override: bool = False  # the arm was asked for, not dealt by chance: not for statistics
    experiments: Mapping[str, str] = field(
        default_factory=lambda: _NO_EXPERIMENTS
    )  # name -> arm, dealt by chance
    teams: tuple[str, ...] = ()  # of an interleaved list: the arm that picked each item
    exploration: Exploration | None = None  # None: nothing is left to chance
