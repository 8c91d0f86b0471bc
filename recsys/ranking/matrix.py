"""The candidate matrix: what the ranker sees of every user and candidate.

Training and serving both call :func:`candidate_matrix`: a ranker is only as good as the sameness of its
inputs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recsys.core.hashing import digest_bytes
from recsys.core.settings import FrozenModel
from recsys.data.log import InteractionLog
from recsys.features import pairs
from recsys.features.items import ItemTable
from recsys.features.pairs import Feature, Rows
from recsys.features.statistics import ItemStatistics, fit_statistics
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.candidates import NOT_NAMED, Candidates
from recsys.recall.neighbours import NeighbourTable
from recsys.recall.sequential import SequentialSource
from recsys.recall.shelf import Shelf
from recsys.recall.sources import SOURCE_NAMES, RecallConfig, Sources, fit_sources
from recsys.recall.transitions import TRANSITIONS_FOLDER, TransitionsConfig, fit_transitions
from recsys.registry.bundle import BundleReader, BundleWriter

HALF_LIVES = ("hot", "recent", "season", "all_time")
_ALL_TIME = 3
"""Names of the rows of the popularity table."""


class KnowledgeConfig(FrozenModel):
    """Everything that is fitted on the log before the ranker."""

    recall: RecallConfig = RecallConfig()
    """The recall sources and their quotas."""

    transitions: TransitionsConfig = TransitionsConfig()
    """Chances of one item after another."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that the features are computed from."""

    sources: Sources
    items: ItemTable
    statistics: ItemStatistics
    transitions: NeighbourTable
    n_learned: int | None = None
    """Items from this row on came after everything here was learned: only catalogue and tags know them.
    None: there are none."""

    @property
    def n_items(self) -> int:
        """How many items there are, learned or not."""
        return self.items.n_items

    def learned(self, item_rows: Rows) -> Rows:
        """Return item rows with NO_ITEM in place of items that nothing was learned of."""
        return (
            item_rows if self.n_learned is None else np.where(item_rows < self.n_learned, item_rows, NO_ITEM)
        )

    def save(self, writer: BundleWriter) -> None:
        """Write every part."""
        self.sources.save(writer)
        self.items.save(writer)
        self.statistics.save(writer)
        self.transitions.save(writer, TRANSITIONS_FOLDER)

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read every part back, memory-mapped."""
        return cls(
            Sources.load(reader),
            ItemTable.load(reader),
            ItemStatistics.load(reader),
            NeighbourTable.load(reader, TRANSITIONS_FOLDER),
        )


def fit_knowledge(
    log: InteractionLog,
    items: ItemTable,
    config: KnowledgeConfig,
    *,
    seed: int = 0,
    sequential: SequentialSource | None = None,
    shelf: Shelf | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Knowledge:
    """Fit the recall sources and the statistics on one log; see :func:`recsys.recall.sources.fit_sources`."""
    sources = fit_sources(
        log, items, config.recall, seed=seed, sequential=sequential, shelf=shelf, on_step=on_step
    )
    on_step("transitions")
    return Knowledge(sources, items, fit_statistics(log), fit_transitions(log, config.transitions))


def feature_columns(
    users: UserBatch, candidates: Candidates, known: Knowledge
) -> Iterator[tuple[str, Feature]]:
    """Compute one feature after another, in the order of :data:`FEATURES`, each with its name.

    Yields:
        name and values, shape (users, candidates), or (users, 1) when the candidate does not matter.
    """
    rows = candidates.item_rows
    learned = known.learned(rows)
    yield from _from_sources(users, candidates, learned, known.sources)
    yield from _from_transitions(users, learned, known.transitions)
    yield from _from_popularity(users, learned, known)
    yield "days_since_published", pairs.days_since_published(users, rows, known.items)
    yield "days_since_first_seen", pairs.days_since_first_seen(users, rows, known.statistics)
    yield "years_from_taste", pairs.years_from_taste(users, rows, known.items)
    yield "log_duration", pairs.log_duration(rows, known.items)
    yield "duration_from_taste", pairs.duration_from_taste(users, rows, known.items)
    yield "creator_share", pairs.creator_share(users, rows, known.items)
    activity = pairs.activity(users)
    position = pairs.mean_log_position(rows, known.statistics)
    yield "activity", activity
    yield "mean_log_position", position
    yield "position_from_activity", position - activity
    yield "days_since_last", pairs.days_since_last(users)
    yield "days_since_tenth_last", pairs.days_since_last(users, back=9)
    yield "hour_of_day", pairs.hour_of_day(users)


def _from_sources(
    users: UserBatch, candidates: Candidates, rows: Rows, sources: Sources
) -> Iterator[tuple[str, Feature]]:
    short, long = sources.sequential.parts(users, rows)
    yield "sequential_short", short
    yield "sequential_long", long
    yield "sequential", short + long
    yield "bilinear", sources.bilinear.score(users, rows)
    near, far, before = sources.passages.parts(users, rows)
    yield "passages_near", near
    yield "passages_before", before
    yield "passages", far
    for name in SOURCE_NAMES[3:]:
        known_rows = candidates.item_rows if name == "tags" else rows
        yield name, getattr(sources, name).score(users, known_rows)
    ranks = candidates.source_ranks
    for column, name in enumerate(SOURCE_NAMES):
        yield f"{name}_rank", ranks[:, :, column].astype(np.float32)
    yield "n_sources", (ranks != NOT_NAMED).sum(axis=2, dtype=np.float32)


def _from_transitions(
    users: UserBatch, rows: Rows, transitions: NeighbourTable
) -> Iterator[tuple[str, Feature]]:
    for back in range(3):
        yield f"transition_from_{back}", transitions.lookup(users.history_rows[:, back], rows)


def _from_popularity(users: UserBatch, rows: Rows, known: Knowledge) -> Iterator[tuple[str, Feature]]:
    table = known.sources.popularity.table
    levels = [pairs.popularity(users, rows, table, row) for row in range(len(HALF_LIVES))]
    for name, level in zip(HALF_LIVES, levels, strict=True):
        yield f"popularity_{name}", level
    yield "trend", levels[0] - levels[2]
    yield "popularity_from_taste", levels[_ALL_TIME] - pairs.history_popularity(users, table, _ALL_TIME)


FEATURES: tuple[str, ...] = (
    "sequential_short",
    "sequential_long",
    "sequential",
    "bilinear",
    "passages_near",
    "passages_before",
    *SOURCE_NAMES[2:],
    *(f"{name}_rank" for name in SOURCE_NAMES),
    "n_sources",
    *(f"transition_from_{back}" for back in range(3)),
    *(f"popularity_{name}" for name in HALF_LIVES),
    "trend",
    "popularity_from_taste",
    "days_since_published",
    "days_since_first_seen",
    "years_from_taste",
    "log_duration",
    "duration_from_taste",
    "creator_share",
    "activity",
    "mean_log_position",
    "position_from_activity",
    "days_since_last",
    "days_since_tenth_last",
    "hour_of_day",
)
"""Names of the columns, in order."""

FEATURE_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sequential": ("sequential_short", "sequential_long", "sequential", "sequential_rank"),
        "passages": ("passages_near", "passages_before", "passages", "passages_rank"),
        **{name: (name, f"{name}_rank") for name in ("bilinear", "covisitation", "svd", "tags")},
        "ranks": (*(f"{name}_rank" for name in SOURCE_NAMES), "n_sources"),
        "transitions": tuple(f"transition_from_{back}" for back in range(3)),
        "popularity": (
            "popularity",
            "popularity_rank",
            *(f"popularity_{name}" for name in HALF_LIVES),
            "trend",
            "popularity_from_taste",
        ),
        "catalogue": (
            "days_since_published",
            "years_from_taste",
            "log_duration",
            "duration_from_taste",
            "creator_share",
        ),
        "position": ("activity", "mean_log_position", "position_from_activity"),
        "time": ("days_since_first_seen", "days_since_last", "days_since_tenth_last", "hour_of_day"),
    }
)
"""Features that say the same kind of thing; every feature is in a group, ranks in two."""

_MEANING = 1  # raise it when a feature changes its meaning and keeps its name


def feature_schema(names: Sequence[str], *, meaning: int = _MEANING) -> str:
    """Return 16 hex digits that change with the names, their order, and what they mean."""
    return digest_bytes(f"{meaning}:{','.join(names)}".encode())[:16]


FEATURE_SCHEMA = feature_schema(FEATURES)
"""What a bundle is made for; a program that computes other features refuses it."""


def candidate_matrix(users: UserBatch, candidates: Candidates, known: Knowledge) -> NDArray[np.float32]:
    """Return shape (users, candidates, features), columns as in :data:`FEATURES`.

    Rows of padding hold arbitrary values.
    """
    matrix = np.empty((*candidates.item_rows.shape, len(FEATURES)), dtype=np.float32)
    for column, (_, values) in enumerate(feature_columns(users, candidates, known)):
        matrix[:, :, column] = values
    return matrix
