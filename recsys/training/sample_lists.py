"""Lists that a new bundle makes for those who came lately: how it serves before anything has drifted."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.log import InteractionLog
from recsys.drift.profile import Profile
from recsys.drift.served import MOST_POSITIONS
from recsys.features.users import batch_at
from recsys.pipeline.stages import TwoStage

_MOST_LISTS: Final = 500
_AT_ONCE: Final = 64


def sample_lists(model: TwoStage, log: InteractionLog, profile: Profile, *, seed: int) -> pl.DataFrame:
    """Ask for users of the reference as they are at the end of the log, the busy ones the more often.

    At the end, because what they chose before is what the model has learned from.

    Returns:
        What :func:`recsys.drift.served.with_served` takes: ``user_id``, ``time_s``, ``item_id``, ``position``
        and ``score``, one row per item.
    """
    recent = (log.times_s >= profile.first_s) & (log.times_s < profile.until_s)
    window = np.floor(log.times_s[recent] / profile.window_s).astype(np.int64)
    pairs = np.unique(np.stack([log.user_rows[recent].astype(np.int64), window]), axis=1)
    if pairs.shape[1] == 0:
        return pl.DataFrame(schema=_SCHEMA)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(pairs.shape[1], size=min(_MOST_LISTS, pairs.shape[1]), replace=False)
    users = np.unique(pairs[0, drawn])
    parts = [_ask(model, log, users[at : at + _AT_ONCE]) for at in range(0, len(users), _AT_ONCE)]
    return pl.concat(parts)


_SCHEMA = {
    "user_id": pl.String(),
    "time_s": pl.Float64(),
    "item_id": pl.String(),
    "position": pl.Int32(),
    "score": pl.Float64(),
}


def _ask(model: TwoStage, log: InteractionLog, users: NDArray[np.int64]) -> pl.DataFrame:
    stops = log.offsets[users + 1]
    now_s = np.full(len(users), log.times_s.max())
    context_rows = log.context_rows[stops - 1]
    _, slate = model.recommend(batch_at(log, users, stops, now_s, context_rows), MOST_POSITIONS)
    user, place = np.nonzero(slate.item_rows >= 0)
    ids = model.recall.catalogue.frame["item_id"]
    return pl.DataFrame(
        {
            "user_id": [log.user_ids[row] for row in users[user].tolist()],
            "time_s": now_s[user],
            "item_id": ids.gather(slate.item_rows[user, place]),
            "position": place.astype(np.int32) + 1,
            "score": slate.scores[user, place].astype(np.float64),
        },
        schema=_SCHEMA,
    )
