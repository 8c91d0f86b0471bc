"""Positions of the training log held out to choose settings by; the test part is never looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from recsys.data.log import InteractionLog
from recsys.evaluation.metrics import Targets, hits, ndcg
from recsys.evaluation.model import Model
from recsys.features.users import UserBatch, batch_at

N_QUESTIONS = 2_000
"""Positions held out, about, as far as users and :data:`MOST_PER_USER` allow: fewer decide little."""

MOST_PER_USER = 4
"""With few users, more positions of each are held out, up to so many and to a fifth of the history."""

_LEARNED_PER_HELD_OUT = 5
_CUT = 10  # what the report speaks of
_BATCH = 512

Setting = TypeVar("Setting")


@dataclass(frozen=True, slots=True)
class Validation:
    """Users asked for their latest training positions; only :func:`hold_out_last` makes one."""

    past: InteractionLog  # the training log without the positions that are asked for
    users: UserBatch  # as they were just before each; a user may be asked several times
    targets: Targets  # one item each

    def quality(self, model: Model) -> float:
        """Return the mean NDCG@10 of the model's lists, nan when there is nobody to ask."""
        found = [self._quality_of(model, start) for start in range(0, len(self.users), _BATCH)]
        return float(np.concatenate(found).mean()) if found else np.nan

    def _quality_of(self, model: Model, start: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        stop = min(start + _BATCH, len(self.users))
        targets = self.targets.slice(start, stop)
        return ndcg(hits(model.top(self.users.slice(start, stop), _CUT), targets), targets.counts, _CUT)


def hold_out_last(train: InteractionLog, *, n_questions: int = N_QUESTIONS, seed: int = 0) -> Validation:
    """Hold out the latest positions of users drawn at random; each is asked for with all before it known.

    Args:
        train: what a model may learn from.
        n_questions: see :data:`N_QUESTIONS`.
        seed: of the draw.
    """
    able = np.flatnonzero(train.lengths > 2)  # what is left still has an order
    drawn = np.random.default_rng(seed).permutation(able)[:n_questions]
    wanted = min(MOST_PER_USER, -(-n_questions // max(1, len(drawn))))
    per_user = np.clip(train.lengths[drawn] // _LEARNED_PER_HELD_OUT, 1, wanted)
    users = np.repeat(drawn, per_user)
    back = 1 + np.arange(len(users)) - np.repeat(np.cumsum(per_user) - per_user, per_user)
    stops = train.offsets[users + 1] - back
    learned = np.ones(len(train.item_rows), dtype=np.bool_)
    learned[stops] = False
    asked = batch_at(train, users, stops, train.times_s[stops])
    targets = Targets(np.arange(len(stops) + 1), train.item_rows[stops])
    return Validation(train.select(learned), asked, targets)


def best_setting(
    validation: Validation, settings: Sequence[Setting], fit: Callable[[Setting], Model]
) -> Setting:
    """Return the setting whose model is best on the positions held out; of equal ones the first.

    Args:
        validation: who is asked; with nobody to ask the first setting is taken unseen.
        settings: at least one, likeliest first.
        fit: learns from ``validation.past``.
    """
    if len(settings) == 1 or not len(validation.users):
        return settings[0]
    quality = [validation.quality(fit(setting)) for setting in settings]
    return settings[int(np.argmax(quality))]
