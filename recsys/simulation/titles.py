"""Titles a person can read, so that a recommendation in a demo means something."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

TOPICS = (
    "Drama", "Comedy", "Cooking", "Travel", "Football", "Science", "History", "Music",
    "Gaming", "Crime", "Nature", "Fitness", "Animation", "Fashion", "Cars", "Politics",
    "Horror", "Romance", "Gardening", "Chess", "Space", "Woodwork", "Dance", "Finance",
    "Cycling", "Architecture", "Sailing", "Pets", "Mathematics", "Painting", "Climbing", "Theatre",
)  # fmt: skip
"""Names of the topics; in lower case they are the tags."""

ADJECTIVES = (
    "Quiet", "Golden", "Broken", "Distant", "Hidden", "Last", "Crooked", "Silver", "Early", "Wild",
    "Hollow", "Bright", "Northern", "Patient", "Burning", "Gentle", "Frozen", "Lost", "Secret", "Tall",
    "Restless", "Velvet", "Seventh", "Honest", "Rusty", "Little", "Endless", "Paper", "Midnight", "Salt",
)  # fmt: skip

NOUNS = (
    "Harbour", "Garden", "Mirror", "Lantern", "River", "Orchard", "Compass", "Bridge", "Winter", "Island",
    "Letter", "Engine", "Market", "Shadow", "Kitchen", "Mountain", "Station", "Feather", "Window", "Tower",
    "Journey", "Neighbour", "Forest", "Promise", "Signal", "Meadow", "Stage", "Anchor", "Village", "Sparrow",
    "Workshop", "Horizon", "Library", "Furnace", "Island Road", "Clock", "Tide", "Summit", "Cellar", "Map",
)  # fmt: skip


def make_titles(
    topics: NDArray[np.int16],
    series: NDArray[np.int32],
    episodes: NDArray[np.int32],
    rng: np.random.Generator,
) -> list[str]:
    """Name every video by its topic, its number within the topic, its series and its episode.

    Args:
        topics: shape (items,), rows into :data:`TOPICS`.
        series: shape (items,), series number of each video.
        episodes: shape (items,), 1 for the first of its series.
        rng: draws the words of each series.

    Returns:
        Titles such as ``Drama 17: The Quiet Harbour, part 2``, no two alike.
    """
    n_series = int(series.max(initial=-1)) + 1
    adjectives = rng.integers(len(ADJECTIVES), size=n_series)
    nouns = rng.integers(len(NOUNS), size=n_series)
    numbers: defaultdict[int, int] = defaultdict(int)
    titles = []
    for topic, one_series, episode in zip(topics.tolist(), series.tolist(), episodes.tolist(), strict=True):
        numbers[topic] += 1
        words = f"The {ADJECTIVES[adjectives[one_series]]} {NOUNS[nouns[one_series]]}"
        part = f", part {episode}" if episode > 1 else ""
        titles.append(f"{TOPICS[topic]} {numbers[topic]}: {words}{part}")
    return titles
