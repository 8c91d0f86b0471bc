"""The videos of a world: topics, creators, series, vectors, quality, publication."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.schema import ITEMS
from recsys.simulation.chance import Stream, stream
from recsys.simulation.scenario import Scenario
from recsys.simulation.titles import TOPICS, make_titles

ITEMS_PER_CREATOR = 20
EPISODES_PER_SERIES = 5.0
BACK_CATALOGUE_DAYS = 365.0
P_SECOND_TOPIC = 0.5
P_HOME_TOPIC = 0.7  # a series is about its creator's own topic
COST_PER_HOUR = 0.02


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every video, by row; only :func:`make_catalogue` makes one."""

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    topics: NDArray[np.int16]  # shape (items,), the main topic
    second_topics: NDArray[np.int16]  # shape (items,), -1 where there is none
    creators: NDArray[np.int32]  # shape (items,)
    next_episodes: NDArray[np.int32]  # shape (items,), row of the next of the series, -1 after the last
    vectors: NDArray[np.float32]  # shape (items, dimensions), unit length
    quality: NDArray[np.float32]  # shape (items,), in (0, 1], 1.0 is the best
    popularity: NDArray[np.float64]  # shape (items,), Zipf weight by rank of quality, the best has 1.0
    durations_s: NDArray[np.float32]
    published_s: NDArray[np.float64]
    topic_vectors: NDArray[np.float32]  # shape (topics, dimensions), unit length

    @property
    def n_items(self) -> int:
        """How many videos there are."""
        return len(self.item_ids)

    def frame(self) -> pl.DataFrame:
        """Return the catalogue in the schema :data:`recsys.data.schema.ITEMS`."""
        tags = [
            [TOPICS[row].lower() for row in pair if row >= 0]
            for pair in zip(self.topics.tolist(), self.second_topics.tolist(), strict=True)
        ]
        return pl.DataFrame(
            {
                "item_id": self.item_ids,
                "title": self.titles,
                "tags": tags,
                "creator_id": [f"c{row:05d}" for row in self.creators.tolist()],
                "duration_s": self.durations_s,
                "published_s": self.published_s,
                "cost": self.durations_s * np.float32(COST_PER_HOUR / 3_600.0),
                "available": np.ones(self.n_items, dtype=np.bool_),
            },
            schema=ITEMS,
        )


@dataclass(frozen=True, slots=True)
class _Series:
    """Which series each video belongs to, and where in it."""

    of_item: NDArray[np.int32]
    episodes: NDArray[np.int32]  # from 1
    next_episodes: NDArray[np.int32]
    creators: NDArray[np.int32]  # shape (series,)


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to length 1."""
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    unit: NDArray[np.float32] = vectors / np.maximum(length, np.float32(1e-12))[:, None]
    return unit


def directions(rng: np.random.Generator, n: int, dimensions: int) -> NDArray[np.float32]:
    """Draw ``n`` unit vectors, uniform on the sphere, shape (n, dimensions)."""
    return unit_rows(rng.standard_normal((n, dimensions), dtype=np.float32))


def _publish(scenario: Scenario, rng: np.random.Generator) -> NDArray[np.float64]:
    n = scenario.n_items
    new = rng.random(n) < scenario.new_item_share
    new[0] = False  # something can be watched from the first moment
    before = scenario.starts_s - rng.random(n) * BACK_CATALOGUE_DAYS * SECONDS_PER_DAY
    during = scenario.starts_s + rng.random(n) * scenario.n_days * SECONDS_PER_DAY
    return np.maximum(np.where(new, during, before), 0.0)


def _group_into_series(
    creators: NDArray[np.int32], published_s: NDArray[np.float64], rng: np.random.Generator
) -> _Series:
    """Cut each creator's videos, in order of publication, into series of random length."""
    order = np.lexsort((published_s, creators))
    begins = rng.random(order.size) < 1.0 / EPISODES_PER_SERIES
    begins[1:] |= creators[order[1:]] != creators[order[:-1]]
    begins[0] = True
    number = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    of_item, episodes = np.empty(order.size, np.int32), np.empty(order.size, np.int32)
    of_item[order] = number
    episodes[order] = np.arange(order.size) - first[number] + 1
    next_episodes = np.full(order.size, -1, dtype=np.int32)
    goes_on = ~begins[1:]
    next_episodes[order[:-1][goes_on]] = order[1:][goes_on]
    return _Series(of_item, episodes, next_episodes, creators[order[first]])


def _zipf(n: int, exponent: float) -> NDArray[np.float64]:
    return np.arange(1, n + 1, dtype=np.float64) ** -exponent


def make_catalogue(scenario: Scenario, seed: int) -> Catalogue:
    """Draw the videos of a world.

    Creators have Zipf sizes, a topic of their own and a style; a series has one topic and its episodes are
    alike; the popularity weight follows the rank of quality.
    """
    rng = stream(seed, Stream.CATALOGUE)
    n, n_topics, dimensions = scenario.n_items, scenario.n_topics_used, scenario.n_dimensions
    n_creators = max(1, n // ITEMS_PER_CREATOR)
    size = _zipf(n_creators, 0.8)
    creators = rng.choice(n_creators, size=n, p=size / size.sum()).astype(np.int32)
    published_s = _publish(scenario, rng)
    series = _group_into_series(creators, published_s, rng)
    n_series = series.creators.size

    topic_vectors = directions(rng, n_topics, dimensions)
    home_topics = rng.integers(n_topics, size=n_creators)[series.creators]
    at_home = rng.random(n_series) < P_HOME_TOPIC
    series_topics = np.where(at_home, home_topics, rng.integers(n_topics, size=n_series))
    topics = series_topics[series.of_item].astype(np.int16)
    second = rng.integers(n_topics, size=n_series).astype(np.int16)[series.of_item]
    has_second = (rng.random(n_series) < P_SECOND_TOPIC)[series.of_item] & (second != topics)
    vectors = (
        topic_vectors[topics]
        + np.where(has_second[:, None], np.float32(0.4) * topic_vectors[second], np.float32(0))
        + np.float32(0.4) * directions(rng, n_creators, dimensions)[creators]
        + np.float32(0.5) * directions(rng, n_series, dimensions)[series.of_item]
        + np.float32(0.3) * directions(rng, n, dimensions)
    )
    merit = 0.7 * rng.standard_normal(n_series)[series.of_item] + 0.7 * rng.standard_normal(n)
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(-merit, kind="stable")] = np.arange(n)
    durations_s = np.clip(rng.lognormal(np.log(300.0), 0.8, size=n), 20.0, 3_600.0)
    return Catalogue(
        item_ids=tuple(f"i{row:06d}" for row in range(n)),
        titles=tuple(make_titles(topics, series.of_item, series.episodes, rng)),
        topics=topics,
        second_topics=np.where(has_second, second, np.int16(-1)),
        creators=creators,
        next_episodes=series.next_episodes,
        vectors=unit_rows(vectors),
        quality=(1.0 - rank / n).astype(np.float32),
        popularity=_zipf(n, scenario.zipf_exponent)[rank],
        durations_s=durations_s.astype(np.float32),
        published_s=published_s,
        topic_vectors=topic_vectors,
    )
