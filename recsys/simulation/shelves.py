"""What is on offer each day: popularity of quality and age, as tables from which drawing is one look-up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_DAY
from recsys.simulation.catalogue import Catalogue
from recsys.simulation.chance import Stream, stream
from recsys.simulation.scenario import Scenario

AGED_FLOOR = 0.3  # share of its first weight that an old video keeps
_TOPIC_SLOTS = 1_024
_MIN_SLOTS, _MAX_SLOTS = 256, 4_096


@dataclass(frozen=True, slots=True)
class Shelves:
    """For each day and topic, videos as often as they are popular; a random slot is a random video.

    A video stands on the shelves from the midnight after its publication.
    """

    items: NDArray[np.int32]  # shape (days, topics, slots), item rows
    topics: NDArray[np.int16]  # shape (days, topic slots), topics as often as they are popular

    def draw_topics(self, days: NDArray[np.intp], uniform: NDArray[np.float32]) -> NDArray[np.int16]:
        """Draw topics by popularity; ``days`` broadcasts against ``uniform``, which is in [0, 1)."""
        slots = (uniform * self.topics.shape[1]).astype(np.intp)
        drawn: NDArray[np.int16] = self.topics[days, slots]
        return drawn

    def draw_items(
        self, days: NDArray[np.intp], topics: NDArray[np.int16], uniform: NDArray[np.float32]
    ) -> NDArray[np.int32]:
        """Draw a video for each topic by popularity; ``days`` broadcasts against ``topics``."""
        slots = (uniform * self.items.shape[2]).astype(np.intp)
        drawn: NDArray[np.int32] = self.items[days, topics, slots]
        return drawn


def day_weights(catalogue: Catalogue, scenario: Scenario) -> NDArray[np.float64]:
    """Return the weight of each video on each day, shape (days, items); 0.0 before publication."""
    midnights_s = scenario.starts_s + np.arange(scenario.n_days) * SECONDS_PER_DAY
    age_days = (midnights_s[:, None] - catalogue.published_s[None, :]) / SECONDS_PER_DAY
    fading = 0.5 ** (np.maximum(age_days, 0.0) / scenario.freshness_half_life_days)
    freshness = AGED_FLOOR + (1.0 - AGED_FLOOR) * fading
    return np.where(age_days >= 0.0, catalogue.popularity * freshness, 0.0)


def _slots(weights: NDArray[np.float64], n_slots: int, offset: float) -> NDArray[np.intp]:
    """Return indices as often as they weigh: quantiles at (0, 1, ...) + ``offset``, none of weight 0.0."""
    cumulative = np.cumsum(weights)
    points = (np.arange(n_slots) + offset) / n_slots * cumulative[-1]
    last = np.flatnonzero(weights)[-1]  # rounding may carry a point to the very end
    found: NDArray[np.intp] = np.searchsorted(cumulative, points, side="right")
    return np.asarray(np.minimum(found, last))


def stock_shelves(catalogue: Catalogue, scenario: Scenario, seed: int) -> Shelves:
    """Lay out the tables of every day; a topic without any video yet offers those of all topics."""
    rng = stream(seed, Stream.SHELVES)
    n_topics, n_days = scenario.n_topics_used, scenario.n_days
    weights = day_weights(catalogue, scenario)
    per_topic = 4 * catalogue.n_items // n_topics
    n_slots = int(np.clip(1 << per_topic.bit_length(), _MIN_SLOTS, _MAX_SLOTS))
    items = np.empty((n_days, n_topics, n_slots), dtype=np.int32)
    everything = np.arange(catalogue.n_items)
    members = [np.flatnonzero(catalogue.topics == topic) for topic in range(n_topics)]
    share = np.zeros((n_days, n_topics))
    for topic, rows in enumerate(members):
        share[:, topic] = weights[:, rows].sum(axis=1)
        for day in range(n_days):
            offered = rows if share[day, topic] > 0.0 else everything
            items[day, topic] = offered[_slots(weights[day, offered], n_slots, rng.random())]
    topics = np.stack([_slots(share[day], _TOPIC_SLOTS, rng.random()) for day in range(n_days)])
    return Shelves(items, topics.astype(np.int16))
