"""New users: nobody of them is in the training log; they are asked again after each of their first clicks.

A model learns from everything before a moment. A user whose first item comes later is new. The items after
the first five are what is asked for, the same ones whether nothing is known or five clicks are, at the same
time; the first five are never shown, known or not. So the lines can be compared along the clicks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog
from recsys.evaluation.metrics import Targets, accuracy
from recsys.evaluation.model import Fit, Model
from recsys.evaluation.scenarios import ScenarioReport, rows_of
from recsys.features.users import UserBatch, user_batch
from recsys.pipeline.declared import items_of_tags
from recsys.pipeline.filters import Filters
from recsys.pipeline.stages import TwoStage

MAX_CLICKS = 5
N_TARGETS = 10
N_TAGS = 3
POPULAR, RECENT, OURS = "popularity", "recent-popularity", "two-stage"
DECLARED, FILTERED = "two-stage, tastes as a past", "two-stage, tastes as a filter"
_BEFORE_S = 3_600.0  # tastes are declared so long before the first click
_K = 10


@dataclass(frozen=True, slots=True)
class NewUsers:
    """Users whom no model has seen."""

    train: InteractionLog  # everything before the moment
    users: NDArray[np.int64]  # shape (users,), rows of the full log
    first_rows: NDArray[np.int32]  # shape (users, MAX_CLICKS), their first items
    first_times_s: NDArray[np.float64]  # same shape
    asked_s: NDArray[np.float64]  # shape (users,)
    context_rows: NDArray[np.int16]  # shape (users,)
    targets: Targets  # up to N_TARGETS items after the first
    tags: list[list[str]]  # what each would say they like: from items later than the targets

    def batch(self, n_clicks: int, declared: list[list[int]] | None = None) -> UserBatch:
        """Return the users as they are known after so many clicks; declared items come before those."""
        before = declared if declared is not None else [[] for _ in self.users]
        clicks, clicked_s = self.first_rows[:, :n_clicks].tolist(), self.first_times_s[:, :n_clicks].tolist()
        said_s = (self.first_times_s[:, 0] - _BEFORE_S).tolist()
        rows = [[*said, *own] for said, own in zip(before, clicks, strict=True)]
        times_s = [
            [*([at_s] * len(said)), *own] for said, at_s, own in zip(before, said_s, clicked_s, strict=True)
        ]
        ends = np.cumsum([len(own) for own in rows])
        return user_batch(
            np.array(list(chain.from_iterable(rows)), dtype=np.int32),
            np.array(list(chain.from_iterable(times_s)), dtype=np.float64),
            np.concatenate([[0], ends[:-1]]).astype(np.int64),
            ends.astype(np.int64),
            now_s=self.asked_s,
            context_rows=self.context_rows,
            excluded_offsets=np.arange(len(self.users) + 1, dtype=np.int64) * MAX_CLICKS,
            excluded_rows=self.first_rows.ravel(),
        )


def find_new_users(log: InteractionLog, items: pl.DataFrame, cut_s: float) -> NewUsers:
    """Return the users whose first item came at or after a moment, and the log before it.

    Args:
        log: all positions.
        items: the catalogue, for tags.
        cut_s: Unix time.

    Raises:
        FieldError: nobody new has more than the first clicks, or there is nothing to learn from.
    """
    past = log.times_s < cut_s
    starts, lengths = log.offsets[:-1], log.lengths
    begun = np.concatenate([[0], np.cumsum(past)])[log.offsets]
    is_new = (np.diff(begun) == 0) & (lengths > MAX_CLICKS)
    asked_for = {user: rows for user in np.flatnonzero(is_new).tolist() if (rows := _targets(log, user))}
    users = np.array(list(asked_for), dtype=np.int64)
    if not len(users) or not past.any():
        got = f"{len(users)} new users, {past.sum()} events before"
        raise FieldError("cut_s", got, f"a moment after which users come who choose {MAX_CLICKS + 1} items")
    first = starts[users][:, None] + np.arange(MAX_CLICKS)
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in asked_for.values()])]).astype(np.int64)
    return NewUsers(
        log.select(past),
        users,
        log.item_rows[first],
        log.times_s[first],
        log.times_s[starts[users] + MAX_CLICKS],
        log.context_rows[starts[users] + MAX_CLICKS],
        Targets(offsets, np.array(list(chain.from_iterable(asked_for.values())), dtype=np.int32)),
        [_tags(log, user, items) for user in asked_for],
    )


def new_users(
    found: NewUsers,
    items: pl.DataFrame,
    fits: Mapping[str, Fit],
    *,
    data: str,
    seed: int = 0,
    on_step: Callable[[str, float], None] = lambda _, __: None,
) -> ScenarioReport:
    """Ask every model about the new users after 0 to :data:`MAX_CLICKS` clicks.

    Args:
        found: who is new.
        items: the catalogue.
        fits: by name: :data:`POPULAR` and :data:`RECENT` as baselines, :data:`OURS` a two-stage pipeline.
        data: name of the data set.
        seed: of the bootstrap.
        on_step: told what is being done.
    """
    models: dict[str, Model] = {}
    for place, (name, fit) in enumerate(fits.items()):
        on_step(f"{name}: fit", place / len(fits))
        models[name] = fit(found.train, items)
    ours = models[OURS]
    said = declared_items(ours, found) if isinstance(ours, TwoStage) else None
    rows = []
    for n_clicks in range(MAX_CLICKS + 1):
        on_step(f"{n_clicks} clicks", n_clicks / (MAX_CLICKS + 1))
        users = found.batch(n_clicks)
        values = {name: _ndcg(model, users, found) for name, model in models.items()}
        if isinstance(ours, TwoStage) and said is not None:
            values[DECLARED] = _ndcg(ours, found.batch(n_clicks, said), found)
            values[FILTERED] = _accuracy(_filtered(ours, users, found), found)
        rows += rows_of(f"{n_clicks} clicks", values, (POPULAR, RECENT), seed=seed)
    return ScenarioReport(
        data=data,
        scenario="new users",
        how=(
            f"{len(found.users):,} users who came after everything that models learned from "
            f"({len(found.train.item_rows):,} events). Asked for: the up to {N_TARGETS} items after their "
            f"first {MAX_CLICKS}, among all of the catalogue without those {MAX_CLICKS}. "
            f"Declared tastes: the {N_TAGS} most frequent tags of what they chose later than that."
        ),
        metric=f"NDCG@{_K}",
        seed=seed,
        rows=rows,
    )


def declared_items(model: TwoStage, found: NewUsers) -> list[list[int]]:
    """Return what stands for each user's declared tags, without the user's first items."""
    catalogue = model.recall.catalogue
    known: dict[tuple[str, ...], list[int]] = {}
    for tags in found.tags:
        known.setdefault(tuple(tags), items_of_tags(catalogue, tags))
    return [
        [row for row in known[tuple(tags)] if row not in first]
        for tags, first in zip(found.tags, found.first_rows.tolist(), strict=True)
    ]


def _filtered(model: TwoStage, users: UserBatch, found: NewUsers) -> NDArray[np.int32]:
    """Return lists of items that have one of the declared tags, as a request with that filter gets them."""
    filters = [Filters(tags_any=tuple(tags)) if tags else None for tags in found.tags]
    candidates = model.recall.recall(users, model.n_candidates, filters)
    scores = model.ranking.rank(users, candidates)
    return model.reranking.rerank(candidates.item_rows, scores, _K).item_rows


def _ndcg(model: Model, users: UserBatch, found: NewUsers) -> NDArray[np.float64]:
    return _accuracy(model.top(users, _K), found)


def _accuracy(shown: NDArray[np.int32], found: NewUsers) -> NDArray[np.float64]:
    return accuracy(shown, found.targets, (_K,))[f"ndcg@{_K}"]


def _targets(log: InteractionLog, user: int) -> list[int]:
    """Return the next items after the first ones, each once and none of those."""
    own = log.item_rows[log.offsets[user] : log.offsets[user + 1]].tolist()
    later = [row for row in dict.fromkeys(own[MAX_CLICKS:]) if row not in own[:MAX_CLICKS]]
    return later[:N_TARGETS]


def _tags(log: InteractionLog, user: int, items: pl.DataFrame) -> list[str]:
    """Return the tags that a user's items later than the targets have most often; ties by name."""
    start = log.offsets[user] + MAX_CLICKS + N_TARGETS
    later = log.item_rows[start : log.offsets[user + 1]]
    counts = items["tags"].gather(later).explode().drop_nulls().value_counts()
    named = counts.sort(["count", "tags"], descending=[True, False]).head(N_TAGS)["tags"].to_list()
    return [str(tag) for tag in named]
