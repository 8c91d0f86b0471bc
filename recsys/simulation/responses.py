"""What a user does with one video: looks at it or not, watches or skips it, likes it or not."""

import numpy as np
from numpy.typing import NDArray

from recsys.data.schema import Kind
from recsys.simulation.scenario import Scenario

WATCHED_SHARE = 0.2  # below this a video was skipped
CLICK_SHARE = 0.4  # opened and watched less than this: a click, no more
P_LIKE, P_SHARE, P_DISLIKE = 0.12, 0.03, 0.12
CODE_OF = {kind: np.uint8(code) for code, kind in enumerate(Kind)}
"""Position of each kind in :class:`recsys.data.schema.Kind`."""
_LOGIT_WATCHED = float(np.log(WATCHED_SHARE / (1.0 - WATCHED_SHARE)))


def look_chances(scenario: Scenario, n_positions: int) -> NDArray[np.float32]:
    """Return the chance that a user looks at each position, shape (n_positions,), the top first."""
    ranks = np.arange(1, n_positions + 1, dtype=np.float32)
    return np.asarray(ranks ** np.float32(-scenario.position_exponent), dtype=np.float32)


def respond(
    watch_logits: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw what users do with videos that they have opened.

    Logistic noise makes the chance of watching exactly the sigmoid of the log-odds.

    Args:
        watch_logits: shape (n,), of :func:`recsys.simulation.world.watch_logit`.
        rng: two draws per video.

    Returns:
        Kinds, as positions in :class:`recsys.data.schema.Kind`, and which share of each video was watched;
        both of shape (n,). A share above :data:`WATCHED_SHARE` goes with watch, click, like and share; one
        below it with skip and dislike.
    """
    noise = rng.logistic(size=watch_logits.size)
    logit = watch_logits + noise
    values = (1.0 / (1.0 + np.exp(-(logit + _LOGIT_WATCHED)))).astype(np.float32)
    luck = rng.random(watch_logits.size)
    watched = logit > 0.0
    kinds = np.where(values < CLICK_SHARE, CODE_OF[Kind.CLICK], CODE_OF[Kind.WATCH])
    kinds[luck < P_LIKE * 2.0 * values] = CODE_OF[Kind.LIKE]
    kinds[luck < P_SHARE * 2.0 * values] = CODE_OF[Kind.SHARE]
    skipped = np.where(luck < P_DISLIKE, CODE_OF[Kind.DISLIKE], CODE_OF[Kind.SKIP])
    return np.where(watched, kinds, skipped), values
