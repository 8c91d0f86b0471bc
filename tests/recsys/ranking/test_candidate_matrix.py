from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.features.items import fit_items
from recsys.features.users import NO_ITEM, UserBatch, batch_at
from recsys.ranking.matrix import (
    FEATURE_SCHEMA,
    FEATURES,
    Knowledge,
    KnowledgeConfig,
    candidate_matrix,
    feature_columns,
    feature_schema,
    fit_knowledge,
)
from recsys.recall.candidates import NOT_NAMED, Candidates
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import SOURCE_NAMES, Quotas, RecallConfig, name_candidates
from recsys.recall.svd import SvdConfig
from recsys.registry.reader import FolderBundleReader
from tests.small import BILINEAR

CONFIG = KnowledgeConfig(
    recall=RecallConfig(
        bilinear=BILINEAR,
        sequential=SequentialConfig(min_events=2, rank=8),
        svd=SvdConfig(n_factors=6),
        quotas=Quotas(svd=30),  # without a share its rank would say nothing
    )
)


@pytest.fixture(scope="module")
def log(simulated: Dataset) -> InteractionLog:
    return encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))


@pytest.fixture(scope="module")
def known(log: InteractionLog, simulated: Dataset) -> Knowledge:
    return fit_knowledge(log, fit_items(simulated.items), CONFIG)


@pytest.fixture(scope="module")
def users(log: InteractionLog) -> UserBatch:
    """Return 64 users, the first of them at the very beginning."""
    rows = np.arange(64)
    stops = np.where(rows == 0, log.offsets[:64], log.offsets[1:65] - 1)
    return batch_at(log, rows, stops, log.times_s[stops])


@pytest.fixture(scope="module")
def candidates(known: Knowledge, users: UserBatch, log: InteractionLog) -> Candidates:
    return name_candidates(known.sources, users, 25, CONFIG.recall.quotas, users.blocked(log.n_items))


@pytest.fixture(scope="module")
def matrix(users: UserBatch, candidates: Candidates, known: Knowledge) -> NDArray[np.float32]:
    return candidate_matrix(users, candidates, known)


def test_columns_carry_the_names_and_the_order_of_the_features(
    users: UserBatch, candidates: Candidates, known: Knowledge
) -> None:
    assert tuple(name for name, _ in feature_columns(users, candidates, known)) == FEATURES
    assert len(set(FEATURES)) == len(FEATURES)


def test_every_cell_of_a_column_is_that_of_its_feature(
    users: UserBatch, candidates: Candidates, known: Knowledge, matrix: NDArray[np.float32]
) -> None:
    assert matrix.shape == (64, 25, len(FEATURES))
    named = candidates.item_rows != NO_ITEM
    for column, (name, values) in enumerate(feature_columns(users, candidates, known)):
        wanted = np.broadcast_to(values, named.shape)[named]
        assert np.array_equal(matrix[:, :, column][named], wanted, equal_nan=True), name


def test_scores_and_ranks_of_each_source_are_in_its_columns(
    users: UserBatch, candidates: Candidates, known: Knowledge, matrix: NDArray[np.float32]
) -> None:
    for number, name in enumerate(SOURCE_NAMES):
        ranks = matrix[:, :, FEATURES.index(f"{name}_rank")]
        assert np.array_equal(ranks, candidates.source_ranks[:, :, number].astype(np.float32)), name
        scores = getattr(known.sources, name).score(users, candidates.item_rows)
        assert np.array_equal(matrix[:, :, FEATURES.index(name)], scores), name
    n_sources = matrix[:, :, FEATURES.index("n_sources")]
    assert np.array_equal(n_sources, (candidates.source_ranks != NOT_NAMED).sum(axis=2))


def test_every_feature_says_something(candidates: Candidates, matrix: NDArray[np.float32]) -> None:
    named = candidates.item_rows != NO_ITEM
    silent = [
        name
        for name, values in zip(FEATURES, np.moveaxis(matrix, 2, 0), strict=True)
        if len(np.unique(values[named])) < 2
    ]
    assert silent == []


def test_a_user_in_a_batch_of_64_gets_what_the_user_gets_alone_bit_for_bit(
    users: UserBatch,
    candidates: Candidates,
    known: Knowledge,
    log: InteractionLog,
    matrix: NDArray[np.float32],
) -> None:
    for user in range(64):
        alone = users.slice(user, user + 1)
        blocked = alone.blocked(log.n_items)
        named = name_candidates(known.sources, alone, 25, CONFIG.recall.quotas, blocked)
        assert np.array_equal(named.item_rows[0], candidates.item_rows[user])
        assert np.array_equal(named.source_ranks[0], candidates.source_ranks[user])
        assert candidate_matrix(alone, named, known).tobytes() == matrix[user].tobytes()


def test_the_schema_changes_with_the_names_their_order_and_their_meaning() -> None:
    assert feature_schema(FEATURES) == FEATURE_SCHEMA
    others = [
        feature_schema(FEATURES[:-1]),
        feature_schema((FEATURES[1], FEATURES[0], *FEATURES[2:])),
        feature_schema(("renamed", *FEATURES[1:])),
        feature_schema(FEATURES, meaning=1_000),
    ]
    assert len({FEATURE_SCHEMA, *others}) == 5
    assert all(len(schema) == 16 for schema in others)


def test_knowledge_comes_back_from_a_bundle_and_computes_the_same_matrix(
    users: UserBatch,
    candidates: Candidates,
    known: Knowledge,
    matrix: NDArray[np.float32],
    bundle_of: Callable[..., FolderBundleReader],
) -> None:
    read = Knowledge.load(bundle_of(known.save))
    assert candidate_matrix(users, candidates, read).tobytes() == matrix.tobytes()
