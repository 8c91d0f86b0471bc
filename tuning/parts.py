"""What trials with the same recall share: it is made once, and they only differ in the ranker."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.core.errors import ConflictError
from recsys.core.hashing import digest_bytes
from recsys.evaluation.answers import targets_of
from recsys.evaluation.metrics import hits
from recsys.features.items import fit_items
from recsys.features.users import UserBatch, batch_at
from recsys.pipeline.catalogue import Catalogue
from recsys.pipeline.stages import RecallStage
from recsys.ranking.matrix import FEATURES, Knowledge, candidate_matrix, fit_knowledge
from recsys.recall.candidates import Candidates
from recsys.recall.shelf import Shelf
from recsys.training.cross_fit import TrainingRows, cross_fit
from recsys.training.two_stage import TrainingConfig
from tuning.problem import Problem

_USERS_AT_ONCE = 256
_FLOOR_BYTES = 512 << 20
_VALUE_BYTES = 4  # a float32


@dataclass(frozen=True, slots=True)
class Recalled:
    """Recall fitted on the past, and what it names for the validation questions."""

    known: Knowledge
    stage: RecallStage
    users: UserBatch  # as they are at their question
    candidates: Candidates
    hit: NDArray[np.bool_]  # shape (questions, candidates): which of them are answers


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a ranker is grown from and judged by."""

    key: str
    recalled: Recalled
    rows: TrainingRows
    matrix: NDArray[np.float32]  # shape (questions x candidates, features): what the ranker is asked

    def check(self, config: TrainingConfig) -> None:
        """Refuse settings that these parts were not made under.

        Raises:
            ConflictError: recall, cross-fitting or seed differ.
        """
        if parts_key(config) != self.key:
            raise ConflictError("the shared parts of a sweep", parts_key(config), self.key)


def parts_key(config: TrainingConfig) -> str:
    """Name all settings but those of ranker and reranking: trials with an equal key can share their parts."""
    return digest_bytes(config.model_dump_json(exclude={"boosting", "reranking"}).encode())[:16]


def store_bytes(problem: Problem, config: TrainingConfig) -> int:
    """Return how much an object store needs for the problem and one set of parts; rather too much."""
    asking = config.cross_fit
    learned = asking.max_questions * min(asking.n_candidates, asking.negatives_per_question + 1)
    asked = len(problem.split) * config.n_candidates
    exact = int(config.knowledge.recall.sequential.max_exact_mb * 2**20)
    return _FLOOR_BYTES + exact + (learned + asked) * len(FEATURES) * _VALUE_BYTES


def make_shelf(problem: Problem, config: TrainingConfig) -> Shelf:
    """Learn what trials of recall need and mostly do not change."""
    shelf = Shelf()
    shelf.bilinear(problem.split.train, config.knowledge.recall.bilinear, config.seed)
    return shelf


def make_recalled(problem: Problem, config: TrainingConfig, shelf: Shelf | None = None) -> Recalled:
    """Fit recall on the past and ask it the validation questions."""
    split = problem.split
    table = fit_items(problem.items, max_tags=config.max_tags)
    known = fit_knowledge(split.train, table, config.knowledge, seed=config.seed, shelf=shelf)
    none_popular = np.zeros(0, dtype=np.int32)  # the list for when all else fails plays no part here
    catalogue = Catalogue(problem.items, none_popular, split.train.contexts)
    stage = RecallStage(known.sources, catalogue, config.knowledge.recall.quotas)
    users = batch_at(split.full, split.test_users, split.test_stops, split.now_s)
    candidates = stage.recall(users, config.n_candidates)
    return Recalled(known, stage, users, candidates, hits(candidates.item_rows, targets_of(split)))


def make_parts(problem: Problem, config: TrainingConfig, shelf: Shelf | None = None) -> Parts:
    """Fit recall, cross-fit the ranker's rows, and compute what it is asked on validation."""
    recalled = make_recalled(problem, config, shelf)
    rows = cross_fit(
        problem.split.train, recalled.known.items, config.knowledge, config.cross_fit, seed=config.seed
    )
    return Parts(parts_key(config), recalled, rows, _asked(recalled))


def _asked(recalled: Recalled) -> NDArray[np.float32]:
    users, candidates = recalled.users, recalled.candidates
    parts = []
    for start in range(0, len(users), _USERS_AT_ONCE):
        some = slice(start, start + _USERS_AT_ONCE)
        named = Candidates(candidates.item_rows[some], candidates.source_ranks[some])
        matrix = candidate_matrix(users.slice(start, start + _USERS_AT_ONCE), named, recalled.known)
        parts.append(matrix.reshape(-1, matrix.shape[-1]))
    return np.concatenate(parts)
