"""What comes after a question is not in what the ranker learns from it, and a leak would be seen."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.splits import each_of_the_last, leave_last_out
from recsys.features.items import ItemTable, fit_items
from recsys.ranking.matrix import KnowledgeConfig, candidate_matrix, fit_knowledge
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig, name_candidates
from recsys.recall.svd import SvdConfig
from recsys.training.cross_fit import CrossFitConfig, Questions, cross_fit, users_at
from tests.small import BILINEAR

SMALL = KnowledgeConfig(
    recall=RecallConfig(
        bilinear=BILINEAR, sequential=SequentialConfig(min_events=2, rank=4), svd=SvdConfig(n_factors=3)
    )
)
N_AFTER = 3  # positions of each asked user behind the question


@pytest.fixture(scope="module")
def log(simulated: Dataset) -> InteractionLog:
    return encode(simulated, Vocabulary(simulated.items["item_id"].to_list()))


@pytest.fixture(scope="module")
def items(simulated: Dataset) -> ItemTable:
    return fit_items(simulated.items)


@pytest.fixture(scope="module")
def asking(log: InteractionLog) -> NDArray[np.bool_]:
    """Mark a fifth of the users with a past before the last positions."""
    marked: NDArray[np.bool_] = (np.arange(log.n_users) % 5 == 0) & (log.lengths > N_AFTER + 1)
    return marked


@pytest.fixture(scope="module")
def asked(log: InteractionLog, asking: NDArray[np.bool_]) -> Questions:
    users = np.flatnonzero(asking)
    return Questions(users, log.offsets[users + 1] - N_AFTER)


@pytest.fixture(scope="module")
def other_future(log: InteractionLog, asking: NDArray[np.bool_]) -> InteractionLog:
    """Deal the items of all asked users' last positions anew among them."""
    behind = np.arange(len(log.item_rows)) >= np.repeat(log.offsets[1:] - N_AFTER, log.lengths)
    future = np.flatnonzero(behind & np.repeat(asking, log.lengths))
    rows = log.item_rows.copy()
    rows[future] = np.random.default_rng(0).permutation(rows[future])
    return replace(log, item_rows=rows)


def inputs(log: InteractionLog, fitted_on: InteractionLog, items: ItemTable, asked: Questions) -> bytes:
    """Return everything the ranker would see of these questions."""
    known = fit_knowledge(fitted_on, items, SMALL)
    users = users_at(log, asked)
    candidates = name_candidates(known.sources, users, 10, SMALL.recall.quotas, users.blocked(log.n_items))
    matrix = candidate_matrix(users, candidates, known)
    return candidates.item_rows.tobytes() + np.nan_to_num(matrix).tobytes()


def test_dealing_the_future_anew_changes_nothing_that_the_ranker_sees(
    log: InteractionLog,
    other_future: InteractionLog,
    items: ItemTable,
    asking: NDArray[np.bool_],
    asked: Questions,
) -> None:
    assert not np.array_equal(log.item_rows, other_future.item_rows)
    one = inputs(log, log.of_users(~asking), items, asked)
    other = inputs(other_future, other_future.of_users(~asking), items, asked)
    assert one == other


def test_a_planted_leak_is_seen(
    log: InteractionLog, other_future: InteractionLog, items: ItemTable, asked: Questions
) -> None:
    """Recall fitted on the asked users too: what comes after the question moves what the ranker sees."""
    assert inputs(log, log, items, asked) != inputs(other_future, other_future, items, asked)


@pytest.mark.parametrize("split_by", [leave_last_out, lambda log: each_of_the_last(log, N_AFTER)])
def test_other_answers_at_held_out_positions_leave_every_training_row_as_it_is(
    log: InteractionLog, items: ItemTable, split_by: object
) -> None:
    assert callable(split_by)
    train = split_by(log).train
    held_out = np.arange(len(log.item_rows)) >= np.repeat(
        log.offsets[1:] - (log.lengths - train.lengths), log.lengths
    )
    rows = log.item_rows.copy()
    rows[held_out] = np.random.default_rng(1).permutation(rows[held_out])
    config = CrossFitConfig(n_folds=2, min_positions=2, max_positions=2, n_candidates=10)
    one = cross_fit(train, items, SMALL, config, seed=1)
    other = cross_fit(split_by(replace(log, item_rows=rows)).train, items, SMALL, config, seed=1)
    assert one.matrix.tobytes() == other.matrix.tobytes()
    assert np.array_equal(one.labels, other.labels)
