"""From candidates and scores to answers; every list is as long as was asked if the catalogue allows it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deployments.cursor import encode_cursor, pack
from deployments.exploring import left_to_chance
from deployments.question import Answer, Degradation, Exploration, Question, ShownItem
from deployments.reasons import reason
from deployments.showcase import Rows, Showcase
from deployments.traffic import Routed
from recsys.features.users import NO_ITEM, UserBatch
from recsys.recall.candidates import Candidates

_FILLED_FROM = "popularity"


class Listed(NamedTuple):
    """A list, and how much of it the models named; popular items fill the rest."""

    items: list[ShownItem]
    n_named: int
    exploration: Exploration | None = None


_NOTHING = Listed([], 0)


def ranked_lists(
    showcase: Showcase,
    questions: Sequence[Question],
    users: UserBatch,
    candidates: Candidates,
    scores: NDArray[np.float32] | None,
    explore: Sequence[float] | None = None,
) -> list[Listed]:
    """Return a list for each question, best first.

    Args:
        showcase: the bundle.
        questions: what was asked.
        users: who asked, as recall saw them.
        candidates: what recall named for them.
        scores: shape of the candidates; None keeps the order of recall, and leaves nothing to chance.
        explore: which share of lists like each explores; None: none of any.
    """
    if scores is None:
        explore = None
        places = np.arange(candidates.item_rows.shape[1], dtype=np.float32)
        scores = np.broadcast_to(1.0 / (1.0 + places), candidates.item_rows.shape)
    shown = [_NOTHING] * len(questions)
    for top_n in {question.top_n for question in questions}:
        # rerank looks further for longer lists: nobody's list may hang on what others in the batch asked for
        asking = [place for place, question in enumerate(questions) if question.top_n == top_n]
        part = _reranked(showcase, questions, users, candidates, scores, asking, top_n, explore)
        for place, listed in zip(asking, part, strict=True):
            shown[place] = listed
    return shown


def as_known(showcase: Showcase, candidates: Candidates) -> Candidates:
    """Return candidates without those that this router does not know, or knows to be gone.

    Recall follows the catalogue by itself, and may be a moment ahead or behind.
    """
    candidates = candidates.below(showcase.catalogue.n_items)
    if showcase.revision == 0:
        return candidates
    shown = (candidates.item_rows >= 0) & showcase.catalogue.available[candidates.item_rows]
    return Candidates(np.where(shown, candidates.item_rows, np.int32(NO_ITEM)), candidates.source_ranks)


def popular_list(showcase: Showcase, question: Question, hidden: Rows) -> Listed:
    """Return the most popular items that this user may get."""
    return Listed(_filled(showcase, question, [], [], hidden), 0)


def answer_of(routed: Routed, listed: Listed, missing: list[Degradation]) -> Answer:
    """Put a list into its envelope."""
    question, route = routed
    items = listed.items
    return Answer(
        question.request_id,
        items,
        route.arm,
        route.showcase.bundle,
        cursor_of(question, packed([item.item_id for item in items], route.showcase)),
        missing,
        False,
        route.override,
        route.experiments,
        exploration=listed.exploration,
    )


def hidden_from(users: UserBatch, user: int) -> Rows:
    """Return the item rows that one user of a batch must not get."""
    hidden: Rows = users.excluded_rows[users.excluded_offsets[user] : users.excluded_offsets[user + 1]]
    return hidden


def _reranked(
    showcase: Showcase,
    questions: Sequence[Question],
    users: UserBatch,
    candidates: Candidates,
    scores: NDArray[np.float32],
    asking: list[int],
    top_n: int,
    explore: Sequence[float] | None,
) -> list[Listed]:
    """Return the lists of those questions that ask for ``top_n`` items."""
    variety = np.array([questions[place].variety_weight for place in asking], dtype=np.float32)
    own = slice(None) if len(asking) == len(questions) else asking
    rows_of_all, scores_of_all = candidates.item_rows[own], scores[own]
    slate = showcase.reranking.rerank(rows_of_all, scores_of_all, top_n, variety)
    chance: list[Exploration | None] = [None] * len(asking)
    if explore is not None and any(explore):
        ids = [questions[place].request_id for place in asking]
        shares = [explore[place] for place in asking]
        slate, chance = left_to_chance(showcase, slate, rows_of_all, scores_of_all, ids, shares)
    named_by = candidates.source_ranks[np.asarray(asking)[:, None], slate.columns]
    sources = showcase.sources(named_by)
    lists = []
    rows, figures = slate.item_rows.tolist(), slate.scores.tolist()
    for place, own_rows, own_figures, own_sources, explored in zip(
        asking, rows, figures, sources, chance, strict=True
    ):
        question, hidden = questions[place], hidden_from(users, place)
        chosen = [row for row in own_rows if row >= 0]
        latest = int(users.history_rows[place, 0])
        items = [
            ShownItem(
                showcase.catalogue.items.ids[row],
                own_figures[column],
                column + 1,
                own_sources[column],
                reason(showcase, own_sources[column], row, latest) if question.explain else None,
            )
            for column, row in enumerate(chosen)
        ]
        filled = _filled(showcase, question, items, chosen, hidden) if len(items) < top_n else items
        lists.append(Listed(filled, len(items), explored))
    return lists


def _filled(
    showcase: Showcase, question: Question, items: list[ShownItem], chosen: list[int], hidden: Rows
) -> list[ShownItem]:
    """Add popular items behind a list that is too short."""
    taken = np.concatenate([hidden, np.asarray(chosen, dtype=np.int32)])
    rows = showcase.popular(question.top_n - len(items), taken, question.filters).tolist()
    floor = items[-1].score if items else 1.0
    return items + [
        ShownItem(
            showcase.catalogue.items.ids[row],
            floor - (place if items else place - 1) / (1.0 + question.top_n),
            len(items) + place,
            _FILLED_FROM,
            reason(showcase, _FILLED_FROM, row, -1) if question.explain else None,
        )
        for place, row in enumerate(rows, start=1)
    ]


def packed(item_ids: Iterable[str], showcase: Showcase) -> list[bytes]:
    """Return what a cursor keeps of items of this bundle's catalogue."""
    row_of = showcase.catalogue.items.row
    return [showcase.packed_hash(row_of(item_id)) for item_id in item_ids]


def cursor_of(question: Question, shown: list[bytes]) -> str | None:
    """Return the cursor behind a page; None when the catalogue has nothing left.

    Args:
        question: what was asked.
        shown: what a cursor keeps of each item of the page.
    """
    if len(shown) < question.top_n:
        return None
    return encode_cursor(b"".join([pack(question.shown), *shown] if len(question.shown) else shown))
