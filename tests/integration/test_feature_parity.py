"""On real ratings, the ranker sees at serving what it saw in training, bit for bit.

Training cuts a past moment out of the log; serving applies the events up to that moment to a user state,
reads it back and builds the batch from it. Both must name the same candidates and compute the same matrix.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pytest

from recsys.data.events import Event, EventKind
from recsys.data.formats import load_dataset
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.features.items import fit_items
from recsys.features.users import ACTIVITY_LIMIT, HISTORY_LENGTH, UserBatch
from recsys.pipeline.states import batch_of_states
from recsys.ranking.matrix import Knowledge, KnowledgeConfig, candidate_matrix, fit_knowledge
from recsys.recall.bilinear import BilinearConfig
from recsys.recall.candidates import Candidates
from recsys.recall.learning import LearningConfig
from recsys.recall.sequential import SequentialConfig
from recsys.recall.sources import RecallConfig, name_candidates
from recsys.recall.svd import SvdConfig
from recsys.state.record import StateLimits
from recsys.state.sqlite import SqliteUserState
from recsys.training.cross_fit import Questions, questions, users_at

CONFIG = KnowledgeConfig(
    recall=RecallConfig(
        sequential=SequentialConfig(min_events=20, rank=32, max_items=1_000),
        bilinear=BilinearConfig(learning=LearningConfig(n_dimensions=16, n_epochs=1)),
        svd=SvdConfig(n_factors=16),
    )
)
N_CANDIDATES = 60
N_QUESTIONS = 300


@dataclass(frozen=True, slots=True)
class Past:
    """One set of past moments as training and as serving see them."""

    log: InteractionLog
    known: Knowledge
    asked: Questions
    in_training: UserBatch
    in_serving: UserBatch

    def candidates(self, users: UserBatch) -> Candidates:
        blocked = users.blocked(self.log.n_items)
        return name_candidates(self.known.sources, users, N_CANDIDATES, CONFIG.recall.quotas, blocked)


@pytest.fixture(scope="module")
def past(real_movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Past:
    dataset = load_dataset(real_movielens, now_s=1.8e9).dataset
    items = Vocabulary(dataset.items["item_id"].to_list())
    log = encode(dataset, items)
    rng = np.random.default_rng(0)
    marked = np.zeros(log.n_users, dtype=np.bool_)
    marked[rng.permutation(log.n_users)[:60]] = True
    marked[np.argmax(log.lengths)] = True  # one who has lived far more than is remembered
    asked = questions(log, marked, 60)
    some = np.sort(rng.permutation(len(asked))[:N_QUESTIONS])
    asked = Questions(asked.users[some], asked.stops[some])
    known = fit_knowledge(log.of_users(~marked), fit_items(dataset.items), CONFIG)
    store = tmp_path_factory.mktemp("state") / "users.sqlite"
    return Past(log, known, asked, users_at(log, asked), served(dataset, log, items, asked, store))


def served(
    dataset: Dataset, log: InteractionLog, items: Vocabulary, asked: Questions, path: Path
) -> UserBatch:
    """Live the asked users' lives through a store, and read each state at the moment of its question."""
    moments: dict[str, list[int]] = {}
    for question in np.argsort(asked.stops, kind="stable"):
        moments.setdefault(log.user_ids[asked.users[question]], []).append(int(question))
    states = {}
    with SqliteUserState(path) as store:
        for user_id, questions_of_user in moments.items():
            lived = iter(events_of(dataset, user_id))
            n_lived = 0
            for question in questions_of_user:
                n_until = int(asked.stops[question] - log.offsets[asked.users[question]])
                store.apply([next(lived) for _ in range(n_until - n_lived)])
                n_lived = n_until
                (states[question],) = store.read([user_id])
    return batch_of_states(
        [states[question] for question in range(len(asked))],
        items,
        now_s=log.times_s[asked.stops],
        context_rows=log.context_rows[asked.stops],
    )


def events_of(dataset: Dataset, user_id: str) -> Iterator[Event]:
    """Return a user's ratings as a client would have sent them: in order of time, ties as in the file."""
    mine = dataset.interactions.filter(user_id=user_id).sort("time_s", maintain_order=True)
    for number, (item_id, time_s) in enumerate(mine.select("item_id", "time_s").iter_rows()):
        yield Event(
            event_id=f"{user_id}-{number}",
            user_id=user_id,
            kind=EventKind.RATING,
            time_s=time_s,
            item_id=item_id,
        )


def test_there_are_moments_with_ties_in_time_and_with_more_than_is_remembered(past: Past) -> None:
    users = past.in_training
    tied = (users.history_times_s[:, 0] == users.history_times_s[:, 1]) & (users.history_rows[:, 1] >= 0)
    assert np.count_nonzero(tied) > 30
    assert np.count_nonzero(past.asked.stops - past.log.offsets[past.asked.users] > ACTIVITY_LIMIT) > 10
    assert len(past.asked) == N_QUESTIONS


@pytest.mark.parametrize("part", [f.name for f in fields(UserBatch) if not f.name.startswith("excluded")])
def test_users_of_the_log_and_of_the_store_agree_in(past: Past, part: str) -> None:
    in_training, in_serving = getattr(past.in_training, part), getattr(past.in_serving, part)
    assert in_training.dtype == in_serving.dtype
    assert np.array_equal(in_training, in_serving)


def test_the_same_items_are_left_out(past: Past) -> None:
    n_items = past.log.n_items
    assert np.array_equal(past.in_training.blocked(n_items), past.in_serving.blocked(n_items))


def test_the_same_candidates_are_named_in_the_same_order_by_the_same_sources(past: Past) -> None:
    in_training, in_serving = past.candidates(past.in_training), past.candidates(past.in_serving)
    assert np.array_equal(in_training.item_rows, in_serving.item_rows)
    assert np.array_equal(in_training.source_ranks, in_serving.source_ranks)


def test_the_candidate_matrix_is_the_same_bit_for_bit(past: Past) -> None:
    in_training = candidate_matrix(past.in_training, past.candidates(past.in_training), past.known)
    in_serving = candidate_matrix(past.in_serving, past.candidates(past.in_serving), past.known)
    assert in_training.tobytes() == in_serving.tobytes()
    assert np.isfinite(in_training).mean() > 0.8  # there is something to compare


def test_a_user_served_alone_gets_what_training_saw_in_a_batch(past: Past) -> None:
    candidates = past.candidates(past.in_training)
    matrix = candidate_matrix(past.in_training, candidates, past.known)
    for question in range(0, N_QUESTIONS, 6):
        alone = past.in_serving.slice(question, question + 1)
        named = past.candidates(alone)
        assert np.array_equal(named.item_rows[0], candidates.item_rows[question])
        assert candidate_matrix(alone, named, past.known).tobytes() == matrix[question].tobytes()


def test_training_knows_no_more_of_a_user_than_the_state_remembers() -> None:
    limits = StateLimits()
    assert limits.history_limit == ACTIVITY_LIMIT
    assert limits.history_limit >= HISTORY_LENGTH
