"""What users do with what they are shown, for a block of users at a time, row by row of their schedule."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.schema import INTERACTIONS, KIND_DTYPE, Kind
from recsys.simulation.chance import Stream, stream
from recsys.simulation.responses import CODE_OF, WATCHED_SHARE, look_chances, respond
from recsys.simulation.schedule import Schedule
from recsys.simulation.slates import SURFACE_SHARES, SURFACES, Moment, SlateMaker
from recsys.simulation.world import World, match, watch_logit

PAUSE_S = 15.0  # mean time between two videos of a session
_BIT = np.array([1 << bit for bit in range(8)], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Rows of one block, users one after another, each in order of time. All of shape (rows,)."""

    user_rows: NDArray[np.int32]
    item_rows: NDArray[np.int32]
    kinds: NDArray[np.uint8]  # position in Kind
    times_s: NDArray[np.float64]
    values: NDArray[np.float32]  # share of the video watched, NaN for impressions
    surfaces: NDArray[np.int8]
    positions: NDArray[np.int16]  # where the video stood in the slate, 1 is the top

    def frame(self, user_ids: pl.Series, user_places: NDArray[np.intp], item_ids: pl.Series) -> pl.DataFrame:
        """Return the rows in the schema :data:`recsys.data.schema.INTERACTIONS`; positions are left out.

        Args:
            user_ids: the ids of the users of these rows.
            user_places: shape (rows,), where in ``user_ids`` each row's user stands.
            item_ids: the ids of all videos, by row.
        """
        surfaces = pl.Series(SURFACES, dtype=pl.String())
        return pl.DataFrame(
            [
                user_ids.gather(user_places).alias("user_id"),
                item_ids.gather(self.item_rows).alias("item_id"),
                pl.Series("kind", self.kinds).cat.to(KIND_DTYPE),
                pl.Series("time_s", self.times_s),
                pl.Series("value", self.values, nan_to_null=True),
                surfaces.gather(self.surfaces.astype(np.int32)).alias("context"),
            ],
            schema=INTERACTIONS,
        )


def empty_behaviour(n_rows: int) -> Behaviour:
    """Return room for ``n_rows`` rows; a row that never happens keeps position 0."""
    return Behaviour(
        np.zeros(n_rows, np.int32),
        np.zeros(n_rows, np.int32),
        np.zeros(n_rows, np.uint8),
        np.zeros(n_rows, np.float64),
        np.full(n_rows, np.nan, np.float32),
        np.zeros(n_rows, np.int8),
        np.zeros(n_rows, np.int16),
    )


