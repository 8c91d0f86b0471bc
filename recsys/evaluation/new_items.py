"""New items: of those that appear after a moment only tags are known; who brings them to whom they are for?

Every interaction with an item that first appears at or after the moment is held out. Who chooses one of them,
and some others before, is asked just before the first of them; what is asked for are all new items that
they went on to choose. Nothing of a test user after the question is learned from; of others, what they chose
among the known items is, as when the last item is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.data.log import InteractionLog
from recsys.evaluation.metrics import Targets, hits, recall
from recsys.evaluation.scenarios import ScenarioReport, ScenarioRow, rows_of
from recsys.features.users import NO_ITEM, UserBatch, batch_at
from recsys.pipeline.stages import TwoStage
from recsys.reranking.exploration import Chance, ExplorationConfig, draw
from recsys.reranking.posterior import ItemInterest, fit_interest

KS = (10, 50, 200)
MIN_HISTORY = 5
RANDOM, POPULAR, WHOLE, CONTENT = "random items", "popularity", "two-stage candidates", "content source"
RANDOM_NEW, SHELF = "random new items", "content source, new items alone"
UNIFORM = "a random item of the catalogue"
_LIST = 10
_BATCH_USERS = 256


@dataclass(frozen=True, slots=True)
class NewItems:
    """Items nobody had chosen at a moment, and the users who went on to choose one."""

    train: InteractionLog
    is_new: NDArray[np.bool_]  # shape (items,), chosen after the moment and never before
    users: UserBatch  # as they were just before the first of them
    targets: Targets  # of new items alone


def find_new_items(log: InteractionLog, cut_s: float) -> NewItems:
    """Return what appears at or after a moment, and for whom.

    Args:
        log: all positions.
        cut_s: Unix time.

    Raises:
        FieldError: nobody with a past goes on to choose a new item.
    """
    first_s = np.full(log.n_items, np.inf)
    np.minimum.at(first_s, log.item_rows, log.times_s)
    is_new = np.isfinite(first_s) & (first_s >= cut_s)
    new_places = np.flatnonzero(is_new[log.item_rows])
    users, first = np.unique(log.user_rows[new_places], return_index=True)
    stops = new_places[first].astype(np.int64)  # the first new item of each user
    known = stops - log.offsets[users] >= MIN_HISTORY
    asked, stops = users[known].astype(np.int64), stops[known]
    if not len(asked):
        got = f"nobody with {MIN_HISTORY} items before a new one"
        raise FieldError("cut_s", got, "a moment with new items and users after it")
    ends = np.full(log.n_users, np.iinfo(np.int64).max)
    ends[asked] = stops
    places = np.arange(len(log.item_rows))
    learned = ~is_new[log.item_rows] & (places < np.repeat(ends, log.lengths))
    return NewItems(
        log.select(learned),
        is_new,
        batch_at(log, asked, stops, log.times_s[stops]),
        _targets(log, asked, stops, is_new),
    )


def _targets(
    log: InteractionLog, users: NDArray[np.int64], stops: NDArray[np.int64], is_new: NDArray[np.bool_]
) -> Targets:
    """Return the new items that each user goes on to choose, each once."""
    wanted = []
    for user, stop in zip(users.tolist(), stops.tolist(), strict=True):
        later = log.item_rows[stop : log.offsets[user + 1]]
        wanted.append(np.unique(later[is_new[later]]))
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in wanted])]).astype(np.int64)
    return Targets(offsets, np.concatenate(wanted).astype(np.int32))


def new_items(
    found: NewItems,
    model: TwoStage,
    *,
    data: str,
    seed: int = 0,
    on_step: Callable[[str, float], None] = lambda _, __: None,
) -> ScenarioReport:
    """Ask the stages of a pipeline, and chance, for the new items.

    Args:
        found: which are new, and for whom.
        model: fitted on ``found.train`` with the whole catalogue.
        data: name of the data set.
        seed: of chance and the bootstrap.
        on_step: told what is being done.
    """
    on_step("naming", 0.0)
    of_all, of_new = _named(found, model, seed)
    rows: list[ScenarioRow] = []
    for k in KS:
        rows += rows_of(f"recall@{k}", _recalls(of_all, found, k), (RANDOM, POPULAR), seed=seed)
        if k < found.is_new.sum():
            rows += rows_of(f"recall@{k}", _recalls(of_new, found, k), (RANDOM_NEW,), seed=seed)
    on_step("exploring", 0.5)
    rows += rows_of("shown by one exploring list", _explored(found, model), (UNIFORM,), seed=seed)
    return ScenarioReport(
        data=data,
        scenario="new items",
        how=(
            f"{int(found.is_new.sum()):,} items of {len(found.is_new):,} are new: all that was ever done "
            f"with them is held out ({len(found.train.item_rows):,} events are learned from), only tags are "
            f"known. {len(found.users):,} users, asked just before their first new item, went on to choose "
            f"{len(found.targets.rows):,}. `{SHELF}` and `{RANDOM_NEW}` name new items alone, all others "
            f"rank the whole catalogue. Last: the odds that an exploring list shows one that the user chose."
        ),
        metric="recall",
        seed=seed,
        rows=rows,
    )


def _recalls(lists: dict[str, NDArray[np.int32]], found: NewItems, k: int) -> dict[str, NDArray[np.float64]]:
    counts = found.targets.counts
    return {name: recall(hits(shown[:, :k], found.targets), counts, k) for name, shown in lists.items()}


def _named(
    found: NewItems, model: TwoStage, seed: int
) -> tuple[dict[str, NDArray[np.int32]], dict[str, NDArray[np.int32]]]:
    """Return what each method names of all items, and of the new ones alone; shape (users, at most KS)."""
    users, n = found.users, max(KS)
    blocked = users.blocked(len(found.is_new)) | ~model.recall.catalogue.available
    aside = blocked | ~found.is_new
    sources = model.recall.sources
    rng = np.random.default_rng([seed, 37])
    of_all = {
        RANDOM: _at_random(blocked, n, rng),
        POPULAR: sources.popularity.search(users, n, blocked).item_rows,
        WHOLE: model.recall.recall(users, n).item_rows,
        CONTENT: sources.tags.search(users, n, blocked).item_rows,
    }
    of_new = {
        RANDOM_NEW: _at_random(aside, n, rng),
        SHELF: sources.tags.search(users, n, aside).item_rows,
    }
    return of_all, of_new


def _at_random(blocked: NDArray[np.bool_], n: int, rng: np.random.Generator) -> NDArray[np.int32]:
    order = np.argsort(np.where(blocked, 2.0, rng.random(blocked.shape)), axis=1)[:, :n].astype(np.int32)
    return np.where(np.take_along_axis(blocked, order, axis=1), NO_ITEM, order).astype(np.int32)


def _explored(found: NewItems, model: TwoStage) -> dict[str, NDArray[np.float64]]:
    """Return the odds that one list, exploring for sure, shows a target where it explores; per user.

    They are exact: nothing is drawn.
    """
    interest = fit_interest(found.train)
    open_items = model.recall.catalogue.available
    left = open_items.sum() - found.users.blocked(len(open_items))[:, open_items].sum(axis=1)
    uniform = found.targets.counts / np.maximum(1, left)
    values: dict[str, NDArray[np.float64]] = {UNIFORM: uniform.astype(np.float64)}
    for name, config in {
        "epsilon, ranked next": ExplorationConfig(share=1.0, places=(_LIST,)),
        "epsilon, new first": ExplorationConfig(share=1.0, places=(_LIST,), pool="new"),
        "Thompson, new first": ExplorationConfig(share=1.0, places=(_LIST,), pool="new", method="thompson"),
    }.items():
        values[name] = _odds(found, model, config, interest)
    return values


def _odds(
    found: NewItems, model: TwoStage, config: ExplorationConfig, interest: ItemInterest
) -> NDArray[np.float64]:
    odds = np.zeros(len(found.users))
    for start in range(0, len(found.users), _BATCH_USERS):
        users = found.users.slice(start, min(start + _BATCH_USERS, len(found.users)))
        candidates = model.candidates(users)
        scores = model.ranking.rank(users, candidates)
        slate = model.reranking.rerank(candidates.item_rows, scores, _LIST)
        for user in range(len(users)):
            listed = slate.columns[user][slate.columns[user] >= 0]
            drawn = draw(listed, candidates.item_rows[user], scores[user], config, Chance(0.0, 0.0), interest)
            if drawn is not None:
                offsets = found.targets.offsets[start + user : start + user + 2]
                wanted = found.targets.rows[offsets[0] : offsets[1]]
                choices = candidates.item_rows[user, drawn.choices]
                odds[start + user] = drawn.chances[np.isin(choices, wanted)].sum()
    return odds
