"""What users with known tastes do with the lists that they are shown.

In the world's own past a user looks down a slate and chooses at most one video. Here every position is a
matter of its own: it is looked at with the world's chance for that position; whoever looks opens the video,
and watches or skips it with the world's chance for that taste and that video. So the chance of a watch is
:meth:`recsys.simulation.world.World.watch_probability` exactly, position by position; a list says more than
one choice would, and what a list is worth is known beforehand.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.data.schema import POSITIVE_KINDS, Kind
from recsys.simulation.responses import CODE_OF, look_chances, respond
from recsys.simulation.world import World, watch_logit

PAD = -1
"""In lists: there is no video in this position, or none that the world knows."""
NOTHING = -1
"""In kinds: the position was not looked at."""

KINDS = tuple(Kind)
_POSITIVE_CODES = np.array([CODE_OF[kind] for kind in KINDS if kind in POSITIVE_KINDS], dtype=np.int8)


@dataclass(frozen=True, slots=True)
class Reactions:
    """What became of each position of each list. All of shape (users, positions)."""

    shown: NDArray[np.bool_]
    kinds: NDArray[np.int8]  # position in KINDS, or NOTHING
    values: NDArray[np.float32]  # share of the video watched, NaN where nothing happened
    chances: NDArray[np.float32]  # of being watched, as the world has it; 0.0 where nothing was shown

    @property
    def looked(self) -> NDArray[np.bool_]:
        """Which positions were looked at."""
        return np.not_equal(self.kinds, NOTHING)

    @property
    def watched(self) -> NDArray[np.bool_]:
        """Which videos were watched and not skipped."""
        return np.isin(self.kinds, _POSITIVE_CODES)


def react(
    world: World,
    user_rows: NDArray[np.int64],
    lists: NDArray[np.int64],
    times_s: NDArray[np.float64] | float,
    rng: np.random.Generator,
) -> Reactions:
    """Draw what users do with the lists that they are shown.

    Args:
        world: knows their tastes.
        user_rows: shape (users,), whose taste judges each list.
        lists: shape (users, positions), rows of the catalogue, the top first; :data:`PAD` where a list ends.
        times_s: world time, one or of shape (users,).
        rng: draws everything.
    """
    shown = lists != PAD
    look = look_chances(world.scenario, lists.shape[1])
    looked = shown & (rng.random(lists.shape, dtype=np.float32) < look)
    logits = watch_logit(world.affinity(user_rows, lists, times_s), world.catalogue.quality[lists])
    chances = np.where(shown, look / (1.0 + np.exp(-logits)), np.float32(0.0))
    kinds = np.full(lists.shape, NOTHING, dtype=np.int8)
    values = np.full(lists.shape, np.nan, dtype=np.float32)
    kinds[looked], values[looked] = respond(logits[looked], rng)
    return Reactions(shown, kinds, values, chances.astype(np.float32))


def expected_watch_rate(
    world: World,
    user_rows: NDArray[np.int64],
    lists: NDArray[np.int64],
    times_s: NDArray[np.float64] | float,
) -> float:
    """Return which share of the videos shown is watched on average; NaN when nothing is shown.

    Args:
        world: knows the tastes.
        user_rows: shape (users,).
        lists: shape (users, positions), as in :func:`react`.
        times_s: world time, one or of shape (users,).
    """
    positions = np.arange(1, lists.shape[1] + 1)
    chances = world.watch_probability(user_rows, lists, times_s, position=positions)
    shown = lists != PAD
    return float(chances[shown].mean(dtype=np.float64)) if shown.any() else float("nan")


def best_lists(
    world: World, user_rows: NDArray[np.int64], n_positions: int, times_s: NDArray[np.float64] | float
) -> NDArray[np.int64]:
    """Return the lists that are watched most, shape (users, min(n_positions, items)): what nobody can beat.

    Videos met before are not left out.
    """
    tastes = world.tastes_at(user_rows, times_s)
    merit = watch_logit(tastes @ world.catalogue.vectors.T, world.catalogue.quality)
    return np.argsort(-merit, axis=1, kind="stable")[:, :n_positions].astype(np.int64)


def found_lists(
    world: World,
    user_rows: NDArray[np.int64],
    n_positions: int,
    times_s: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    among: int,
) -> NDArray[np.int64]:
    """Return what people find by themselves: the best of some published videos that they come across.

    Args:
        world: knows the tastes.
        user_rows: shape (users,).
        n_positions: the most that anybody finds.
        times_s: world times, shape (users,).
        rng: draws what they come across.
        among: how many that is.

    Returns:
        Shape (users, min(n_positions, among, items)), the best first; :data:`PAD` where nothing was left.
    """
    published = world.catalogue.published_s <= times_s[:, None]
    luck = np.where(published, rng.random(published.shape), 2.0)
    met = np.argsort(luck, axis=1)[:, :among].astype(np.int64)
    there = np.take_along_axis(published, met, axis=1)
    merit = watch_logit(world.affinity(user_rows, met, times_s), world.catalogue.quality[met])
    best = np.argsort(np.where(there, -merit, np.inf), axis=1, kind="stable")[:, :n_positions]
    return np.where(np.take_along_axis(there, best, axis=1), np.take_along_axis(met, best, axis=1), PAD)


def random_lists(world: World, n_users: int, n_positions: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return lists drawn blindly, no video twice in a list: shape (n_users, min(n_positions, items))."""
    luck = rng.random((n_users, world.catalogue.n_items))
    return np.argsort(luck, axis=1)[:, :n_positions].astype(np.int64)
