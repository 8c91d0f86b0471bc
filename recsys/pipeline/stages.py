"""The stages as plain calls on batches (contract; being written).

class RecallStage:      load(reader) -> RecallStage
    source_names: tuple[str, ...]
    def recall(self, users: UserBatch, n: int, filters: Sequence[Filters | None] | None = None) -> Candidates
class RankingStage:     load(reader) -> RankingStage
    def rank(self, users: UserBatch, candidates: Candidates) -> NDArray[np.float32]   # (users, candidates), -inf where padded
class Catalogue:        load(reader) -> Catalogue           (recsys.pipeline.catalogue)
    items: Vocabulary; n_items; contexts: Vocabulary-like rows for UserBatch.context_rows
    popular_rows: NDArray[np.int32]   # every available item, the most popular first
    titles, tags, creators ...        # for GET /items/{id}
    def allowed(self, filters: Filters) -> NDArray[np.bool_]   # shape (items,)
class RerankingStage:   load(reader) -> RerankingStage       (tags and creators of the items)
    def rerank(self, item_rows, scores, n, variety: NDArray[np.float32] (users,)) -> Slate
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What an answer may contain; None means anything. Reaches every stage as it is."""

    tags_any: tuple[str, ...] | None = None
    tags_none: tuple[str, ...] | None = None
    creator_ids: tuple[str, ...] | None = None
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    published_after_s: float | None = None
    published_before_s: float | None = None


@dataclass(frozen=True, slots=True)
class Slate:
    """Lists worth showing, best first; short rows are padded with NO_ITEM."""

    item_rows: NDArray[np.int32]  # shape (users, n)
    scores: NDArray[np.float32]  # shape (users, n), -inf where padded
    candidate_columns: NDArray[np.int32]  # shape (users, n): where in the candidates each came from
