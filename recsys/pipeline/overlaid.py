"""A bundle's parts with the catalogue as it is now: new items behind the old rows, changed ones, none gone.

Every process makes the same rows of the same overlay: an item that the bundle does not know stands behind the
bundle's rows, at its slot. So a row that one process names is the same item in another, or one that the other
has not heard of yet and leaves out. Big arrays are shared with the part that was loaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.data.schema import ITEMS
from recsys.features.items import ItemTable, TagWeights
from recsys.features.statistics import ItemStatistics
from recsys.overlay.overlay import Overlay, OverlayItem
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.stages import RankingStage, RecallStage, RerankingStage
from recsys.ranking.matrix import Knowledge
from recsys.recall.late import LateItems
from recsys.recall.tags import TagsSource
from recsys.reranking.posterior import ItemInterest

Rows = NDArray[np.int32]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Differences:
    """What an overlay says of a catalogue that the bundle does not."""

    n_learned: int  # rows of the bundle
    n_items: int  # with those of new items
    rows: Rows  # shape (differences,): which rows are different
    items: pl.DataFrame  # schema ITEMS: what these items are now
    newest_first: Rows  # rows of new items that are there to be shown
    n_unknown: int  # items that are gone and that the bundle never had: nothing to do

    @property
    def has_new(self) -> bool:
        """Whether there are more rows than the bundle has."""
        return self.n_items > self.n_learned


def differences(catalogue: Catalogue, overlay: Overlay) -> Differences:
    """Compare an overlay with the catalogue of a bundle; what both say alike is no difference.

    Args:
        catalogue: as the bundle has it.
        overlay: what has become of items since.
    """
    n_learned, known = catalogue.n_items, catalogue.items
    told = [(item, known.row(item_id)) for item_id, item in overlay.items.items()]
    unknown = [item for item, row in told if row < 0 and not item.change.available]
    new = sorted((item for item, row in told if row < 0 and item.change.available), key=lambda one: one.slot)
    both = [(item, row) for item, row in told if row >= 0]
    rows = np.array([row for _, row in both], dtype=np.int32)
    before = catalogue.frame[rows.tolist()]
    after = _as_told([item for item, _ in both], before)
    same = _rows_alike(before, after)
    added = np.array([n_learned + item.slot for item in new], dtype=np.int32)
    slots = [item.slot for item, row in told if row < 0]
    recent = sorted(new, key=lambda one: (-one.since_s, one.slot))
    return Differences(
        n_learned,
        n_learned + max(slots, default=-1) + 1,
        np.concatenate([rows[~same], added]),
        pl.concat([after.filter(~same), _as_told(new, None)]),
        np.array([n_learned + item.slot for item in recent], dtype=np.int32),
        len(unknown),
    )


def told_alike(catalogue: Catalogue, overlay: Overlay) -> set[str]:
    """Return the ids of items of which a catalogue says what the overlay says."""
    found = differences(catalogue, overlay)
    gone = {item_id for item_id, item in overlay.items.items() if not item.change.available}
    unknown = {item_id for item_id in gone if item_id not in catalogue.items}
    return overlay.items.keys() - set(found.items["item_id"].to_list()) | unknown


def overlaid_catalogue(catalogue: Catalogue, found: Differences) -> Catalogue:
    """Return the catalogue as it is now; what is popular less what is gone, new items behind it."""
    n, rows = found.n_items, found.rows
    nobody = {"item_id": "", "tags": [], "available": False}
    padding = pl.DataFrame([nobody] * (n - found.n_learned), schema=ITEMS, orient="row")
    whole = pl.concat([catalogue.frame.select(list(ITEMS)), padding])
    taken = np.arange(n)
    taken[rows] = n + np.arange(len(rows))
    frame = pl.concat([whole, found.items])[taken.tolist()]
    available = frame["available"].to_numpy()
    popular = catalogue.popular_rows[available[catalogue.popular_rows]]
    come = np.setdiff1d(rows[available[rows]], popular)
    added = {row: frame["item_id"][row] for row in rows[rows >= found.n_learned].tolist()}
    return Catalogue(
        frame,
        np.concatenate([popular, come]).astype(np.int32),
        catalogue.contexts,
        catalogue.items.extended(added, n),
        found.n_learned,
    )


def overlaid_items(items: ItemTable, catalogue: Catalogue, found: Differences) -> ItemTable:
    """Return the arrays of the catalogue as they are now; tags that the bundle does not know say nothing.

    Args:
        items: of the bundle.
        catalogue: of the bundle, which tells what its tags weigh.
        found: what is different.
    """
    made = ItemTable(
        _longer(items.tag_vectors, found, 0.0),
        _longer(items.creator_rows, found, -1),
        _longer(items.published_s, found, np.nan),
        _longer(items.duration_s, found, np.nan),
        _longer(items.available, found, 0),
    )
    weights = TagWeights.of(catalogue.frame, items.tag_vectors.shape[1])
    told = found.items
    made.tag_vectors[found.rows] = weights.vectors(told)
    made.creator_rows[found.rows] = _creator_rows(items, catalogue.frame, told)
    made.published_s[found.rows] = told["published_s"].fill_null(float("nan")).to_numpy()
    made.duration_s[found.rows] = told["duration_s"].fill_null(float("nan")).to_numpy()
    made.available[found.rows] = told["available"].to_numpy()
    return made


def overlaid_tags(source: TagsSource, items: ItemTable) -> TagsSource:
    """Return the source of tags with the vectors of now.

    What is *searched* stays as it was built, so an item whose tags have changed is named by its old tags
    until the next training, and scored by its new ones; new items are named by :class:`LateItems`.
    """
    return replace(source, index=replace(source.index, vectors=items.tag_vectors))


def overlaid_recall(stage: RecallStage, items: ItemTable, found: Differences, share: float) -> RecallStage:
    """Return recall with the catalogue of now.

    Args:
        stage: of the bundle.
        items: of the bundle.
        found: what is different.
        share: of the candidates, for new items.
    """
    tags = overlaid_tags(stage.sources.tags, overlaid_items(items, stage.catalogue, found))
    late = LateItems(found.newest_first, tags, share) if len(found.newest_first) else None
    return RecallStage(stage.sources, overlaid_catalogue(stage.catalogue, found), stage.quotas, late)


def overlaid_ranking(stage: RankingStage, catalogue: Catalogue, found: Differences) -> RankingStage:
    """Return ranking with the catalogue of now: nobody has ever touched a new item."""
    known = stage.known
    items = overlaid_items(known.items, catalogue, found)
    statistics = ItemStatistics(
        _longer(known.statistics.first_seen_s, found, np.nan),
        _longer(known.statistics.mean_log_position, found, np.nan),
    )
    sources = replace(known.sources, tags=overlaid_tags(known.sources.tags, items))
    return RankingStage(
        Knowledge(sources, items, statistics, known.transitions, found.n_learned),
        stage.ranker,
        None if stage.heads is None else stage.heads.with_items(found.n_items),
    )


def overlaid_reranking(stage: RerankingStage, catalogue: Catalogue, found: Differences) -> RerankingStage:
    """Return reranking with the catalogue of now; an item whose cost nobody tells costs nothing."""
    interest, costs = stage.interest, stage.costs
    if interest is not None:
        interest = ItemInterest(
            _longer(interest.n_interactions, found, 0.0), _longer(interest.days, found, 0.0)
        )
    if costs is not None:
        costs = _longer(costs, found, 0.0)
        costs[found.rows] = found.items["cost"].fill_null(0.0).to_numpy()
    return RerankingStage(overlaid_items(stage.items, catalogue, found), stage.config, interest, costs)


def _as_told(items: Sequence[OverlayItem], before: pl.DataFrame | None) -> pl.DataFrame:
    """Return what items are now; of one that is gone nothing changes but that.

    Args:
        items: as the overlay has them.
        before: what the bundle says of each; None: it knows none of them.
    """
    told = []
    for place, item in enumerate(items):
        if item.change.available or before is None:
            told.append(item.change.model_dump(include=set(ITEMS)))
        else:
            told.append(before.row(place, named=True) | {"available": False})
    return pl.DataFrame(told, schema=ITEMS, orient="row")


def _rows_alike(before: pl.DataFrame, after: pl.DataFrame) -> NDArray[np.bool_]:
    """Return for each row whether both frames say the same, shape (rows,)."""
    alike = [before[name].eq_missing(after[name]).to_numpy() for name in ITEMS]
    return np.asarray(np.vstack(alike).all(axis=0))


def _creator_rows(items: ItemTable, frame: pl.DataFrame, told: pl.DataFrame) -> Rows:
    """Return the creators of items by the bundle's numbers, and by further ones whom it does not know."""
    numbers = dict(zip(frame["creator_id"].to_list(), items.creator_rows.tolist(), strict=True))
    numbers[None] = -1
    following = max(numbers.values(), default=-1) + 1
    for creator in told["creator_id"].unique(maintain_order=True).to_list():
        if creator not in numbers:
            numbers[creator] = following
            following += 1
    return np.array([numbers[creator] for creator in told["creator_id"].to_list()], dtype=np.int32)


def _longer(values: NDArray[Number], found: Differences, fill: float) -> NDArray[Number]:
    """Return a copy with rows for new items, along the first axis."""
    made = np.full((found.n_items, *values.shape[1:]), fill, dtype=values.dtype)
    made[: found.n_learned] = values
    return made