class Seen:
    """Which user has met which video: one bit each, so that a block of users stays small."""

    def __init__(self, n_users: int, n_items: int) -> None:
        self._bits = np.zeros((n_users, n_items // 8 + 1), dtype=np.uint8)

    def holds(self, slate: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Tell which videos of the slates the first users have met; shape of ``slate`` (users, positions)."""
        users = np.arange(slate.shape[0])[:, None]
        held: NDArray[np.bool_] = (self._bits[users, slate >> 3] & _BIT[slate & 7]) != 0
        return held

    def add(self, users: NDArray[np.intp], items: NDArray[np.int32]) -> None:
        """Remember one video for each of ``users``, who are all different."""
        self._bits[users, items >> 3] |= _BIT[items & 7]


class BlockOfUsers:
    """The state of a block of users while their rows are played; made for one call of :meth:`play`."""

    def __init__(
        self, world: World, slates: SlateMaker, first_user: int, schedule: Schedule, block: int
    ) -> None:
        self._world, self._slates, self._schedule = world, slates, schedule
        self._rng = stream(world.seed, Stream.CHOICES, block)
        n_users = schedule.n_rows.size
        # the busiest first: those who still have rows to come are always the first so many
        self._order = np.argsort(-schedule.n_rows, kind="stable")
        self._user_rows = (first_user + self._order).astype(np.intp)
        self._times_s = np.zeros(n_users)
        self._free_from_s = np.zeros(n_users)  # when the last video is over
        self._surfaces = np.zeros(n_users, dtype=np.int8)
        self._recent = np.full((2, n_users), -1, dtype=np.int32)  # last and last but one watched
        self._seen = Seen(n_users, world.catalogue.n_items)
        self._looked = look_chances(world.scenario, world.scenario.slate_size)

    def play(self) -> Behaviour:
        """Play every row and return those that happened."""
        n_rows = self._schedule.n_rows[self._order]
        rows = empty_behaviour(int(n_rows.sum()))
        for step in range(int(n_rows.max(initial=0))):
            active = int(np.searchsorted(-n_rows, -step, side="left"))
            places = self._schedule.offsets[self._order[:active]] + step
            self._step(rows, places)
        happened = rows.positions > 0
        return Behaviour(*(getattr(rows, name)[happened] for name in Behaviour.__slots__))

    def _step(self, rows: Behaviour, places: NDArray[np.int64]) -> None:
        n = places.size
        begins = self._advance(places)
        moment = Moment(self._user_rows[:n], self._times_s[:n], self._surfaces[:n], self._recent[0, :n])
        slate = self._slates.draw(moment, self._rng)
        tastes = self._world.tastes_at(moment.user_rows, moment.times_s)
        affinity = match(tastes, self._world.catalogue.vectors[slate])
        chosen, taken = self._choose(moment, slate, affinity, begins)
        users = np.flatnonzero(chosen >= 0)
        position = chosen[users]
        items = slate[users, position]
        kinds, values = self._react(affinity[users, position], items, taken[users])
        at = places[users]
        rows.user_rows[at] = moment.user_rows[users]
        rows.item_rows[at] = items
        rows.kinds[at] = kinds
        rows.times_s[at] = moment.times_s[users]
        rows.values[at] = values
        rows.surfaces[at] = moment.surfaces[users]
        rows.positions[at] = position + 1
        self._remember(users, items, kinds, values)

    def _advance(self, places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Move the clocks of the first users to their next row; return who begins a session."""
        n = places.size
        starts_s = self._schedule.session_starts_s[places]
        begins = ~np.isnan(starts_s)
        pause_s = PAUSE_S * self._rng.standard_exponential(n)
        next_s = np.maximum(self._free_from_s[:n] + pause_s, np.where(begins, starts_s, 0.0))
        self._times_s[:n] = self._free_from_s[:n] = np.minimum(next_s, self._world.scenario.ends_s)
        drawn = self._rng.choice(len(SURFACES), size=n, p=SURFACE_SHARES).astype(np.int8)
        self._surfaces[:n] = np.where(begins, drawn, self._surfaces[:n])
        return begins

    def _choose(
        self,
        moment: Moment,
        slate: NDArray[np.int32],
        affinity: NDArray[np.float32],
        begins: NDArray[np.bool_],
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Let each user look down the slate and choose at most one video.

        Returns:
            The position (from 0) of the row to write, -1 when nothing could be shown; and whether it
            was chosen (else it is an impression). Gumbel-max makes the choice a softmax over utilities.

        Source: Maddison, Tarlow and Minka, "A* Sampling", NeurIPS 2014.
        """
        shown = (self._world.catalogue.published_s[slate] <= moment.times_s[:, None]) & ~self._seen.holds(
            slate
        )
        looked = shown & (self._rng.random(slate.shape, dtype=np.float32) < self._looked)
        utility = np.float32(self._world.scenario.taste_weight) * affinity + self._momentum(slate, begins)
        utility -= np.log(self._rng.standard_exponential(slate.shape, dtype=np.float32) + np.float32(1e-20))
        utility[~looked] = -np.inf
        best = np.argmax(utility, axis=1)
        leave = self._world.scenario.leave_utility - np.log(
            self._rng.standard_exponential(slate.shape[0]) + 1e-20
        )
        taken = utility[np.arange(best.size), best] > leave
        top = np.where(looked.any(axis=1), np.argmax(looked, axis=1), np.argmax(shown, axis=1))
        return np.where(shown.any(axis=1), np.where(taken, best, top), -1), taken

    def _momentum(self, slate: NDArray[np.int32], begins: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the bonus of each shown video for going on from the last two watched."""
        scenario, catalogue = self._world.scenario, self._world.catalogue
        last, before = self._recent[:, : slate.shape[0]]
        follows = (slate == catalogue.next_episodes[last][:, None]) & (last >= 0)[:, None]
        bonus: NDArray[np.float32] = follows * np.float32(scenario.series_momentum)
        going_on = ~begins
        same_creator = catalogue.creators[slate] == catalogue.creators[last][:, None]
        bonus += (same_creator & (going_on & (last >= 0))[:, None]) * np.float32(scenario.creator_momentum)
        topics = catalogue.topics[slate]
        for recent in (last, before):
            same_topic = topics == catalogue.topics[recent][:, None]
            bonus += (same_topic & (going_on & (recent >= 0))[:, None]) * np.float32(scenario.topic_momentum)
        return bonus

    def _react(
        self, affinity: NDArray[np.float32], items: NDArray[np.int32], taken: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Say what each user does with the video of the row: kinds and shares watched."""
        kinds, values = respond(watch_logit(affinity, self._world.catalogue.quality[items]), self._rng)
        kinds[~taken] = CODE_OF[Kind.IMPRESSION]
        return kinds, np.where(taken, values, np.float32(np.nan))

    def _remember(
        self,
        users: NDArray[np.intp],
        items: NDArray[np.int32],
        kinds: NDArray[np.uint8],
        values: NDArray[np.float32],
    ) -> None:
        met = kinds != CODE_OF[Kind.IMPRESSION]
        users, items, values = users[met], items[met], values[met]
        self._seen.add(users, items)
        self._free_from_s[users] += values * self._world.catalogue.durations_s[items]
        liked = values > WATCHED_SHARE
        self._recent[1, users[liked]] = self._recent[0, users[liked]]
        self._recent[0, users[liked]] = items[liked]
