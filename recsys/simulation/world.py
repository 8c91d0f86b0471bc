"""A world whose tastes are known: what is true can be asked, not only estimated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.clock import SECONDS_PER_HOUR
from recsys.simulation.catalogue import Catalogue, directions, make_catalogue, unit_rows
from recsys.simulation.chance import Stream, stream
from recsys.simulation.scenario import Scenario

TOPICS_PER_USER = 3
TOPIC_SHARES = np.array([0.55, 0.3, 0.15], dtype=np.float32)  # how much of a taste each topic is
PERSONAL_SHARE = np.float32(0.35)  # length of the part of a taste that no topic explains
WATCH_INTERCEPT = np.float32(-0.3)
WATCH_PER_AFFINITY = np.float32(3.5)
WATCH_PER_QUALITY = np.float32(0.8)
_USERS_PER_DRAW = 65_536

Rows = NDArray[np.int32] | NDArray[np.int64]
"""Row numbers of users or videos."""


@dataclass(frozen=True, slots=True)
class Tastes:
    """What users like, at the first and at the last moment; only :func:`make_world` makes one."""

    first: NDArray[np.float32]  # shape (users, dimensions), unit length
    last: NDArray[np.float32]  # shape (users, dimensions), unit length
    first_topics: NDArray[np.int16]  # shape (users, TOPICS_PER_USER), strongest first
    last_topics: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class World:
    """Users and videos with known tastes; users are rows 0..n_users-1, videos rows of the catalogue."""

    scenario: Scenario
    seed: int
    catalogue: Catalogue
    tastes: Tastes

    @property
    def n_users(self) -> int:
        """How many users there are."""
        return self.scenario.n_users

    def user_id(self, user_row: int) -> str:
        """Return the id of a user as it stands in the data set."""
        return f"u{user_row:07d}"

    def drifted(self, time_s: NDArray[np.float64] | float) -> NDArray[np.float32]:
        """Return how far tastes have moved by then: 0.0 at the start, ``scenario.drift`` at the end."""
        if self.scenario.shift_at_hour is not None:
            shifts_s = self.scenario.starts_s + self.scenario.shift_at_hour * SECONDS_PER_HOUR
            return np.asarray(self.scenario.drift * (np.asarray(time_s) >= shifts_s), dtype=np.float32)
        span_s = self.scenario.ends_s - self.scenario.starts_s
        progress = np.clip((np.asarray(time_s) - self.scenario.starts_s) / span_s, 0.0, 1.0)
        return np.asarray(self.scenario.drift * progress, dtype=np.float32)

    def tastes_at(self, user_rows: Rows, time_s: NDArray[np.float64] | float) -> NDArray[np.float32]:
        """Return the users' tastes at a time, shape (user_rows, dimensions), unit length.

        Args:
            user_rows: shape (n,).
            time_s: one Unix time, or shape (n,).
        """
        moved = np.broadcast_to(self.drifted(time_s), user_rows.shape)[:, None]
        first, last = self.tastes.first[user_rows], self.tastes.last[user_rows]
        return unit_rows(first + moved * (last - first))

    def affinity(
        self,
        user_rows: Rows,
        item_rows: Rows,
        time_s: NDArray[np.float64] | float,
    ) -> NDArray[np.float32]:
        """Return how well each video meets its user's taste at a time, in [-1, 1].

        Args:
            user_rows: shape (n,).
            item_rows: shape (n,) for one video per user, or (n, m) for m videos per user.
            time_s: one Unix time, or shape (n,).

        Returns:
            The shape of ``item_rows``: cosine of the user's taste and the video's vector.
        """
        return match(self.tastes_at(user_rows, time_s), self.catalogue.vectors[item_rows])

    def watch_probability(
        self,
        user_rows: Rows,
        item_rows: Rows,
        time_s: NDArray[np.float64] | float,
        *,
        position: Rows | int = 1,
    ) -> NDArray[np.float32]:
        """Return the chance that a user looks at a video at a position and, having opened it, watches it.

        Args:
            user_rows: shape (n,).
            item_rows: shape (n,) or (n, m).
            time_s: one Unix time, or shape (n,).
            position: 1 is the top; broadcast against ``item_rows``.

        Returns:
            The shape of ``item_rows``, in [0, 1].
        """
        affinity = self.affinity(user_rows, item_rows, time_s)
        chance = 1.0 / (1.0 + np.exp(-watch_logit(affinity, self.catalogue.quality[item_rows])))
        looked = np.asarray(position, dtype=np.float64) ** -self.scenario.position_exponent
        return np.asarray(chance * looked, dtype=np.float32)


def match(tastes: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the inner products of tastes (n, d) with vectors (n, d) or (n, m, d)."""
    return np.asarray(np.einsum("nd,n...d->n...", tastes, vectors), dtype=np.float32)


def watch_logit(affinity: NDArray[np.float32], quality: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the log-odds that an opened video is watched and not skipped."""
    return WATCH_INTERCEPT + WATCH_PER_AFFINITY * affinity + WATCH_PER_QUALITY * quality


def _draw_tastes(
    catalogue: Catalogue, n: int, rng: np.random.Generator, among: range
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    dimensions = catalogue.topic_vectors.shape[1]
    topics = rng.integers(among.start, among.stop, size=(n, TOPICS_PER_USER)).astype(np.int16)
    shared = np.einsum("t,ntd->nd", TOPIC_SHARES, catalogue.topic_vectors[topics])
    return unit_rows(shared + PERSONAL_SHARE * directions(rng, n, dimensions)), topics


def _make_tastes(catalogue: Catalogue, scenario: Scenario, seed: int) -> Tastes:
    n_topics, dimensions = catalogue.topic_vectors.shape
    n_last = min(n_topics, scenario.last_n_topics or n_topics)
    n_apart = n_last if scenario.new_fashions and n_last < n_topics else 0
    topics_of = (range(n_apart, n_topics), range(n_last))
    n_users = scenario.n_users
    vectors = np.empty((2, n_users, dimensions), dtype=np.float32)
    topics = np.empty((2, n_users, TOPICS_PER_USER), dtype=np.int16)
    for block, start in enumerate(range(0, n_users, _USERS_PER_DRAW)):
        rng = stream(seed, Stream.TASTES, block)
        users = slice(start, min(start + _USERS_PER_DRAW, n_users))
        for moment in (0, 1):
            drawn = _draw_tastes(catalogue, users.stop - start, rng, topics_of[moment])
            vectors[moment, users], topics[moment, users] = drawn
    return Tastes(vectors[0], vectors[1], topics[0], topics[1])


def make_world(scenario: Scenario, seed: int) -> World:
    """Draw a world; the same scenario and seed give the same one."""
    catalogue = make_catalogue(scenario, seed)
    return World(scenario, seed, catalogue, _make_tastes(catalogue, scenario, seed))
