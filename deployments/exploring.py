"""Which lists may explore, and what chance makes of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.question import Exploration
from deployments.showcase import Showcase
from deployments.traffic import Routed
from recsys.experiments.interleaving import INTERLEAVED
from recsys.pipeline.stages import RerankingStage
from recsys.reranking.exploration import Drawn, chance_of, draw, explores, propensities
from recsys.reranking.rerank import Slate
from recsys.rollout.names import SHADOW

_ARMS_WITHOUT = (INTERLEAVED, SHADOW)  # two orders are compared there, so that neither is left to chance


def share_of(routed: Routed) -> float:
    """Return which share of the lists of such questions explores: as experiments say, else the bundle."""
    question, route = routed
    if route.arm in _ARMS_WITHOUT:
        return 0.0
    if question.explore is not None:
        return question.explore
    return route.showcase.reranking.config.exploration.share


def left_to_chance(
    showcase: Showcase,
    slate: Slate,
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    request_ids: Sequence[str],
    shares: Sequence[float],
) -> tuple[Slate, list[Exploration | None]]:
    """Return the lists as chance leaves them, and of each what could have been.

    Args:
        showcase: the bundle.
        slate: the lists by the ranking.
        item_rows: shape (users, candidates).
        scores: same shape.
        request_ids: decide, one per user.
        shares: of lists that explore, one per user.

    Returns:
        The lists, and per user what is said of chance; None where nothing is left to it.
    """
    scores = showcase.reranking.priced(item_rows, scores)
    made = Slate(slate.item_rows.copy(), slate.scores.copy(), slate.columns.copy())
    found: list[Exploration | None] = [None] * len(shares)
    for user, (request_id, share) in enumerate(zip(request_ids, shares, strict=True)):
        if share == 0.0:
            continue
        listed = slate.columns[user][slate.columns[user] >= 0]
        drawn = _drawn(showcase.reranking, listed, item_rows[user], scores[user], request_id, share)
        if drawn is not None:
            chosen = drawn.choices[drawn.chosen]
            made.columns[user, drawn.column] = chosen
            made.item_rows[user, drawn.column] = item_rows[user, chosen]
            made.scores[user, drawn.column] = scores[user, chosen]
        found[user] = _told(showcase, len(listed), item_rows[user], share, drawn)
    return made, found


def _drawn(
    stage: RerankingStage,
    listed: NDArray[np.int32],
    item_rows: NDArray[np.int32],
    scores: NDArray[np.float32],
    request_id: str,
    share: float,
) -> Drawn | None:
    if not explores(request_id, share):
        return None
    chance = chance_of(request_id)
    return draw(listed, item_rows, scores, stage.config.exploration, chance, stage.interest)


def _told(
    showcase: Showcase, n_shown: int, item_rows: NDArray[np.int32], share: float, drawn: Drawn | None
) -> Exploration | None:
    """Return what is said of chance; a list that is filled up has shown all candidates and had no choice."""
    config = showcase.reranking.config.exploration
    odds = propensities(n_shown, int((item_rows >= 0).sum()), share, config, drawn)
    if (odds == 1.0).all():
        return None
    if drawn is None:
        return Exploration(tuple(odds.tolist()))
    ids = showcase.catalogue.items.ids
    choices = tuple(ids[row] for row in item_rows[drawn.choices].tolist())
    return Exploration(tuple(odds.tolist()), drawn.column + 1, choices, tuple(drawn.chances.tolist()))
