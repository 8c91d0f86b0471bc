"""The stages as plain calls on batches; evaluation and the serving graph both run exactly these."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import InputError
from recsys.features.items import ItemTable
from recsys.features.users import UserBatch, nobody
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.choosing import as_named
from recsys.pipeline.filters import Filters
from recsys.ranking.boosting import BoostedRanker
from recsys.ranking.matrix import Knowledge, candidate_matrix
from recsys.ranking.targets import TargetHeads
from recsys.recall.candidates import Candidates
from recsys.recall.late import LateItems
from recsys.recall.sources import SOURCE_NAMES, Quotas, Sources, name_candidates
from recsys.registry.bundle import BundleReader, BundleWriter
from recsys.reranking.cost import priced
from recsys.reranking.posterior import ItemInterest
from recsys.reranking.rerank import RerankingConfig, Slate, rerank

_MAX_BLOCKED_CELLS = 1 << 24  # users x items looked at together: bounds the memory of one call
_TARGETS = "targets"  # a bundle without heads does not mention them
_SCORED_USERS = 256  # asked at once when others chose the items


@dataclass(frozen=True, slots=True)
class RecallStage:
    """Names candidates: nothing seen, nothing filtered out, nothing unavailable, nothing twice."""

    sources: Sources
    catalogue: Catalogue
    quotas: Quotas
    late: LateItems | None = None  # items that came after the sources were fitted

    def recall(self, users: UserBatch, n: int, filters: Sequence[Filters | None] | None = None) -> Candidates:
        """Name up to ``n`` candidates for each user.

        Args:
            users: who asks.
            n: how many; fewer come back when fewer are allowed.
            filters: one per user, or None for none at all.
        """
        step = max(1, _MAX_BLOCKED_CELLS // max(1, self.catalogue.n_items))
        parts = [
            self._recall(users.slice(start, start + step), n, filters and filters[start : start + step])
            for start in range(0, max(1, len(users)), step)
        ]
        if len(parts) == 1:
            return parts[0]
        return Candidates(
            np.concatenate([part.item_rows for part in parts]),
            np.concatenate([part.source_ranks for part in parts]),
        )

    def _recall(self, users: UserBatch, n: int, filters: Sequence[Filters | None] | None) -> Candidates:
        blocked = users.blocked(self.catalogue.n_items)
        blocked |= ~self.catalogue.available
        for user, wanted in enumerate(filters or ()):
            if wanted is not None:
                blocked[user] |= ~self.catalogue.allowed(wanted)
        n_learned = self.catalogue.n_learned
        learned = blocked if n_learned is None else np.ascontiguousarray(blocked[:, :n_learned])
        candidates = name_candidates(self.sources, users, n, self.quotas, learned)
        return candidates if self.late is None else self.late.among(candidates, users, blocked)

    def warm_up(self) -> None:
        """Answer once, for nobody: loops are compiled or read from disk, pages come into memory."""
        self.recall(nobody(), 1)

    def save(self, writer: BundleWriter) -> None:
        """Write the settings; sources and catalogue write themselves."""
        writer.json("recall/quotas", self.quotas.model_dump())

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read the stage of a bundle."""
        return cls(
            Sources.load(reader), Catalogue.load(reader), Quotas.model_validate(reader.json("recall/quotas"))
        )


