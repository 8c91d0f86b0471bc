"""What is shown: a slate of videos in positions, from several sources that depend on the surface."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from recsys.simulation.catalogue import Catalogue
from recsys.simulation.shelves import Shelves
from recsys.simulation.world import TOPIC_SHARES, World

SURFACES = ("home", "feed", "search")
"""Where a session takes place; the row number is the code of the surface."""
SURFACE_SHARES = np.array([0.5, 0.35, 0.15])


class Source(IntEnum):
    """Why a video is in a slate."""

    POPULAR = 0
    TASTE = 1  # a topic of the user's
    SAME_TOPIC = 2  # as the last video watched
    SAME_CREATOR = 3
    NEXT_EPISODE = 4


SOURCE_SHARES = np.array(
    [
        # popular, taste, same topic, same creator, next episode
        [0.40, 0.36, 0.12, 0.08, 0.04],  # home
        [0.24, 0.36, 0.22, 0.12, 0.06],  # feed
        [0.20, 0.65, 0.10, 0.03, 0.02],  # search
    ]
)
"""How often each source fills a position, by surface."""

_CUMULATIVE_SOURCES = np.cumsum(SOURCE_SHARES, axis=1)[:, :-1].astype(np.float32)
_CUMULATIVE_TOPICS = np.cumsum(TOPIC_SHARES)[:-1]


@dataclass(frozen=True, slots=True)
class Moment:
    """The users who are about to be shown something, and what a slate depends on. All of shape (users,)."""

    user_rows: NDArray[np.intp]
    times_s: NDArray[np.float64]
    surfaces: NDArray[np.int8]
    last_items: NDArray[np.int32]  # last video watched, -1 for none


class SlateMaker:
    """Draws slates for many users at once."""

    def __init__(self, world: World, shelves: Shelves) -> None:
        self._world = world
        self._shelves = shelves
        self._by_creator, self._first_of, self._size_of = _creator_lists(world.catalogue)

    def draw(self, moment: Moment, rng: np.random.Generator) -> NDArray[np.int32]:
        """Draw item rows for each user, shape (users, slate_size); some may be unpublished or seen."""
        shape = (moment.user_rows.size, self._world.scenario.slate_size)
        uniform = rng.random((3, *shape), dtype=np.float32)
        sources = _draw_sources(moment.surfaces, uniform[0])
        sources[moment.last_items < 0] = np.minimum(sources[moment.last_items < 0], Source.TASTE)
        day = (moment.times_s - self._world.scenario.starts_s) // 86_400.0
        days = np.clip(day, 0, self._world.scenario.n_days - 1).astype(np.intp)[:, None]
        topics = self._topics(moment, sources, days, uniform[1], rng)
        slate = self._shelves.draw_items(days, topics, uniform[2])
        return self._follow_ups(moment, sources, slate, uniform[1])

    def _topics(
        self,
        moment: Moment,
        sources: NDArray[np.int8],
        days: NDArray[np.intp],
        uniform: NDArray[np.float32],
        rng: np.random.Generator,
    ) -> NDArray[np.int16]:
        """Choose the topic of every position: popular, the user's own, or that of the last video."""
        tastes = self._world.tastes
        topics = self._shelves.draw_topics(days, uniform)
        moved = rng.random(moment.user_rows.size, dtype=np.float32) < self._world.drifted(moment.times_s)
        own = np.where(
            moved[:, None], tastes.last_topics[moment.user_rows], tastes.first_topics[moment.user_rows]
        )
        rank = sum((uniform > edge).astype(np.intp) for edge in _CUMULATIVE_TOPICS.tolist())
        topics = np.where(sources == Source.TASTE, np.take_along_axis(own, np.asarray(rank), axis=1), topics)
        same = self._world.catalogue.topics[moment.last_items][:, None]
        return np.where(sources >= Source.SAME_TOPIC, same, topics)

    def _follow_ups(
        self,
        moment: Moment,
        sources: NDArray[np.int8],
        slate: NDArray[np.int32],
        uniform: NDArray[np.float32],
    ) -> NDArray[np.int32]:
        """Put in more of the last video's creator and series, where there is more."""
        catalogue = self._world.catalogue
        creators = catalogue.creators[moment.last_items]
        pick = self._first_of[creators][:, None] + (uniform * self._size_of[creators][:, None]).astype(
            np.intp
        )
        slate = np.where(sources == Source.SAME_CREATOR, self._by_creator[pick], slate)
        following = catalogue.next_episodes[moment.last_items][:, None]
        return np.where((sources == Source.NEXT_EPISODE) & (following >= 0), following, slate)


def _draw_sources(surfaces: NDArray[np.int8], uniform: NDArray[np.float32]) -> NDArray[np.int8]:
    sources = np.zeros(uniform.shape, dtype=np.int8)
    for edge in range(_CUMULATIVE_SOURCES.shape[1]):
        sources += uniform > _CUMULATIVE_SOURCES[surfaces, edge][:, None]
    return sources


def _creator_lists(
    catalogue: Catalogue,
) -> tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.intp]]:
    """Return the videos sorted by creator, and where each creator's begin and how many they are."""
    by_creator = np.argsort(catalogue.creators, kind="stable").astype(np.int32)
    size_of = np.bincount(catalogue.creators).astype(np.intp)
    return by_creator, np.cumsum(size_of) - size_of, size_of