@dataclass(frozen=True, slots=True)
class RankingStage:
    """Scores candidates with everything known."""

    known: Knowledge
    ranker: BoostedRanker
    heads: TargetHeads | None = None  # there where what follows an impression has a weight

    def rank(self, users: UserBatch, candidates: Candidates) -> NDArray[np.float32]:
        """Return the score of each candidate, shape (users, candidates), -inf where padded.

        Items beyond those known here count as padding: recall may have heard of them a moment earlier.
        """
        candidates = candidates.below(self.known.n_items)
        matrix = candidate_matrix(users, candidates, self.known)
        flat = matrix.reshape(-1, matrix.shape[-1])
        scores = self.ranker.score(flat)
        if self.heads is not None:
            scores = self.heads.blended(scores, flat, candidates.item_rows.reshape(-1))
        return np.where(
            candidates.item_rows >= 0, scores.reshape(candidates.item_rows.shape), np.float32(-np.inf)
        )

    def warm_up(self) -> None:
        """Answer once, for nobody; see :meth:`RecallStage.warm_up`."""
        named = Candidates(
            np.zeros((1, 1), dtype=np.int32), np.zeros((1, 1, len(SOURCE_NAMES)), dtype=np.int16)
        )
        self.rank(nobody(), named)

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read the stage of a bundle."""
        heads = TargetHeads.load(reader) if reader.json("pipeline").get(_TARGETS) else None
        return cls(Knowledge.load(reader), BoostedRanker.load(reader), heads)


@dataclass(frozen=True, slots=True)
class RerankingStage:
    """Orders scored candidates into lists worth showing."""

    items: ItemTable
    config: RerankingConfig
    interest: ItemInterest | None = None  # there where exploration needs it
    costs: NDArray[np.float32] | None = None  # shape (items,), there where they have a weight

    def __post_init__(self) -> None:
        if self.interest is None and self.config.exploration.needs_interest:
            raise InputError("exploration by newness or Thompson sampling needs the items' interactions")
        if self.costs is None and self.config.cost_weight > 0.0:
            raise InputError("a weight of costs needs the items' costs")

    def priced(self, item_rows: NDArray[np.int32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores less what the items cost; just the scores when costs have no weight."""
        if self.costs is None or self.config.cost_weight == 0.0:
            return scores
        return priced(item_rows, scores, self.costs, self.config.cost_weight)

    def rerank(
        self,
        item_rows: NDArray[np.int32],
        scores: NDArray[np.float32],
        n: int,
        variety: NDArray[np.float32] | None = None,
    ) -> Slate:
        """Choose ``n`` candidates per user by priced scores; see :func:`recsys.reranking.rerank.rerank`."""
        return rerank(item_rows, self.priced(item_rows, scores), n, self.items, self.config, variety)

    def save(self, writer: BundleWriter) -> None:
        """Write the settings and what they need; the items write themselves."""
        writer.json("reranking/config", self.config.model_dump())
        if self.interest is not None:
            self.interest.save(writer)
        if self.costs is not None:
            writer.array("reranking/costs", self.costs)

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read the stage of a bundle."""
        config = RerankingConfig.model_validate(reader.json("reranking/config"))
        known = ItemInterest.load(reader) if config.exploration.needs_interest else None
        costs = reader.array("reranking/costs") if config.cost_weight > 0.0 else None
        return cls(ItemTable.load(reader), config, known, costs)


@dataclass(frozen=True, slots=True)
class TwoStage:
    """The whole pipeline: recall, rank, rerank."""

    recall: RecallStage
    ranking: RankingStage
    reranking: RerankingStage
    n_candidates: int
    name: str = "two-stage"

    def candidates(self, users: UserBatch) -> Candidates:
        """Return what recall names."""
        return self.recall.recall(users, self.n_candidates)

    def recommend(
        self, users: UserBatch, n: int, variety: NDArray[np.float32] | None = None
    ) -> tuple[Candidates, Slate]:
        """Return the candidates and the lists of ``n`` made from them."""
        candidates = self.candidates(users)
        scores = self.ranking.rank(users, candidates)
        return candidates, self.reranking.rerank(candidates.item_rows, scores, n, variety)

    def top(self, users: UserBatch, n: int) -> NDArray[np.int32]:
        """Return the item rows of the lists alone, shape (users, n)."""
        return self.recommend(users, n)[1].item_rows

    def scores(self, users: UserBatch, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the ranker's score of items that others chose, -inf where it is padding.

        An item that recall names keeps the ranks that its sources gave it; one that it does not name is
        scored as named by none.

        Args:
            users: who was asked, as they were then.
            item_rows: shape (users, items), rows of the catalogue, NO_ITEM where there is none.
        """
        scores = np.full(item_rows.shape, -np.inf, dtype=np.float32)
        for start in range(0, len(users), _SCORED_USERS):
            part = slice(start, start + _SCORED_USERS)
            batch = users.slice(start, min(start + _SCORED_USERS, len(users)))
            scores[part] = self.ranking.rank(batch, as_named(self.candidates(batch), item_rows[part]))
        return scores

    def save(self, writer: BundleWriter) -> None:
        """Write every part of a bundle."""
        self.ranking.known.save(writer)
        self.ranking.ranker.save(writer)
        facts: dict[str, object] = {"n_candidates": self.n_candidates, "sources": list(SOURCE_NAMES)}
        if self.ranking.heads is not None:
            self.ranking.heads.save(writer)
            facts[_TARGETS] = [target.value for target in self.ranking.heads.weights]
        self.recall.catalogue.save(writer)
        self.recall.save(writer)
        self.reranking.save(writer)
        writer.json("pipeline", facts)

    @classmethod
    def load(cls, reader: BundleReader) -> Self:
        """Read the whole pipeline of a bundle."""
        return cls(
            RecallStage.load(reader),
            RankingStage.load(reader),
            RerankingStage.load(reader),
            int(reader.json("pipeline")["n_candidates"]),
        )
